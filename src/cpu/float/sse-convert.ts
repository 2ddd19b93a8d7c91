/**
 * Conversions of one lane: between the formats, to and from integers, to
 * integral values.
 *
 * Relies on `sse-format.ts` and `sse-round.ts`.
 *
 * @journey E:670 From one kind of number to another
 */

import { MXCSR_IE, MXCSR_PE } from "../mxcsr.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import {
	F32,
	F64,
	FORMATS,
	type Format,
	SseTerms,
	unpack,
} from "./sse-format.ts";
import {
	normalizeAndRound,
	ROUND_DOWN,
	ROUND_NEAREST,
	ROUND_UP,
	roundTo,
} from "./sse-round.ts";

/** The integral value beside `x` by rounding mode; of an operand in a format it always fits the format. */
function integral(t: SseTerms, x: Value<"f64">, mode: I32): Value<"f64"> {
	const { e } = t;
	const by = (name: string) => e.op<"f64">(`f64.${name}`, x);
	const upOrNot = e.select(t.eq(mode, ROUND_UP), by("ceil"), by("trunc"));
	const directed = e.select(t.eq(mode, ROUND_DOWN), by("floor"), upOrNot);
	return t.let(e.select(t.eq(mode, ROUND_NEAREST), by("nearest"), directed));
}

/** (pattern, rounding mode) → integer in two's complement, or the integer indefinite. */
function toIntegerKernel(f: Format, bits: 32 | 64): Kernel {
	return {
		name: `sse_${f.name}_to_i${bits}`,
		params: ["i64", "i32"],
		result: "i64",
		build(e, ...args) {
			const [pattern, mode] = args as [I64, I32];
			const t = new SseTerms(e);
			const x = t.let(t.toFloat(f, t.operand(f, pattern)));
			const rounded = integral(t, x, mode);
			const limit = 2 ** (bits - 1);
			// NaNs fail both comparisons.
			const fits = t.and(
				e.op<"i32">("f64.ge", rounded, e.f64(-limit)),
				e.op<"i32">("f64.lt", rounded, e.f64(limit)),
			);
			const result = t.var64(bits === 64 ? 1n << 63n : 1n << 31n);
			t.if(
				fits,
				() => {
					t.raiseIf(e.op<"i32">("f64.ne", rounded, x), MXCSR_PE);
					result.set(e.op<"i64">("i64.trunc_f64_s", rounded));
				},
				() => t.raise(MXCSR_IE),
			);
			t.finish();
			return result.get();
		},
	};
}

/** (pattern, rounding mode, 1 to report inexactness) → pattern. */
function integralKernel(f: Format): Kernel {
	return {
		name: `sse_integral_${f.name}`,
		params: ["i64", "i32", "i32"],
		result: "i64",
		build(e, ...args) {
			const [pattern, mode, reports] = args as [I64, I32, I32];
			const t = new SseTerms(e);
			const result = t.var64(0);
			const number = () => {
				const x = t.let(t.toFloat(f, t.operand(f, pattern)));
				const rounded = integral(t, x, mode);
				const inexact = e.op<"i32">("f64.ne", rounded, x);
				t.raiseIf(t.and(inexact, reports), MXCSR_PE);
				result.set(toPattern(t, f, rounded));
			};
			t.if(
				t.isNan(f, pattern),
				() => {
					t.raiseSignalling(f, pattern);
					result.set(t.or(pattern, f.quiet));
				},
				number,
			);
			t.finish();
			return result.get();
		},
	};
}

/** The pattern of a number that the format can hold. */
function toPattern(t: SseTerms, f: Format, x: Value<"f64">): I64 {
	const { e } = t;
	if (f === F64) return e.op<"i64">("i64.reinterpret_f64", x);
	const single = e.op<"f32">("f32.demote_f64", x);
	return t.wide(e.op<"i32">("i32.reinterpret_f32", single));
}

const FRACTION_GAP = F64.fractionBits - F32.fractionBits;

/** CVTSS2SD's lane. */
const widen: Kernel = {
	name: "sse_f32_to_f64",
	params: ["i64"],
	result: "i64",
	build(e, ...args) {
		const pattern = args[0] as I64;
		const t = new SseTerms(e);
		const result = t.var64(0);
		t.if(
			t.isNan(F32, pattern),
			() => {
				t.raiseSignalling(F32, pattern);
				const sign = t.shl(t.and(pattern, F32.sign), 32);
				const payload = t.shl(t.and(pattern, F32.fraction), FRACTION_GAP);
				const quiet = F64.infinity | F64.quiet;
				result.set(t.or(t.or(sign, payload), quiet));
			},
			() => {
				const x = t.operand(F32, pattern);
				t.raiseDenormal(F32, x);
				result.set(toPattern(t, F64, t.toFloat(F32, x)));
			},
		);
		t.finish();
		return result.get();
	},
};

/** CVTSD2SS's lane. */
const narrow: Kernel = {
	name: "sse_f64_to_f32",
	params: ["i64"],
	result: "i64",
	build(e, ...args) {
		const pattern = args[0] as I64;
		const t = new SseTerms(e);
		const result = t.var64(0);
		const sign = t.let(t.shrU(t.and(pattern, F64.sign), 32));
		const nan = () => {
			t.raiseSignalling(F64, pattern);
			const payload = t.shrU(t.and(pattern, F64.fraction), FRACTION_GAP);
			const quiet = F32.infinity | F32.quiet;
			result.set(t.or(t.or(sign, payload), quiet));
		};
		const number = () => {
			const x = t.operand(F64, pattern);
			t.raiseDenormal(F64, x);
			const infinite = t.let(t.isInfinite(F64, x));
			t.if(
				t.or(infinite, t.isZero(F64, x)),
				() => {
					const special = t.select(infinite, F32.infinity, t.i64(0));
					result.set(t.or(sign, special));
				},
				() => {
					const { exponent, significand } = unpack(t, F64, x);
					const rebiased = t.add(exponent, F32.bias - F64.bias);
					// What falls below bit 62 - 23 still counts when rounding.
					result.set(roundTo(t, F32, sign, rebiased, significand));
				},
			);
		};
		t.if(t.isNan(F64, pattern), nan, number);
		t.finish();
		return result.get();
	},
};

/** (integer, sign-extended to 64 bits) → pattern. */
function fromIntegerKernel(f: Format): Kernel {
	return {
		name: `sse_i64_to_${f.name}`,
		params: ["i64"],
		result: "i64",
		build(e, ...args) {
			const x = args[0] as I64;
			const t = new SseTerms(e);
			const result = t.var64(0);
			t.if(t.nonzero(x), () => {
				const negative = t.ltS(x, 0);
				const sign = t.select(negative, f.sign, t.i64(0));
				const size = t.select(negative, t.neg(x), x);
				const exponent = t.i32(f.bias + 62);
				result.set(normalizeAndRound(t, f, sign, exponent, size));
			});
			t.finish();
			return result.get();
		},
	};
}

export const SSE_CONVERT_KERNELS: readonly Kernel[] = [
	...FORMATS.flatMap((f) => [
		toIntegerKernel(f, 32),
		toIntegerKernel(f, 64),
		integralKernel(f),
		fromIntegerKernel(f),
	]),
	widen,
	narrow,
];
