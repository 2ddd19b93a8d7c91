/**
 * FYL2X and FYL2XP1: a logarithm to the base 2, times ST(1).
 *
 * ln x = 2 artanh((x - 1) / (x + 1)), whose series converges fast near 1; the
 * exponent of x is added as the integer it is.
 *
 * Relies on `fixed-point.ts`.
 *
 * @journey E:658 Logarithms
 */

import type { I32, Variable } from "../semantics/emitter.ts";
import { F80_BIAS, F80_SIGN, FPU_PE, FPU_UE, FPU_ZE } from "../x87-bits.ts";
import {
	chooseWide,
	divideLong,
	type Long,
	loadLong,
	long,
	longOf,
	multiplyByFixed,
	multiplyFixed,
	multiplyLong,
	ratio,
	saveLong,
	series,
	toFixed,
	wideConstant,
} from "./fixed-point.ts";
import type { Kernel } from "./kernel.ts";
import {
	biasedExponent,
	isInfinite,
	isZero,
	normalise,
	type Parts,
	signOf,
} from "./operand-class.ts";
import { poppingKernel } from "./popping.ts";
import { exponentOf, raise, report, writeRegister } from "./status-word.ts";
import { Terms } from "./terms.ts";
import { admitting, refuse } from "./unary.ts";
import { addWide, shiftRightSticky, subWide, type Wide } from "./wide.ts";

/** 2 / ln 2 = 2.885..., its 128 bits; worth 2^1 times a number in 1..2. */
const TWO_OVER_LN2 = 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e88n;
const TERMS = 20;
const SERIES = Array.from({ length: TERMS }, (_, k) =>
	ratio(1n, BigInt(2 * k + 1)),
);
const TOP_BIT = 1n << 63n;
/** sqrt(2) as a significand: above it the next power of two is nearer. */
const ROOT_OF_TWO = 0xb504_f333_f9de_6484n;

/** Slots of FLOAT_SCRATCH: numerator and denominator in, logarithm out. */
const NUMERATOR = 4;
const DENOMINATOR = 6;
const LOGARITHM = 8;

/**
 * (power): LOGARITHM := power + (2 / ln 2) artanh(NUMERATOR /
 * DENOMINATOR), a value of 0 having m = 0.
 */
const logarithm: Kernel = {
	name: "log_series",
	params: ["i32"],
	build(e, power) {
		const t = new Terms(e);
		const numerator = loadLong(t, NUMERATOR);
		const denominator = loadLong(t, DENOMINATOR);
		const some = t.let(t.nonzero(numerator.value.m.hi));
		const zero = t.i64(0);
		saveLong(
			t,
			LOGARITHM,
			{ m: { hi: zero, lo: zero }, exponent: t.i32(-0x1_0000) },
			t.i32(0),
		);
		t.if(some, () => {
			const quotient = divideLong(t, numerator.value, denominator.value);
			const x = toFixed(t, quotient);
			const square = multiplyFixed(t, x, x);
			const sum = series(t, square, SERIES, false);
			const artanh = multiplyByFixed(t, quotient, sum);
			const factor = {
				m: wideConstant(t, TWO_OVER_LN2),
				exponent: t.i32(1),
			};
			const value = multiplyLong(t, artanh, factor);
			saveLong(t, LOGARITHM, value, numerator.sign);
		});
		t.if(power as I32, () => addPower(t, power as I32));
	},
};

/** Where bit 0 of the integer lies when a power is added: 16 bits above the point are enough. */
const POINT = 111;

/** LOGARITHM += power, in fixed point. */
function addPower(t: Terms, power: I32): void {
	const { value, sign } = loadLong(t, LOGARITHM);
	const distance = t.sub(127 - POINT, value.exponent);
	const fraction = shiftRightSticky(t, value.m, t.let(distance));
	const below = t.let(t.ltS(power, 0));
	const size = t.select(below, t.neg(power), power);
	const zero = t.i64(0);
	const integer = { hi: t.let(t.shl(t.wide(size), POINT - 64)), lo: zero };
	const same = t.eq(t.mul(below, F80_SIGN), sign);
	// The fraction is at most a half: the integer keeps its sign.
	const sum = chooseWide(
		t,
		same,
		addWide(t, integer, fraction),
		subWide(t, integer, fraction),
	);
	const result = long(t, sum, t.i32(127 - POINT));
	saveLong(t, LOGARITHM, result, t.mul(below, F80_SIGN));
}

