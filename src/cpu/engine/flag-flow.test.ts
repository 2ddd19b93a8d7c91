import { describe, expect, it } from "vitest";
import { decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { ALL_FEATURES } from "../decode/opcode-table.ts";
import { nodesBehindSteps } from "./flag-flow.ts";
import type { RegionNode } from "./region-graph.ts";

const MODE = { codeSize: 32, features: ALL_FEATURES } as const;

/** A node that is a block of instructions, each given as its bytes in hexadecimal. */
function block(...codes: string[]): RegionNode {
	const instructions = codes.map((code) => {
		const bytes = Uint8Array.from(Buffer.from(code, "hex"));
		const instruction = decode(bytes, 0, bytes.length, MODE) as Instruction;
		return { instruction, offset: 0, record: 0 };
	});
	const end = { kind: "jump", target: 0 } as const;
	return {
		kind: "block",
		block: { offset: 0, instructions, end, targets: [] },
	};
}

const INC_EAX = "40";
const DEC_EAX = "48";
const ADD = "01d8";
const MOV = "89d8";
/** By CL, which may be zero: flags then stay as they are. */
const SHL_CL = "d3e0";

function behind(nodes: RegionNode[], successors: number[][]): number[] {
	return [...nodesBehindSteps({ nodes, successors })].sort();
}

describe("notes of INC and DEC", () => {
	it("reach what follows their block", () => {
		const nodes = [block(INC_EAX), block(MOV), block(ADD), block(MOV)];
		expect(behind(nodes, [[1], [2], [3], []])).toEqual([1, 2]);
	});

	it("are over where something else sets all flags", () => {
		expect(behind([block(DEC_EAX, ADD), block(MOV)], [[1], []])).toEqual([]);
		expect(behind([block(ADD, DEC_EAX), block(MOV)], [[1], []])).toEqual([1]);
	});

	it("stay where flags may be left alone", () => {
		const nodes = [block(INC_EAX), block(SHL_CL), block(MOV)];
		expect(behind(nodes, [[1], [2], []])).toEqual([1, 2]);
	});

	it("go round loops, and through comparisons of targets", () => {
		const compare: RegionNode = { kind: "compare", target: 0 };
		const nodes = [block(MOV), block(INC_EAX), compare, block(ADD)];
		expect(behind(nodes, [[1, 3], [2], [0, 3], []])).toEqual([0, 1, 2, 3]);
	});

	it("are nowhere in a region without them", () => {
		expect(behind([block(ADD), block(MOV)], [[1], [0]])).toEqual([]);
	});
});
