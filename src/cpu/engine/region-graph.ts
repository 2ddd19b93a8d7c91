/**
 * A region's blocks as a control-flow graph for the structurer. Beside the
 * blocks there are nodes for ways out, and nodes that compare the target of a
 * dynamic branch with one place it may lead to.
 *
 * @journey E:735 Blocks become a graph
 */

import type { RegionBlock } from "./region.ts";
import { successorsOf } from "./region-former.ts";

/** What a node stands for. */
export type RegionNode =
	| { readonly kind: "block"; readonly block: RegionBlock }
	/** Successor 0 if the dynamic target is `target`, else successor 1. */
	| { readonly kind: "compare"; readonly target: number }
	/** Out, to a place known now; `from` = offset of the last instruction. */
	| {
			readonly kind: "leave";
			readonly offset: number;
			readonly from: number;
	  }
	/** Out, to the dynamic target. */
	| { readonly kind: "leave-dynamic"; readonly from: number };

export interface RegionGraph {
	readonly entry: number;
	readonly successors: readonly (readonly number[])[];
	readonly nodes: readonly RegionNode[];
	/** By node: the block all its ways in come from, if there is just one. */
	readonly onlyPredecessor: readonly (number | undefined)[];
	/** By node that a loop starts at: those that lead back to it. Every cycle has such a node. */
	readonly loops: ReadonlyMap<number, readonly number[]>;
}

export function regionGraph(blocks: readonly RegionBlock[]): RegionGraph {
	const nodes: RegionNode[] = blocks.map((block) => ({ kind: "block", block }));
	const successors: number[][] = blocks.map(() => []);
	const index = new Map(blocks.map(({ offset }, i) => [offset, i]));
	const add = (node: RegionNode, next: number[]): number => {
		successors.push(next);
		return nodes.push(node) - 1;
	};
	const nodeOf = (offset: number, from: number): number =>
		index.get(offset) ?? add({ kind: "leave", offset, from }, []);
	for (const [i, block] of blocks.entries()) {
		const from = block.instructions.at(-1)?.offset ?? block.offset;
		if (block.end.kind !== "dynamic") {
			successors[i] = successorsOf(block).map((to) => nodeOf(to, from));
			continue;
		}
		// A chain of comparisons, the last of which leads out.
		let next = add({ kind: "leave-dynamic", from }, []);
		for (const target of [...block.targets].reverse()) {
			next = add({ kind: "compare", target }, [nodeOf(target, from), next]);
		}
		successors[i] = [next];
	}
	return {
		entry: 0,
		successors,
		nodes,
		onlyPredecessor: onlyPredecessors(nodes, successors),
		loops: retreats(successors),
	};
}

/** Comparisons count as part of the block before them. */
function onlyPredecessors(
	nodes: readonly RegionNode[],
	successors: readonly (readonly number[])[],
): (number | undefined)[] {
	const found: (number | undefined | "several")[] = nodes.map(() => undefined);
	// The entry is also come to from outside.
	found[0] = "several";
	const note = (target: number, block: number): void => {
		if (nodes[target]?.kind === "compare") {
			for (const next of successors[target] ?? []) note(next, block);
			return;
		}
		const known = found[target];
		found[target] = known === undefined || known === block ? block : "several";
	};
	for (const [block, node] of nodes.entries()) {
		if (node.kind !== "block") continue;
		for (const target of successors[block] ?? []) note(target, block);
	}
	return found.map((block) => (block === "several" ? undefined : block));
}

/** Edges that go back in a depth-first walk, by target: every cycle has one. */
function retreats(
	successors: readonly (readonly number[])[],
): ReadonlyMap<number, readonly number[]> {
	const sources = new Map<number, number[]>();
	const state = new Uint8Array(successors.length);
	const walk: { node: number; next: number }[] = [{ node: 0, next: 0 }];
	state[0] = 1;
	for (let top = walk.at(-1); top; top = walk.at(-1)) {
		const to = successors[top.node]?.[top.next++];
		if (to === undefined) {
			state[top.node] = 2;
			walk.pop();
		} else if (state[to] === 1) {
			const known = sources.get(to) ?? [];
			sources.set(to, [...known, top.node]);
		} else if (state[to] === 0) {
			state[to] = 1;
			walk.push({ node: to, next: 0 });
		}
	}
	return sources;
}
