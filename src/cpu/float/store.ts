/**
 * Out of 80 bits: singles, doubles, integers and packed decimals.
 *
 * Each kernel takes a physical register, reports its flags and returns what to
 * store; SCRATCH_DONE says whether the store and the pop may happen. (An
 * unmasked invalid operation, overflow or underflow stores nothing; an
 * unmasked precision exception does.)
 *
 * Relies on the rounding cores; `semantics/x87-transfer.ts` calls these.
 *
 * @journey E:630 Storing
 */

import type { I32, I64, Variable } from "../semantics/emitter.ts";
import { FPU_CONTROL } from "../state.ts";
import {
	F80_BIAS,
	FPU_C1,
	FPU_IE,
	FPU_OE,
	FPU_PE,
	FPU_SF,
	FPU_UE,
	NARROW_DOUBLE,
	NARROW_SINGLE,
	type NarrowFormat,
	ROUND_CHOP,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import {
	biasedExponent,
	isNan,
	isSignalling,
	isUnsupported,
	normalise,
	quiet,
	signOf,
} from "./operand-class.ts";
import { roundingMode, roundsAway } from "./round.ts";
import {
	MODE_OVERFLOW_UNMASKED,
	MODE_UNDERFLOW_UNMASKED,
} from "./round-memory.ts";
import {
	exponentOf,
	flagsResult,
	isEmpty,
	raise,
	report,
	setDoneResult,
	setExponentResult,
	significandOf,
	unmasked,
} from "./status-word.ts";
import { Terms } from "./terms.ts";
import { shiftRightSticky } from "./wide.ts";

/** (register) → bits of the single or double. */
function toNarrow({ bits, fraction, most }: NarrowFormat): Kernel {
	return {
		name: `x87_to_f${bits}`,
		params: ["i32"],
		result: bits === 32 ? "i32" : "i64",
		build(e, register) {
			const t = new Terms(e);
			const m = significandOf(t, register as I32);
			const se = exponentOf(t, register as I32);
			const sign = t.let(signOf(t, se));
			const infinity = BigInt(most) << BigInt(fraction);
			const value = t.var64(infinity);
			const done = t.var32(1);
			const refuse = (flags: number) => {
				const quietBit = 1n << BigInt(fraction - 1);
				const signBit = 1n << BigInt(bits - 1);
				value.set(t.i64(signBit | infinity | quietBit));
				done.set(raise(t, flags));
			};
			const signed = (magnitude: I64) =>
				t.or(magnitude, t.shl(t.wide(sign), bits - 16));
			const biased = t.let(biasedExponent(t, se));
			t.ifRarely(
				isEmpty(t, register as I32),
				() => refuse(FPU_IE | FPU_SF),
				() =>
					t.ifRarely(
						isUnsupported(t, { m, se }),
						() => refuse(FPU_IE),
						() =>
							t.ifRarely(
								t.eq(biased, 0x7fff),
								() => {
									const signals = isSignalling(t, { m, se });
									done.set(raise(t, t.mul(signals, FPU_IE)));
									const payload = t.shrU(t.shl(quiet(t, m), 1), 64 - fraction);
									const nan = t.or(payload, infinity);
									const some = isNan(t, { m, se });
									value.set(signed(t.select(some, nan, infinity)));
								},
								() =>
									t.ifRarely(
										t.eqz(m),
										() => {
											report(t, t.i32(0));
											value.set(signed(t.i64(0)));
										},
										() => {
											const n = normalise(t, { m, se });
											const mode = memoryMode(t);
											const rounded = e.kernel(
												`round_f${bits}`,
												bits === 32 ? "i32" : "i64",
												sign,
												n.exponent,
												n.m,
												t.i64(0),
												mode,
											);
											value.set(e.toWidth(64, rounded as I32 | I64) as I64);
											reportStore(t, flagsResult(t), done);
										},
									),
							),
					),
			);
			setDoneResult(t, done.get());
			return e.toWidth(bits, value.get());
		},
	};
}

/** The mode word of `round-memory.ts` out of the control word. */
function memoryMode(t: Terms): I32 {
	const control = t.state32(FPU_CONTROL);
	const under = t.select(
		t.and(control, FPU_UE),
		0,
		t.i32(MODE_UNDERFLOW_UNMASKED),
	);
	const over = t.select(
		t.and(control, FPU_OE),
		0,
		t.i32(MODE_OVERFLOW_UNMASKED),
	);
	return t.or(t.or(roundingMode(t), under), over);
}

/** An unmasked overflow or underflow keeps a store from happening. */
function reportStore(t: Terms, flags: I32, done: Variable<"i32">): void {
	const f = t.let(flags);
	const fatal = t.let(t.and(unmasked(t, f), FPU_OE | FPU_UE));
	done.set(t.eqz(fatal));
	// What is not stored is not rounded either.
	report(t, t.select(fatal, fatal, f));
}

/**
 * (register, width 16/32/64, 1 = always truncate) → the integer. What does
 * not fit gives the integer indefinite, the most negative number.
 */
const toInteger: Kernel = {
	name: "x87_to_integer",
	params: ["i32", "i32", "i32"],
	result: "i64",
	build(e, ...args) {
		const t = new Terms(e);
		const [register, width, chop] = args as [I32, I32, I32];
		const limit: I64 = t.let(t.shl(t.i64(1), t.sub(width, 1)));
		const value = t.var64(t.neg(limit));
		const done = t.var32(1);
		const flags = t.var32(FPU_IE);
		t.ifRarely(
			isEmpty(t, register),
			() => flags.set(t.i32(FPU_IE | FPU_SF)),
			() => {
				const m = significandOf(t, register);
				const se = exponentOf(t, register);
				const mode = t.select(chop, ROUND_CHOP, roundingMode(t));
				const r = integerOf(t, m, se, t.let(mode));
				const negative = t.let(t.nonzero(signOf(t, se)));
				const most = t.sub(limit, t.wide(t.eqz(negative)));
				t.if(t.and(r.valid, t.leU(r.magnitude, most)), () => {
					value.set(t.select(negative, t.neg(r.magnitude), r.magnitude));
					flags.set(r.flags);
				});
			},
		);
		done.set(t.eqz(t.and(unmasked(t, flags.get()), FPU_IE)));
		report(t, flags.get());
		setDoneResult(t, done.get());
		return value.get();
	},
};

interface RoundedInteger {
	/** 0 for NaNs, infinities, unsupported patterns and 2^64 or more. */
	readonly valid: I32;
	readonly magnitude: I64;
	readonly flags: I32;
}

/** |value| rounded to an integer, exact up to 2^64 - 1. */
function integerOf(t: Terms, m: I64, se: I32, mode: I32): RoundedInteger {
	const biased = t.let(biasedExponent(t, se));
	const below = t.ltS(biased, F80_BIAS + 64);
	const valid = t.var32(t.and(below, t.eqz(isUnsupported(t, { m, se }))));
	const magnitude = t.var64(0);
	const flags = t.var32(0);
	t.if(valid.get(), () => {
		const distance = t.sub(F80_BIAS + 63, biased);
		const { hi, lo } = shiftRightSticky(t, { hi: m, lo: t.i64(0) }, distance);
		const odd = t.and(t.wrap(hi), 1);
		const away = roundsAway(t, mode, t.let(signOf(t, se)), odd, lo);
		const sum = t.let(t.add(hi, t.wide(away)));
		// Only 2^64 - 1 could wrap, and it has no fraction to be rounded by.
		magnitude.set(sum);
		const inexact = t.mul(t.nonzero(lo), FPU_PE);
		flags.set(t.or(inexact, t.mul(away, FPU_C1)));
	});
	return {
		valid: valid.get(),
		magnitude: magnitude.get(),
		flags: flags.get(),
	};
}

const DECIMAL_MOST = 999_999_999_999_999_999n;

/** (register) → 16 packed digits; sign and the upper two in FLOAT_SCRATCH. */
const toDecimal: Kernel = {
	name: "x87_to_decimal",
	params: ["i32"],
	result: "i64",
	build(e, register) {
		const t = new Terms(e);
		const low = t.var64(0xc000_0000_0000_0000n);
		const high = t.var32(0xffff);
		const flags = t.var32(FPU_IE);
		t.if(
			isEmpty(t, register as I32),
			() => flags.set(t.i32(FPU_IE | FPU_SF)),
			() => {
				const m = significandOf(t, register as I32);
				const se = exponentOf(t, register as I32);
				const r = integerOf(t, m, se, roundingMode(t));
				t.if(t.and(r.valid, t.leU(r.magnitude, DECIMAL_MOST)), () => {
					packDigits(t, r.magnitude, low, high);
					high.set(t.or(high.get(), signOf(t, se)));
					flags.set(r.flags);
				});
			},
		);
		setDoneResult(t, t.eqz(t.and(unmasked(t, flags.get()), FPU_IE)));
		report(t, flags.get());
		setExponentResult(t, high.get());
		return low.get();
	},
};

/** 18 digits: sixteen shifted in from the top of `low`, two more into `high`. */
function packDigits(
	t: Terms,
	value: I64,
	low: Variable<"i64">,
	high: Variable<"i32">,
): void {
	const rest = t.var64(value);
	const left = t.var32(16);
	low.set(t.i64(0));
	t.loop((again) => {
		const old = rest.get();
		const quotient = t.let(t.e.divU(old, t.i64(10)));
		const digit = t.sub(old, t.mul(quotient, 10));
		low.set(t.or(t.shrU(low.get(), 4), t.shl(digit, 60)));
		rest.set(quotient);
		left.set(t.sub(left.get(), 1));
		again(left.get());
	});
	const upper = t.let(t.wrap(rest.get()));
	const tens = t.let(t.e.divU(upper, t.i32(10)));
	const units = t.sub(upper, t.mul(tens, 10));
	high.set(t.or(t.shl(tens, 4), units));
}

export const STORE_KERNELS: readonly Kernel[] = [
	toNarrow(NARROW_SINGLE),
	toNarrow(NARROW_DOUBLE),
	toInteger,
	toDecimal,
];
