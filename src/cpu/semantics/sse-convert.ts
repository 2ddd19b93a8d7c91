/**
 * Conversions between integers, singles and doubles, and ROUND. The kernels
 * do the work; what is common and surely exact stays in line.
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
import { DOUBLE, type FloatFormat, SINGLE, widen } from "./sse-float-shape.ts";

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

/** CVTPS2DQ, CVTPD2DQ and the truncating ones. */
const toIntegers = (
	f: FloatFormat,
	count: number,
	rounding: Rounding,
): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		const mode = modeOf(e, rounding);
		const result = lanesToIntegers(e, f, value, count, mode);
		settle(e);
		destination.writeVector(result);
	});

/** CVTSS2SI, CVTSD2SI and the truncating ones, to a general register of either width. */
const toInteger = (f: FloatFormat, rounding: Rounding): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bits = widen(e, source.read());
		const kernel = `sse_${f.name}_to_i${destination.width}`;
		const result = e.kernel(kernel, "i64", bits, modeOf(e, rounding));
		settle(e);
		destination.write(e.toWidth(destination.width, result));
	});

/** CVTSI2SS, CVTSI2SD. A double holds every 32-bit integer. */
const fromInteger = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = source.readSigned();
		if (f === DOUBLE && source.width === 32) {
			const converted = e.op<"f64">("f64.convert_i32_s", value);
			destination.write(e.op<"i64">("i64.reinterpret_f64", converted));
			return;
		}
		const wide = value.type === "i32" ? e.extendS(value as I32) : value;
		const bits = e.kernel(`sse_i64_to_${f.name}`, "i64", wide);
		settle(e);
		destination.write(e.toWidth(f.bits, bits));
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
	const result = singlesFromIntegers(e, value, 4, zero(e));
	settle(e);
	destination.writeVector(result);
});

/** Always exact. */
const doublesFromDwords = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = source.readVector();
	destination.writeVector(e.op("f64x2.convert_low_i32x4_s", value));
});

/** CVTSS2SD, CVTSD2SS. */
const otherFormat = (from: FloatFormat, to: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bits = widen(e, source.read());
		const result = e.kernel(`sse_${from.name}_to_${to.name}`, "i64", bits);
		settle(e);
		destination.write(e.toWidth(to.bits, result));
	});

const doublesFromSingles = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = source.readVector();
	const lane = (i: number): I64 =>
		e.kernel("sse_f32_to_f64", "i64", laneBits(e, SINGLE, value, i));
	const result = e.let(withHalf(e, lowOnly(e, lane(0)), 1, lane(1)));
	settle(e);
	destination.writeVector(result);
});

const singlesFromDoubles = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = aligned(source).readVector();
	const lane = (i: 0 | 1): I32 =>
		e.wrap(e.kernel("sse_f64_to_f32", "i64", half(e, value, i)));
	const low = withDword(e, zero(e), 0, lane(0));
	const result = withDword(e, low, 1, lane(1));
	settle(e);
	destination.writeVector(result);
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
	CVTSS2SD: otherFormat(SINGLE, DOUBLE),
	CVTSD2SS: otherFormat(DOUBLE, SINGLE),
	CVTPS2PD: doublesFromSingles,
	CVTPD2PS: singlesFromDoubles,
	ROUNDSS: roundScalar(SINGLE),
	ROUNDSD: roundScalar(DOUBLE),
	ROUNDPS: roundPacked(SINGLE),
	ROUNDPD: roundPacked(DOUBLE),
};