/** ST(1) := ST(1) * LOGARITHM. Of a power of two that is exact, and reported as inexact all the same. */
function multiplyOut(t: Terms, register: I32, y: Parts): void {
	const log = loadLong(t, LOGARITHM);
	const sign = t.let(t.xor(signOf(t, y.se), log.sign));
	const n = normalise(t, y);
	t.if(
		t.eqz(log.value.m.hi),
		() => {
			report(t, t.i32(0));
			writeRegister(t, register, t.i64(0), sign);
		},
		() => {
			const factor = longOf(t, n.m, n.exponent);
			const product = multiplyLong(t, log.value, factor);
			t.run(
				"f80_round_full",
				register,
				sign,
				t.add(product.exponent, F80_BIAS),
				product.m.hi,
				product.m.lo,
			);
			const tiny = t.eqz(biasedExponent(t, exponentOf(t, register)));
			t.run("x87_add_flags", t.or(t.mul(tiny, FPU_UE), FPU_PE));
		},
	);
}

type Done = Variable<"i32">;

function infinity(t: Terms, register: I32, sign: I32): void {
	writeRegister(t, register, t.i64(TOP_BIT), t.or(sign, 0x7fff));
}

/** FYL2X's cases with 0 and infinity (Intel SDM vol. 2, "FYL2X Results"). */
function logarithmOf(
	t: Terms,
	register: I32,
	x: Parts,
	y: Parts,
	done: Done,
): void {
	const signY = t.let(signOf(t, y.se));
	const signX = t.let(signOf(t, x.se));
	const zeroX = t.let(isZero(t, x));
	const zeroY = t.let(isZero(t, y));
	const infiniteX = t.let(isInfinite(t, x));
	const infiniteY = t.let(isInfinite(t, y));
	const one = t.let(
		t.and(t.eq(t.and(x.se, 0xffff), F80_BIAS), t.eq(x.m, TOP_BIT)),
	);
	const negative = t.and(signX, t.mul(t.eqz(zeroX), F80_SIGN));
	const nonsense = t.or(
		t.nonzero(negative),
		t.or(
			t.and(infiniteY, one),
			t.or(t.and(zeroY, infiniteX), t.and(zeroY, zeroX)),
		),
	);
	const below = t.let(t.ltS(t.and(x.se, 0x7fff), F80_BIAS));
	/** The logarithm's sign times y's. */
	const sign = t.let(t.xor(signY, t.mul(below, F80_SIGN)));
	t.if(
		nonsense,
		() => refuse(t, register, done),
		() =>
			t.if(
				t.and(zeroX, t.eqz(infiniteY)),
				() => {
					done.set(raise(t, FPU_ZE));
					t.if(done.get(), () => infinity(t, register, sign));
				},
				() =>
					admitting(t, [x, y], done, () =>
						t.if(
							t.or(infiniteX, infiniteY),
							() => {
								report(t, t.i32(0));
								infinity(t, register, sign);
							},
							() =>
								t.if(
									zeroY,
									() => {
										report(t, t.i32(0));
										writeRegister(t, register, t.i64(0), sign);
									},
									() => ordinary(t, register, x, y),
								),
						),
					),
			),
	);
}

/** x = m * 2^power with m between sqrt(1/2) and sqrt(2). */
function ordinary(t: Terms, register: I32, x: Parts, y: Parts): void {
	const n = normalise(t, x);
	const high = t.let(t.geU(n.m, ROOT_OF_TWO));
	const power = t.let(t.add(t.sub(n.exponent, F80_BIAS), high));
	prepareRatio(t, { hi: n.m, lo: t.i64(0) }, high);
	t.run("log_series", power);
	multiplyOut(t, register, y);
}

/** (w - 1) / (w + 1) for w = m / 2^127, or half of that, into the slots. */
function prepareRatio(t: Terms, m: Wide, halved: I32): void {
	// m and 1 (or 2, instead of halving m) with bit 125 worth 1.
	const zero = t.i64(0);
	const w = shiftRightSticky(t, m, t.i32(2));
	const unit = t.let(t.select(halved, 1n << 62n, t.i64(1n << 61n)));
	const one = { hi: unit, lo: zero };
	const less = t.let(t.ltU(w.hi, unit));
	const difference = chooseWide(
		t,
		less,
		subWide(t, one, w),
		subWide(t, w, one),
	);
	const sign = t.mul(less, F80_SIGN);
	saveLong(t, NUMERATOR, long(t, difference, t.i32(2)), sign);
	const sum = long(t, addWide(t, w, one), t.i32(2));
	saveLong(t, DENOMINATOR, sum, t.i32(0));
}

/**
 * FYL2XP1. The manual leaves results open beyond 1 - sqrt(1/2) of 0. AMD's
 * processors go on as one would wish, down to -1; from there on they leave x
 * as the result.
 */
