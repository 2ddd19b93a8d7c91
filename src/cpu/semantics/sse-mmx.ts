/**
 * SSE instructions that reach into MMX registers: the older conversions, and
 * MOVDQ2Q and MOVQ2DQ. Like every MMX instruction they wait for pending x87
 * exceptions and claim the x87's registers.
 *
 * Relies on `sse-access.ts` and `sse-convert.ts`.
 *
 * @journey E:700 Borrowed registers
 */

import { FPU_STATUS, FPU_TAG, FPU_TOP } from "../state.ts";
import { FPU_ES, MMX_EXPONENT } from "../x87-bits.ts";
import type {
	Emitter,
	I64,
	Operand,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { pair, state32 } from "./integer-values.ts";
import { aligned, half, lowOnly, settle, sse, withHalf } from "./sse-access.ts";
import {
	lanesToIntegers,
	modeOf,
	type Rounding,
	singlesFromIntegers,
} from "./sse-convert.ts";
import { DOUBLE, type FloatFormat, SINGLE } from "./sse-float-shape.ts";

const VECTOR_MF = 16;

/** #MF for an exception the x87 still has to report. */
function awaitX87(e: Emitter): void {
	e.faultIf(e.and(state32(e, FPU_STATUS), e.i32(FPU_ES)), VECTOR_MF);
}

/** From x87 to MMX use: the stack top is 0 and no register is empty (Intel SDM vol. 1, "Effect of MMX Instructions on the x87 FPU Tag Word"). */
function claimX87(e: Emitter): void {
	e.writeState(FPU_TOP, e.i32(0));
	e.writeState(FPU_TAG, e.i32(0xff));
}

/** Writes an MMX register; the exponent above it becomes all ones. */
function writeMmx(e: Emitter, destination: Operand, bits: I64): void {
	const low = lowOnly(e, bits);
	destination.writeVector(withHalf(e, low, 1, e.i64(MMX_EXPONENT)));
}

/** CVTPI2PS: two singles in the low half, the high half stays. */
const singlesFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	awaitX87(e);
	const integers = lowOnly(e, source.read() as I64);
	const old = destination.readVector();
	const result = singlesFromIntegers(e, integers, 2, old);
	settle(e);
	claimX87(e);
	destination.write(half(e, result, 0));
});

/** CVTPI2PD: exact; from memory it leaves the x87 alone. */
const doublesFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	if (!source.isMemory) awaitX87(e);
	const integers = lowOnly(e, source.read() as I64);
	if (!source.isMemory) claimX87(e);
	destination.writeVector(e.op("f64x2.convert_low_i32x4_s", integers));
});

/** CVTPS2PI, CVTPD2PI and the truncating ones. */
const toMmx = (f: FloatFormat, rounding: Rounding): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		awaitX87(e);
		const value = aligned(source).readVector();
		const result = lanesToIntegers(e, f, value, 2, modeOf(e, rounding));
		settle(e);
		claimX87(e);
		writeMmx(e, destination, half(e, result, 0));
	});

const moveToMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	awaitX87(e);
	claimX87(e);
	writeMmx(e, destination, half(e, source.readVector(), 0));
});

const moveFromMmx = sse((e, form) => {
	const [destination, source] = pair(form);
	awaitX87(e);
	claimX87(e);
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
