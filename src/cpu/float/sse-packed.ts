/**
 * Lane kernels applied to whole registers, and the end of every instruction
 * that may have raised something.
 *
 * Relies on the names of the lane kernels.
 *
 * @journey E:674 Four at a time, one by one
 */

import { MXCSR_EARLY_FLAGS, MXCSR_FLAGS, MXCSR_MASK_SHIFT } from "../mxcsr.ts";
import type {
	I32,
	I64,
	Value,
	ValueType,
	Vector,
} from "../semantics/emitter.ts";
import { MXCSR } from "../state.ts";
import type { Kernel, KernelEmitter } from "./kernel.ts";
import { F32, FORMATS, type Format, takeRaised } from "./sse-format.ts";
import { Terms } from "./terms.ts";

/** A lane's bits, zero-extended. */
function laneBits(
	e: KernelEmitter,
	f: Format,
	vector: Vector,
	lane: number,
): I64 {
	return f === F32
		? e.extendU(e.lane<"i32">("i32x4.extract_lane", lane, vector))
		: e.lane<"i64">("i64x2.extract_lane", lane, vector);
}

function withLane(
	e: KernelEmitter,
	f: Format,
	vector: Vector,
	lane: number,
	bits: I64,
): Vector {
	return f === F32
		? e.lane("i32x4.replace_lane", lane, vector, e.wrap(bits))
		: e.lane("i64x2.replace_lane", lane, vector, bits);
}

/** Lanes of a register in a format. */
function laneCount(f: Format): number {
	return f === F32 ? 4 : 2;
}

const SHAPES = { f32: "f32x4", f64: "f64x2" } as const;

/** The kernel NAME_f32 or NAME_f64 in every lane; `scalars` are passed on to each. `nameOf` may choose by lane. */
function packedKernel(
	name: string,
	f: Format,
	vectors: number,
	scalars: readonly ValueType[] = [],
	nameOf: (lane: number) => string = () => name,
): Kernel {
	return {
		name: `sse_${name}_${SHAPES[f.name]}`,
		params: [...new Array<ValueType>(vectors).fill("v128"), ...scalars],
		result: "v128",
		build(e, ...args) {
			const rest = args.slice(vectors);
			let result = args[0] as Vector;
			for (let lane = 0; lane < laneCount(f); lane++) {
				const lanes: Value[] = args
					.slice(0, vectors)
					.map((vector) => laneBits(e, f, vector as Vector, lane));
				const kernel = `sse_${nameOf(lane)}_${f.name}`;
				const bits = e.kernel(kernel, "i64", ...lanes, ...rest);
				result = e.let(withLane(e, f, result, lane, bits));
			}
			return result;
		},
	};
}

/**
 * () → nonzero when the instruction must fault: what it raised goes to MXCSR.
 * When an exception found in the operands is not masked, nothing was computed
 * and so nothing found about the result (Intel SDM vol. 1, "SIMD
 * Floating-Point Exception Conditions").
 */
const raise: Kernel = {
	name: "sse_raise",
	params: [],
	result: "i32",
	build(e) {
		const t = new Terms(e);
		const raised = takeRaised(t);
		const mxcsr = t.state32(MXCSR);
		const open = t.let(
			t.and(t.not(t.shrU(mxcsr, MXCSR_MASK_SHIFT)), MXCSR_FLAGS),
		);
		const early = t.let(t.and(raised, MXCSR_EARLY_FLAGS));
		const stopped = t.and(early, open);
		const reported: I32 = t.let(t.select(stopped, early, raised));
		t.setState32(MXCSR, t.or(mxcsr, reported));
		return t.and(reported, open);
	},
};

/** Even lanes subtract, odd lanes add. */
const alternating = (lane: number) => (lane % 2 === 0 ? "sub" : "add");

export const SSE_PACKED_KERNELS: readonly Kernel[] = [
	raise,
	...FORMATS.flatMap((f) => [
		...["add", "sub", "mul", "div", "min", "max"].map((name) =>
			packedKernel(name, f, 2),
		),
		packedKernel("addsub", f, 2, [], alternating),
		packedKernel("sqrt", f, 1),
		packedKernel("cmp", f, 2, ["i32"]),
		packedKernel("integral", f, 1, ["i32", "i32"]),
	]),
	packedKernel("rcp", F32, 1),
	packedKernel("rsqrt", F32, 1),
];