function logarithmPlusOneOf(
	t: Terms,
	register: I32,
	x: Parts,
	y: Parts,
	done: Done,
): void {
	const signX = t.let(signOf(t, x.se));
	const sign = t.let(t.xor(signX, signOf(t, y.se)));
	const zeroX = t.let(isZero(t, x));
	const zeroY = t.let(isZero(t, y));
	const infiniteX = t.let(isInfinite(t, x));
	const infiniteY = t.let(isInfinite(t, y));
	const nonsense = t.or(
		t.or(t.and(infiniteX, zeroY), t.and(infiniteY, zeroX)),
		t.and(infiniteX, t.nonzero(signX)),
	);
	t.if(
		nonsense,
		() => refuse(t, register, done),
		() =>
			admitting(t, [x, y], done, () =>
				t.if(
					t.or(infiniteX, infiniteY),
					() => {
						report(t, t.i32(0));
						infinity(t, register, sign);
					},
					() =>
						t.if(
							t.or(zeroX, zeroY),
							() => {
								report(t, t.i32(0));
								writeRegister(t, register, t.i64(0), sign);
							},
							() => plusOne(t, register, x, y),
						),
				),
			),
	);
}

/** Numbers from 1/4 up go by 1 + x, smaller ones keep their own digits. */
function plusOne(t: Terms, register: I32, x: Parts, y: Parts): void {
	const n = normalise(t, x);
	const negative = t.let(t.nonzero(signOf(t, x.se)));
	const beyond = t.and(negative, t.geS(n.exponent, F80_BIAS));
	t.if(
		beyond,
		() => {
			writeRegister(t, register, x.m, t.and(x.se, 0xffff));
			report(t, t.i32(FPU_PE));
		},
		() =>
			t.if(
				t.ltS(n.exponent, F80_BIAS - 2),
				() => nearOne(t, register, x, y),
				() => farFromOne(t, register, longOf(t, n.m, n.exponent), y, negative),
			),
	);
}

/** 1 + x for x from 1/4 up, or below 0 exactly. */
function farFromOne(
	t: Terms,
	register: I32,
	x: Long,
	y: Parts,
	negative: I32,
): void {
	const one = { hi: t.i64(TOP_BIT), lo: t.i64(0) };
	const unit = { m: one, exponent: t.i32(0) };
	const difference = subWide(
		t,
		one,
		shiftRightSticky(t, x.m, t.neg(x.exponent)),
	);
	const less = long(t, difference, t.i32(0));
	const more = addLong(t, x, unit);
	const m = chooseWide(t, negative, less.m, more.m);
	const exponent = t.select(negative, less.exponent, more.exponent);
	const high = t.let(t.geU(m.hi, ROOT_OF_TWO));
	const power = t.let(t.add(exponent, high));
	prepareRatio(t, m, high);
	t.run("log_series", power);
	multiplyOut(t, register, y);
}

/** a + b, cut off at 127 bits. */
function addLong(t: Terms, a: Long, b: Long): Long {
	const larger = t.let(t.geS(a.exponent, b.exponent));
	const exponent = t.let(t.select(larger, a.exponent, b.exponent));
	// One place down makes room for a carry.
	const aligned = ({ m, exponent: own }: Long) =>
		shiftRightSticky(t, m, t.add(t.sub(exponent, own), 1));
	const sum = addWide(t, aligned(a), aligned(b));
	return long(t, sum, t.add(exponent, 1));
}

/** log2(1 + x): x / (2 + x) for a small x. */
function nearOne(t: Terms, register: I32, x: Parts, y: Parts): void {
	const n = normalise(t, x);
	const negative = t.let(t.nonzero(signOf(t, x.se)));
	const value = longOf(t, n.m, n.exponent);
	// 2 + x with bit 125 worth 1.
	const zero = t.i64(0);
	const two = { hi: t.i64(1n << 62n), lo: zero };
	const aligned = shiftRightSticky(t, value.m, t.sub(2, value.exponent));
	const sum = chooseWide(
		t,
		negative,
		subWide(t, two, aligned),
		addWide(t, two, aligned),
	);
	saveLong(t, NUMERATOR, value, signOf(t, x.se));
	saveLong(t, DENOMINATOR, long(t, sum, t.i32(2)), t.i32(0));
	t.run("log_series", t.i32(0));
	multiplyOut(t, register, y);
}

export const LOGARITHM_KERNELS: readonly Kernel[] = [
	logarithm,
	poppingKernel("x87_logarithm", logarithmOf),
	poppingKernel("x87_logarithm_plus_one", logarithmPlusOneOf),
];
