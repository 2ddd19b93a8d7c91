/**
 * Which registers a loop leaves alone, or moves in small steps: what they point
 * at is likely to be in the page that it was in before, so accesses by way of
 * them use a memo (`page-memo.ts`). A register that is loaded in the loop (the
 * next element of a list, say) may point anywhere. This is a guess about speed,
 * and wrong guesses cost no more than that.
 *
 * @journey E:737 Who stays in the page?
 */

import type { Instruction } from "../decode/instruction.ts";
import { operandsOf, type ParsedOperand } from "../decode/operand-spec.ts";
import { MEMOS, WRITE_MEMO } from "../mmu/page-memos.ts";
import type { RegionGraph } from "./region-graph.ts";

const PAGE_BYTES = 4096;
/** Methods of operands that may be memory. */
const ADDRESSED = new Set(["E", "W", "Q", "M", "O"]);
/** Blocks. */
const SMALL_LOOP = 4;
/** Their first operand is only read. */
const READERS = new Set(["CMP", "TEST", "PUSH", "CALL", "JMP", "BT"]);
const SMALL_STEPS = new Set(["INC", "DEC"]);
const SUMS = new Set(["ADD", "SUB"]);
/** They write the second operand, too. */
const EXCHANGES = new Set(["XCHG", "XADD"]);
const PRODUCTS = new Set(["MUL", "IMUL", "DIV", "IDIV"]);
/** Registers that instructions write without naming them, a bit each. */
const RAX = 1 << 0;
const RDX = 1 << 2;
const UNNAMED: Readonly<Record<string, number>> = {
	...{ CWD: RDX, CPUID: RAX | RDX, RDTSC: RAX | RDX, LODS: RAX },
};

/** Of one register, accesses further apart than that are to different things: arrays, say, at constant addresses. */
const SAME_THING = PAGE_BYTES / 2;
/** x87 instructions with one operand read it, but for these. */
const X87_STORES = /^F(N?ST|IST|BST|NSAVE)/;

/** The nodes of a loop. */
export type Loop = ReadonlySet<number>;

/** By node: the registers, a bit each, that the smallest loop around it does not move far; 0 outside of loops. */
export function steadyBases(
	{ nodes }: RegionGraph,
	loops: readonly Loop[],
): readonly number[] {
	const moved = nodes.map((node) =>
		node.kind === "block"
			? node.block.instructions.reduce(
					(all, { instruction }) => all | movedBy(instruction),
					0,
				)
			: 0,
	);
	return ofSmallestLoops(nodes.length, loops, (loop) => {
		let anyMoved = 0;
		for (const node of loop) anyMoved |= moved[node] as number;
		return ~anyMoved;
	});
}

/** By node: the memos, a bit each, whose register leads the smallest loop around it to several things in turn. */
export function scatteredMemos(
	{ nodes }: RegionGraph,
	loops: readonly Loop[],
): readonly number[] {
	return ofSmallestLoops(nodes.length, loops, (loop) =>
		scatteredIn(loop, nodes),
	);
}

/** By node: what is found about the smallest loop around it; 0 outside of loops. */
function ofSmallestLoops(
	nodes: number,
	loops: readonly Loop[],
	find: (loop: Loop) => number,
): readonly number[] {
	const found = new Array<number>(nodes).fill(0);
	const sizes = new Array<number>(nodes).fill(Number.POSITIVE_INFINITY);
	for (const loop of loops) {
		const value = find(loop);
		for (const node of loop) {
			if (loop.size >= (sizes[node] as number)) continue;
			sizes[node] = loop.size;
			found[node] = value;
		}
	}
	return found;
}

