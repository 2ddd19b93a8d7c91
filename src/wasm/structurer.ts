/**
 * Writes a control-flow graph, where any block may jump to any other, as
 * nested blocks, loops and branches. Relies on dominance, on the rewriting of
 * irreducible graphs and on the function builder; the hot engine relies on it
 * for the shape of its regions, and brings the content of the blocks itself.
 *
 * @journey P:245 From jumps to nesting
 * WebAssembly has no jump. Norman Ramsey's "Beyond Relooper" (2022) tells how
 * to live without: walk down the dominator tree. A block which is reached by
 * one way forward is written right there, where its predecessor leaves for it.
 * One reached by several is written behind a `block`, opened around its
 * dominator, and every way to it is a branch out of that block. One that is
 * reached by a way back is written inside a `loop`.
 */

import { computeDominance, type Dominance } from "./dominators.ts";
import type { Expression } from "./expression.ts";
import { i32Const, localGet, op } from "./expression.ts";
import { isLeaf } from "./expression-node.ts";
import type { FunctionBuilder, Label } from "./function-builder.ts";
import {
	type ControlFlowGraph,
	type Edge,
	makeReducible,
	type ReducibleGraph,
} from "./reducible-graph.ts";
import type { Local } from "./references.ts";

export type { ControlFlowGraph } from "./reducible-graph.ts";

/**
 * The ways out of the block being written, by index among its successors. Each
 * index may be used once, anywhere in the block's code, by one of these; after
 * that, code at the same place would be dead. A block whose code ends without
 * using any must have returned.
 */
export interface Exits {
	/** Goes to successor number `index`. */
	goto(index: number): void;
	/** To successor 0 if the condition is not zero, else to successor 1. */
	branch(condition: Expression): void;
	/** To successor number `index`, or to the last if there are not so many. */
	switch(index: Expression): void;
}

/** Writes the code of one block; called at most once for each. */
export type BlockEmitter = (block: number, exits: Exits) => void;

/**
 * Writes the whole graph. Control never comes out behind it: every way ends in
 * a block which returns, or branches to a label around the graph. Nesting is
 * recursion, here and in `emitBlock`: some 1,500 blocks in one chain fit V8's
 * default stack, so regions want a limit well below that.
 */
export function structure(
	graph: ControlFlowGraph,
	builder: FunctionBuilder,
	emitBlock: BlockEmitter,
): void {
	new Structurer(makeReducible(graph), builder, emitBlock).emit();
}

/** One run; nodes are the blocks, the entry block and the dispatchers. */
class Structurer {
	readonly #graph: ReducibleGraph;
	readonly #dominance: Dominance;
	readonly #builder: FunctionBuilder;
	readonly #emitBlock: BlockEmitter;
	/** By node: forward edges to it; with several it needs a block's label. */
	readonly #waysForward: Int32Array;
	readonly #isLoop: Uint8Array;
	/** By node: nodes with a label, opened around it, last to be written first. */
	readonly #followers: number[][];
	readonly #forwardLabels = new Map<number, Label>();
	readonly #backwardLabels = new Map<number, Label>();
	readonly #emitted = new Set<number>();
	/** Names the door to dispatchers; exists if there is one. */
	#selector: Local | undefined;

	constructor(
		graph: ReducibleGraph,
		builder: FunctionBuilder,
		emitBlock: BlockEmitter,
	) {
		this.#graph = graph;
		this.#builder = builder;
		this.#emitBlock = emitBlock;
		const { edges, entry } = graph;
		const successors = edges.map((list) => list.map(({ target }) => target));
		this.#dominance = computeDominance(entry, successors);
		this.#waysForward = new Int32Array(edges.length);
		this.#isLoop = new Uint8Array(edges.length);
		this.#followers = edges.map(() => []);
		this.#classifyEdges(successors);
		this.#assignFollowers();
	}

	emit(): void {
		const { edges, entry, blockCount } = this.#graph;
		const hasDispatcher = edges.length > blockCount + 1;
		if (hasDispatcher) this.#selector = this.#builder.local("i32");
		this.#emitTree(entry);
		if (this.#selector) this.#builder.release(this.#selector);
	}

	#classifyEdges(successors: readonly (readonly number[])[]): void {
		for (const node of this.#dominance.inOrder) {
			for (const target of successors[node] as number[]) {
				if (this.#isBackward(node, target)) this.#isLoop[target] = 1;
				else this.#waysForward[target]++;
			}
		}
	}

	/** In a reducible graph, just what goes back in this order closes a loop. */
	#isBackward(from: number, to: number): boolean {
		const { position } = this.#dominance;
		return (position[to] as number) <= (position[from] as number);
	}

