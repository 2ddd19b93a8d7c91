/**
 * Sorting out operands: what is a NaN, what is not a number of this format at
 * all, what needs normalising.
 *
 * An 80-bit number has its leading 1 written out, so there are bit patterns
 * the 8087 still computed with and later ones refuse: exponent not 0, leading
 * bit 0 ("unnormal", "pseudo-infinity", "pseudo-NaN"). They are invalid
 * operands. The reverse, exponent 0 with leading bit 1 ("pseudo-denormal"), is
 * a valid number (Intel SDM vol. 1, "Unsupported Double Extended-Precision
 * Floating-Point Encodings and Pseudo-Denormals").
 *
 * Relies on `status-word.ts`; the arithmetic kernels rely on it.
 *
 * @journey E:620 Numbers and things that are not
 */

import type { I32, I64, Variable } from "../semantics/emitter.ts";
import { F80_EXPONENT_MAX, F80_SIGN, FPU_DE, FPU_IE } from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { raise, WAS_DENORMAL, writeRegister } from "./status-word.ts";
import { Terms } from "./terms.ts";

const TOP_BIT = 1n << 63n;
const QUIET_BIT = 1n << 62n;

/** An unpacked operand. */
export interface Parts {
	readonly m: I64;
	/** Sign and exponent, perhaps with WAS_DENORMAL. */
	readonly se: I32;
}

export function biasedExponent(t: Terms, se: I32): I32 {
	return t.and(se, F80_EXPONENT_MAX);
}

export function signOf(t: Terms, se: I32): I32 {
	return t.and(se, F80_SIGN);
}

/** 1 for a plain normal number: no zero, denormal, infinity, NaN, unsupported pattern. */
export function isNormal(t: Terms, { m, se }: Parts): I32 {
	const exponent = t.and(se, WAS_DENORMAL | F80_EXPONENT_MAX);
	const finite = t.ltU(t.sub(exponent, 1), F80_EXPONENT_MAX - 1);
	return t.and(finite, t.ltS(m, 0));
}

/** Each nonzero when one of two is not a plain normal number. */
export function areNotNormal(t: Terms, a: Parts, b: Parts): I32[] {
	const special = ({ se }: Parts) => {
		const exponent = t.and(se, WAS_DENORMAL | F80_EXPONENT_MAX);
		return t.geU(t.sub(exponent, 1), F80_EXPONENT_MAX - 1);
	};
	return [special(a), special(b), t.geS(t.and(a.m, b.m), 0)];
}

/** 1 for exponent not 0 with leading bit 0. */
export function isUnsupported(t: Terms, { m, se }: Parts): I32 {
	return t.and(t.nonzero(biasedExponent(t, se)), t.geS(m, 0));
}

/** 1 for any NaN, given that the pattern is supported. */
export function isNan(t: Terms, { m, se }: Parts): I32 {
	const most = t.eq(biasedExponent(t, se), F80_EXPONENT_MAX);
	return t.and(most, t.nonzero(t.shl(m, 1)));
}

/** 1 for a signalling NaN. */
export function isSignalling(t: Terms, parts: Parts): I32 {
	return t.and(isNan(t, parts), t.eqz(t.and(parts.m, QUIET_BIT)));
}

/** 1 for an infinity. */
export function isInfinite(t: Terms, { m, se }: Parts): I32 {
	const most = t.eq(biasedExponent(t, se), F80_EXPONENT_MAX);
	return t.and(most, t.eq(m, TOP_BIT));
}

export function isZero(t: Terms, { m, se }: Parts): I32 {
	return t.and(t.eqz(biasedExponent(t, se)), t.eqz(m));
}

/** 1 for a denormal of this format or, by its mark, of the one it was loaded from. */
export function isDenormal(t: Terms, { m, se }: Parts): I32 {
	const own = t.and(t.eqz(biasedExponent(t, se)), t.nonzero(m));
	return t.or(own, t.nonzero(t.and(se, WAS_DENORMAL)));
}

export function quiet(t: Terms, m: I64): I64 {
	return t.or(m, QUIET_BIT);
}

/** A finite number with its leading 1 at the top and an exponent to match, which may be negative; zero gets an exponent below all. */
export function normalise(
	t: Terms,
	{ m, se }: Parts,
): { m: I64; exponent: I32 } {
	const biased = t.let(biasedExponent(t, se));
	const zeros = t.let(t.clz(m));
	const stored = t.select(t.eqz(biased), 1, biased);
	const exponent = t.sub(stored, zeros);
	return {
		m: t.let(t.shl(m, zeros)),
		exponent: t.let(t.select(t.eqz(m), ZERO_EXPONENT, exponent)),
	};
}

