/**
 * Into 80 bits: singles, doubles, integers and packed decimals. All are
 * exact; what an operand *was* (denormal, signalling) is left to whoever uses
 * it, for arithmetic on memory and FLD answer differently.
 *
 * Each kernel returns the significand and leaves sign and exponent in
 * FLOAT_SCRATCH.
 *
 * Relies on `status-word.ts`; `semantics/x87-*.ts` call these.
 *
 * @journey E:626 Loading
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import {
	F80_BIAS,
	FPU_DE,
	FPU_IE,
	NARROW_DOUBLE,
	NARROW_SINGLE,
	type NarrowFormat,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { isSignalling, quiet } from "./operand-class.ts";
import {
	hasRoom,
	raise,
	setExponentResult,
	WAS_DENORMAL,
} from "./status-word.ts";
import { Terms } from "./terms.ts";

const TOP_BIT = 1n << 63n;

function fromNarrow({ bits, fraction, most, rebias }: NarrowFormat): Kernel {
	return {
		name: `f80_from_f${bits}`,
		params: [bits === 32 ? "i32" : "i64"],
		result: "i64",
		build(e, value) {
			const t = new Terms(e);
			const word = t.let(e.toWidth(64, value as I32 | I64)) as I64;
			const sign = t.let(t.and(t.wrap(t.shrU(word, bits - 16)), 0x8000));
			const field = t.let(t.and(t.wrap(t.shrU(word, fraction)), most));
			const digits = t.let(t.shl(word, 64 - fraction));
			const m = t.var64(t.or(t.shrU(digits, 1), TOP_BIT));
			const se = t.var32(t.or(sign, t.add(field, rebias)));
			t.ifRarely(t.eq(field, most), () => se.set(t.or(sign, 0x7fff)));
			t.ifRarely(t.eqz(field), () => {
				// A denormal's fraction, 0 included, has no leading 1 to it.
				const zeros = t.let(t.clz(digits));
				const exponent = t.sub(rebias, zeros);
				const zero = t.eqz(digits);
				m.set(t.shl(digits, zeros));
				const denormal = t.or(t.or(sign, exponent), WAS_DENORMAL);
				se.set(t.select(zero, sign, denormal));
			});
			setExponentResult(t, se.get());
			return m.get();
		},
	};
}

/** (i64) → significand. */
const fromInteger: Kernel = {
	name: "f80_from_integer",
	params: ["i64"],
	result: "i64",
	build(e, value) {
		const t = new Terms(e);
		const negative = t.let(t.shrS(value as I64, 63));
		const magnitude = t.let(t.sub(t.xor(value as I64, negative), negative));
		const zeros = t.let(t.clz(magnitude));
		const sign = t.and(t.wrap(negative), 0x8000);
		const exponent = t.sub(F80_BIAS + 63, zeros);
		const nonzero = t.nonzero(magnitude);
		setExponentResult(t, t.select(nonzero, t.or(sign, exponent), 0));
		return t.shl(magnitude, zeros);
	},
};

/** (low 16 digits, sign and 2 digits) → significand. Digits above 9 count what they say, as processors do. */
const fromDecimal: Kernel = {
	name: "f80_from_decimal",
	params: ["i64", "i32"],
	result: "i64",
	build(e, low, high) {
		const t = new Terms(e);
		const sign = t.let(t.and(high as I32, 0x8000));
		const tens = t.and(t.shrU(high as I32, 4), 15);
		const units = t.and(high as I32, 15);
		const sum = t.var64(t.wide(t.add(t.mul(tens, 10), units)));
		const digits = t.var64(low as I64);
		const left = t.var32(16);
		t.loop((again) => {
			const rest = digits.get();
			sum.set(t.add(t.mul(sum.get(), 10), t.shrU(rest, 60)));
			digits.set(t.shl(rest, 4));
			left.set(t.sub(left.get(), 1));
			again(left.get());
		});
		const m = t.let(t.kernel64("f80_from_integer", sum.get()));
		const zeros = t.let(t.clz(sum.get()));
		const exponent = t.sub(F80_BIAS + 63, zeros);
		const zero = t.eqz(sum.get());
		setExponentResult(t, t.or(sign, t.select(zero, 0, exponent)));
		return m;
	},
};

/**
 * (significand, sign and exponent with its mark) → done: FLD of a single or
 * double. Unlike FLD of 80 bits it is an arithmetic instruction: signalling
 * NaNs and denormals are reported.
 */
const load: Kernel = {
	name: "x87_load",
	params: ["i64", "i32"],
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [m, se] = args as [I64, I32];
		const plain = t.and(se, 0xffff);
		const signals = t.let(isSignalling(t, { m, se }));
		const denormal = t.and(se, WAS_DENORMAL);
		const done = t.var32(1);
		const room = hasRoom(t);
		t.ifRarely(t.and(signals, room), () => done.set(raise(t, FPU_IE)));
		t.if(done.get(), () => {
			const value = t.select(signals, quiet(t, m), m);
			done.set(t.kernel32("x87_push", value, plain));
		});
		// AMD pushes a denormal even where DE is not masked; Intel would not.
		t.ifRarely(t.and(room, t.nonzero(denormal)), () =>
			t.run("x87_add_flags", t.i32(FPU_DE)),
		);
		return done.get();
	},
};

export const LOAD_KERNELS: readonly Kernel[] = [
	fromNarrow(NARROW_SINGLE),
	fromNarrow(NARROW_DOUBLE),
	fromInteger,
	fromDecimal,
	load,
];