	#assignFollowers(): void {
		const { inOrder, immediateDominator } = this.#dominance;
		for (const node of [...inOrder].reverse()) {
			if (!this.#needsLabel(node)) continue;
			const dominator = immediateDominator[node] as number;
			(this.#followers[dominator] as number[]).push(node);
		}
	}

	#needsLabel(node: number): boolean {
		return (this.#waysForward[node] as number) > 1;
	}

	/** The node and all it dominates. */
	#emitTree(node: number): void {
		if (this.#emitted.has(node)) {
			throw new Error(`block ${node}: an exit to it was used twice`);
		}
		this.#emitted.add(node);
		if (this.#isLoop[node] === 0) {
			this.#emitWithFollowers(node, 0);
			return;
		}
		this.#builder.loop((label) => {
			this.#backwardLabels.set(node, label);
			this.#emitWithFollowers(node, 0);
		});
	}

	/** The last follower in order is opened first, so that all can branch to it. */
	#emitWithFollowers(node: number, opened: number): void {
		const follower = (this.#followers[node] as number[])[opened];
		if (follower === undefined) {
			this.#emitNode(node);
			return;
		}
		this.#builder.block((label) => {
			this.#forwardLabels.set(follower, label);
			this.#emitWithFollowers(node, opened + 1);
		});
		this.#emitTree(follower);
	}

	#emitNode(node: number): void {
		const { blockCount, entry } = this.#graph;
		const exits = this.#exitsOf(node);
		if (node < blockCount) this.#emitBlock(node, exits);
		else if (node === entry) exits.goto(0);
		else exits.switch(localGet(this.#selector as Local));
	}

	#exitsOf(node: number): Exits {
		const edges = this.#graph.edges[node] as readonly Edge[];
		return {
			goto: (index) => this.#leave(node, edges[index]),
			branch: (condition) => this.#branch(node, edges, condition),
			switch: (index) => this.#switch(node, edges, index),
		};
	}

	#leave(from: number, edge: Edge | undefined): void {
		if (edge === undefined) throw new Error(`block ${from}: no such exit`);
		if (edge.selector !== undefined) {
			const selector = this.#selector as Local;
			this.#builder.set(selector, i32Const(edge.selector));
		}
		const label = this.#labelOf(from, edge.target);
		if (label !== undefined) this.#builder.br(label);
		else this.#emitTree(edge.target);
	}

	/** Undefined for a target which is to be written in place. */
	#labelOf(from: number, target: number): Label | undefined {
		return this.#isBackward(from, target)
			? this.#backwardLabels.get(target)
			: this.#forwardLabels.get(target);
	}

	/** The label if leaving takes a mere branch: nothing to set, or to write. */
	#directLabel(from: number, edge: Edge): Label | undefined {
		if (edge.selector !== undefined) return undefined;
		return this.#labelOf(from, edge.target);
	}

	#branch(from: number, edges: readonly Edge[], condition: Expression): void {
		const [taken, other] = edges;
		if (taken === undefined || other === undefined) {
			throw new Error(`block ${from}: a branch takes two exits`);
		}
		const takenLabel = this.#directLabel(from, taken);
		const otherLabel = this.#directLabel(from, other);
		if (takenLabel !== undefined) {
			this.#builder.brIf(takenLabel, condition);
			this.#leave(from, other);
		} else if (otherLabel !== undefined) {
			this.#builder.brIf(otherLabel, op("i32.eqz", condition));
			this.#leave(from, taken);
		} else {
			this.#builder.if(condition, () => this.#leave(from, taken));
			this.#leave(from, other);
		}
	}

	/** Exits which take more than a branch each get a block, to land behind. */
	#switch(from: number, edges: readonly Edge[], index: Expression): void {
		if (edges.length === 1) {
			if (!isLeaf(index)) this.#builder.drop(index);
			this.#leave(from, edges[0]);
			return;
		}
		const labels = edges.map((edge) => this.#directLabel(from, edge));
		const indirect = [...edges.keys()].filter((i) => labels[i] === undefined);
		const open = (depth: number): void => {
			const exit = indirect[depth];
			if (exit === undefined) {
				const all = labels as Label[];
				this.#builder.brTable(all.slice(0, -1), all.at(-1) as Label, index);
				return;
			}
			this.#builder.block((label) => {
				labels[exit] = label;
				open(depth + 1);
			});
			this.#leave(from, edges[exit]);
		};
		open(0);
	}
}
