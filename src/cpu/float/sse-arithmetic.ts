/**
 * Addition, subtraction, multiplication, division and square root of one lane,
 * exact in result and flags for every operand and every MXCSR. Semantics come
 * here when their fast path cannot vouch for the flags.
 *
 * Relies on `sse-format.ts` and `sse-round.ts`.
 *
 * @journey E:666 The long way round
 */

import { MXCSR_IE, MXCSR_ZE } from "../mxcsr.ts";
import type { I64, Variable } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import {
	type ExactOperation,
	exactDifference,
	exactProduct,
	exactSum,
} from "./sse-exact.ts";
import { FORMATS, type Format, SseTerms, unpack } from "./sse-format.ts";
import {
	normalizeAndRound,
	ROUND_DOWN,
	roundTo,
	shiftRightSticky,
} from "./sse-round.ts";
import { multiplyWide } from "./wide.ts";

/** An operation on two numbers that are no NaNs. */
type Operation = (
	t: SseTerms,
	f: Format,
	a: I64,
	b: I64,
	result: Variable<"i64">,
) => void;

/** What a masked invalid operation gives. */
function invalid(t: SseTerms, f: Format, result: Variable<"i64">): void {
	t.raise(MXCSR_IE);
	result.set(t.i64(f.indefinite));
}

/** The first NaN, made quiet (Intel SDM vol. 1, "Rules for handling NaNs": SSE takes the first source operand). */
function chooseNan(t: SseTerms, f: Format, a: I64, b: I64): I64 {
	t.raiseSignalling(f, a, b);
	return t.or(t.select(t.isNan(f, a), a, b), f.quiet);
}

/** (a, b) → a OP b, all in patterns. */
function binaryKernel(
	name: string,
	f: Format,
	operation: Operation,
	exactly?: ExactOperation,
): Kernel {
	return {
		name: `sse_${name}_${f.name}`,
		params: ["i64", "i64"],
		result: "i64",
		build(e, ...args) {
			const [x, y] = args as [I64, I64];
			const t = new SseTerms(e);
			const result = t.var64(0);
			const thoroughly = () => {
				t.if(
					t.or(t.isNan(f, x), t.isNan(f, y)),
					() => result.set(chooseNan(t, f, x, y)),
					() => operation(t, f, t.operand(f, x), t.operand(f, y), result),
				);
				t.finish();
			};
			if (exactly === undefined) thoroughly();
			else {
				const attempt = exactly(t, f, x, y);
				t.if(attempt.holds, () => result.set(attempt.result), thoroughly);
			}
			return result.get();
		},
	};
}

const add: Operation = (t, f, a, b, result) => {
	const aInfinite = t.isInfinite(f, a);
	const bInfinite = t.isInfinite(f, b);
	t.if(
		t.and(t.and(aInfinite, bInfinite), t.ne(a, b)),
		() => invalid(t, f, result),
		() => {
			t.raiseDenormal(f, a, b);
			t.if(
				t.or(aInfinite, bInfinite),
				() => result.set(t.select(aInfinite, a, b)),
				() => result.set(addFinite(t, f, a, b)),
			);
		},
	);
};

/** NaNs are out of the way, so the sign is free to be turned. */
const subtract: Operation = (t, f, a, b, result) =>
	add(t, f, a, t.let(t.xor(b, f.sign)), result);

function addFinite(t: SseTerms, f: Format, a: I64, b: I64): I64 {
	const ordered = t.let(t.geU(t.magnitude(f, a), t.magnitude(f, b)));
	const large = t.let(t.select(ordered, a, b));
	const small = t.let(t.select(ordered, b, a));
	const x = unpack(t, f, large);
	const y = unpack(t, f, small);
	const distance = t.let(t.sub(x.exponent, y.exponent));
	const count = t.let(t.select(t.ltU(distance, 63), distance, t.i32(63)));
	const shifted = shiftRightSticky(t, y.significand, count);
	const alike = t.eqz(t.and(t.xor(a, b), f.sign));
	// Below 2^64, and not negative because `large` is.
	const sum = t.let(
		t.select(
			alike,
			t.add(x.significand, shifted),
			t.sub(x.significand, shifted),
		),
	);
	const sign = t.let(t.and(large, f.sign));
	const result = t.var64(0);
	t.if(
		t.eqz(sum),
		() => {
			const down = t.eq(t.roundingMode(), ROUND_DOWN);
			const exactZero = t.select(down, f.sign, t.i64(0));
			result.set(t.select(alike, sign, exactZero));
		},
		() => result.set(normalizeAndRound(t, f, sign, x.exponent, sum)),
	);
	return result.get();
}

const multiply: Operation = (t, f, a, b, result) => {
	const sign = t.let(t.and(t.xor(a, b), f.sign));
	const infinite = t.let(t.or(t.isInfinite(f, a), t.isInfinite(f, b)));
	const zero = t.let(t.or(t.isZero(f, a), t.isZero(f, b)));
	t.if(
		t.and(infinite, zero),
		() => invalid(t, f, result),
		() => {
			t.raiseDenormal(f, a, b);
			t.if(
				t.or(infinite, zero),
				() => {
					const special = t.select(infinite, f.infinity, t.i64(0));
					result.set(t.or(sign, special));
				},
				() => result.set(multiplyFinite(t, f, sign, a, b)),
			);
		},
	);
};

function multiplyFinite(
	t: SseTerms,
	f: Format,
	sign: I64,
	a: I64,
	b: I64,
): I64 {
	const x = unpack(t, f, a);
	const y = unpack(t, f, b);
	const shifted = t.let(t.shl(x.significand, 1));
	const product = multiplyWide(t, shifted, t.let(t.shl(y.significand, 1)));
	const sticky = t.wide(t.nonzero(product.lo));
	const exponent = t.sub(t.add(x.exponent, y.exponent), f.bias);
	const significand = t.or(product.hi, sticky);
	return normalizeAndRound(t, f, sign, exponent, significand);
}

