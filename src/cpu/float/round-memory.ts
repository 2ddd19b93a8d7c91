/**
 * Rounding to singles and doubles: the other end of the rounding core, with
 * nothing of the x87 in it. The mode word says all there is to know:
 *
 * | bits | meaning |
 * | --- | --- |
 * | 0..1 | rounding mode, as in both control words |
 * | 2 | underflow is not masked: UE for any tiny result, inexact or not |
 * | 3 | flush to zero: a tiny result becomes 0 with UE and PE |
 * | 4 | overflow is not masked: PE only if the significand is inexact |
 *
 * Flags go to FLOAT_SCRATCH (SCRATCH_FLAGS), C1 telling the direction.
 *
 * Relies on `round.ts`; stores of the x87 and slow paths of SSE rely on it.
 *
 * @journey E:628 Rounding for memory
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import {
	FPU_C1,
	FPU_OE,
	FPU_PE,
	FPU_UE,
	NARROW_DOUBLE,
	NARROW_SINGLE,
	type NarrowFormat,
	ROUND_CHOP,
	ROUND_DOWN,
	ROUND_UP,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { roundsAway } from "./round.ts";
import { setFlagsResult } from "./status-word.ts";
import { Terms } from "./terms.ts";
import { shiftRightSticky } from "./wide.ts";

export const MODE_UNDERFLOW_UNMASKED = 1 << 2;
export const MODE_FLUSH_TO_ZERO = 1 << 3;
export const MODE_OVERFLOW_UNMASKED = 1 << 4;

/** (sign 0/0x8000, exponent biased by 16383, hi, lo, mode) → the number's bits. */
function roundToFormat({ bits, fraction, most, rebias }: NarrowFormat): Kernel {
	return {
		name: `round_f${bits}`,
		params: ["i32", "i32", "i64", "i64", "i32"],
		result: bits === 32 ? "i32" : "i64",
		build(e, ...args) {
			const t = new Terms(e);
			const [sign, exponent, hi, lo, word] = args as [I32, I32, I64, I64, I32];
			const mode = t.let(t.and(word, 3));
			const biased = t.let(t.sub(exponent, rebias));
			/** The fraction field plus the exponent field, which a carry may reach. */
			const assemble = (high: I64, low: I64, field: I32) => {
				const kept = t.let(t.shrU(high, 63 - fraction));
				const rest = t.let(
					t.or(t.shl(high, fraction + 1), t.wide(t.nonzero(low))),
				);
				const odd = t.and(t.wrap(kept), 1);
				const away = roundsAway(t, mode, sign, odd, rest);
				const digits = t.let(t.add(kept, t.wide(away)));
				const sum = t.add(digits, t.shl(t.wide(field), fraction));
				const inexact = t.mul(t.nonzero(rest), FPU_PE);
				return {
					value: t.let(sum),
					/** 1 when rounding carried into a further bit. */
					carry: t.wrap(t.shrU(digits, fraction + 1)),
					flags: t.let(t.or(inexact, t.mul(away, FPU_C1))),
				};
			};
			// The leading 1 adds 1 to the field.
			const plain = assemble(hi, lo, t.sub(biased, 1));
			const value = t.var64(plain.value);
			const flags = t.var32(plain.flags);
			const rounded = t.let(t.add(biased, plain.carry));
			t.ifRarely(t.geS(rounded, most), () => {
				const toward = t.select(sign, ROUND_UP, t.i32(ROUND_DOWN));
				const stops = t.let(t.or(t.eq(mode, ROUND_CHOP), t.eq(mode, toward)));
				const infinity = BigInt(most) << BigInt(fraction);
				value.set(t.sub(t.i64(infinity), t.wide(stops)));
				const masked = t.eqz(t.and(word, MODE_OVERFLOW_UNMASKED));
				const away = t.select(stops, 0, t.i32(FPU_C1));
				const usual = t.or(away, FPU_OE | FPU_PE);
				flags.set(t.select(masked, usual, t.or(plain.flags, FPU_OE)));
			});
			t.ifRarely(t.leS(rounded, 0), () => {
				const small = shiftRightSticky(t, { hi, lo }, t.sub(1, biased));
				const tiny = assemble(small.hi, small.lo, t.i32(0));
				const flush = t.and(word, MODE_FLUSH_TO_ZERO);
				const always = t.and(word, MODE_UNDERFLOW_UNMASKED);
				const lossy = t.and(tiny.flags, FPU_PE);
				const under = t.select(t.or(always, lossy), FPU_UE, t.i32(0));
				value.set(t.select(flush, 0, tiny.value));
				flags.set(t.select(flush, FPU_UE | FPU_PE, t.or(tiny.flags, under)));
			});
			setFlagsResult(t, flags.get());
			const signed = t.or(value.get(), t.shl(t.wide(sign), bits - 16));
			return e.toWidth(bits, signed);
		},
	};
}

export const ROUND_MEMORY_KERNELS: readonly Kernel[] = [
	roundToFormat(NARROW_SINGLE),
	roundToFormat(NARROW_DOUBLE),
];
