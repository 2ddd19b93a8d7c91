/**
 * F2XM1: 2^x - 1 for x from -1 to 1, as e^(x ln 2) - 1.
 *
 * Relies on `fixed-point.ts`.
 *
 * @journey E:655 Powers of two, less one
 */

import type { I32 } from "../semantics/emitter.ts";
import { F80_BIAS, FPU_PE } from "../x87-bits.ts";
import {
	longOf,
	multiplyByFixed,
	multiplyLong,
	ratio,
	roundLong,
	series,
	toFixed,
	wideConstant,
} from "./fixed-point.ts";
import type { Kernel } from "./kernel.ts";
import {
	isInfinite,
	isZero,
	normalise,
	type Parts,
	signOf,
} from "./operand-class.ts";
import { report, writeRegister } from "./status-word.ts";
import type { Terms } from "./terms.ts";
import { admitting, unaryKernel } from "./unary.ts";

/** ln 2 = 0.69..., its 128 bits. */
const LN2 = 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6afn;

const TOP_BIT = 1n << 63n;

/** Terms until they fall below 2^-90. */
const TERMS = 24;

function factorial(n: number): bigint {
	return n < 2 ? 1n : BigInt(n) * factorial(n - 1);
}

/** (e^y - 1) / y. */
const SERIES = Array.from({ length: TERMS }, (_, k) =>
	ratio(1n, factorial(k + 1)),
);

const exponential = unaryKernel("x87_exponential", (t, top, x, done) => {
	const sign = t.let(signOf(t, x.se));
	const n = normalise(t, x);
	const unit = t.geS(n.exponent, F80_BIAS);
	t.if(
		isZero(t, x),
		() => report(t, t.i32(0)),
		() =>
			t.if(
				unit,
				() => fromOne(t, top, x, sign),
				() =>
					admitting(t, [x], done, () => {
						const ln2 = { m: wideConstant(t, LN2), exponent: t.i32(-1) };
						const y = multiplyLong(t, longOf(t, n.m, n.exponent), ln2);
						const sum = series(t, toFixed(t, y), SERIES, t.nonzero(sign));
						roundLong(t, top, sign, multiplyByFixed(t, y, sum));
					}),
			),
	);
});

/**
 * 1 gives 1 and -1 gives -1/2. Beyond that the manual leaves results open, and
 * AMD's processors the operand; only of infinities they know the limits.
 */
function fromOne(t: Terms, top: I32, x: Parts, sign: I32): void {
	const infinite = t.let(isInfinite(t, x));
	const one = t.eq(t.and(x.se, 0x7fff), F80_BIAS);
	const exactly = t.let(t.and(one, t.eq(x.m, TOP_BIT)));
	const negative = t.let(t.nonzero(sign));
	report(t, t.select(infinite, 0, t.i32(FPU_PE)));
	t.if(t.and(negative, t.or(infinite, exactly)), () => {
		const field = t.sub(F80_BIAS, exactly);
		writeRegister(t, top, t.i64(TOP_BIT), t.or(sign, field));
	});
}

export const EXPONENTIAL_KERNELS: readonly Kernel[] = [exponential];
