/**
 * Finds a region: the basic blocks that direct branches reach from a hot entry
 * inside one page of code that has been executed already.
 *
 * @journey E:710 The neighbourhood of a loop
 */

import { type DecodeMode, decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { operandsOf } from "../decode/operand-spec.ts";

/** One instruction of a region. */
export interface RegionInstruction {
	readonly instruction: Instruction;
	/** Offset in the page. */
	readonly offset: number;
	/** The cold engine's record of it. */
	readonly record: number;
}

/** How a block ends. */
export type BlockEnd =
	/** Runs on into the block (or exit) behind it. */
	| { readonly kind: "fall"; readonly next: number }
	/** Jcc, LOOP, JCXZ. */
	| {
			readonly kind: "conditional";
			readonly target: number;
			readonly next: number;
	  }
	/** JMP and CALL to a constant address. */
	| { readonly kind: "relative"; readonly target: number }
	/** RET and indirect branches: only the instruction knows. */
	| { readonly kind: "dynamic" }
	/** Before an instruction that only the cold engine can run. */
	| { readonly kind: "cold"; readonly record: number };

export interface RegionBlock {
	readonly offset: number;
	readonly instructions: readonly RegionInstruction[];
	readonly end: BlockEnd;
}

/** What the former asks about code. */
export interface RegionSource {
	/** Bytes of the page. */
	readonly bytes: Uint8Array;
	readonly decodeMode: DecodeMode;
	/** The cold record at an offset, or 0 where nothing has been decoded. */
	recordAt(offset: number): number;
	/** Whether a region can contain the instruction. */
	isHot(instruction: Instruction): boolean;
}

const PAGE = 4096;
const MOST_BLOCKS = 32;
const MOST_INSTRUCTIONS = 300;

/** The blocks by offset, entry first; fewer than one instruction in all = no region. */
export function formRegion(
	entry: number,
	source: RegionSource,
): readonly RegionBlock[] {
	const leaders = findLeaders(entry, source);
	const blocks: RegionBlock[] = [];
	for (const leader of leaders) {
		blocks.push(readBlock(leader, leaders, source));
	}
	return blocks;
}

/** Offsets where blocks begin, breadth first. */
function findLeaders(entry: number, source: RegionSource): Set<number> {
	const leaders = new Set([entry]);
	let instructions = 0;
	for (const leader of leaders) {
		const block = readBlock(leader, leaders, source);
		instructions += block.instructions.length;
		if (instructions > MOST_INSTRUCTIONS) break;
		for (const next of successorsOf(block)) {
			if (leaders.size >= MOST_BLOCKS) break;
			if (source.recordAt(next) !== 0) leaders.add(next);
		}
	}
	return leaders;
}

/** Offsets control goes to by the block's own doing; may lie outside the page. */
export function successorsOf({ end }: RegionBlock): number[] {
	switch (end.kind) {
		case "fall":
			return inPage([end.next]);
		case "conditional":
			return inPage([end.target, end.next]);
		case "relative":
			return inPage([end.target]);
		default:
			return [];
	}
}

function inPage(offsets: number[]): number[] {
	return offsets.filter((offset) => offset >= 0 && offset < PAGE);
}

function readBlock(
	start: number,
	leaders: ReadonlySet<number>,
	source: RegionSource,
): RegionBlock {
	const instructions: RegionInstruction[] = [];
	const block = (end: BlockEnd) => ({ offset: start, instructions, end });
	for (let offset = start; ; ) {
		if (offset !== start && leaders.has(offset)) {
			return block({ kind: "fall", next: offset });
		}
		const record = offset < PAGE ? source.recordAt(offset) : 0;
		if (record === 0) return block({ kind: "fall", next: offset });
		const { bytes, decodeMode } = source;
		const decoded = decode(bytes, offset, PAGE - offset, decodeMode);
		if (typeof decoded === "string" || !source.isHot(decoded)) {
			return block({ kind: "cold", record });
		}
		instructions.push({ instruction: decoded, offset, record });
		offset += decoded.lengthBytes;
		const end = endOf(decoded, offset);
		if (end !== undefined) return block(end);
	}
}

/** The end that a branch makes; `next` = offset behind it. */
function endOf(instruction: Instruction, next: number): BlockEnd | undefined {
	const { row } = instruction;
	if (operandsOf(row)[0]?.method === "J") {
		const target = next + instruction.immediate;
		if (row.mnemonic === "JMP" || row.mnemonic === "CALL") {
			return { kind: "relative", target };
		}
		return { kind: "conditional", target, next };
	}
	const isDynamic = ["JMP", "CALL", "RET"].includes(row.mnemonic);
	return isDynamic ? { kind: "dynamic" } : undefined;
}
