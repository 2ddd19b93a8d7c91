/**
 * The four shapes of SSE floating point (PS, PD, SS, SD) and the tests by
 * which the fast paths know that WebAssembly's arithmetic gives SSE's result
 * and no flag.
 *
 * Relies on the emitter; `sse-arithmetic.ts` and its neighbours rely on it.
 *
 * @journey E:690 When the machine beneath can be trusted
 * WebAssembly computes in IEEE 754 doubles and singles, to nearest, like SSE
 * with MXCSR at its default; but it has no flags, and it does not say which
 * NaN it gives. So we look at operands and result: numbers within the normal
 * range cannot have raised anything but "inexact", and once that flag is set,
 * which in a running program it always is, it stays set.
 */

import { MXCSR_FLAGS, MXCSR_INITIAL, MXCSR_PE } from "../mxcsr.ts";
import { MXCSR } from "../state.ts";
import type { Emitter, I32, I64, Integer, Value, Vector } from "./emitter.ts";
import { state32 } from "./integer-values.ts";
import { lanes32, twice64, zero } from "./sse-access.ts";

/** A format as patterns; doubles do not fit a number. */
export interface FloatFormat {
	readonly name: "f32" | "f64";
	readonly bits: 32 | 64;
	readonly integer: "i32" | "i64";
	/** Wasm's names of the packed shapes. */
	readonly packed: "f32x4" | "f64x2";
	readonly lanes: "i32x4" | "i64x2";
	readonly magnitude: bigint;
	readonly infinity: bigint;
	readonly smallestNormal: bigint;
}

export const SINGLE: FloatFormat = {
	name: "f32",
	bits: 32,
	integer: "i32",
	packed: "f32x4",
	lanes: "i32x4",
	magnitude: 0x7fff_ffffn,
	infinity: 0x7f80_0000n,
	smallestNormal: 0x0080_0000n,
};

export const DOUBLE: FloatFormat = {
	name: "f64",
	bits: 64,
	integer: "i64",
	packed: "f64x2",
	lanes: "i64x2",
	magnitude: 0x7fff_ffff_ffff_ffffn,
	infinity: 0x7ff0_0000_0000_0000n,
	smallestNormal: 0x0010_0000_0000_0000n,
};

/** 1 when MXCSR is as compilers expect, and inexact results need no report. */
export function isPlain(e: Emitter): I32 {
	const control = e.and(
		state32(e, MXCSR),
		e.i32(~(MXCSR_FLAGS & ~MXCSR_PE) & 0xffff),
	);
	return e.eq(control, e.i32(MXCSR_INITIAL | MXCSR_PE));
}

// Scalars, as integers of the format's width

function constant(e: Emitter, f: FloatFormat, value: bigint): Integer {
	return f.bits === 64 ? e.i64(value) : e.i32(Number(value));
}

function magnitude(e: Emitter, f: FloatFormat, x: Integer): Integer {
	return e.and(x, constant(e, f, f.magnitude));
}

/** 1 for a denormal, not for zero. */
function isDenormal(e: Emitter, f: FloatFormat, x: Integer): I32 {
	const below = e.sub(magnitude(e, f, x), constant(e, f, 1n));
	return e.ltU(below, constant(e, f, f.smallestNormal - 1n));
}

/** 1 when both are neither NaNs nor denormals. */
export function areOrdinary(
	e: Emitter,
	f: FloatFormat,
	a: Integer,
	b: Integer,
): I32 {
	return e.and(isOrdinary(e, f, a), isOrdinary(e, f, b));
}

/** 1 when it is neither a NaN nor a denormal. */
export function isOrdinary(e: Emitter, f: FloatFormat, x: Integer): I32 {
	const limit = constant(e, f, f.infinity);
	const nan = e.gtU(magnitude(e, f, x), limit);
	return e.eqz(e.or(nan, isDenormal(e, f, x)));
}

/** 1 when neither is a denormal. */
export function areNotDenormal(
	e: Emitter,
	f: FloatFormat,
	...operands: readonly Integer[]
): I32 {
	const denormal = operands
		.map((x) => isDenormal(e, f, x))
		.reduce((a, b) => e.or(a, b));
	return e.eqz(denormal);
}

