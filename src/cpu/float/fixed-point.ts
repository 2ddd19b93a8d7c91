/**
 * Numbers of 128 bits for the transcendental functions, in two forms: a
 * fraction of 1 ("Q128", and "Q127" for what may reach 1), and `Long`, which
 * adds an exponent. Kernels pass the first as v128, the second through slots
 * of FLOAT_SCRATCH.
 *
 * Results need 64 bits; the other half of the width is there so that nobody
 * has to prove much about error terms.
 *
 * Relies on `wide.ts`; `sine.ts`, `arctangent.ts`, `logarithm.ts` and
 * `exponential.ts` rely on it.
 *
 * @journey E:656 More digits than anyone asked for
 */

import type { I32, I64, Vector } from "../semantics/emitter.ts";
import { FLOAT_SCRATCH } from "../state.ts";
import { F80_BIAS } from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { Terms } from "./terms.ts";
import {
	addWide,
	divideWide,
	lessWide,
	multiplyHigh,
	multiplyWide,
	shiftLeftWide,
	shiftRightSticky,
	subWide,
	type Wide,
} from "./wide.ts";

/** m / 2^127 * 2^exponent, with bit 127 of m set; or 0, with m = 0. */
export interface Long {
	readonly m: Wide;
	readonly exponent: I32;
}

const MASK = (1n << 64n) - 1n;

/** A constant of 128 bits. */
export function wideConstant(t: Terms, value: bigint): Wide {
	return { hi: t.i64(value >> 64n), lo: t.i64(value & MASK) };
}

function pack(t: Terms, { hi, lo }: Wide): Vector {
	const low = t.e.op("i64x2.splat", lo);
	return t.e.lane("i64x2.replace_lane", 1, low, hi);
}

function unpack(t: Terms, vector: Vector): Wide {
	const lane = (i: 0 | 1) =>
		t.let(t.e.lane<"i64">("i64x2.extract_lane", i, vector)) as I64;
	return { hi: lane(1), lo: lane(0) };
}

/** Upper half of the product: Q128 times Qn is Qn. */
export function multiplyFixed(t: Terms, a: Wide, b: Wide): Wide {
	const product = t.e.kernel(
		"fixed_multiply",
		"v128",
		...[a.hi, a.lo, b.hi, b.lo],
	);
	return unpack(t, product);
}

const multiply: Kernel = {
	name: "fixed_multiply",
	params: ["i64", "i64", "i64", "i64"],
	result: "v128",
	build(e, ...args) {
		const t = new Terms(e);
		const [ahi, alo, bhi, blo] = args as [I64, I64, I64, I64];
		const zero = t.i64(0);
		const cross = addWide(
			t,
			{ hi: zero, lo: multiplyHigh(t, ahi, blo) },
			{ hi: zero, lo: multiplyHigh(t, alo, bhi) },
		);
		return pack(t, addWide(t, multiplyWide(t, ahi, bhi), cross));
	},
};

/** a / b for bit 127 set in both: (a / b) * 2^127, cut off. */
const divide: Kernel = {
	name: "fixed_divide",
	params: ["i64", "i64", "i64", "i64"],
	result: "v128",
	build(e, ...args) {
		const t = new Terms(e);
		const [ahi, alo, bhi, blo] = args as [I64, I64, I64, I64];
		const b = { hi: bhi, lo: blo };
		// Halved, the dividend is surely below the divisor.
		const halved = {
			hi: t.let(t.shrU(ahi, 1)),
			lo: t.let(t.or(t.shl(ahi, 63), t.shrU(alo, 1))),
		};
		const first = quotientDigit(t, halved, b, t.let(t.shl(alo, 63)));
		const second = quotientDigit(t, first.rest, b, t.i64(0));
		return pack(t, { hi: first.digit, lo: second.digit });
	},
};

/** One digit of 64 bits of (a * 2^64 + next) / b, for a < b; estimated by b's upper half, it is at most two too large. */
function quotientDigit(
	t: Terms,
	a: Wide,
	b: Wide,
	next: I64,
): { digit: I64; rest: Wide } {
	const digit = t.var64(0);
	const restHi = t.var64(0);
	const restLo = t.var64(0);
	/** Whether the rest has gone below 0. */
	const negative = t.var32(0);
	const settle = (q: I64, remainder: Wide) => {
		digit.set(q);
		const product = multiplyWide(t, q, b.lo);
		const left = subWide(t, remainder, product);
		negative.set(lessWide(t, remainder, product));
		restHi.set(left.hi);
		restLo.set(left.lo);
	};
	t.if(
		t.ltU(a.hi, b.hi),
		() => {
			const { quotient, remainder } = divideWide(t, a, b.hi);
			settle(quotient, { hi: remainder, lo: next });
		},
		() => {
			// Equal upper halves: the digit is 2^64 - 1 or a little less, and
			// what is left over it may not fit 64 bits any more.
			const rest = t.let(t.add(a.lo, b.hi));
			settle(t.i64(-1n), { hi: rest, lo: next });
			t.if(t.ltU(rest, b.hi), () => negative.set(t.i32(0)));
		},
	);
	t.loop((again) => {
		t.if(negative.get(), () => {
			const sum = addWide(t, { hi: restHi.get(), lo: restLo.get() }, b);
			digit.set(t.sub(digit.get(), 1));
			// A carry out of the sum ends the debt.
			negative.set(t.eqz(lessWide(t, sum, b)));
			restHi.set(sum.hi);
			restLo.set(sum.lo);
			again();
		});
	});
	return {
		digit: digit.get(),
		rest: { hi: restHi.get(), lo: restLo.get() },
	};
}

