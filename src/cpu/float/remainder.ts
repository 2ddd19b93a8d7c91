/**
 * FPREM and FPREM1: exact remainders, found in one division where exponents
 * are less than 64 apart, else in part: the program repeats the instruction
 * until C2 is clear.
 *
 * Relies on `unary.ts`'s frame for two stack operands; FPREM and FPREM1 rely
 * on it.
 *
 * @journey E:636 What is left
 */

import type { I32, I64, Variable } from "../semantics/emitter.ts";
import { FPU_STATUS } from "../state.ts";
import { FPU_C0, FPU_C1, FPU_C2, FPU_C3 } from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import {
	isInfinite,
	isZero,
	normalise,
	type Parts,
	signOf,
} from "./operand-class.ts";
import { report, writeRegister } from "./status-word.ts";
import { Terms } from "./terms.ts";
import { admitting, binaryStackKernel, refuse } from "./unary.ts";
import { divideWide } from "./wide.ts";

function setConditions(t: Terms, conditions: I32): void {
	const all = FPU_C0 | FPU_C1 | FPU_C2 | FPU_C3;
	const others = t.and(t.state32(FPU_STATUS), ~all);
	t.setState32(FPU_STATUS, t.or(others, conditions));
}

/** The quotient's low three bits go to C0 (bit 2), C3 (bit 1), C1 (bit 0). */
function quotientConditions(t: Terms, quotient: I64): I32 {
	const q = t.let(t.wrap(quotient));
	const place = (from: number, condition: number) =>
		t.mul(t.and(t.shrU(q, from), 1), condition);
	return t.let(
		t.or(t.or(place(2, FPU_C0), place(1, FPU_C3)), place(0, FPU_C1)),
	);
}

function remainderKernel(name: string, nearest: boolean): Kernel {
	return binaryStackKernel(name, (t, top, a, b, done) => {
		const nonsense = t.or(isInfinite(t, a), isZero(t, b));
		const unchanged = t.or(isInfinite(t, b), isZero(t, a));
		t.if(
			nonsense,
			() => refuse(t, top, done),
			() =>
				admitting(t, [a, b], done, () =>
					t.if(
						unchanged,
						() => leave(t, top, a),
						() => divide(t, top, a, b, nearest),
					),
				),
		);
	});
}

/** The result is the dividend itself; only a denormal's encoding may change. */
function leave(t: Terms, top: I32, a: Parts): void {
	t.if(
		isZero(t, a),
		() => report(t, t.i32(0)),
		() => finish(t, top, signOf(t, a.se), normalise(t, a)),
	);
	setConditions(t, t.i32(0));
}

/** Normalises and writes a magnitude, 0 included. */
function finish(
	t: Terms,
	top: I32,
	sign: I32,
	{ m, exponent }: { m: I64; exponent: I32 },
): void {
	t.if(
		t.eqz(m),
		() => {
			writeRegister(t, top, t.i64(0), sign);
			report(t, t.i32(0));
		},
		() => {
			const zeros = t.let(t.clz(m));
			t.run(
				"f80_round_full",
				top,
				sign,
				t.sub(exponent, zeros),
				t.shl(m, zeros),
				t.i64(0),
			);
		},
	);
}

function divide(
	t: Terms,
	top: I32,
	a: Parts,
	b: Parts,
	nearest: boolean,
): void {
	const [na, nb] = [normalise(t, a), normalise(t, b)];
	const sign = t.let(signOf(t, a.se));
	const distance = t.let(t.sub(na.exponent, nb.exponent));
	const m = t.var64(na.m);
	const exponent = t.var32(na.exponent);
	const flipped = t.var32(0);
	const conditions = t.var32(0);
	t.if(
		t.ltS(distance, 64),
		() => {
			const quotient = t.var64(0);
			t.if(t.geS(distance, 0), () => {
				const result = divideWide(
					t,
					{
						hi: t.let(t.shrU(t.shrU(na.m, 1), t.sub(63, distance))),
						lo: t.let(t.shl(na.m, distance)),
					},
					nb.m,
				);
				quotient.set(result.quotient);
				m.set(result.remainder);
				exponent.set(nb.exponent);
			});
			if (nearest) {
				toNearest(t, nb.m, nb.exponent, { m, exponent, quotient, flipped });
			}
			conditions.set(quotientConditions(t, quotient.get()));
		},
		() => {
			reducePartly(t, na.m, nb.m, distance, m);
			const by = partialBits(t, distance);
			exponent.set(t.sub(na.exponent, by));
			conditions.set(t.i32(FPU_C2));
		},
	);
	const result = { m: m.get(), exponent: exponent.get() };
	finish(t, top, t.xor(sign, flipped.get()), result);
	setConditions(t, conditions.get());
}

/** Bits of the quotient that a partial reduction settles: 32 to 63, so that what remains is a multiple of 32. */
function partialBits(t: Terms, distance: I32): I32 {
	return t.let(t.or(t.and(distance, 31), 32));
}

function reducePartly(
	t: Terms,
	dividend: I64,
	divisor: I64,
	distance: I32,
	m: Variable<"i64">,
): void {
	const by = partialBits(t, distance);
	const { remainder } = divideWide(
		t,
		{
			hi: t.let(t.shrU(t.shrU(dividend, 1), t.sub(63, by))),
			lo: t.let(t.shl(dividend, by)),
		},
		divisor,
	);
	m.set(remainder);
}

interface Reduction {
	readonly m: Variable<"i64">;
	readonly exponent: Variable<"i32">;
	readonly quotient: Variable<"i64">;
	readonly flipped: Variable<"i32">;
}

/** FPREM1: the remainder of the nearest quotient, the even one of two. */
function toNearest(
	t: Terms,
	divisor: I64,
	divisorExponent: I32,
	{ m, exponent, quotient, flipped }: Reduction,
): void {
	const below = t.let(t.sub(divisorExponent, exponent.get()));
	t.if(t.leU(below, 1), () => {
		// In units of the remainder's exponent: the divisor may be one higher.
		const rest = m.get();
		const other = t.let(t.sub(t.shl(divisor, below), rest));
		const closer = t.ltU(other, rest);
		const even = t.and(t.eq(other, rest), t.wrap(t.and(quotient.get(), 1n)));
		// Twice a divisor of 64 bits overflows: then the rest is above half
		// exactly when it exceeds the divisor.
		const above = t.gtU(rest, divisor);
		const up = t.select(below, above, t.or(closer, even));
		t.if(up, () => {
			m.set(other);
			flipped.set(t.i32(0x8000));
			quotient.set(t.add(quotient.get(), 1));
		});
	});
}

/** C2 means "go on", which no case that never got to dividing does. */
function clearingC2(kernel: Kernel): Kernel {
	return {
		...kernel,
		build(e, ...args) {
			const t = new Terms(e);
			t.setState32(FPU_STATUS, t.and(t.state32(FPU_STATUS), ~FPU_C2));
			return kernel.build(e, ...args);
		},
	};
}

export const REMAINDER_KERNELS: readonly Kernel[] = [
	clearingC2(remainderKernel("x87_remainder", false)),
	clearingC2(remainderKernel("x87_remainder_nearest", true)),
];