const divide: Operation = (t, f, a, b, result) => {
	const sign = t.let(t.and(t.xor(a, b), f.sign));
	const aInfinite = t.let(t.isInfinite(f, a));
	const bInfinite = t.let(t.isInfinite(f, b));
	const aZero = t.let(t.isZero(f, a));
	const bZero = t.let(t.isZero(f, b));
	const meaningless = t.or(t.and(aInfinite, bInfinite), t.and(aZero, bZero));
	const proper = () => {
		const tooLarge = t.let(t.or(aInfinite, bZero));
		t.raiseIf(t.and(bZero, t.eqz(aInfinite)), MXCSR_ZE);
		t.if(t.or(aInfinite, t.eqz(bZero)), () => t.raiseDenormal(f, a, b));
		t.if(
			t.or(tooLarge, t.or(aZero, bInfinite)),
			() => {
				const special = t.select(tooLarge, f.infinity, t.i64(0));
				result.set(t.or(sign, special));
			},
			() => result.set(divideFinite(t, f, sign, a, b)),
		);
	};
	t.if(meaningless, () => invalid(t, f, result), proper);
};

/**
 * WebAssembly's division, correctly rounded, is at most half a unit off; the
 * remainder, which integers give exactly modulo 2^64, says to which side. A
 * quotient of significands never lies half-way, so a nudge of the guard bits
 * to that side rounds correctly in every mode and at every place.
 */
function divideFinite(t: SseTerms, f: Format, sign: I64, a: I64, b: I64): I64 {
	const { e } = t;
	const x = unpack(t, f, a);
	const y = unpack(t, f, b);
	const dividend = t.let(t.shrU(x.significand, 10));
	const divisor = t.let(t.shrU(y.significand, 10));
	const quotient = t.let(
		e.op<"i64">(
			"i64.reinterpret_f64",
			e.op(
				"f64.div",
				e.op<"f64">("f64.convert_i64_s", dividend),
				e.op<"f64">("f64.convert_i64_s", divisor),
			),
		),
	);
	// 1/2 < quotient < 2: its exponent field is 1022 or 1023.
	const below = t.let(t.ltU(quotient, 0x3ff0_0000_0000_0000n));
	const digits = t.let(t.or(t.and(quotient, (1n << 52n) - 1n), 1n << 52n));
	const scaled = t.shl(dividend, t.add(below, 52));
	const rest = t.let(t.sub(scaled, t.mul(digits, divisor)));
	const exponent = t.add(t.sub(x.exponent, y.exponent), f.bias);
	const significand = t.add(t.shl(digits, 10), signOf(t, rest));
	return normalizeAndRound(t, f, sign, t.sub(exponent, below), significand);
}

/** -1, 0 or 1. */
function signOf(t: SseTerms, x: I64): I64 {
	return t.or(t.shrS(x, 63), t.wide(t.nonzero(x)));
}

/** (a) → square root. */
function sqrtKernel(f: Format): Kernel {
	return {
		name: `sse_sqrt_${f.name}`,
		params: ["i64"],
		result: "i64",
		build(e, ...args) {
			const t = new SseTerms(e);
			const x = args[0] as I64;
			const result = t.var64(0);
			const a = t.operand(f, x);
			const number = () => {
				const unchanged = t.or(t.isZero(f, a), t.eq(a, f.infinity));
				t.if(
					unchanged,
					() => result.set(a),
					() =>
						t.if(
							t.nonzero(t.and(a, f.sign)),
							() => invalid(t, f, result),
							() => {
								t.raiseDenormal(f, a);
								result.set(rootOfFinite(t, f, a));
							},
						),
				);
			};
			t.if(t.isNan(f, x), () => result.set(chooseNan(t, f, x, x)), number);
			t.finish();
			return result.get();
		},
	};
}

/** As `divideFinite`: WebAssembly's root, and the remainder's sign. */
function rootOfFinite(t: SseTerms, f: Format, a: I64): I64 {
	const { e } = t;
	const x = unpack(t, f, a);
	const power = t.let(t.sub(x.exponent, f.bias));
	const odd = t.let(t.and(power, 1));
	// 2^52 <= radicand < 2^54, with an even power of two beside it.
	const radicand = t.let(t.shl(t.shrU(x.significand, 10), odd));
	const root = e.op<"f64">(
		"f64.sqrt",
		e.op<"f64">("f64.convert_i64_s", radicand),
	);
	// 2^26 <= root < 2^27, 53 bits of it: an integer when scaled.
	const digits = t.let(
		e.op<"i64">("i64.trunc_f64_s", e.op("f64.mul", root, e.f64(2 ** 26))),
	);
	const rest = t.let(t.sub(t.shl(radicand, 52), t.mul(digits, digits)));
	const exponent = t.add(t.shrS(t.sub(power, odd), 1), f.bias);
	const significand = t.let(t.add(t.shl(digits, 10), signOf(t, rest)));
	return roundTo(t, f, t.i64(0), exponent, significand);
}

export const SSE_ARITHMETIC_KERNELS: readonly Kernel[] = FORMATS.flatMap(
	(f) => [
		binaryKernel("add", f, add, exactSum),
		binaryKernel("sub", f, subtract, exactDifference),
		binaryKernel("mul", f, multiply, exactProduct),
		binaryKernel("div", f, divide),
		sqrtKernel(f),
	],
);
