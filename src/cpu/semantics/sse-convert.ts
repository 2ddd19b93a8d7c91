/**
 * Conversions between integers, singles and doubles, and ROUND. What is
 * common and surely right stays in line, the kernels do the rest.
 *
 * Relies on `sse-access.ts`; conversions with MMX registers are in
 * `sse-mmx.ts`.
 *
 * @journey E:696 Converting
 */

import { MXCSR_RC_SHIFT } from "../mxcsr.ts";
import { MXCSR } from "../state.ts";
import type {
	Emitter,
	I32,
	I64,
	Integer,
	Semantics,
	SemanticsTable,
	Value,
	ValueType,
	Vector,
} from "./emitter.ts";
import { pair, state32 } from "./integer-values.ts";
import {
	aligned,
	half,
	immediate,
	lowOnly,
	settle,
	sse,
	withHalf,
	zero,
} from "./sse-access.ts";
import {
	DOUBLE,
	type FloatFormat,
	fromFloat,
	hasDoubtfulLanes,
	hasOddLanes,
	isDoubtful,
	isNotPlain,
	oddities,
	SINGLE,
	toFloat,
	widen,
} from "./sse-float-shape.ts";

/** MXCSR.RC. */
export function roundingControl(e: Emitter): I32 {
	const control = e.shrU(state32(e, MXCSR), e.i32(MXCSR_RC_SHIFT));
	return e.let(e.and(control, e.i32(3)));
}

/** The rounding of a conversion to integers: MXCSR's, or truncation for CVTT. */
export type Rounding = "by MXCSR" | "truncate";

export function modeOf(e: Emitter, rounding: Rounding): I32 {
	return rounding === "truncate" ? e.i32(3) : roundingControl(e);
}

function dword(e: Emitter, vector: Vector, lane: number): I32 {
	return e.lane<"i32">("i32x4.extract_lane", lane, vector);
}

function withDword(e: Emitter, v: Vector, lane: number, value: I32): Vector {
	return e.let(e.lane("i32x4.replace_lane", lane, v, value));
}

/** A lane's bits for a kernel. */
export function laneBits(
	e: Emitter,
	f: FloatFormat,
	vector: Vector,
	lane: number,
): I64 {
	return f === SINGLE
		? e.extendU(dword(e, vector, lane))
		: half(e, vector, lane as 0 | 1);
}

/** Lanes to 32-bit integers, in the low lanes of a zeroed register; flags are not settled. */
export function lanesToIntegers(
	e: Emitter,
	f: FloatFormat,
	vector: Vector,
	count: number,
	mode: I32,
): Vector {
	let result = zero(e);
	for (let lane = 0; lane < count; lane++) {
		const bits = laneBits(e, f, vector, lane);
		const kernel = `sse_${f.name}_to_i32`;
		const integer = e.wrap(e.kernel(kernel, "i64", bits, mode));
		result = withDword(e, result, lane, integer);
	}
	return result;
}

/** `slow` through kernels, flags settled, where one of `doubts` is not zero, else `fast`. */
function choose<T extends ValueType>(
	e: Emitter,
	doubts: readonly I32[],
	fast: () => Value<T>,
	slow: () => Value<T>,
	write: (value: Value<T>) => void,
): void {
	e.ifAny(
		doubts,
		() => {
			const value = e.let(slow());
			settle(e);
			write(value);
		},
		() => write(fast()),
	);
}

/** Wasm's rounding for the fast path, where MXCSR, if it matters, is plain. */
function roundingName(rounding: Rounding): "nearest" | "trunc" {
	return rounding === "truncate" ? "trunc" : "nearest";
}

/** CVTPS2DQ, CVTPD2DQ and the truncating ones. */
const toIntegers = (
	f: FloatFormat,
	count: number,
	rounding: Rounding,
): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		const integral = e.op(`${f.packed}.${roundingName(rounding)}`, value);
		const rounded = e.let(integral);
		const size = e.op(`${f.packed}.abs`, rounded);
		const limit = f === SINGLE ? e.f32(2 ** 31) : e.f64(2 ** 31);
		const fits = e.op(`${f.packed}.lt`, size, e.op(`${f.packed}.splat`, limit));
		const all = e.op<"i32">(`${f.lanes}.all_true`, fits);
		const convert =
			f === SINGLE ? "i32x4.trunc_sat_f32x4_s" : "i32x4.trunc_sat_f64x2_s_zero";
		choose(
			e,
			[e.eqz(all), isNotPlain(e)],
			() => e.op(convert, rounded),
			() => lanesToIntegers(e, f, value, count, modeOf(e, rounding)),
			(result) => destination.writeVector(result),
		);
	});

