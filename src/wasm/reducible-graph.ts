/**
 * Rewrites any control-flow graph so that every loop is entered in one place
 * only, which is what structured control flow can express. Relies on nothing;
 * the structurer relies on it.
 *
 * @journey P:243 Loops with two front doors
 * Compilers make loops with one entry; people with `goto`, and optimisers on a
 * bad day, make others. Such a loop gets a *dispatcher*, a new block which is
 * its only door: whoever used to jump to one of the old doors now notes which
 * one in a local, the selector, and jumps to the dispatcher, which branches
 * accordingly. Then we look inside, where there may be more of the kind.
 */

/** Blocks are numbered from 0; `successors[b]` are b's, repetitions allowed. */
export interface ControlFlowGraph {
	readonly entry: number;
	readonly successors: readonly (readonly number[])[];
}

/** One way out of a block, in the rewritten graph. */
export interface Edge {
	readonly target: number;
	/** What to put into the selector on the way; undefined: leave it alone. */
	readonly selector: number | undefined;
}

/** The graph with single-entry loops. Numbers below `blockCount` are blocks. */
export interface ReducibleGraph {
	readonly blockCount: number;
	/** A new empty block before the first, so that the first may be a loop. */
	readonly entry: number;
	/** By block, then entry block, then dispatchers: edges in their order. */
	readonly edges: readonly (readonly Edge[])[];
}

/** Leaves a reducible graph as it is, but for the entry block. */
export function makeReducible(graph: ControlFlowGraph): ReducibleGraph {
	const blockCount = graph.successors.length;
	const edges = graph.successors.map((targets) =>
		targets.map((target): Edge => ({ target, selector: undefined })),
	);
	const entry = edges.push([{ target: graph.entry, selector: undefined }]) - 1;
	const pending = [reachableFrom(edges, entry)];
	const reachable = pending[0] as number[];
	for (let nodes = pending.pop(); nodes; nodes = pending.pop()) {
		for (const component of cyclesAmong(edges, nodes)) {
			const doors = doorsOf(edges, component, reachable);
			// Without its door, what is left of a loop are the loops inside it.
			if (doors.length === 1) {
				pending.push(component.filter((node) => node !== doors[0]));
				continue;
			}
			reachable.push(addDispatcher(edges, doors, reachable));
			pending.push(component);
		}
	}
	return { blockCount, entry, edges };
}

function reachableFrom(edges: readonly Edge[][], entry: number): number[] {
	const seen = new Set([entry]);
	// A set iterates over what is added meanwhile as well.
	for (const node of seen) {
		for (const { target } of edges[node] as Edge[]) seen.add(target);
	}
	return [...seen];
}

/** Nodes of a cycle which can be reached from outside of it. */
function doorsOf(
	edges: readonly Edge[][],
	component: readonly number[],
	reachable: readonly number[],
): number[] {
	const inside = new Set(component);
	const doors = new Set<number>();
	for (const node of reachable) {
		if (inside.has(node)) continue;
		for (const { target } of edges[node] as Edge[]) {
			if (inside.has(target)) doors.add(target);
		}
	}
	return [...doors];
}

/** Sends every edge to a door, also from inside, through a new node. */
function addDispatcher(
	edges: Edge[][],
	doors: readonly number[],
	reachable: readonly number[],
): number {
	const dispatcher = edges.length;
	const selectorOf = new Map(doors.map((door, i) => [door, i]));
	for (const node of reachable) {
		const redirected = (edges[node] as Edge[]).map((edge) => {
			// An edge carries one selector at most: it leads to a dispatcher from
			// then on, and dispatchers never lie inside what we look at next.
			const selector = selectorOf.get(edge.target);
			return selector === undefined ? edge : { target: dispatcher, selector };
		});
		edges[node] = redirected;
	}
	edges.push(doors.map((target) => ({ target, selector: undefined })));
	return dispatcher;
}

/**
 * The cycles of the graph restricted to `nodes`: its strongly connected
 * components, without single nodes that have no edge to themselves. Tarjan's
 * algorithm with an explicit stack, for a guest may have long chains.
 */
function cyclesAmong(
	edges: readonly Edge[][],
	nodes: readonly number[],
): number[][] {
	const inside = new Set(nodes);
	const order = new Map<number, number>();
	const low = new Map<number, number>();
	const path: number[] = [];
	const onPath = new Set<number>();
	const cycles: number[][] = [];

	const enter = (node: number) => {
		order.set(node, order.size);
		low.set(node, order.get(node) as number);
		path.push(node);
		onPath.add(node);
		return { node, next: 0 };
	};
	const lower = (node: number, value: number) =>
		low.set(node, Math.min(low.get(node) as number, value));
	const leave = (node: number) => {
		if (low.get(node) !== order.get(node)) return;
		const component = path.splice(path.lastIndexOf(node));
		for (const member of component) onPath.delete(member);
		const isCycle =
			component.length > 1 ||
			(edges[node] as Edge[]).some(({ target }) => target === node);
		if (isCycle) cycles.push(component);
	};

	for (const root of nodes) {
		if (order.has(root)) continue;
		const visits = [enter(root)];
		for (let top = visits.at(-1); top; top = visits.at(-1)) {
			const edge = (edges[top.node] as Edge[])[top.next++];
			if (edge === undefined) {
				visits.pop();
				leave(top.node);
				const parent = visits.at(-1);
				if (parent) lower(parent.node, low.get(top.node) as number);
			} else if (inside.has(edge.target) && !order.has(edge.target)) {
				visits.push(enter(edge.target));
			} else if (onPath.has(edge.target)) {
				lower(top.node, order.get(edge.target) as number);
			}
		}
	}
	return cycles;
}
