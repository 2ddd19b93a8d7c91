/**
 * The rounding core: an exact result, given as sign, exponent and a 128-bit
 * significand, becomes a number of a format. x87 registers here; the formats
 * of memory and of SSE in `round-memory.ts`.
 *
 * Everywhere: `hi` is normalised (bit 63 set), `lo` continues it, its lowest
 * bit standing for anything below; `exponent` is biased by 16383 and may lie
 * outside the format's range; signs are 0 or 0x8000.
 *
 * Relies on `status-word.ts`; every arithmetic kernel ends in it.
 *
 * @journey E:618 Rounding
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import { FPU_CONTROL, FPU_STATUS } from "../state.ts";
import {
	F80_BIAS_ADJUSTMENT,
	F80_EXPONENT_MAX,
	FPU_C1,
	FPU_CONTROL_PLAIN,
	FPU_CONTROL_PLAIN_MASK,
	FPU_OE,
	FPU_PE,
	FPU_PRECISION_SHIFT,
	FPU_ROUNDING_SHIFT,
	FPU_UE,
	ROUND_CHOP,
	ROUND_DOWN,
	ROUND_NEAREST,
	ROUND_UP,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { report, writeRegister } from "./status-word.ts";
import { Terms } from "./terms.ts";
import { shiftRightSticky, type Wide } from "./wide.ts";

/** The control word's rounding mode. */
export function roundingMode(t: Terms): I32 {
	const control = t.state32(FPU_CONTROL);
	return t.let(t.and(t.shrU(control, FPU_ROUNDING_SHIFT), 3));
}

/** Nonzero unless the control word is as compilers expect. While it is, nothing is pending in the status word. */
export function isNotPlainControl(t: Terms): I32 {
	const control = t.and(t.state32(FPU_CONTROL), FPU_CONTROL_PLAIN_MASK);
	return t.xor(control, FPU_CONTROL_PLAIN);
}

/** A result before it is rounded: the leading 1 at the top of `wide`, or 0 if that is all zeros. */
export interface Exact {
	readonly sign: I32;
	readonly exponent: I32;
	readonly wide: Wide;
}

/** Under a plain control word, rounds to a register; what has no normal result, `otherwise` does. */
export function roundUsually(
	t: Terms,
	register: I32,
	{ sign, exponent, wide: { hi, lo } }: Exact,
	otherwise: () => void,
): void {
	const outOfRange = t.geU(t.sub(exponent, 1), 0x7ffd);
	// Without its leading 1 it is zero.
	t.ifAny([outOfRange, t.geS(hi, 0)], otherwise, () => {
		const odd = t.and(t.wrap(hi), 1);
		const tie = t.or(t.nonzero(t.shl(lo, 1)), odd);
		const away = t.let(t.and(t.ltS(lo, 0), tie));
		const sum = t.let(t.add(hi, t.wide(away)));
		const carry = t.let(t.eqz(sum));
		const m = t.or(sum, t.shl(t.wide(carry), 63));
		writeRegister(t, register, m, t.or(sign, t.add(exponent, carry)));
		reportMasked(t, t.nonzero(lo), away);
	});
}

/** PE and C1 where all exceptions are masked. */
export function reportMasked(t: Terms, inexact: I32, away: I32): void {
	const flags = t.or(t.shl(inexact, PE_SHIFT), t.shl(away, C1_SHIFT));
	const others = t.and(t.state32(FPU_STATUS), ~FPU_C1);
	t.setState32(FPU_STATUS, t.or(others, flags));
}

const PE_SHIFT = 31 - Math.clz32(FPU_PE);
const C1_SHIFT = 31 - Math.clz32(FPU_C1);