function scatteredIn(loop: Loop, nodes: RegionGraph["nodes"]): number {
	const least = new Float64Array(MEMOS).fill(Number.POSITIVE_INFINITY);
	const most = new Float64Array(MEMOS).fill(Number.NEGATIVE_INFINITY);
	let scattered = 0;
	for (const node of loop) {
		const content = nodes[node];
		if (content?.kind !== "block") continue;
		for (const { instruction } of content.block.instructions) {
			const { memory } = instruction;
			if (memory === undefined) continue;
			for (const register of [memory.base, memory.index]) {
				if (register < 0) continue;
				const memo = register + (isWrite(instruction) ? WRITE_MEMO : 0);
				const { displacement } = memory;
				least[memo] = Math.min(least[memo] as number, displacement);
				most[memo] = Math.max(most[memo] as number, displacement);
				const spread = (most[memo] as number) - (least[memo] as number);
				if (spread > SAME_THING) scattered |= 1 << memo;
			}
		}
	}
	return scattered;
}

function isWrite({ row }: Instruction): boolean {
	const { mnemonic } = row;
	const [first, second] = operandsOf(row);
	if (first === undefined || READERS.has(mnemonic)) return false;
	if (second === undefined && mnemonic.startsWith("F")) {
		return X87_STORES.test(mnemonic);
	}
	return ADDRESSED.has(first.method);
}

/**
 * Nodes of loops of a few blocks. Where one looks things up in a table it does
 * little else, and more code for it costs little.
 */
export function nodesOfSmallLoops(loops: readonly Loop[]): ReadonlySet<number> {
	const small = loops.filter(({ size }) => size <= SMALL_LOOP);
	return new Set(small.flatMap((loop) => [...loop]));
}

/** A graph's loops. Several that begin at one node, as where a region begins inside them, are as many loops. */
export function loopsOf({ successors, loops }: RegionGraph): readonly Loop[] {
	const predecessors = predecessorsOf(successors);
	return [...loops].flatMap(([head, ends]) =>
		ends.map((end) => nodesOfLoop(head, end, predecessors)),
	);
}

function predecessorsOf(
	successors: readonly (readonly number[])[],
): readonly (readonly number[])[] {
	const predecessors: number[][] = successors.map(() => []);
	for (const [from, list] of successors.entries()) {
		for (const to of list) (predecessors[to] as number[]).push(from);
	}
	return predecessors;
}

/** The start of a loop, and what leads to its end without passing there. */
function nodesOfLoop(
	head: number,
	end: number,
	predecessors: readonly (readonly number[])[],
): Loop {
	const found = new Set([head, end]);
	for (const node of found) {
		if (node === head) continue;
		for (const from of predecessors[node] ?? []) found.add(from);
	}
	return found;
}

/** General registers that an instruction may move far, a bit each. */
function movedBy(instruction: Instruction): number {
	const { row, reg, memory } = instruction;
	const { mnemonic } = row;
	if (READERS.has(mnemonic) || SMALL_STEPS.has(mnemonic)) return 0;
	const operands = operandsOf(row);
	const [first, second] = operands;
	const isSum = SUMS.has(mnemonic) && second?.method === "I";
	const isStep = mnemonic === "LEA" && memory?.base === reg && memory.index < 0;
	if (isSum || isStep) return 0;
	// What one operand is multiplied or divided by is only read.
	if (operands.length === 1 && PRODUCTS.has(mnemonic)) return RAX | RDX;
	const unnamed = UNNAMED[mnemonic] ?? 0;
	const other = EXCHANGES.has(mnemonic) ? registerOf(second, instruction) : 0;
	return unnamed | other | registerOf(first, instruction);
}

/** The bit of the general register that an operand is, or 0. */
function registerOf(
	operand: ParsedOperand | undefined,
	{ isRegister, reg, rm, rex }: Instruction,
): number {
	if (operand === undefined) return 0;
	const isHigh = operand.type === "b" && !rex;
	const bit = (register: number) => 1 << (isHigh ? register & 3 : register);
	switch (operand.method) {
		case "G":
			return bit(reg);
		case "Z":
			return bit(rm);
		case "E":
			return isRegister ? bit(rm) : 0;
		case "fixed":
			return ["AL", "AX", "eAX", "rAX"].includes(operand.type) ? RAX : 0;
		default:
			return 0;
	}
}