/** CVTSS2SI, CVTSD2SI and the truncating ones, to a general register of either width. What is exact needs no look at MXCSR. */
const toInteger = (f: FloatFormat, rounding: Rounding): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const { width } = destination;
		const bits = source.read();
		const x = toFloat(e, f, bits);
		const rounded = e.let(e.op(`${f.name}.${roundingName(rounding)}`, x));
		const limit = (n: number) => (f === SINGLE ? e.f32(n) : e.f64(n));
		const compare = (name: string, other: Value) =>
			e.op<"i32">(`${f.name}.${name}`, rounded as Value, other);
		const fits = e.and(
			compare("ge", limit(-(2 ** (width - 1)))),
			compare("lt", limit(2 ** (width - 1))),
		);
		const loud = e.select(compare("eq", x), e.i32(0), isNotPlain(e));
		const integer = width === 64 ? "i64" : "i32";
		const kernel = `sse_${f.name}_to_i${width}`;
		const mode = () => modeOf(e, rounding);
		choose<"i32" | "i64">(
			e,
			[e.eqz(fits), loud],
			() => e.op(`${integer}.trunc_sat_${f.name}_s`, rounded as Value),
			() => e.kernel(kernel, "i64", widen(e, bits), mode()),
			(result) => destination.write(e.toWidth(width, result as Integer)),
		);
	});

/** CVTSI2SS, CVTSI2SD. A double holds every 32-bit integer; otherwise small ones are exact. */
const fromInteger = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = source.readSigned();
		const convert = (): Value =>
			e.op(`${f.name}.convert_${value.type}_s`, value);
		if (f === DOUBLE && source.width === 32) {
			destination.writeFloat(convert());
			return;
		}
		const precision = f === SINGLE ? 24 : 53;
		const { width } = source;
		const shifted = e.add(value, e.constant(width, 2 ** precision));
		const small = e.ltU(shifted, e.constant(width, 2 ** (precision + 1)));
		const wide = () => (value.type === "i32" ? e.extendS(value as I32) : value);
		const toBits = (value: I64): Integer => e.toWidth(f.bits, value);
		choose<ValueType>(
			e,
			[e.select(small, e.i32(0), isNotPlain(e))],
			convert,
			() =>
				toFloat(e, f, toBits(e.kernel(`sse_i64_to_${f.name}`, "i64", wide()))),
			(result) => destination.writeFloat(result),
		);
	});

/** Singles from the low `count` dwords, the other lanes of `old` kept; flags are not settled. */
export function singlesFromIntegers(
	e: Emitter,
	integers: Vector,
	count: number,
	old: Vector,
): Vector {
	let result = old;
	for (let lane = 0; lane < count; lane++) {
		const wide = e.extendS(dword(e, integers, lane));
		const bits = e.wrap(e.kernel("sse_i64_to_f32", "i64", wide));
		result = withDword(e, result, lane, bits);
	}
	return result;
}

const singlesFromDwords = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = aligned(source).readVector();
	choose(
		e,
		[isNotPlain(e)],
		() => e.op("f32x4.convert_i32x4_s", value),
		() => singlesFromIntegers(e, value, 4, zero(e)),
		(result) => destination.writeVector(result),
	);
});

/** Always exact. */
const doublesFromDwords = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = source.readVector();
	destination.writeVector(e.op("f64x2.convert_low_i32x4_s", value));
});

/** CVTSS2SD: exact but for NaNs and denormals. */
const doubleFromSingle = sse((e, form) => {
	const [destination, source] = pair(form);
	const bits = source.read();
	const promote = () =>
		e.op<"f64">("f64.promote_f32", toFloat(e, SINGLE, bits));
	choose<"i32" | "i64">(
		e,
		oddities(e, SINGLE, bits),
		() => fromFloat(e, DOUBLE, promote()),
		() => e.kernel("sse_f32_to_f64", "i64", widen(e, bits)),
		(result) => destination.write(result as Integer),
	);
});

