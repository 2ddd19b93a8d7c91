/**
 * FSIN, FCOS, FSINCOS, FPTAN.
 *
 * The argument is reduced by the processor's own idea of pi, 66 bits of it:
 * FSIN of the number nearest to pi gives -2^-64 on real chips, which is wrong
 * in the second digit, and programs have been written around it (Intel SDM
 * vol. 1, "Approximation of Pi"). With that pi the reduction is exact integer
 * arithmetic, and what remains are two short series.
 *
 * Relies on `fixed-point.ts` and the frames of `unary.ts`.
 *
 * @journey E:657 Sine of what, exactly?
 */

import type { I32, I64, Variable } from "../semantics/emitter.ts";
import { FPU_STATUS, FPU_TOP } from "../state.ts";
import {
	F80_BIAS,
	F80_SIGN,
	FPU_C1,
	FPU_C2,
	FPU_IE,
	FPU_SF,
} from "../x87-bits.ts";
import {
	divideLong,
	type Long,
	loadLong,
	long,
	longOf,
	multiplyByFixed,
	multiplyFixed,
	ratio,
	roundLong,
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
	SPECIAL_ORDINARY,
	signOf,
} from "./operand-class.ts";
import {
	exponentOf,
	hasRoom,
	isEmpty,
	markValid,
	raise,
	report,
	significandOf,
	stackRegister,
	writeIndefinite,
	writeRegister,
} from "./status-word.ts";
import { Terms } from "./terms.ts";
import { admitting, refuse, unaryKernel } from "./unary.ts";
import { multiplyHigh, multiplyWide, subWide, type Wide } from "./wide.ts";

/** pi / 2 in units of 2^-65: the processor's pi, cut after 66 bits. */
const HALF_PI = 0x3_243f_6a88_85a3_08d3n;
/** 1 over that, in units of 2^-128. */
const INVERSE = (1n << 193n) / HALF_PI;
/** pi / 4 as the significand of a number below 1. */
const QUARTER_PI = 0xc90f_daa2_2168_c235n;

/** Slots of FLOAT_SCRATCH. */
const REDUCED = 4;
const SINE = 6;
const COSINE = 8;

/** Terms of the series until they fall below 2^-90 for arguments up to pi / 4. */
const TERMS = 13;

function factorial(n: number): bigint {
	return n < 2 ? 1n : BigInt(n) * factorial(n - 1);
}

const SINE_SERIES = Array.from({ length: TERMS }, (_, k) =>
	ratio(1n, factorial(2 * k + 1)),
);
const COSINE_SERIES = Array.from({ length: TERMS }, (_, k) =>
	ratio(1n, factorial(2 * k)),
);

/**
 * (significand, biased exponent) → how many quarter turns; what is left of
 * the magnitude goes to REDUCED with a sign of its own. For numbers below 2^63.
 */
const reduce: Kernel = {
	name: "trig_reduce",
	params: ["i64", "i32"],
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [m, biased] = args as [I64, I32];
		const exponent = t.let(t.sub(biased, F80_BIAS));
		const small = t.or(
			t.ltS(exponent, -1),
			t.and(t.eq(exponent, -1), t.ltU(m, QUARTER_PI)),
		);
		const turns = t.var64(0);
		t.if(
			small,
			() => saveLong(t, REDUCED, longOf(t, m, biased), t.i32(0)),
			() => {
				turns.set(quarterTurns(t, m, exponent));
				const { hi, lo } = remainder(t, m, exponent, turns.get());
				const negative = t.let(t.ltS(hi, 0));
				const flip = t.let(t.neg(t.wide(negative)));
				const magnitude = subWide(
					t,
					{ hi: t.let(t.xor(hi, flip)), lo: t.let(t.xor(lo, flip)) },
					{ hi: flip, lo: flip },
				);
				// Units of 2^-65: bit 127 is worth 2^62.
				const reduced = long(t, magnitude, t.i32(62));
				saveLong(t, REDUCED, reduced, t.mul(negative, F80_SIGN));
			},
		);
		return t.wrap(t.and(turns.get(), 3n));
	},
};

/** x / (pi / 2), to the nearest integer. */
function quarterTurns(t: Terms, m: I64, exponent: I32): I64 {
	const inverse = wideConstant(t, INVERSE);
	const upper = multiplyWide(t, m, inverse.hi);
	const lower = multiplyHigh(t, m, inverse.lo);
	const carry = t.wide(t.ltU(t.add(upper.lo, lower), lower));
	const quotient = t.let(t.add(upper.hi, carry));
	// In units of 2^(exponent - 63); half a turn is a whole number of them.
	const drop = t.let(t.sub(63, exponent));
	const half = t.shl(t.i64(1), t.sub(drop, 1));
	const rounded = t.shrU(t.add(quotient, half), drop);
	// Between pi / 4 and 1 there is nothing to compute, and no room to.
	return t.let(t.select(t.ltS(exponent, 0), 1, rounded));
}

