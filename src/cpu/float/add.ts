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
import { writeRegister } from "./status-word.ts";
import type { Terms } from "./terms.ts";
import { shiftLeftWide, shiftRightSticky, subWide, type Wide } from "./wide.ts";

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
function exact(flip: number): Operation["exact"] {
	return (t, a, b) => {
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
		const hi = t.var64(zero);
		const lo = t.var64(zero);
		const biased = t.var32(exponent);
		const settle = (wide: Wide, change: I32) => {
			hi.set(wide.hi);
			lo.set(wide.lo);
			biased.set(t.add(exponent, change));
		};
		t.if(
			t.eq(a.sign, signB),
			() => sumUp(t, large, aligned, settle),
			() => takeAway(t, large, aligned, settle),
		);
		const wide = { hi: hi.get(), lo: lo.get() };
		return { sign, exponent: biased.get(), wide };
	};
}

/** Receives a significand with its leading 1 in place, and what that changes in the exponent. */
type Settle = (wide: Wide, change: I32) => void;

function sumUp(t: Terms, large: I64, small: Wide, settle: Settle): void {
	const hi = t.let(t.add(large, small.hi));
	t.if(
		t.ltU(hi, large),
		() => {
			const out = t.shl(hi, 63);
			const sticky = t.and(small.lo, 1);
			const lo = t.or(t.or(out, t.shrU(small.lo, 1)), sticky);
			const wide = { hi: t.or(t.shrU(hi, 1), 1n << 63n), lo };
			settle(wide, t.i32(1));
		},
		() => settle({ hi, lo: small.lo }, t.i32(0)),
	);
}

function takeAway(t: Terms, large: I64, small: Wide, settle: Settle): void {
	const { hi, lo } = subWide(t, { hi: large, lo: t.i64(0) }, small);
	const empty = t.let(t.eqz(hi));
	const upper = t.let(t.select(empty, lo, hi));
	const lower = t.let(t.select(empty, 0, lo));
	const zeros = t.let(t.clz(upper));
	const wide = shiftLeftWide(t, { hi: upper, lo: lower }, zeros);
	const change = t.sub(0, t.add(zeros, t.shl(empty, 6)));
	settle(wide, change);
}

export const ADD_KERNELS: readonly Kernel[] = [
	...arithmetic("add", { special: special(0), exact: exact(0) }),
	...arithmetic("sub", {
		special: special(F80_SIGN),
		exact: exact(F80_SIGN),
	}),
];
