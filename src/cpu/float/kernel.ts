/**
 * What a kernel is: a piece of pure computation too long to stand inline in
 * every instruction (80-bit addition, a rounding), written once over the
 * emitter's vocabulary and compiled once as a WebAssembly function that both
 * engines call.
 *
 * A kernel returns at most one value; a second result goes through state
 * (FLOAT_SCRATCH). It never faults and never touches guest memory.
 *
 * @journey E:600 Kernels
 */

import type {
	Emitter,
	KernelName,
	Value,
	ValueType,
} from "../semantics/emitter.ts";

/** The part of the vocabulary that has nothing to do with an instruction. */
export type KernelEmitter = Omit<
	Emitter,
	| "loadSegment"
	| "storeSegment"
	| "prepareStore"
	| "fastAddress"
	| "loadFast"
	| "storeFast"
	| "copyFast"
	| "fillFast"
	| "linearAddress"
	| "dataSelector"
	| "x87Opcode"
	| "currentRip"
	| "nextRip"
	| "checkTarget"
	| "jump"
	| "jumpRelative"
	| "repeat"
	| "fault"
	| "faultIf"
	| "ensure"
	| "system"
	| "stop"
>;

export interface Kernel {
	readonly name: KernelName;
	readonly params: readonly ValueType[];
	readonly result?: ValueType;
	/** Emits the body; the value returned is the function's result. */
	// biome-ignore lint/suspicious/noConfusingVoidType: a kernel without result returns nothing
	build(e: KernelEmitter, ...args: readonly Value[]): Value | void;
}
