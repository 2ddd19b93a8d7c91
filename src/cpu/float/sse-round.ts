/**
 * Where every inexact SSE result ends: rounding to single or double precision
 * with overflow, underflow, FTZ and their flags.
 *
 * Relies on `sse-format.ts`; the arithmetic and conversion kernels call it.
 *
 * @journey E:664 Rounding for MXCSR
 */

import {
	MXCSR_FTZ,
	MXCSR_OE,
	MXCSR_OM,
	MXCSR_PE,
	MXCSR_UE,
	MXCSR_UM,
} from "../mxcsr.ts";
import type { I32, I64, Variable } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import { FORMATS, type Format, SseTerms } from "./sse-format.ts";

/** Encodings of the rounding modes. */
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_TRUNCATE = 3;

/** Rounds and packs sign (the format's sign bit or 0) and significand × 2^(exponent - bias - 62), bit 62 set. */
export function roundTo(
	t: SseTerms,
	f: Format,
	sign: I64,
	exponent: I32,
	significand: I64,
): I64 {
	return t.kernel64(`sse_round_${f.name}`, sign, exponent, significand);
}

/** As `roundTo`, from any significand but 0, its value not changing: bit 62 is made the highest. */
export function normalizeAndRound(
	t: SseTerms,
	f: Format,
	sign: I64,
	exponent: I32,
	significand: I64,
): I64 {
	const s = t.let(significand);
	const zeros = t.let(t.clz(s));
	const shift = t.sub(zeros, 1);
	const halved = t.or(t.shrU(s, 1), t.and(s, 1));
	const moved = t.select(zeros, t.shl(s, shift), halved);
	return roundTo(t, f, sign, t.sub(exponent, shift), moved);
}

/** Shifted right by 0..63; lost bits leave a trace in the lowest one. */
export function shiftRightSticky(t: SseTerms, a: I64, count: I32): I64 {
	const kept = t.let(t.shrU(a, count));
	const lost = t.ne(t.shl(kept, count), a);
	return t.let(t.or(kept, t.wide(lost)));
}

interface Rounded {
	/** The integer, at most one bit longer than the format's significand. */
	readonly value: I64;
	readonly inexact: I32;
}

/** Cuts the bits below the format's significand. */
function roundOff(
	t: SseTerms,
	f: Format,
	mode: I32,
	away: I32,
	significand: I64,
): Rounded {
	const drop = 62 - f.fractionBits;
	const all = (1n << BigInt(drop)) - 1n;
	const half = 1n << BigInt(drop - 1);
	const odd = t.and(t.shrU(significand, drop), 1);
	const directed = t.select(away, all, t.i64(0));
	const bias = t.select(
		t.eq(mode, ROUND_NEAREST),
		t.add(odd, half - 1n),
		directed,
	);
	return {
		value: t.let(t.shrU(t.add(significand, bias), drop)),
		inexact: t.let(t.nonzero(t.and(significand, all))),
	};
}

interface Rounding {
	readonly t: SseTerms;
	readonly f: Format;
	readonly sign: I64;
	readonly exponent: I32;
	readonly significand: I64;
	readonly mode: I32;
	/** The mode rounds this sign's magnitudes up. */
	readonly away: I32;
	readonly result: Variable<"i64">;
}

/** Not masked, the result does not matter: nobody will see it. */
function overflow(r: Rounding, inexact: I32): void {
	const { t, f } = r;
	t.raise(MXCSR_OE);
	const masked = t.nonzero(t.and(t.mxcsr, MXCSR_OM));
	t.raiseIf(t.or(masked, inexact), MXCSR_PE);
	const infinite = t.or(t.eq(r.mode, ROUND_NEAREST), r.away);
	const limited = t.sub(f.infinity, t.wide(t.eqz(infinite)));
	r.result.set(t.or(r.sign, limited));
}

/**
 * The result is tiny, which x86 decides after rounding as if exponents had no
 * end (Intel SDM vol. 1, "Numeric Underflow Exception"). Masked, only a loss
 * of precision counts as underflow, except that FTZ always loses.
 */
function underflow(r: Rounding, inexact: I32): void {
	const { t, f } = r;
	const flushed = () => {
		t.raise(MXCSR_UE | MXCSR_PE);
		r.result.set(r.sign);
	};
	const denormal = () => {
		const gap = t.let(t.sub(1, r.exponent));
		const count = t.let(t.select(t.ltU(gap, 63), gap, t.i32(63)));
		const shifted = shiftRightSticky(t, r.significand, count);
		const small = roundOff(t, f, r.mode, r.away, shifted);
		t.raiseIf(small.inexact, MXCSR_UE | MXCSR_PE);
		r.result.set(t.or(r.sign, small.value));
	};
	const reported = () => {
		t.raise(MXCSR_UE);
		t.raiseIf(inexact, MXCSR_PE);
	};
	t.if(
		t.and(t.mxcsr, MXCSR_UM),
		() => t.if(t.and(t.mxcsr, MXCSR_FTZ), flushed, denormal),
		reported,
	);
}

/** (sign bit, exponent, significand) → pattern. */
function roundKernel(f: Format): Kernel {
	return {
		name: `sse_round_${f.name}`,
		params: ["i64", "i32", "i64"],
		result: "i64",
		build(e, ...args) {
			const [sign, exponent, significand] = args as [I64, I32, I64];
			const t = new SseTerms(e);
			const mode = t.roundingMode();
			const outward = t.select(t.eqz(sign), ROUND_UP, t.i32(ROUND_DOWN));
			const away = t.let(t.eq(mode, outward));
			const result = t.var64(0);
			const r = { t, f, sign, exponent, significand, mode, away, result };
			const { value, inexact } = roundOff(t, f, mode, away, significand);
			const carry = t.wrap(t.shrU(value, f.fractionBits + 1));
			const field = t.let(t.add(exponent, carry));
			const usual = () => {
				t.raiseIf(inexact, MXCSR_PE);
				const high = t.shl(t.wide(field), f.fractionBits);
				// After a carry the fraction is zero either way.
				const low = t.and(value, f.fraction);
				result.set(t.or(sign, t.or(high, low)));
			};
			t.if(t.ltU(t.sub(field, 1), f.exponentMax - 1), usual, () =>
				t.if(
					t.gtS(field, 0),
					() => overflow(r, inexact),
					() => underflow(r, inexact),
				),
			);
			t.finish();
			return result.get();
		},
	};
}

export const SSE_ROUND_KERNELS: readonly Kernel[] = FORMATS.map(roundKernel);