/**
 * 1 when a result lies within the normal range. Its lowest number does not
 * count: rounding may have lifted a tiny result there, which is an underflow.
 */
export function isSafeResult(e: Emitter, f: FloatFormat, x: Integer): I32 {
	const least = f.smallestNormal + 1n;
	const above = e.sub(magnitude(e, f, x), constant(e, f, least));
	return e.ltU(above, constant(e, f, f.infinity - least));
}

export function toFloat(e: Emitter, f: FloatFormat, x: Integer): Value {
	return e.op(`${f.name}.reinterpret_${f.integer}`, x);
}

export function fromFloat(e: Emitter, f: FloatFormat, x: Value): Integer {
	return e.op<"i32" | "i64">(`${f.integer}.reinterpret_${f.name}`, x);
}

/** The kernels' view of a scalar: i64 for both formats. */
export function widen(e: Emitter, x: Integer): I64 {
	return e.toWidth(64, x) as I64;
}

// Vectors

function splat(e: Emitter, f: FloatFormat, value: bigint): Vector {
	return f.bits === 64
		? twice64(e, value)
		: lanes32(e, new Array<number>(4).fill(Number(value)));
}

function magnitudes(e: Emitter, f: FloatFormat, x: Vector): Vector {
	return e.let(e.op("v128.and", x, splat(e, f, f.magnitude)));
}

/** Lanes that are zero, normal or infinite; with `nans`, those too. */
function ordinaryLanes(
	e: Emitter,
	f: FloatFormat,
	x: Vector,
	nans: "and NaNs" | "no NaNs",
): Vector {
	const size = magnitudes(e, f, x);
	const least = splat(e, f, f.smallestNormal - 1n);
	const large = e.op(`${f.lanes}.gt_s`, size, least);
	const none = e.op(`${f.lanes}.eq`, size, zero(e));
	const ordinary = e.op("v128.or", large, none);
	if (nans === "and NaNs") return ordinary;
	const nan = e.op(`${f.lanes}.gt_s`, size, splat(e, f, f.infinity));
	return e.op("v128.andnot", ordinary, nan);
}

function safeLanes(
	e: Emitter,
	f: FloatFormat,
	x: Vector,
	zeros: "zeros too" | "no zeros",
): Vector {
	const size = magnitudes(e, f, x);
	const above = e.op(`${f.lanes}.gt_s`, size, splat(e, f, f.smallestNormal));
	const below = e.op(`${f.lanes}.lt_s`, size, splat(e, f, f.infinity));
	const normal = e.op("v128.and", above, below);
	if (zeros === "no zeros") return normal;
	return e.op("v128.or", normal, e.op(`${f.lanes}.eq`, size, zero(e)));
}

function all(e: Emitter, f: FloatFormat, lanes: Vector): I32 {
	return e.op<"i32">(`${f.lanes}.all_true`, lanes);
}

/** 1 when no lane of either is a NaN or a denormal. */
export function areOrdinaryLanes(
	e: Emitter,
	f: FloatFormat,
	a: Vector,
	b: Vector,
): I32 {
	const [x, y] = [a, b].map((v) => ordinaryLanes(e, f, v, "no NaNs"));
	return all(e, f, e.op("v128.and", x as Vector, y as Vector));
}

/** 1 when every lane is an ordinary number, zero, or infinite. */
export function isOrdinaryVector(e: Emitter, f: FloatFormat, v: Vector): I32 {
	return all(e, f, ordinaryLanes(e, f, v, "no NaNs"));
}

/** 1 when every lane is a result as `isSafeResult` wants it. */
export function isSafeVector(e: Emitter, f: FloatFormat, v: Vector): I32 {
	return all(e, f, safeLanes(e, f, v, "no zeros"));
}

/** 1 when the operands have no denormals and all results are normal (or zero, where zero is always exact). */
export function areSafeLanes(
	e: Emitter,
	f: FloatFormat,
	operands: readonly Vector[],
	result: Vector,
	zeros: "zeros too" | "no zeros",
): I32 {
	const lanes = operands.map((v) => ordinaryLanes(e, f, v, "and NaNs"));
	const safe = lanes.reduce(
		(sum, v) => e.op("v128.and", sum, v),
		safeLanes(e, f, result, zeros),
	);
	return all(e, f, safe);
}
