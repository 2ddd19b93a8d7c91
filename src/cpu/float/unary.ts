/**
 * Operations on ST(0), some with ST(1) as a parameter: square root, rounding
 * to an integer, scaling, taking apart.
 *
 * Relies on `operand-class.ts` and the rounding core; FSQRT, FRNDINT, FSCALE
 * and FXTRACT rely on it.
 *
 * @journey E:634 One operand
 */

import type { I32, Variable } from "../semantics/emitter.ts";
import { FPU_TOP } from "../state.ts";
import {
	F80_BIAS,
	F80_SIGN,
	FPU_C1,
	FPU_IE,
	FPU_PE,
	FPU_SF,
	FPU_ZE,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import {
	admitDenormals,
	biasedExponent,
	isInfinite,
	isZero,
	normalise,
	type Parts,
	SPECIAL_ORDINARY,
	signOf,
} from "./operand-class.ts";
import { roundingMode, roundsAway } from "./round.ts";
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
import { multiplyWide, shiftRightSticky, subWide, type Wide } from "./wide.ts";

/** What an operation on a supported operand that is no NaN does; it sets `done` where it refuses. */
export type UnaryBody = (
	t: Terms,
	top: I32,
	operand: Parts,
	done: Variable<"i32">,
) => void;

/** () → done: ST(0) = f(ST(0)), with the empty register and NaNs dealt with. */
export function unaryKernel(name: string, body: UnaryBody): Kernel {
	return {
		name,
		params: [],
		result: "i32",
		build(e) {
			const t = new Terms(e);
			const top = stackRegister(t, 0);
			const done = t.var32(0);
			t.if(
				isEmpty(t, top),
				() => done.set(t.kernel32("x87_stack_underflow", top)),
				() => {
					const operand = {
						m: significandOf(t, top),
						se: exponentOf(t, top),
					};
					done.set(t.kernel32("f80_nan1", top, operand.m, operand.se));
					t.if(t.eq(done.get(), SPECIAL_ORDINARY), () => {
						done.set(t.i32(1));
						body(t, top, operand, done);
					});
				},
			);
			return done.get();
		},
	};
}

/** An invalid operation on `top`. */
export function refuse(t: Terms, top: I32, done: Variable<"i32">): void {
	done.set(t.kernel32("f80_invalid", top));
}

/** Goes on with `then` unless `operand` is a denormal and that is not masked. */
export function admitting(
	t: Terms,
	operands: readonly Parts[],
	done: Variable<"i32">,
	then: () => void,
): void {
	done.set(admitDenormals(t, ...operands));
	t.if(done.get(), then);
}

const squareRoot = unaryKernel("x87_sqrt", (t, top, operand, done) => {
	const negative = t.let(signOf(t, operand.se));
	t.if(
		isZero(t, operand),
		() => report(t, t.i32(0)),
		() =>
			t.if(
				negative,
				() => refuse(t, top, done),
				() =>
					t.if(
						isInfinite(t, operand),
						() => report(t, t.i32(0)),
						() => admitting(t, [operand], done, () => rootOf(t, top, operand)),
					),
			),
	);
});

/**
 * The root's 64 bits: the machine's own square root gives 53 of them, a step
 * of Newton's the rest, and the remainder says whether the last one is right.
 */
function rootOf(t: Terms, top: I32, operand: Parts): void {
	const { m, exponent } = normalise(t, operand);
	// An even power of two in front: the radicand is m or m / 2, times 2^64.
	const odd = t.let(t.and(exponent, 1));
	const radicand: Wide = {
		hi: t.let(t.shrU(m, odd)),
		lo: t.let(t.select(odd, t.shl(m, 63), 0)),
	};
	const e = t.e;
	const estimate = e.op<"f64">(
		"f64.mul",
		e.op("f64.sqrt", e.op("f64.convert_i64_u", radicand.hi)),
		e.f64(2 ** 32),
	);
	const root = t.var64(e.op<"i64">("i64.trunc_sat_f64_u", estimate));
	const left = () => {
		const square = multiplyWide(t, root.get(), root.get());
		return subWide(t, radicand, square);
	};
	const rest = left();
	// rest / 2 root, in floating point: below 2^13, and right to a bit.
	const size = e.op<"f64">(
		"f64.add",
		e.op("f64.mul", e.op("f64.convert_i64_s", rest.hi), e.f64(2 ** 64)),
		e.op("f64.convert_i64_u", rest.lo),
	);
	const twice = e.op<"f64">(
		"f64.mul",
		e.op("f64.convert_i64_u", root.get()),
		e.f64(2),
	);
	const step = e.op<"f64">("f64.floor", e.op("f64.div", size, twice));
	root.set(t.add(root.get(), e.op<"i64">("i64.trunc_sat_f64_s", step)));
	t.loop((again) => {
		const r = left();
		const tooLarge = t.let(t.ltS(r.hi, 0));
		// More than 2 root left: the next root fits too.
		const half = t.or(t.shl(r.hi, 63), t.shrU(r.lo, 1));
		const more = t.and(t.gtU(half, root.get()), t.leS(r.hi, 1));
		const oddHalf = t.and(t.eq(half, root.get()), t.wrap(t.and(r.lo, 1n)));
		const tooSmall = t.let(t.or(t.or(more, oddHalf), t.gtS(r.hi, 1)));
		t.if(tooLarge, () => {
			root.set(t.sub(root.get(), 1));
			again();
		});
		t.if(tooSmall, () => {
			root.set(t.add(root.get(), 1));
			again();
		});
	});
	const remainder = left();
	const aboveHalf = t.or(
		t.nonzero(remainder.hi),
		t.gtU(remainder.lo, root.get()),
	);
	const inexact = t.nonzero(t.or(remainder.hi, remainder.lo));
	const tail = t.or(t.shl(t.wide(aboveHalf), 63), t.wide(inexact));
	const power = t.shrS(t.add(exponent, F80_BIAS), 1);
	t.run("f80_round", top, t.i32(0), power, root.get(), t.let(tail));
}

const TOO_LARGE_FOR_FRACTION = F80_BIAS + 63;

/** FRNDINT. What is 2^63 or more is an integer already. */
const roundToInteger = unaryKernel(
	"x87_round_to_integer",
	(t, top, operand, done) => {
		const { m, se } = operand;
		const biased = t.let(biasedExponent(t, se));
		const integral = t.or(
			t.geS(biased, TOO_LARGE_FOR_FRACTION),
			isZero(t, operand),
		);
		t.if(
			integral,
			() => report(t, t.i32(0)),
			() =>
				admitting(t, [operand], done, () => {
					const distance = t.sub(TOO_LARGE_FOR_FRACTION, biased);
					const wide = { hi: m, lo: t.i64(0) };
					const { hi, lo } = shiftRightSticky(t, wide, distance);
					const sign = t.let(signOf(t, se));
					const odd = t.and(t.wrap(hi), 1);
					const away = roundsAway(t, roundingMode(t), sign, odd, lo);
					const whole = t.let(t.add(hi, t.wide(away)));
					const zeros = t.let(t.clz(whole));
					const exponent = t.sub(TOO_LARGE_FOR_FRACTION, zeros);
					const field = t.select(t.eqz(whole), 0, exponent);
					writeRegister(t, top, t.shl(whole, zeros), t.or(sign, field));
					const inexact = t.mul(t.nonzero(lo), FPU_PE);
					report(t, t.or(inexact, t.mul(away, FPU_C1)));
				}),
		);
	},
);

/** Frame of ST(0) = f(ST(0), ST(1)) without pop. */
export function binaryStackKernel(
	name: string,
	body: (t: Terms, top: I32, a: Parts, b: Parts, done: Variable<"i32">) => void,
): Kernel {
	return {
		name,
		params: [],
		result: "i32",
		build(e) {
			const t = new Terms(e);
			const top = stackRegister(t, 0);
			const next = stackRegister(t, t.i32(1));
			const done = t.var32(0);
			t.if(
				t.or(isEmpty(t, top), isEmpty(t, next)),
				() => done.set(t.kernel32("x87_stack_underflow", top)),
				() => {
					const a = { m: significandOf(t, top), se: exponentOf(t, top) };
					const b = { m: significandOf(t, next), se: exponentOf(t, next) };
					done.set(t.kernel32("f80_nan2", top, a.m, a.se, b.m, b.se));
					t.if(t.eq(done.get(), SPECIAL_ORDINARY), () => {
						done.set(t.i32(1));
						body(t, top, a, b, done);
					});
				},
			);
			return done.get();
		},
	};
}

/** Further than any exponent reaches, so that larger scales change nothing. */
const SCALE_LIMIT = 0x1_0000;

/** FSCALE: ST(0) times 2 to the power of ST(1), cut to an integer. */
const scale = binaryStackKernel("x87_scale", (t, top, a, b, done) => {
	const negative = t.let(signOf(t, b.se));
	const signA = t.let(signOf(t, a.se));
	const setInfinity = () =>
		writeRegister(t, top, t.i64(1n << 63n), t.or(signA, 0x7fff));
	const setZero = () => writeRegister(t, top, t.i64(0), signA);
	t.if(
		isInfinite(t, b),
		() => {
			const nonsense = t.select(negative, isInfinite(t, a), isZero(t, a));
			t.if(
				nonsense,
				() => refuse(t, top, done),
				() =>
					admitting(t, [a], done, () => {
						report(t, t.i32(0));
						t.if(negative, setZero, setInfinity);
					}),
			);
		},
		() =>
			t.if(
				t.or(isInfinite(t, a), isZero(t, a)),
				() => admitting(t, [b], done, () => report(t, t.i32(0))),
				() =>
					admitting(t, [a, b], done, () => {
						const by = wholePart(t, b, negative);
						const n = normalise(t, a);
						const exponent = t.add(n.exponent, by);
						const zero = t.i64(0);
						t.run("f80_round_full", top, signA, exponent, n.m, zero);
					}),
			),
	);
});

/** A number cut to an integer within ±SCALE_LIMIT. */
function wholePart(t: Terms, b: Parts, negative: I32): I32 {
	const biased = t.let(biasedExponent(t, b.se));
	const small = t.ltS(biased, F80_BIAS);
	const large = t.geS(biased, F80_BIAS + 16);
	const whole = t.wrap(t.shrU(b.m, t.sub(F80_BIAS + 63, biased)));
	const size = t.select(large, SCALE_LIMIT, t.select(small, 0, whole));
	return t.let(t.select(negative, t.neg(size), size));
}

/** FXTRACT: the exponent replaces ST(0), the significand is pushed. */
const extract: Kernel = {
	name: "x87_extract",
	params: [],
	result: "i32",
	build(e) {
		const t = new Terms(e);
		const top = stackRegister(t, 0);
		const above = t.let(t.and(t.sub(top, 1), 7));
		const done = t.var32(0);
		const pushCopy = () => {
			markValid(t, above);
			t.setState32(FPU_TOP, above);
		};
		t.if(
			t.or(isEmpty(t, top), t.eqz(hasRoom(t))),
			() => {
				// An empty operand counts before a full stack.
				const overflow = t.select(isEmpty(t, top), 0, t.i32(FPU_C1));
				done.set(raise(t, t.or(overflow, FPU_IE | FPU_SF)));
				t.if(done.get(), () => {
					writeIndefinite(t, top);
					writeIndefinite(t, above);
					markValid(t, top);
					pushCopy();
				});
			},
			() => {
				const a = { m: significandOf(t, top), se: exponentOf(t, top) };
				done.set(t.kernel32("f80_nan1", top, a.m, a.se));
				t.if(
					t.eq(done.get(), SPECIAL_ORDINARY),
					() => takeApart(t, top, above, a, done),
					() =>
						t.if(done.get(), () =>
							writeRegister(
								t,
								above,
								significandOf(t, top),
								exponentOf(t, top),
							),
						),
				);
				t.if(done.get(), pushCopy);
			},
		);
		return done.get();
	},
};

function takeApart(
	t: Terms,
	top: I32,
	above: I32,
	a: Parts,
	done: Variable<"i32">,
): void {
	const infinity = t.i64(1n << 63n);
	done.set(t.i32(1));
	t.if(
		isInfinite(t, a),
		() => {
			report(t, t.i32(0));
			writeRegister(t, above, a.m, a.se);
			writeRegister(t, top, infinity, t.i32(0x7fff));
		},
		() =>
			t.if(
				isZero(t, a),
				() => {
					done.set(raise(t, FPU_ZE));
					t.if(done.get(), () => {
						writeRegister(t, above, a.m, a.se);
						writeRegister(t, top, infinity, t.i32(0xffff));
					});
				},
				() =>
					admitting(t, [a], done, () => {
						report(t, t.i32(0));
						const n = normalise(t, a);
						const power = t.let(t.sub(n.exponent, F80_BIAS));
						const m = t.kernel64("f80_from_integer", t.e.extendS(power));
						const sign = signOf(t, a.se);
						writeRegister(t, above, n.m, t.or(sign, F80_BIAS));
						writeRegister(t, top, m, exponentOfInteger(t, power));
					}),
			),
	);
}

/** Sign and exponent of a small integer as an 80-bit number. */
function exponentOfInteger(t: Terms, value: I32): I32 {
	const negative = t.ltS(value, 0);
	const size = t.select(negative, t.neg(value), value);
	const field = t.sub(F80_BIAS + 31, t.clz(size));
	const sign = t.select(negative, F80_SIGN, t.i32(0));
	return t.select(t.eqz(value), 0, t.or(sign, field));
}

export const UNARY_KERNELS: readonly Kernel[] = [
	squareRoot,
	roundToInteger,
	scale,
	extract,
];