/** Stands in for the exponent of 0, so that any other number is larger. */
const ZERO_EXPONENT = -0x10_0000;

/** Results of the `special` kernels: not done (an unmasked exception), done, or an ordinary case after all. */
export const SPECIAL_DONE = 1;
export const SPECIAL_ORDINARY = 2;

/** Two operands in kernels' parameter lists. */
export const TWO_OPERANDS = ["i32", "i64", "i32", "i64", "i32"] as const;

/**
 * (register, a, b) → SPECIAL_*: NaNs and unsupported patterns of a two-operand
 * operation. The larger significand wins among NaNs of one kind, and a quiet
 * one over a signalling one (Intel SDM vol. 1, "Rules for Handling NaNs").
 */
const nan2: Kernel = {
	name: "f80_nan2",
	params: TWO_OPERANDS,
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [register, am, ase, bm, bse] = args as [I32, I64, I32, I64, I32];
		const a = { m: am, se: ase };
		const b = { m: bm, se: bse };
		const outcome = t.var32(SPECIAL_ORDINARY);
		const unsupported = t.or(isUnsupported(t, a), isUnsupported(t, b));
		t.ifRarely(
			unsupported,
			() => outcome.set(t.kernel32("f80_invalid", register)),
			() =>
				t.ifRarely(t.or(isNan(t, a), isNan(t, b)), () =>
					propagate(t, register, a, b, outcome),
				),
		);
		return outcome.get();
	},
};

function propagate(
	t: Terms,
	register: I32,
	a: Parts,
	b: Parts,
	outcome: Variable<"i32">,
): void {
	const [signalA, signalB] = [isSignalling(t, a), isSignalling(t, b)].map((x) =>
		t.let(x),
	) as [I32, I32];
	const signals = t.let(t.or(signalA, signalB));
	t.if(
		signals,
		() => outcome.set(raise(t, FPU_IE)),
		() => outcome.set(raise(t, 0)),
	);
	t.if(outcome.get(), () => {
		const first = t.let(choosesFirst(t, a, b, signalA, signalB));
		const m = t.select(first, a.m, b.m);
		const se = t.and(t.select(first, a.se, b.se), 0xffff);
		writeRegister(t, register, quiet(t, m), se);
	});
}

/** Whether the NaN to propagate is `a`; at least one is a NaN. */
function choosesFirst(
	t: Terms,
	a: Parts,
	b: Parts,
	signalA: I32,
	signalB: I32,
): I32 {
	const onlyA = t.eqz(isNan(t, b));
	const both = t.and(isNan(t, a), isNan(t, b));
	const mixed = t.xor(signalA, signalB);
	const larger = t.gtU(a.m, b.m);
	// Of equal significands the positive one.
	const tie = t.and(t.eq(a.m, b.m), t.leU(signOf(t, a.se), signOf(t, b.se)));
	const bySize = t.or(larger, tie);
	const byKind = t.select(mixed, signalB, bySize);
	return t.select(both, byKind, onlyA);
}

/** (register, a) → SPECIAL_*: the same for one operand. */
const nan1: Kernel = {
	name: "f80_nan1",
	params: ["i32", "i64", "i32"],
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [register, m, se] = args as [I32, I64, I32];
		const outcome = t.var32(SPECIAL_ORDINARY);
		t.ifRarely(
			isUnsupported(t, { m, se }),
			() => outcome.set(t.kernel32("f80_invalid", register)),
			() =>
				t.ifRarely(isNan(t, { m, se }), () => {
					const signals = isSignalling(t, { m, se });
					outcome.set(raise(t, t.mul(signals, FPU_IE)));
					t.if(outcome.get(), () =>
						writeRegister(t, register, quiet(t, m), t.and(se, 0xffff)),
					);
				}),
		);
		return outcome.get();
	},
};

/** Raises DE when an operand is denormal; 1 when the operation goes on. */
export function admitDenormals(t: Terms, ...operands: Parts[]): I32 {
	const any = operands
		.map((parts) => isDenormal(t, parts))
		.reduce((x, y) => t.or(x, y));
	const done = t.var32(1);
	t.ifRarely(any, () => done.set(raise(t, FPU_DE)));
	return done.get();
}

export const CLASS_KERNELS: readonly Kernel[] = [nan2, nan1];
