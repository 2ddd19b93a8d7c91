/**
 * Addition and subtraction: align the smaller magnitude to the larger, add or
 * subtract, normalise, round.
 *
 * Relies on `operand-class.ts`, `wide.ts` and the rounding core; FADD, FSUB
 * and their relatives rely on it.
 *
 * @journey E:622 Sums
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import { F80_SIGN, ROUND_DOWN } from "../x87-bits.ts";
import { arithmetic, type Operation } from "./arithmetic.ts";
import type { Kernel } from "./kernel.ts";
import { isInfinite, isZero, signOf } from "./operand-class.ts";
import { roundingMode } from "./round.ts";
import { report, writeRegister } from "./status-word.ts";
import type { Terms } from "./terms.ts";
import {
	addWide,
	shiftLeftWide,
	shiftRightSticky,
	subWide,
	type Wide,
} from "./wide.ts";

/** The sign of an exact 0: that of both terms, or by rounding mode. */
function zeroSign(t: Terms, same: I32, sign: I32): I32 {
	const down = t.eq(roundingMode(t), ROUND_DOWN);
	return t.select(same, sign, t.mul(down, F80_SIGN));
}

/** Infinities and sums of zeros. */
function special(flip: number): Operation["special"] {
	return (t, register, a, b, invalid, done) => {
		const signA = signOf(t, a.se);
		const signB = t.let(signOf(t, t.xor(b.se, flip)));
		const same = t.eq(signA, signB);
		const [infiniteA, infiniteB] = [isInfinite(t, a), isInfinite(t, b)];
		t.if(t.or(infiniteA, infiniteB), () =>
			t.if(t.and(t.and(infiniteA, infiniteB), t.eqz(same)), invalid, () =>
				done(() => {
					const sign = t.select(infiniteA, signA, signB);
					writeRegister(t, register, t.i64(1n << 63n), t.or(sign, 0x7fff));
				}),
			),
		);
		t.if(t.and(isZero(t, a), isZero(t, b)), () =>
			done(() =>
				writeRegister(t, register, t.i64(0), zeroSign(t, same, signA)),
			),
		);
	};
}

/** Of finite numbers with leading 1s (or 0 with an exponent below all). */
function compute(flip: number): Operation["compute"] {
	return (t, register, a, b) => {
		const signB = t.let(t.xor(b.sign, flip));
		const above = t.gtS(a.exponent, b.exponent);
		const level = t.and(t.eq(a.exponent, b.exponent), t.geU(a.m, b.m));
		const first = t.let(t.or(above, level));
		const large = t.let(t.select(first, a.m, b.m));
		const small = t.let(t.select(first, b.m, a.m));
		const exponent = t.let(t.select(first, a.exponent, b.exponent));
		const other = t.select(first, b.exponent, a.exponent);
		const sign = t.let(t.select(first, a.sign, signB));
		const distance = t.let(t.sub(exponent, other));
		const zero = t.i64(0);
		const aligned = shiftRightSticky(t, { hi: small, lo: zero }, distance);
		t.if(
			t.eq(a.sign, signB),
			() => sumUp(t, register, sign, exponent, large, aligned),
			() => takeAway(t, register, sign, exponent, large, aligned),
		);
	};
}

function sumUp(
	t: Terms,
	register: I32,
	sign: I32,
	exponent: I32,
	large: I64,
	small: Wide,
): void {
	const sum = addWide(t, { hi: large, lo: t.i64(0) }, small);
	t.if(
		t.ltU(sum.hi, large),
		() => {
			const lo = t.or(
				t.or(t.shl(sum.hi, 63), t.shrU(sum.lo, 1)),
				t.and(sum.lo, 1),
			);
			const hi = t.or(t.shrU(sum.hi, 1), 1n << 63n);
			t.run("f80_round", register, sign, t.add(exponent, 1), hi, lo);
		},
		() => t.run("f80_round", register, sign, exponent, sum.hi, sum.lo),
	);
}

function takeAway(
	t: Terms,
	register: I32,
	sign: I32,
	exponent: I32,
	large: I64,
	small: Wide,
): void {
	const difference = subWide(t, { hi: large, lo: t.i64(0) }, small);
	const { hi, lo } = difference;
	t.ifRarely(
		t.eqz(t.or(hi, lo)),
		() => {
			const down = t.eq(roundingMode(t), ROUND_DOWN);
			writeRegister(t, register, t.i64(0), t.mul(down, F80_SIGN));
			report(t, t.i32(0));
		},
		() => {
			const empty = t.let(t.eqz(hi));
			const upper = t.let(t.select(empty, lo, hi));
			const lower = t.let(t.select(empty, 0, lo));
			const zeros = t.let(t.clz(upper));
			const shifted = shiftLeftWide(t, { hi: upper, lo: lower }, zeros);
			const down = t.add(zeros, t.shl(empty, 6));
			t.run(
				"f80_round",
				register,
				sign,
				t.sub(exponent, down),
				shifted.hi,
				shifted.lo,
			);
		},
	);
}

export const ADD_KERNELS: readonly Kernel[] = [
	...arithmetic("add", { special: special(0), compute: compute(0) }),
	...arithmetic("sub", {
		special: special(F80_SIGN),
		compute: compute(F80_SIGN),
	}),
];
