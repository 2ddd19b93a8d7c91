/**
 * SSE instructions that reach into MMX registers: the older conversions, and
 * MOVDQ2Q and MOVQ2DQ. Like every MMX instruction they wait for pending x87
 * exceptions and claim the x87's registers.
 *
 * Relies on `mmx.ts` and `sse-convert.ts`.
 *
 * @journey E:700 Borrowed registers
 */

import type {
	Emitter,
	I64,
	Operand,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import { claim, put } from "./mmx.ts";
import { aligned, half, lowOnly, settle, sse } from "./sse-access.ts";
import {
	lanesToIntegers,
	modeOf,
	type Rounding,
	singlesFromIntegers,
} from "./sse-convert.ts";
import { DOUBLE, type FloatFormat, SINGLE } from "./sse-float-shape.ts";
import { raisePending } from "./x87-stack.ts";

/**
 * CVTPI2PS: two singles in the low half, the high half stays. From memory it
 * leaves the x87 alone, as silicon does (AMD's; Intel's manual says so of
 * CVTPI2PD only).
 */
const singlesFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	const integers = borrowedSource(e, source);
	const old = destination.readVector();
	const result = singlesFromIntegers(e, integers, 2, old);
	settle(e);
	destination.write(half(e, result, 0));
});

/** CVTPI2PD: always exact. */
const doublesFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	const integers = borrowedSource(e, source);
	destination.writeVector(e.op("f64x2.convert_low_i32x4_s", integers));
});

/** Two integers out of an MMX register or memory. */
function borrowedSource(e: Emitter, source: Operand): Vector {
	if (!source.isMemory) {
		raisePending(e);
		claim(e);
	}
	return lowOnly(e, source.read() as I64);
}

/** CVTPS2PI, CVTPD2PI and the truncating ones. The x87 is claimed even if a SIMD exception then stops them. */
const toMmx = (f: FloatFormat, rounding: Rounding): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		raisePending(e);
		const value = aligned(source).readVector();
		claim(e);
		const result = lanesToIntegers(e, f, value, 2, modeOf(e, rounding));
		settle(e);
		put(e, destination, half(e, result, 0));
	});

const moveToMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	raisePending(e);
	claim(e);
	put(e, destination, half(e, source.readVector(), 0));
});

const moveFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	raisePending(e);
	claim(e);
	destination.writeVector(lowOnly(e, source.read() as I64));
});

export const SSE_MMX: SemanticsTable = {
	CVTPI2PS: singlesFromMmx,
	CVTPI2PD: doublesFromMmx,
	CVTPS2PI: toMmx(SINGLE, "by MXCSR"),
	CVTTPS2PI: toMmx(SINGLE, "truncate"),
	CVTPD2PI: toMmx(DOUBLE, "by MXCSR"),
	CVTTPD2PI: toMmx(DOUBLE, "truncate"),
	MOVDQ2Q: moveToMmx,
	MOVQ2DQ: moveFromMmx,
};
