/**
 * Random graphs, structured and run, against an interpreter which just jumps.
 */
import { describe, expect, it } from "vitest";
import { functionOf, moduleOf } from "../../test/support/wasm-function.ts";
import { i32Const, localGet, op } from "./expression.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import { makeReducible } from "./reducible-graph.ts";
import { type ControlFlowGraph, structure } from "./structurer.ts";

/** Blocks executed before a run is cut off, for most graphs never end. */
const FUEL = 60;

/** Next state of the generator which decides on the way taken. */
const step = (state: number) => (Math.imul(state, 1664525) + 1013904223) | 0;
const choose = (state: number, count: number) => (state >>> 16) % count;
/** What a run computes: depends on each block passed and on their order. */
const trace = (hash: number, block: number) =>
	(Math.imul(hash, 31) + block) | 0;

function randomGraph(seed: number): ControlFlowGraph {
	let state = Math.imul(seed, 0x9e3779b1);
	const random = (below: number) => {
		state = step(state);
		return choose(state, below);
	};
	const size = 1 + random(14);
	const successors = Array.from({ length: size }, () =>
		Array.from({ length: [0, 1, 1, 2, 2, 2, 3, 5][random(8)] as number }, () =>
			random(size),
		),
	);
	return { entry: random(size), successors };
}

function interpret(graph: ControlFlowGraph, seed: number): number {
	let [hash, state, block] = [0, seed, graph.entry];
	for (let fuel = FUEL; fuel > 0; fuel--) {
		hash = trace(hash, block);
		state = step(state);
		const targets = graph.successors[block] as number[];
		if (targets.length === 0) return hash;
		block = targets[choose(state, targets.length)] as number;
	}
	return hash;
}

/** The same as `interpret`, as generated code; counts the blocks written. */
function emitGraph(
	graph: ControlFlowGraph,
	b: FunctionBuilder,
	written: number[] = [],
): void {
	const state = b.param(0);
	const [hash, fuel] = [b.local("i32"), b.local("i32")];
	b.set(hash, i32Const(0));
	b.set(fuel, i32Const(FUEL));
	structure(graph, b, (block, exits) => {
		written.push(block);
		b.if(op("i32.eqz", localGet(fuel)), () => b.return(localGet(hash)));
		b.set(fuel, op("i32.sub", localGet(fuel), i32Const(1)));
		const scaled = op("i32.mul", localGet(hash), i32Const(31));
		b.set(hash, op("i32.add", scaled, i32Const(block)));
		const next = op("i32.mul", localGet(state), i32Const(1664525));
		b.set(state, op("i32.add", next, i32Const(1013904223)));
		const count = graph.successors[block]?.length ?? 0;
		const high = op("i32.shr_u", localGet(state), i32Const(16));
		const choice = op("i32.rem_u", high, i32Const(Math.max(count, 1)));
		if (count === 0) b.return(localGet(hash));
		else if (count === 1) exits.goto(0);
		else if (count === 2) exits.branch(op("i32.eqz", choice));
		else exits.switch(choice);
	});
}

function dispatchersOf(graph: ControlFlowGraph): number {
	const { edges, blockCount } = makeReducible(graph);
	return edges.length - blockCount - 1;
}

function reachableBlocks(graph: ControlFlowGraph): number[] {
	const seen = new Set([graph.entry]);
	for (const block of seen) {
		for (const target of graph.successors[block] ?? []) seen.add(target);
	}
	return [...seen].sort((a, b) => a - b);
}