/** x - turns * pi / 2 in units of 2^-65, which 128 bits hold exactly with its sign. */
function remainder(t: Terms, m: I64, exponent: I32, turns: I64): Wide {
	const places = t.let(t.add(exponent, 2));
	const far = t.eq(places, 64);
	const x = {
		hi: t.let(t.select(far, m, t.shrU(t.shrU(m, 1), t.sub(63, places)))),
		lo: t.let(t.select(far, 0, t.shl(m, places))),
	};
	const pi = wideConstant(t, HALF_PI);
	const low = multiplyWide(t, turns, pi.lo);
	const high = t.add(low.hi, t.mul(turns, pi.hi));
	return subWide(t, x, { hi: t.let(high), lo: low.lo });
}

/** () : sine and cosine of REDUCED into SINE and COSINE. */
const sineAndCosine: Kernel = {
	name: "trig_series",
	params: ["i32", "i32"],
	build(e, ...args) {
		const t = new Terms(e);
		const [wantsSine, wantsCosine] = args as [I32, I32];
		const { value, sign } = loadLong(t, REDUCED);
		const x = toFixed(t, value);
		const square = multiplyFixed(t, x, x);
		t.if(wantsSine, () => {
			const sum = series(t, square, SINE_SERIES, true);
			const sine = multiplyByFixed(t, value, belowFixed(t, sum));
			saveLong(t, SINE, sine, sign);
		});
		t.if(wantsCosine, () => {
			const sum = series(t, square, COSINE_SERIES, true);
			const cosine = long(t, belowFixed(t, sum), t.i32(0));
			saveLong(t, COSINE, cosine, t.i32(0));
		});
	},
};

/** A trace less: 1 - x² / 6 is below 1 even where it cannot be told from it, and directed rounding shows it. */
function belowFixed(t: Terms, sum: Wide): Wide {
	return subWide(t, sum, { hi: t.i64(0), lo: t.i64(1n) });
}

/** Bit 0 of the quarter turns swaps sine and cosine; bit 1, or the sum's, negates. */
function negates(t: Terms, turns: I32): I32 {
	return t.shl(t.and(turns, 2), 14);
}

/** sin(|x|) for `which` 0, cos(|x|) for 1. */
function turnedFunction(
	t: Terms,
	turns: I32,
	which: 0 | 1,
): { value: Long; sign: I32 } {
	const turned = t.let(t.add(turns, which));
	const cosine = t.let(t.and(turned, 1));
	const [s, c] = [loadLong(t, SINE), loadLong(t, COSINE)];
	const pick = (a: I32, b: I32) => t.let(t.select(cosine, b, a));
	const pick64 = (a: I64, b: I64) => t.let(t.select(cosine, b, a));
	return {
		value: {
			m: {
				hi: pick64(s.value.m.hi, c.value.m.hi),
				lo: pick64(s.value.m.lo, c.value.m.lo),
			},
			exponent: pick(s.value.exponent, c.value.exponent),
		},
		sign: t.let(t.xor(pick(s.sign, c.sign), negates(t, turned))),
	};
}

/** C2 as "out of range", which leaves everything else alone. */
function setC2(t: Terms, on: 0 | 1): void {
	const others = t.and(t.state32(FPU_STATUS), ~FPU_C2);
	t.setState32(FPU_STATUS, t.or(others, on === 1 ? FPU_C2 : 0));
}

/** |x| >= 2^63: the program has to reduce it (C2 = 1). */
function isFar(t: Terms, { se }: Parts): I32 {
	return t.geS(biasedExponent(t, se), F80_BIAS + 63);
}

/** Reduces an operand and computes what its quarter turn asks for. */
function prepare(t: Terms, operand: Parts): I32 {
	const { m, exponent } = normalise(t, operand);
	return t.kernel32("trig_reduce", m, exponent);
}

/** FSIN and FCOS. */
function single(name: string, which: 0 | 1): Kernel {
	const kernel = unaryKernel(name, (t, top, operand, done) => {
		const sign = t.let(signOf(t, operand.se));
		const infinite = isInfinite(t, operand);
		t.if(
			infinite,
			() => refuse(t, top, done),
			() =>
				t.if(
					isFar(t, operand),
					() => {
						report(t, t.i32(0));
						setC2(t, 1);
					},
					() =>
						t.if(
							isZero(t, operand),
							() => {
								report(t, t.i32(0));
								if (which === 1) writeOne(t, top);
							},
							() =>
								admitting(t, [operand], done, () => {
									const turns = prepare(t, operand);
									const cosine = t.let(t.and(t.add(turns, which), 1));
									const sine = t.xor(cosine, 1);
									t.run("trig_series", sine, cosine);
									const result = turnedFunction(t, turns, which);
									const flip = which === 0 ? sign : t.i32(0);
									const s = t.xor(result.sign, flip);
									roundLong(t, top, s, result.value);
								}),
						),
				),
		);
	});
	return clearingC2(kernel);
}

