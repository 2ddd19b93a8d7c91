/**
 * Finds a region: the basic blocks that control reaches from a hot entry, into
 * the functions it calls and back out of them, as far as the code has been
 * executed already and the limits allow.
 *
 * The search is breadth first, and a call is a step further away than a jump:
 * a loop is whole before its callees come in, and callees before theirs.
 * Where an indirect branch leads is learnt by watching (`BranchHistory`); a
 * RET leads behind the calls by which its function is reached.
 *
 * @journey E:710 The neighbourhood of a loop
 */

import { type DecodeMode, decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { operandsOf } from "../decode/operand-spec.ts";
import type { CodePage } from "./code-page.ts";
import type {
	BlockEnd,
	RegionBlock,
	RegionInstruction,
	RegionPage,
	RegionShape,
} from "./region.ts";

/** What the former asks about code. */
export interface RegionSource {
	readonly decodeMode: DecodeMode;
	/** Decoded code of the page so far from the entry's, if there is any and it is mapped now. */
	pageAt(distance: number): CodePage | undefined;
	/** RAM, for the bytes of pages. */
	readonly ram: Uint8Array;
	/** The cold engine's record at an offset of a page, or 0 where nothing has been decoded. */
	recordAt(page: CodePage, offset: number): number;
	/** Whether a region can contain the instruction. */
	isHot(instruction: Instruction): boolean;
	/** Offsets to which the dynamic branch at an offset has been seen to go. */
	targetsOf(offset: number): readonly number[];
}

/** How large a region may become. */
export interface RegionLimits {
	readonly blocks: number;
	readonly instructions: number;
	readonly pages: number;
	/** Calls inside calls. */
	readonly depth: number;
}

const PAGE = 4096;
const LONGEST_INSTRUCTION = 15;
/** Longer ones are cut: generating nests a block for each, and a browser's stack is short. */
const MOST_BLOCK_INSTRUCTIONS = 40;

/** The region that begins at an offset of its first page; no instruction in the first block = no region. */
export function formRegion(
	entry: number,
	source: RegionSource,
	limits: RegionLimits,
): RegionShape {
	return new RegionFormer(source, limits).form(entry);
}

class RegionFormer {
	readonly #source: RegionSource;
	readonly #limits: RegionLimits;
	/** By offset: depth of calls. Iteration order is discovery order. */
	readonly #leaders = new Map<number, number>();
	readonly #pages = new Map<number, CodePage | undefined>();
	/** By offset; undefined = cannot be in a region. */
	readonly #decoded = new Map<number, RegionInstruction | undefined>();
	readonly #straddle = new Uint8Array(2 * LONGEST_INSTRUCTION);

	constructor(source: RegionSource, limits: RegionLimits) {
		this.#source = source;
		this.#limits = limits;
	}

	form(entry: number): RegionShape {
		this.#findLeaders(entry);
		const all = new Map<number, RegionBlock>();
		for (const leader of this.#leaders.keys()) {
			all.set(leader, this.#readBlock(leader));
		}
		for (const block of all.values()) {
			if (block.end.kind !== "dynamic" || block.end.isReturn) continue;
			const seen = this.#seenTargets(block);
			block.targets = seen.filter((offset) => all.has(offset));
		}
		connectReturns(all);
		const blocks = reachable(entry, all);
		return {
			blocks,
			pages: this.#pagesOf(blocks),
			instructions: count(blocks),
		};
	}

	/** Breadth first, nearer calls first. */
	#findLeaders(entry: number): void {
		const queues: number[][] = [[entry]];
		this.#leaders.set(entry, 0);
		let instructions = 0;
		for (let depth = 0; depth < queues.length; depth++) {
			const queue = queues[depth] as number[];
			for (let at = 0; at < queue.length; at++) {
				const block = this.#readBlock(queue[at] as number);
				instructions += block.instructions.length;
				if (instructions > this.#limits.instructions) return;
				this.#addSuccessors(block, depth, queues);
			}
		}
	}

	#addSuccessors(block: RegionBlock, depth: number, queues: number[][]): void {
		const { end } = block;
		const add = (offset: number, at: number): boolean => {
			if (this.#leaders.has(offset)) return true;
			if (this.#leaders.size >= this.#limits.blocks) return false;
			if (!this.#isDecoded(offset)) return false;
			this.#leaders.set(offset, at);
			const queue = queues[at];
			if (queue === undefined) queues[at] = [offset];
			else queue.push(offset);
			return true;
		};
		const addCall = (target: number, next: number) => {
			if (depth >= this.#limits.depth) return;
			if (add(target, depth + 1)) add(next, depth);
		};
		switch (end.kind) {
			case "fall":
				add(end.next, depth);
				break;
			case "conditional":
				add(end.target, depth);
				add(end.next, depth);
				break;
			case "jump":
				add(end.target, depth);
				break;
			case "call":
				addCall(end.target, end.next);
				break;
			case "dynamic":
				if (end.isReturn) break;
				for (const target of this.#seenTargets(block)) {
					if (end.next === undefined) add(target, depth);
					else addCall(target, end.next);
				}
		}
	}

	#seenTargets(block: RegionBlock): readonly number[] {
		const last = block.instructions.at(-1);
		return last === undefined ? [] : this.#source.targetsOf(last.offset);
	}

	#isDecoded(offset: number): boolean {
		return this.#decode(offset) !== undefined || this.#recordAt(offset) !== 0;
	}

	#page(offset: number): CodePage | undefined {
		const distance = Math.floor(offset / PAGE) * PAGE;
		if (this.#pages.has(distance)) return this.#pages.get(distance);
		if (this.#pages.size >= this.#limits.pages) return undefined;
		const page = this.#source.pageAt(distance);
		if (page !== undefined) this.#pages.set(distance, page);
		return page;
	}

	#recordAt(offset: number): number {
		const page = this.#page(offset);
		if (page === undefined) return 0;
		return this.#source.recordAt(page, offset & (PAGE - 1));
	}

	/** The instruction at an offset, if it has been decoded and a region can contain it. */
	#decode(offset: number): RegionInstruction | undefined {
		if (this.#decoded.has(offset)) return this.#decoded.get(offset);
		const made = this.#tryDecode(offset);
		this.#decoded.set(offset, made);
		return made;
	}

	#tryDecode(offset: number): RegionInstruction | undefined {
		const record = this.#recordAt(offset);
		if (record === 0) return undefined;
		const { ram, decodeMode } = this.#source;
		const page = this.#page(offset) as CodePage;
		const start = offset & (PAGE - 1);
		const available = PAGE - start;
		const at = page.physical + start;
		let instruction = decode(ram, at, available, decodeMode);
		if (instruction === "truncated") {
			instruction = this.#decodeStraddling(offset, at, available);
		}
		if (typeof instruction === "string") return undefined;
		if (!this.#source.isHot(instruction)) return undefined;
		return { instruction, offset, record };
	}

	#decodeStraddling(
		offset: number,
		at: number,
		head: number,
	): Instruction | "truncated" {
		const next = this.#page(offset + head);
		if (next === undefined) return "truncated";
		const { ram, decodeMode } = this.#source;
		const bytes = this.#straddle;
		bytes.set(ram.subarray(at, at + head));
		const tail = ram.subarray(
			next.physical,
			next.physical + LONGEST_INSTRUCTION,
		);
		bytes.set(tail, head);
		const length = head + LONGEST_INSTRUCTION;
		const instruction = decode(bytes, 0, length, decodeMode);
		return typeof instruction === "string" ? "truncated" : instruction;
	}

	#readBlock(start: number): RegionBlock {
		const instructions: RegionInstruction[] = [];
		const block = (end: BlockEnd): RegionBlock => {
			return { offset: start, instructions, end, targets: [] };
		};
		for (let offset = start; ; ) {
			const isCut = instructions.length === MOST_BLOCK_INSTRUCTIONS;
			if (isCut || (offset !== start && this.#leaders.has(offset))) {
				return block({ kind: "fall", next: offset });
			}
			const decoded = this.#decode(offset);
			if (decoded === undefined) {
				const record = this.#recordAt(offset);
				if (record === 0) return block({ kind: "fall", next: offset });
				return block({ kind: "cold", offset, record });
			}
			instructions.push(decoded);
			offset += decoded.instruction.lengthBytes;
			const end = endOf(decoded.instruction, offset);
			if (end !== undefined) return block(end);
		}
	}

	/** Pages that the blocks touch, the entry's first. */
	#pagesOf(blocks: readonly RegionBlock[]): RegionPage[] {
		const distances = new Set([0]);
		for (const { instructions, end } of blocks) {
			if (end.kind === "cold") {
				distances.add(Math.floor(end.offset / PAGE) * PAGE);
			}
			for (const { offset, instruction } of instructions) {
				const last = offset + instruction.lengthBytes - 1;
				distances.add(Math.floor(offset / PAGE) * PAGE);
				distances.add(Math.floor(last / PAGE) * PAGE);
			}
		}
		return [...distances].map((distance) => {
			const { physical } = this.#pages.get(distance) as CodePage;
			return { distance, physical };
		});
	}
}

/** The end that a branch makes; `next` = offset behind it. */
function endOf(instruction: Instruction, next: number): BlockEnd | undefined {
	const { row } = instruction;
	const { mnemonic } = row;
	if (operandsOf(row)[0]?.method === "J") {
		const target = next + instruction.immediate;
		if (mnemonic === "JMP") return { kind: "jump", target };
		if (mnemonic === "CALL") return { kind: "call", target, next };
		return { kind: "conditional", target, next };
	}
	if (mnemonic === "RET") {
		return { kind: "dynamic", isReturn: true, next: undefined };
	}
	if (mnemonic === "JMP") {
		return { kind: "dynamic", isReturn: false, next: undefined };
	}
	if (mnemonic === "CALL") return { kind: "dynamic", isReturn: false, next };
	return undefined;
}

/** Blocks that follow without leaving the function: calls are stepped over. */
function withinFunction({ end, targets }: RegionBlock): readonly number[] {
	switch (end.kind) {
		case "fall":
		case "call":
			return [end.next];
		case "conditional":
			return [end.target, end.next];
		case "jump":
			return [end.target];
		case "dynamic":
			return end.next === undefined ? targets : [end.next];
		default:
			return [];
	}
}

/** Gives every RET the places behind the calls that lead to it. */
function connectReturns(blocks: ReadonlyMap<number, RegionBlock>): void {
	const callers = new Map<number, number[]>();
	for (const block of blocks.values()) {
		const { end } = block;
		if (end.kind !== "call" && end.kind !== "dynamic") continue;
		const { next } = end;
		if (next === undefined || !blocks.has(next)) continue;
		for (const callee of successorsOf(block)) {
			if (!blocks.has(callee)) continue;
			const sites = callers.get(callee);
			if (sites === undefined) callers.set(callee, [next]);
			else if (!sites.includes(next)) sites.push(next);
		}
	}
	for (const [callee, sites] of callers) {
		for (const offset of reachableWithin(callee, blocks)) {
			const block = blocks.get(offset) as RegionBlock;
			if (block.end.kind !== "dynamic" || !block.end.isReturn) continue;
			block.targets = [...new Set([...block.targets, ...sites])];
		}
	}
}

function reachableWithin(
	start: number,
	blocks: ReadonlyMap<number, RegionBlock>,
): ReadonlySet<number> {
	const seen = new Set([start]);
	for (const offset of seen) {
		const block = blocks.get(offset) as RegionBlock;
		for (const next of withinFunction(block)) {
			if (blocks.has(next)) seen.add(next);
		}
	}
	return seen;
}

/** Offsets that control goes to from a block, as far as is known; may lie outside the region. */
export function successorsOf({ end, targets }: RegionBlock): readonly number[] {
	switch (end.kind) {
		case "fall":
			return [end.next];
		case "conditional":
			return end.target === end.next ? [end.next] : [end.target, end.next];
		case "jump":
		case "call":
			return [end.target];
		case "dynamic":
			return targets;
		default:
			return [];
	}
}

/** The blocks that control can reach inside the region, entry first. */
function reachable(
	entry: number,
	blocks: ReadonlyMap<number, RegionBlock>,
): RegionBlock[] {
	const seen = new Set([entry]);
	for (const offset of seen) {
		for (const next of successorsOf(blocks.get(offset) as RegionBlock)) {
			if (blocks.has(next)) seen.add(next);
		}
	}
	return [...seen].map((offset) => blocks.get(offset) as RegionBlock);
}

function count(blocks: readonly RegionBlock[]): number {
	return blocks.reduce((sum, { instructions }) => sum + instructions.length, 0);
}