describe("structure", () => {
	it("keeps what random graphs do, block by block", () => {
		let irreducible = 0;
		for (let seed = 1; seed <= 1500; seed++) {
			const graph = randomGraph(seed);
			const written: number[] = [];
			const run = functionOf(["i32"], ["i32"], (b) =>
				emitGraph(graph, b, written),
			);
			if (dispatchersOf(graph) > 0) irreducible++;
			written.sort((a, b) => a - b);
			expect(written, `graph ${seed}`).toEqual(reachableBlocks(graph));
			for (const start of [1, 77, -123456, 0x7fffffff]) {
				const expected = interpret(graph, start);
				expect(run(start), `graph ${seed}, start ${start}`).toBe(expected);
			}
		}
		// The comparison means something only if both kinds were there; about a
		// quarter of these graphs are irreducible.
		expect(irreducible).toBeGreaterThan(300);
		expect(irreducible).toBeLessThan(1200);
	});

	it("adds no dispatcher to nested loops with one door each", () => {
		// 0 → 1 ⇄ (2 ⇄ 3), 1 → 4; 3 goes back to both loops.
		const successors = [[1], [2, 4], [3], [2, 1], []];
		expect(dispatchersOf({ entry: 0, successors })).toBe(0);
	});

	it("gives a loop with two doors one dispatcher", () => {
		const successors = [[1, 2], [2], [1, 3], []];
		expect(dispatchersOf({ entry: 0, successors })).toBe(1);
	});

	it("accepts a first block which is a loop on its own", () => {
		const graph = { entry: 0, successors: [[0, 1], []] };
		expect(dispatchersOf(graph)).toBe(0);
		const run = functionOf(["i32"], ["i32"], (b) => emitGraph(graph, b));
		expect(run(5)).toBe(interpret(graph, 5));
	});

	it("lets blocks leave for a label around the graph", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			b.block((out) => {
				structure({ entry: 0, successors: [[1], [0]] }, b, (block, exits) => {
					const n = b.param(0);
					b.set(n, op("i32.sub", localGet(n), i32Const(3)));
					b.brIf(out, op("i32.lt_s", localGet(n), i32Const(block)));
					exits.goto(0);
				});
			});
			b.return(localGet(b.param(0)));
		});
		// 6 goes to 3, then to 0 in block 1; 7 to 4, 1 and then -2 in block 0.
		expect(run(6)).toBe(0);
		expect(run(7)).toBe(-2);
	});

	it("takes the last exit of a switch for every index beyond", () => {
		const graph = { entry: 0, successors: [[1, 2, 3], [], [], []] };
		const run = functionOf(["i32"], ["i32"], (b) =>
			structure(graph, b, (block, exits) => {
				if (block === 0) exits.switch(localGet(b.param(0)));
				else b.return(i32Const(block));
			}),
		);
		expect([0, 1, 2, 3, -1].map((index) => run(index))).toEqual([
			1, 2, 3, 3, 3,
		]);
	});

	it("writes long chains and wide merges without running out of stack", () => {
		const chain = Array.from({ length: 600 }, (_, i) =>
			i < 599 ? [i + 1] : [],
		);
		const diamonds = Array.from({ length: 600 }, (_, i) =>
			i < 598 ? [i + 1, i + 2] : [],
		);
		for (const successors of [chain, diamonds]) {
			const bytes = moduleOf(["i32"], ["i32"], (b) =>
				emitGraph({ entry: 0, successors }, b),
			);
			expect(WebAssembly.validate(bytes)).toBe(true);
		}
	});

	it("refuses to write a block twice for one way in", () => {
		const graph = { entry: 0, successors: [[1], []] };
		const emit = () =>
			moduleOf([], [], (b) =>
				structure(graph, b, (block, exits) => {
					if (block === 1) b.return();
					else for (const index of [0, 0]) exits.goto(index);
				}),
			);
		expect(emit).toThrow(/used twice/);
	});

	it("refuses exits which the graph does not have", () => {
		const graph = { entry: 0, successors: [[0]] };
		const emit = (use: (exits: { goto(index: number): void }) => void) => () =>
			moduleOf([], [], (b) => structure(graph, b, (_, exits) => use(exits)));
		expect(emit((exits) => exits.goto(1))).toThrow(/no such exit/);
	});
});