export function normaliseWide(t: Terms, a: Wide): { m: Wide; zeros: I32 } {
	const empty = t.let(t.eqz(a.hi));
	const upper = t.let(t.select(empty, a.lo, a.hi));
	const lower = t.let(t.select(empty, 0, a.lo));
	const zeros = t.let(t.clz(upper));
	const some = t.select(t.eqz(upper), 0, zeros);
	return {
		m: shiftLeftWide(t, { hi: upper, lo: lower }, t.let(some)),
		zeros: t.let(t.add(zeros, t.shl(empty, 6))),
	};
}

/** A magnitude given as m / 2^127 * 2^exponent with m of any size. */
export function long(t: Terms, m: Wide, exponent: I32): Long {
	const normal = normaliseWide(t, m);
	return { m: normal.m, exponent: t.let(t.sub(exponent, normal.zeros)) };
}

/** An operand's significand and exponent (biased) as a Long. */
export function longOf(t: Terms, m: I64, biased: I32): Long {
	return {
		m: { hi: m, lo: t.i64(0) },
		exponent: t.let(t.sub(biased, F80_BIAS)),
	};
}

/** A number below 1 as Q128. */
export function toFixed(t: Terms, { m, exponent }: Long): Wide {
	return shiftRightSticky(t, m, t.sub(-1, exponent));
}

export function multiplyLong(t: Terms, a: Long, b: Long): Long {
	const exponent = t.add(t.add(a.exponent, b.exponent), 1);
	return long(t, multiplyFixed(t, a.m, b.m), exponent);
}

/** a * b for b as Q127, between 1/2 and 2. */
export function multiplyByFixed(t: Terms, a: Long, b: Wide): Long {
	return multiplyLong(t, a, long(t, b, t.i32(0)));
}

export function divideLong(t: Terms, a: Long, b: Long): Long {
	const quotient = t.e.kernel(
		"fixed_divide",
		"v128",
		...[a.m.hi, a.m.lo, b.m.hi, b.m.lo],
	);
	return long(t, unpack(t, quotient), t.sub(a.exponent, b.exponent));
}

/** The positive rational n / d as Q127. */
export function ratio(n: bigint, d: bigint): bigint {
	return (n << 127n) / d;
}

/**
 * c0 ± z (c1 ± z (c2 ± ...)) for z in Q128 and coefficients in Q127; `minus`
 * says (now or at run time) whether to subtract.
 */
export function series(
	t: Terms,
	z: Wide,
	coefficients: readonly bigint[],
	minus: boolean | I32,
): Wide {
	const [last, ...rest] = [...coefficients].reverse();
	let sum = wideConstant(t, last as bigint);
	for (const coefficient of rest) {
		const product = multiplyFixed(t, sum, z);
		const c = wideConstant(t, coefficient);
		if (typeof minus === "boolean") {
			sum = minus ? subWide(t, c, product) : addWide(t, c, product);
		} else {
			sum = chooseWide(
				t,
				minus,
				subWide(t, c, product),
				addWide(t, c, product),
			);
		}
	}
	return sum;
}

export function chooseWide(t: Terms, first: I32, a: Wide, b: Wide): Wide {
	return {
		hi: t.let(t.select(first, a.hi, b.hi)),
		lo: t.let(t.select(first, a.lo, b.lo)),
	};
}

// Longs in memory, between kernels

/** Writes a Long (with a sign, 0 or 0x8000) to two slots of FLOAT_SCRATCH. */
export function saveLong(t: Terms, slot: number, value: Long, sign: I32): void {
	t.e.writeState(FLOAT_SCRATCH, value.m.lo, slot, 0, 8);
	t.e.writeState(FLOAT_SCRATCH, value.m.hi, slot, 8, 8);
	t.e.writeState(FLOAT_SCRATCH, value.exponent, slot + 1, 0, 4);
	t.e.writeState(FLOAT_SCRATCH, sign, slot + 1, 4, 4);
}

export function loadLong(t: Terms, slot: number): { value: Long; sign: I32 } {
	const lo = t.e.readState(FLOAT_SCRATCH, slot, 0, 8) as I64;
	const hi = t.e.readState(FLOAT_SCRATCH, slot, 8, 8) as I64;
	const exponent = t.e.readState(FLOAT_SCRATCH, slot + 1, 0, 4) as I32;
	const sign = t.e.readState(FLOAT_SCRATCH, slot + 1, 4, 4) as I32;
	return { value: { m: { hi, lo }, exponent }, sign };
}

/** Rounds a Long that stands for an irrational number into a register. */
export function roundLong(
	t: Terms,
	register: I32,
	sign: I32,
	{ m, exponent }: Long,
): void {
	const biased = t.add(exponent, F80_BIAS);
	// What was cut off cannot have been nothing.
	t.run("f80_round_full", register, sign, biased, m.hi, t.or(m.lo, 1));
}

export const FIXED_POINT_KERNELS: readonly Kernel[] = [multiply, divide];
