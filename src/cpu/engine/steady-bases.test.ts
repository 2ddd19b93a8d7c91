/**
 * Which registers a loop moves far, instruction by instruction, and whose loop
 * it is that counts.
 *
 * @journey E:739 Who leaves the page?
 */

import { describe, expect, it } from "vitest";
import { decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { ALL_FEATURES } from "../decode/opcode-table.ts";
import { MEMOS, WRITE_MEMO } from "../mmu/page-memos.ts";
import type { BlockEnd, RegionBlock } from "./region.ts";
import { type RegionGraph, regionGraph } from "./region-graph.ts";
import {
	loopsOf,
	nodesOfSmallLoops,
	scatteredMemos,
	steadyBases,
} from "./steady-bases.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
/** A place that no block begins at. */
const OUT = 0x900;

const NOP = "90";
const LOAD_EBX = "8b1b"; // mov ebx, [ebx]
const LOAD_ECX = "8b09"; // mov ecx, [ecx]

/** A block of instructions, each given as its bytes in hexadecimal. */
function block(
	offset: number,
	end: BlockEnd,
	codes: readonly string[],
	codeSize: 32 | 64 = 32,
): RegionBlock {
	const mode = { codeSize, features: ALL_FEATURES };
	const instructions = codes.map((code) => {
		const bytes = Uint8Array.from(Buffer.from(code, "hex"));
		const instruction = decode(bytes, 0, bytes.length, mode) as Instruction;
		return { instruction, offset, record: 0 };
	});
	return { offset, instructions, end, targets: [] };
}

const fall = (next: number): BlockEnd => ({ kind: "fall", next });
/** Goes back, or on. */
const back = (target: number, next: number): BlockEnd => ({
	...{ kind: "conditional", target, next },
});

const steadyOf = (graph: RegionGraph) => steadyBases(graph, loopsOf(graph));

/** Registers that are not steady in a loop of one block. */
function moved(codes: readonly string[], codeSize: 32 | 64 = 32): number[] {
	const only = block(0, back(0, OUT), codes, codeSize);
	return notIn(steadyOf(regionGraph([only]))[0] as number);
}

/** Registers whose bits are not set. */
function notIn(bits: number): number[] {
	const all = Array.from({ length: 16 }, (_, register) => register);
	return all.filter((register) => (bits & (1 << register)) === 0);
}

describe("steady in a loop are registers", () => {
	it.each([
		["nothing names", NOP],
		["only addresses name", "0303"], // add eax, [ebx]
	])("%s", (_, code) => {
		expect(moved([code])).not.toContain(RBX);
	});

	it.each([
		["INC", "43"],
		["DEC", "4b"],
		["DEC, the long form", "ffcb"],
		["ADD of a constant", "83c310"],
		["SUB of a constant", "81eb00010000"],
		["LEA beside itself", "8d5b08"],
		["CMP", "39cb"],
		["TEST", "85db"],
		["PUSH", "53"],
		["a store of it", "891e"],
		["a store by way of it", "8903"],
		["an addition to memory by way of it", "010b"],
		["an indirect jump", "ffe3"],
	])("%s moves no further than a step", (_, code) => {
		expect(moved([code])).toEqual([]);
	});
});

describe("moved far are those that", () => {
	it.each([
		["MOV loads", [RBX], LOAD_EBX],
		["MOV copies to", [RBX], "89cb"],
		["MOV sets to a constant", [RBX], "bb00000000"],
		["POP loads", [RBX], "5b"],
		["a register is added to", [RBX], "01cb"],
		["memory is added to", [RAX], "0303"],
		["LEA points beside another", [RBX], "8d5908"],
		["LEA adds an index to", [RBX], "8d1c0b"],
		["MUL writes", [RAX, RDX], "f721"],
		["IMUL of one operand writes", [RAX, RDX], "f729"],
		["IMUL of two operands writes", [RBX], "0fafd9"],
		["IDIV writes", [RAX, RDX], "f739"],
		["CDQ writes", [RDX], "99"],
		["RDTSC writes", [RAX, RDX], "0f31"],
		["XCHG exchanges", [RCX, RBX], "87d9"],
		["XADD exchanges", [RCX, RBX], "0fc1cb"],
		["XCHG gets from memory", [RCX], "870b"],
		["LODS loads", [RAX], "ad"],
		["MOVZX loads", [RCX], "0fb60b"],
		["CMOV may load", [RBX], "0f44d9"],
		["a byte is loaded into", [RBX], "8a1e"],
	])("%s", (_, registers, code) => {
		expect(moved([code])).toEqual(registers);
	});

	it("have a second byte that is written: AH is EAX's, not ESP", () => {
		expect(moved(["b401"])).toEqual([RAX]);
		expect(moved(["8a27"])).toEqual([RAX]);
	});

	it("a REX prefix names: SPL is RSP's, and R11 is not RBX", () => {
		expect(moved(["40b401"], 64)).toEqual([RSP]);
		expect(moved(["4d8b1b"], 64)).toEqual([11]);
		expect(moved(["4159"], 64)).toEqual([9]);
	});

	it("any instruction of any of the loop's blocks moves", () => {
		const blocks = [
			block(0, back(0x20, 0x10), [NOP, LOAD_EBX]),
			block(0x10, fall(0x20), [NOP, LOAD_ECX]),
			block(0x20, back(0, OUT), [NOP]),
		];
		const steady = steadyOf(regionGraph(blocks)).slice(0, 3);
		expect(steady.map(notIn)).toEqual([
			[RCX, RBX],
			[RCX, RBX],
			[RCX, RBX],
		]);
	});
});

describe("the loop that counts", () => {
	it("is the smallest one", () => {
		const blocks = [
			block(0, fall(0x10), [LOAD_EBX]),
			block(0x10, back(0x10, 0x20), [LOAD_ECX]),
			block(0x20, back(0, OUT), [NOP]),
		];
		const [outer, inner, end] = steadyOf(regionGraph(blocks));
		expect(notIn(inner as number)).toEqual([RCX]);
		// What an inner loop moves, the outer one moves.
		expect(notIn(outer as number)).toEqual([RCX, RBX]);
		expect(notIn(end as number)).toEqual([RCX, RBX]);
	});

	// Both are cycles through the region's first node.
	it("is the smallest one, where a region begins with it, too", () => {
		const blocks = [
			block(0x10, back(0x10, 0x20), [LOAD_ECX]),
			block(0x20, back(0, OUT), [NOP]),
			block(0, fall(0x10), [LOAD_EBX]),
		];
		const [inner] = steadyOf(regionGraph(blocks));
		expect(notIn(inner as number)).toEqual([RCX]);
	});

	it("has one way back: several are several loops", () => {
		const blocks = [
			block(0, back(0, 0x10), [NOP]),
			block(0x10, back(0, OUT), [LOAD_EBX]),
		];
		const [head, end] = steadyOf(regionGraph(blocks));
		expect([head, end].map((bits) => notIn(bits as number))).toEqual([
			[],
			[RBX],
		]);
	});

	it("may go round by way of a comparison of targets", () => {
		const end: BlockEnd = { kind: "dynamic", isReturn: false, next: undefined };
		const only = { ...block(0, end, [LOAD_EBX]), targets: [0] };
		const [steady] = steadyOf(regionGraph([only]));
		expect(notIn(steady as number)).toEqual([RBX]);
	});

	it("is missing before a loop, behind it, and where there is none", () => {
		const blocks = [
			block(0, fall(0x10), [NOP]),
			block(0x10, back(0x10, 0x20), [NOP]),
			block(0x20, fall(OUT), [NOP]),
		];
		const graph = regionGraph(blocks);
		const steady = steadyOf(graph);
		expect(steady).toHaveLength(graph.nodes.length);
		expect(steady.map((bits) => bits !== 0)).toEqual(
			graph.nodes.map((_, node) => node === 1),
		);
	});
});

describe("a register leads a loop to several things", () => {
	/** Memos that are scattered in a loop of one block. */
	function scattered(...codes: readonly string[]): number[] {
		const graph = regionGraph([block(0, back(0, OUT), codes)]);
		const bits = scatteredMemos(graph, loopsOf(graph))[0] as number;
		const all = Array.from({ length: MEMOS }, (_, memo) => memo);
		return all.filter((memo) => bits & (1 << memo));
	}

	const READ_NEAR = "8b8300010000"; // mov eax, [ebx+0x100]
	const READ_FAR = "8b8300100000"; // mov eax, [ebx+0x1000]
	const WRITE_FAR = "898300100000"; // mov [ebx+0x1000], eax

	it("where its displacements are far apart", () => {
		expect(scattered(READ_NEAR, READ_FAR)).toEqual([RBX]);
		expect(scattered(READ_FAR, READ_FAR)).toEqual([]);
		expect(scattered(READ_NEAR, "8b8300080000")).toEqual([]);
	});

	it("unless the one is read and the other written, for these have memos of their own", () => {
		expect(scattered(READ_NEAR, WRITE_FAR)).toEqual([]);
		expect(scattered("898300010000", WRITE_FAR)).toEqual([WRITE_MEMO + RBX]);
	});

	it("be it as a base or as an index", () => {
		const byIndex = "8b049d00100000"; // mov eax, [ebx*4+0x1000]
		expect(scattered(READ_NEAR, byIndex)).toEqual([RBX]);
	});

	it.each([
		["CMP", "398300100000"],
		["PUSH", "ffb300100000"],
		["FLD", "d98300100000"],
		["FADD", "d88300100000"],
		["FLDCW", "d9ab00100000"],
		["MOVAPS, the load", "0f288300100000"],
	])("and %s reads", (_, code) => {
		expect(scattered(READ_NEAR, code)).toEqual([RBX]);
	});

	it.each([
		["ADD to memory", "018300100000"],
		["POP", "8f8300100000"],
		["FST", "d99300100000"],
		["FISTP", "df9b00100000"],
		["FNSTCW", "d9bb00100000"],
		["MOVAPS, the store", "0f298300100000"],
	])("and %s writes", (_, code) => {
		expect(scattered(READ_NEAR, code)).toEqual([]);
		expect(scattered("898300010000", code)).toEqual([WRITE_MEMO + RBX]);
	});

	it("but outside of loops nobody asks", () => {
		const graph = regionGraph([block(0, fall(OUT), [READ_NEAR, READ_FAR])]);
		expect(scatteredMemos(graph, loopsOf(graph))[0]).toBe(0);
	});
});

describe("small loops", () => {
	/** A loop of that many blocks, and one more behind it. */
	function loopOf(blocks: number): readonly RegionBlock[] {
		const places = Array.from({ length: blocks }, (_, i) => i * 0x10);
		const round = places.map((at) => block(at, fall(at + 0x10), [NOP]));
		const end = places.at(-1) as number;
		const last = block(end, back(0, end + 0x10), [NOP]);
		return [...round.slice(0, -1), last, block(end + 0x10, fall(OUT), [NOP])];
	}

	it("are of four blocks at most", () => {
		const nodesOf = (blocks: number) =>
			nodesOfSmallLoops(loopsOf(regionGraph(loopOf(blocks))));
		expect([...nodesOf(4)].sort()).toEqual([0, 1, 2, 3]);
		expect([...nodesOf(5)]).toEqual([]);
	});
});
