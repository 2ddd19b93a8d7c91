/**
 * Multiplication and division of significands.
 *
 * Relies on `arithmetic.ts` and `wide.ts`; FMUL and FDIV rely on it.
 *
 * @journey E:624 Products and quotients
 */

import { F80_BIAS, F80_SIGN, FPU_ZE } from "../x87-bits.ts";
import { arithmetic, type Operation } from "./arithmetic.ts";
import type { Kernel } from "./kernel.ts";
import { isInfinite, isZero } from "./operand-class.ts";
import { writeRegister } from "./status-word.ts";
import { divideWide, multiplyWide } from "./wide.ts";

const INFINITY = 1n << 63n;

const multiplication: Operation = {
	special(t, register, a, b, invalid, done) {
		const sign = t.let(t.and(t.xor(a.se, b.se), F80_SIGN));
		const infinite = t.let(t.or(isInfinite(t, a), isInfinite(t, b)));
		const zero = t.let(t.or(isZero(t, a), isZero(t, b)));
		t.if(
			infinite,
			() =>
				t.if(zero, invalid, () =>
					done(() =>
						writeRegister(t, register, t.i64(INFINITY), t.or(sign, 0x7fff)),
					),
				),
			() =>
				t.if(zero, () =>
					done(() => writeRegister(t, register, t.i64(0), sign)),
				),
		);
	},
	exact(t, a, b) {
		// Of two leading 1s the product's is the first bit or the second.
		const { hi, lo } = multiplyWide(t, a.m, b.m);
		const second = t.let(t.geS(hi, 0));
		const shifted = t.or(t.shl(hi, 1), t.shrU(lo, 63));
		const wide = {
			hi: t.let(t.select(second, shifted, hi)),
			lo: t.let(t.select(second, t.shl(lo, 1), lo)),
		};
		const sum = t.add(a.exponent, b.exponent);
		const exponent = t.let(t.sub(t.sub(sum, F80_BIAS - 1), second));
		return { sign: t.let(t.xor(a.sign, b.sign)), exponent, wide };
	},
};

const division: Operation = {
	special(t, register, a, b, invalid, done) {
		const sign = t.let(t.and(t.xor(a.se, b.se), F80_SIGN));
		const [infiniteA, infiniteB] = [isInfinite(t, a), isInfinite(t, b)];
		const [zeroA, zeroB] = [isZero(t, a), isZero(t, b)];
		const infinity = () =>
			writeRegister(t, register, t.i64(INFINITY), t.or(sign, 0x7fff));
		const zero = () => writeRegister(t, register, t.i64(0), sign);
		const nonsense = t.or(t.and(infiniteA, infiniteB), t.and(zeroA, zeroB));
		t.if(nonsense, invalid, () =>
			t.if(
				infiniteA,
				() => done(infinity),
				() =>
					t.if(
						t.or(infiniteB, zeroA),
						() => done(zero),
						() => t.if(zeroB, () => done(infinity, FPU_ZE)),
					),
			),
		);
	},
	exact(t, a, b) {
		// The quotient's leading 1 must come out at bit 63.
		const below = t.let(t.ltU(a.m, b.m));
		const at = t.let(t.sub(1, below));
		const { quotient, remainder } = divideWide(
			t,
			{
				hi: t.let(t.shrU(a.m, at)),
				lo: t.let(t.select(below, 0, t.shl(a.m, 63))),
			},
			b.m,
		);
		const half = t.geU(remainder, t.sub(b.m, remainder));
		const rest = t.or(t.shl(t.wide(half), 63), t.wide(t.nonzero(remainder)));
		const distance = t.sub(a.exponent, b.exponent);
		const exponent = t.let(t.sub(t.add(distance, F80_BIAS), below));
		const sign = t.let(t.xor(a.sign, b.sign));
		return { sign, exponent, wide: { hi: quotient, lo: t.let(rest) } };
	},
};

export const MULTIPLY_DIVIDE_KERNELS: readonly Kernel[] = [
	...arithmetic("mul", multiplication),
	...arithmetic("div", division),
];