const singleFromDouble = sse((e, form) => {
	const [destination, source] = pair(form);
	const bits = source.read();
	const demoted = e.op("f32.demote_f64", toFloat(e, DOUBLE, bits));
	const result = e.let(fromFloat(e, SINGLE, demoted) as I32);
	// A safe result has no denormal as its source.
	choose<"i32" | "i64">(
		e,
		[isDoubtful(e, SINGLE, result, "normal"), isNotPlain(e)],
		() => result,
		() => e.kernel("sse_f64_to_f32", "i64", bits),
		(single) => destination.write(e.wrap(single as Integer)),
	);
});

/** The low half in both halves, so that the high one does not matter. */
function lowTwice(e: Emitter, v: Vector): Vector {
	const low = [0, 1, 2, 3, 4, 5, 6, 7];
	return e.let(e.shuffle(v, v, [...low, ...low]));
}

const doublesFromSingles = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = source.readVector();
	const lane = (i: number): I64 =>
		e.kernel("sse_f32_to_f64", "i64", laneBits(e, SINGLE, value, i));
	choose(
		e,
		[hasOddLanes(e, SINGLE, lowTwice(e, value))],
		() => e.op("f64x2.promote_low_f32x4", value),
		() => withHalf(e, lowOnly(e, lane(0)), 1, lane(1)),
		(result) => destination.writeVector(result),
	);
});

const singlesFromDoubles = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = aligned(source).readVector();
	const demoted = e.let(e.op("f32x4.demote_f64x2_zero", value));
	const lane = (i: 0 | 1): I32 =>
		e.wrap(e.kernel("sse_f64_to_f32", "i64", half(e, value, i)));
	const results = lowTwice(e, demoted);
	choose(
		e,
		[hasDoubtfulLanes(e, SINGLE, [], results, "normal"), isNotPlain(e)],
		() => demoted,
		() => withDword(e, withDword(e, zero(e), 0, lane(0)), 1, lane(1)),
		(result) => destination.writeVector(result),
	);
});

/** ROUND's immediate: bits 1:0 a mode, bit 2 MXCSR's instead, bit 3 keeps quiet about inexactness. */
function roundingBy(e: Emitter, by: I32): { mode: I32; reports: I32 } {
	const own = e.and(by, e.i32(3));
	const mode = e.select(e.and(by, e.i32(4)), roundingControl(e), own);
	return {
		mode: e.let(mode),
		reports: e.let(e.eqz(e.and(by, e.i32(8)))),
	};
}

const roundScalar = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bits = widen(e, source.read());
		const { mode, reports } = roundingBy(e, immediate(e, form));
		const kernel = `sse_integral_${f.name}`;
		const result = e.kernel(kernel, "i64", bits, mode, reports);
		settle(e);
		destination.write(e.toWidth(f.bits, result) as Integer);
	});

const roundPacked = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		const { mode, reports } = roundingBy(e, immediate(e, form));
		const kernel = `sse_integral_${f.packed}`;
		const result = e.kernel(kernel, "v128", value, mode, reports);
		settle(e);
		destination.writeVector(result);
	});

export const SSE_CONVERT: SemanticsTable = {
	CVTPS2DQ: toIntegers(SINGLE, 4, "by MXCSR"),
	CVTTPS2DQ: toIntegers(SINGLE, 4, "truncate"),
	CVTPD2DQ: toIntegers(DOUBLE, 2, "by MXCSR"),
	CVTTPD2DQ: toIntegers(DOUBLE, 2, "truncate"),
	CVTSS2SI: toInteger(SINGLE, "by MXCSR"),
	CVTTSS2SI: toInteger(SINGLE, "truncate"),
	CVTSD2SI: toInteger(DOUBLE, "by MXCSR"),
	CVTTSD2SI: toInteger(DOUBLE, "truncate"),
	CVTSI2SS: fromInteger(SINGLE),
	CVTSI2SD: fromInteger(DOUBLE),
	CVTDQ2PS: singlesFromDwords,
	CVTDQ2PD: doublesFromDwords,
	CVTSS2SD: doubleFromSingle,
	CVTSD2SS: singleFromDouble,
	CVTPS2PD: doublesFromSingles,
	CVTPD2PS: singlesFromDoubles,
	ROUNDSS: roundScalar(SINGLE),
	ROUNDSD: roundScalar(DOUBLE),
	ROUNDPS: roundPacked(SINGLE),
	ROUNDPD: roundPacked(DOUBLE),
};
