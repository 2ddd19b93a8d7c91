/**
 * Where a region's note about flags may be one of INC or DEC. Those keep CF, so
 * what comes before them has to be remembered beside them; where the note is
 * known to be of something else, it is that itself.
 *
 * @journey E:736 Does anybody step?
 */

import type { RegionBlock } from "./region.ts";
import type { RegionGraph } from "./region-graph.ts";

const STEPS = new Set(["INC", "DEC"]);
/** Instructions after which the note is of no step, whatever happens. */
export const SET_ALL_FLAGS: ReadonlySet<string> = new Set([
	...["ADD", "ADC", "SUB", "SBB", "CMP", "NEG"],
	...["AND", "OR", "XOR", "TEST", "MUL", "IMUL", "XADD", "CMPXCHG"],
]);

/** Nodes that control may come to with a step's note. At the entry the flag words are right. */
export function nodesBehindSteps({
	nodes,
	successors,
}: Pick<RegionGraph, "nodes" | "successors">): ReadonlySet<number> {
	const behind = new Set<number>();
	const reach = (from: number) => {
		for (const to of successors[from] ?? []) behind.add(to);
	};
	for (const [node, content] of nodes.entries()) {
		if (content.kind === "block" && lastSetter(content.block) === "step") {
			reach(node);
		}
	}
	// A set's iterator comes to what is added meanwhile.
	for (const node of behind) {
		const content = nodes[node];
		const isBlock = content?.kind === "block";
		if (!isBlock || lastSetter(content.block) === undefined) reach(node);
	}
	return behind;
}

/** Which kind of instruction the note behind a block is of; undefined = perhaps the one before it. */
function lastSetter({
	instructions,
}: RegionBlock): "step" | "other" | undefined {
	for (let i = instructions.length - 1; i >= 0; i--) {
		const mnemonic = instructions[i]?.instruction.row.mnemonic ?? "";
		if (STEPS.has(mnemonic)) return "step";
		if (SET_ALL_FLAGS.has(mnemonic)) return "other";
	}
	return undefined;
}