/** 1 when a magnitude with fraction `rest` behind its last bit is to be increased. */
export function roundsAway(
	t: Terms,
	mode: I32,
	sign: I32,
	odd: I32,
	rest: I64,
): I32 {
	const half = t.ltS(rest, 0);
	const aboveHalf = t.nonzero(t.shl(rest, 1));
	const nearest = t.and(half, t.or(aboveHalf, odd));
	const away = t.select(sign, ROUND_DOWN, t.i32(ROUND_UP));
	const directed = t.and(t.nonzero(rest), t.eq(mode, away));
	return t.let(t.select(t.eq(mode, ROUND_NEAREST), nearest, directed));
}

interface Rounded {
	/** Left-aligned; 0 after a carry out of bit 63. */
	readonly significand: I64;
	readonly carry: I32;
	readonly inexact: I32;
	readonly away: I32;
}

/** Rounds at `drop` bits above the end of `hi` (0 to 63). */
function roundAt(
	t: Terms,
	wide: Wide,
	drop: I32,
	mode: I32,
	sign: I32,
): Rounded {
	const partial = t.nonzero(drop);
	const dropped = t.or(
		t.shl(wide.hi, t.sub(64, drop)),
		t.wide(t.nonzero(wide.lo)),
	);
	const rest = t.let(t.select(partial, dropped, wide.lo));
	const kept = t.let(t.shrU(wide.hi, drop));
	const odd = t.and(t.wrap(kept), 1);
	const away = roundsAway(t, mode, sign, odd, rest);
	const significand = t.let(t.shl(t.add(kept, t.wide(away)), drop));
	return {
		significand,
		carry: t.let(t.and(away, t.eqz(significand))),
		inexact: t.let(t.nonzero(rest)),
		away,
	};
}

const TOP_BIT = 1n << 63n;

/** PE and C1 of a rounding. */
function roundingFlags(t: Terms, { inexact, away }: Rounded): I32 {
	return t.or(t.mul(inexact, FPU_PE), t.mul(away, FPU_C1));
}

/** Bits below the precision that the control word asks for. */
function precisionDrop(t: Terms): I32 {
	const control = t.state32(FPU_CONTROL);
	const precision = t.let(t.and(t.shrU(control, FPU_PRECISION_SHIFT), 3));
	const short = t.select(t.eq(precision, 2), 11, t.i32(0));
	return t.let(t.select(t.eqz(precision), 40, short));
}

const ROUND_PARAMS = ["i32", "i32", "i32", "i64", "i64"] as const;

/** (register, sign, exponent, hi, lo): to the precision in the control word, or to all 64 bits. */
function roundToRegister(name: string, controlled: boolean): Kernel {
	return {
		name,
		params: ROUND_PARAMS,
		build(e, ...args) {
			const t = new Terms(e);
			const [register, sign, exponent] = args.slice(0, 3) as I32[];
			const [hi, lo] = args.slice(3) as I64[];
			const drop = controlled ? precisionDrop(t) : t.i32(0);
			roundCommon(
				t,
				register as I32,
				sign as I32,
				exponent as I32,
				{ hi: hi as I64, lo: lo as I64 },
				drop,
			);
		},
	};
}

/** The common case, full precision and an exponent within range, in line. */
function roundCommon(
	t: Terms,
	register: I32,
	sign: I32,
	exponent: I32,
	wide: Wide,
	drop: I32,
): void {
	// Up to 0x7ffd, so that a carry cannot overflow.
	const usual = t.and(t.eqz(drop), t.ltU(t.sub(exponent, 1), 0x7ffd));
	t.ifRarely(
		t.eqz(usual),
		() =>
			t.run("f80_round_slow", register, sign, exponent, wide.hi, wide.lo, drop),
		() => {
			const rounded = roundAt(t, wide, t.i32(0), roundingMode(t), sign);
			const { significand, carry } = rounded;
			const m = t.or(significand, t.shl(t.wide(carry), 63));
			writeRegister(t, register, m, t.or(sign, t.add(exponent, carry)));
			report(t, roundingFlags(t, rounded));
		},
	);
}

