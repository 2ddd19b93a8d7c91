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
import { ones, zero } from "./sse-access.ts";

/** A format as patterns; doubles do not fit a number. */
export interface FloatFormat {
	readonly name: "f32" | "f64";
	readonly bits: 32 | 64;
	readonly integer: "i32" | "i64";
	/** Wasm's names of the packed shapes. */
	readonly packed: "f32x4" | "f64x2";
	readonly lanes: "i32x4" | "i64x2";
	readonly exponentBits: number;
}

export const SINGLE: FloatFormat = {
	name: "f32",
	bits: 32,
	integer: "i32",
	packed: "f32x4",
	lanes: "i32x4",
	exponentBits: 8,
};

export const DOUBLE: FloatFormat = {
	name: "f64",
	bits: 64,
	integer: "i64",
	packed: "f64x2",
	lanes: "i64x2",
	exponentBits: 11,
};

/** Which results are safe: "finite" ones where tiny results are exact, as sums are. */
export type SafeResult = "normal" | "finite";

/** Nonzero unless MXCSR is as compilers expect, and inexact results need no report. */
export function isNotPlain(e: Emitter): I32 {
	const control = e.and(
		state32(e, MXCSR),
		e.i32(~(MXCSR_FLAGS & ~MXCSR_PE) & 0xffff),
	);
	return e.xor(control, e.i32(MXCSR_INITIAL | MXCSR_PE));
}

// Scalars: their bits, as integers of the format's width

function constant(e: Emitter, f: FloatFormat, value: number): Integer {
	return e.constant(f.bits, value);
}

/** How far up the exponent is, once the sign has been shifted out. */
function exponentShift(f: FloatFormat): number {
	return f.bits - f.exponentBits;
}

function exponent(e: Emitter, f: FloatFormat, x: Integer): Integer {
	const unsigned = e.shl(x, constant(e, f, 1));
	return e.shrU(unsigned, constant(e, f, exponentShift(f)));
}

function largestExponent(f: FloatFormat): number {
	return 2 ** f.exponentBits - 1;
}

/** 1 for a denormal and for the smallest normal number, not for zero. */
export function mayBeDenormal(e: Emitter, f: FloatFormat, x: Integer): I32 {
	const one = constant(e, f, 1);
	const below = e.sub(e.shl(x, one), one);
	return e.eqz(e.shrU(below, constant(e, f, exponentShift(f))));
}

/** Each nonzero when one of them may be a denormal or is a NaN. */
export function oddities(
	e: Emitter,
	f: FloatFormat,
	...operands: readonly Integer[]
): I32[] {
	return operands.flatMap((x) => [
		mayBeDenormal(e, f, x),
		e.op<"i32">(`${f.name}.ne`, toFloat(e, f, x), toFloat(e, f, x)),
	]);
}

/**
 * 1 when a result may have raised more than "inexact". The lowest normal
 * numbers do not count as safe: rounding may have lifted a tiny result there,
 * which is an underflow.
 */
export function isDoubtful(
	e: Emitter,
	f: FloatFormat,
	x: Integer,
	safe: SafeResult,
): I32 {
	const biased = exponent(e, f, x);
	const most = largestExponent(f);
	if (safe === "finite") return e.eq(biased, constant(e, f, most));
	const above = e.sub(biased, constant(e, f, 2));
	return e.geU(above, constant(e, f, most - 2));
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

function doubled(e: Emitter, f: FloatFormat, v: Vector): Vector {
	return e.op(`${f.lanes}.shl`, v, e.i32(1));
}

function shiftedDown(e: Emitter, f: FloatFormat, v: Vector): Vector {
	return e.op(`${f.lanes}.shr_u`, v, e.i32(exponentShift(f)));
}

function either(e: Emitter, vectors: readonly Vector[]): Vector {
	return vectors.reduce((a, b) => e.op("v128.or", a, b));
}

function any(e: Emitter, vectors: readonly Vector[]): I32 {
	return e.op<"i32">("v128.any_true", either(e, vectors));
}

/** As `mayBeDenormal`, in each lane: all ones where it holds. */
function denormalLanes(e: Emitter, f: FloatFormat, v: Vector): Vector {
	const below = e.op(`${f.lanes}.add`, doubled(e, f, v), ones(e));
	return e.op(`${f.lanes}.eq`, shiftedDown(e, f, below), zero(e));
}

function nanLanes(e: Emitter, f: FloatFormat, v: Vector): Vector {
	return e.op(`${f.packed}.ne`, v, v);
}

function doubtfulLanes(
	e: Emitter,
	f: FloatFormat,
	v: Vector,
	safe: SafeResult,
): Vector {
	const biased = e.let(shiftedDown(e, f, doubled(e, f, v)));
	const largest = shiftedDown(e, f, ones(e));
	const infinite = e.op(`${f.lanes}.eq`, biased, largest);
	if (safe === "finite") return infinite;
	const two = e.op(`${f.lanes}.splat`, constant(e, f, 2));
	return either(e, [infinite, e.op(`${f.lanes}.lt_s`, biased, two)]);
}

/** Nonzero when some lane is a NaN or may be a denormal. */
export function hasOddLanes(
	e: Emitter,
	f: FloatFormat,
	...operands: readonly Vector[]
): I32 {
	const odd = operands.flatMap((v) => [
		denormalLanes(e, f, v),
		nanLanes(e, f, v),
	]);
	return any(e, odd);
}

/** Nonzero when an operand may have a denormal, or a result be doubtful. */
export function hasDoubtfulLanes(
	e: Emitter,
	f: FloatFormat,
	operands: readonly Vector[],
	result: Vector,
	safe: SafeResult,
): I32 {
	const denormal = operands.map((v) => denormalLanes(e, f, v));
	return any(e, [...denormal, doubtfulLanes(e, f, result, safe)]);
}