function writeOne(t: Terms, register: I32): void {
	writeRegister(t, register, t.i64(1n << 63n), t.i32(F80_BIAS));
}

/** C2 = 0 unless the kernel says otherwise. */
function clearingC2(kernel: Kernel): Kernel {
	return {
		...kernel,
		build(e, ...args) {
			setC2(new Terms(e), 0);
			return kernel.build(e, ...args);
		},
	};
}

/** What FSINCOS and FPTAN do with an ordinary operand: write both results, `above` the pushed one. */
type Pair = (t: Terms, top: I32, above: I32, operand: Parts) => void;

/** FSINCOS and FPTAN: one result replaces ST(0), the other is pushed. */
function pushing(name: string, ofZero: Pair, ofNumber: Pair): Kernel {
	return clearingC2({
		name,
		params: [],
		result: "i32",
		build(e) {
			const t = new Terms(e);
			const top = stackRegister(t, 0);
			const above = t.let(t.and(t.sub(top, 1), 7));
			const done = t.var32(0);
			const pushes = t.var32(1);
			t.if(
				t.or(isEmpty(t, top), t.eqz(hasRoom(t))),
				() => stackFault(t, top, above, done),
				() => {
					const x = { m: significandOf(t, top), se: exponentOf(t, top) };
					done.set(t.kernel32("f80_nan1", top, x.m, x.se));
					const ordinary = t.let(t.eq(done.get(), SPECIAL_ORDINARY));
					t.if(ordinary, () => {
						done.set(t.i32(1));
						t.if(isInfinite(t, x), () => refuse(t, top, done));
					});
					t.if(
						t.and(ordinary, t.eqz(isInfinite(t, x))),
						() => tryPair(t, top, above, x, { ofZero, ofNumber, done, pushes }),
						// A NaN, given or made: twice the same.
						() =>
							t.if(done.get(), () => {
								const se = exponentOf(t, top);
								writeRegister(t, above, significandOf(t, top), se);
							}),
					);
				},
			);
			t.if(t.and(done.get(), pushes.get()), () => {
				markValid(t, above);
				t.setState32(FPU_TOP, above);
			});
			return done.get();
		},
	});
}

function stackFault(
	t: Terms,
	top: I32,
	above: I32,
	done: Variable<"i32">,
): void {
	const overflow = t.select(isEmpty(t, top), 0, t.i32(FPU_C1));
	done.set(raise(t, t.or(overflow, FPU_IE | FPU_SF)));
	t.if(done.get(), () => {
		writeIndefinite(t, top);
		writeIndefinite(t, above);
		markValid(t, top);
	});
}

interface PairContext {
	readonly ofZero: Pair;
	readonly ofNumber: Pair;
	readonly done: Variable<"i32">;
	readonly pushes: Variable<"i32">;
}

function tryPair(
	t: Terms,
	top: I32,
	above: I32,
	x: Parts,
	{ ofZero, ofNumber, done, pushes }: PairContext,
): void {
	t.if(
		isFar(t, x),
		() => {
			report(t, t.i32(0));
			setC2(t, 1);
			pushes.set(t.i32(0));
		},
		() =>
			t.if(
				isZero(t, x),
				() => {
					report(t, t.i32(0));
					ofZero(t, top, above, x);
				},
				() => admitting(t, [x], done, () => ofNumber(t, top, above, x)),
			),
	);
}

/** Sine to ST(1), cosine on top. */
const sineCosine = pushing(
	"x87_sine_cosine",
	(t, _, above) => writeOne(t, above),
	(t, top, above, x) => {
		const turns = prepare(t, x);
		t.run("trig_series", t.i32(1), t.i32(1));
		const sine = turnedFunction(t, turns, 0);
		const cosine = turnedFunction(t, turns, 1);
		const sign = t.xor(sine.sign, signOf(t, x.se));
		roundLong(t, above, cosine.sign, cosine.value);
		roundLong(t, top, sign, sine.value);
	},
);

/** Tangent to ST(1), and 1 on top of it, for the 8087's sake. */
const tangent = pushing(
	"x87_tangent",
	(t, _, above) => writeOne(t, above),
	(t, top, above, x) => {
		const turns = prepare(t, x);
		t.run("trig_series", t.i32(1), t.i32(1));
		const sine = turnedFunction(t, turns, 0);
		const cosine = turnedFunction(t, turns, 1);
		const sign = t.xor(t.xor(sine.sign, cosine.sign), signOf(t, x.se));
		roundLong(t, top, sign, divideLong(t, sine.value, cosine.value));
		writeOne(t, above);
	},
);

export const SINE_KERNELS: readonly Kernel[] = [
	reduce,
	sineAndCosine,
	single("x87_sine", 0),
	single("x87_cosine", 1),
	sineCosine,
	tangent,
];