/** (register, sign, exponent, hi, lo, drop): overflow, underflow and short precisions. */
const roundSlow: Kernel = {
	name: "f80_round_slow",
	params: [...ROUND_PARAMS, "i32"],
	build(e, ...args) {
		const t = new Terms(e);
		const [register, sign, exponent, hi, lo, drop] = args as [
			I32,
			I32,
			I32,
			I64,
			I64,
			I32,
		];
		const mode = roundingMode(t);
		const rounded = roundAt(t, { hi, lo }, drop, mode, sign);
		const m = t.let(
			t.or(rounded.significand, t.shl(t.wide(rounded.carry), 63)),
		);
		const finish = (significand: I64, biased: I32, flags: I32) => {
			writeRegister(t, register, significand, t.or(sign, biased));
			report(t, flags);
		};
		const flags = t.let(roundingFlags(t, rounded));
		const biased = t.let(t.add(exponent, rounded.carry));
		const denormalised = () => {
			const shifted = shiftRightSticky(t, { hi, lo }, t.sub(1, exponent));
			const small = roundAt(t, shifted, drop, mode, sign);
			const normal = t.wrap(t.shrU(small.significand, 63));
			const loss = t.mul(small.inexact, FPU_UE);
			finish(small.significand, normal, t.or(loss, roundingFlags(t, small)));
		};
		t.if(
			t.geS(biased, F80_EXPONENT_MAX),
			() => overflow(t, { sign, biased, drop, mode, m, flags, finish }),
			() =>
				t.if(
					t.geS(biased, 1),
					() => finish(m, biased, flags),
					() =>
						t.if(t.and(t.state32(FPU_CONTROL), FPU_UE), denormalised, () => {
							const raised = t.let(t.add(biased, F80_BIAS_ADJUSTMENT));
							t.if(
								t.geS(raised, 1),
								() => finish(m, raised, t.or(flags, FPU_UE)),
								() => finish(t.i64(0), t.i32(0), t.i32(FPU_UE | FPU_PE)),
							);
						}),
				),
		);
	},
};

interface Overflowing {
	readonly sign: I32;
	readonly biased: I32;
	readonly drop: I32;
	readonly mode: I32;
	readonly m: I64;
	readonly flags: I32;
	readonly finish: (significand: I64, biased: I32, flags: I32) => void;
}

/**
 * Masked: infinity or the largest number, by rounding mode. Not masked: the
 * exponent comes back into range by a fixed step; where even that is not
 * enough, as FSCALE can do, infinity (and for underflow 0), as AMD's do.
 */
function overflow(t: Terms, o: Overflowing): void {
	t.if(
		t.and(t.state32(FPU_CONTROL), FPU_OE),
		() => {
			const toward = t.select(o.sign, ROUND_UP, t.i32(ROUND_DOWN));
			const stops = t.let(t.or(t.eq(o.mode, ROUND_CHOP), t.eq(o.mode, toward)));
			const largest = t.shl(t.i64(-1n), o.drop);
			const away = t.select(stops, 0, t.i32(FPU_C1));
			o.finish(
				t.select(stops, largest, TOP_BIT),
				t.sub(F80_EXPONENT_MAX, stops),
				t.or(away, FPU_OE | FPU_PE),
			);
		},
		() => {
			const lowered = t.let(t.sub(o.biased, F80_BIAS_ADJUSTMENT));
			const most = t.i32(F80_EXPONENT_MAX);
			const flags = t.i32(FPU_OE | FPU_PE | FPU_C1);
			t.if(
				t.ltS(lowered, F80_EXPONENT_MAX),
				() => o.finish(o.m, lowered, t.or(o.flags, FPU_OE)),
				() => o.finish(t.i64(TOP_BIT), most, flags),
			);
		},
	);
}

export const ROUND_KERNELS: readonly Kernel[] = [
	roundToRegister("f80_round", true),
	roundToRegister("f80_round_full", false),
	roundSlow,
];
