/**
 * Reverse postorder and immediate dominators of a graph: which node comes
 * before which, and which one is passed on every way to which. Relies on
 * nothing; the structurer nests blocks by the answers.
 *
 * @journey P:244 Who must be passed
 * A dominates B if every way from the entry to B passes A. B's code can then
 * live inside A's, and *must*, if it is to see the labels opened there. The
 * method is that of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance
 * Algorithm": walk the nodes in reverse postorder and intersect the ways up.
 */

/** Both answers, by node; unreachable nodes have position -1. */
export interface Dominance {
	/** Position in reverse postorder, 0 for the entry. */
	readonly position: Int32Array;
	/** The node at each position. */
	readonly inOrder: readonly number[];
	/** The closest dominator; the entry is its own. */
	readonly immediateDominator: Int32Array;
}

/** `successors` of each node, in any order, repetitions allowed. */
export function computeDominance(
	entry: number,
	successors: readonly (readonly number[])[],
): Dominance {
	const inOrder = reversePostorder(entry, successors);
	const position = new Int32Array(successors.length).fill(-1);
	for (const [i, node] of inOrder.entries()) position[node] = i;
	const predecessors: number[][] = successors.map(() => []);
	for (const node of inOrder) {
		for (const target of successors[node] as number[]) {
			(predecessors[target] as number[]).push(node);
		}
	}
	const immediateDominator = new Int32Array(successors.length).fill(-1);
	immediateDominator[entry] = entry;
	const common = (a: number, b: number): number => {
		let [x, y] = [a, b];
		while (x !== y) {
			const isXLater = (position[x] as number) > (position[y] as number);
			if (isXLater) x = immediateDominator[x] as number;
			else y = immediateDominator[y] as number;
		}
		return x;
	};
	for (let changed = true; changed; ) {
		changed = false;
		for (const node of inOrder.slice(1)) {
			const dominator = (predecessors[node] as number[])
				.filter((predecessor) => immediateDominator[predecessor] !== -1)
				.reduce(common);
			changed ||= immediateDominator[node] !== dominator;
			immediateDominator[node] = dominator;
		}
	}
	return { position, inOrder, immediateDominator };
}

function reversePostorder(
	entry: number,
	successors: readonly (readonly number[])[],
): number[] {
	const postorder: number[] = [];
	const seen = new Set([entry]);
	const visits = [{ node: entry, next: 0 }];
	for (let top = visits.at(-1); top; top = visits.at(-1)) {
		const target = (successors[top.node] as number[])[top.next++];
		if (target === undefined) {
			postorder.push(top.node);
			visits.pop();
		} else if (!seen.has(target)) {
			seen.add(target);
			visits.push({ node: target, next: 0 });
		}
	}
	return postorder.reverse();
}
