/**
 * The frame around every two-operand operation: empty registers, the special
 * operands first, then the arithmetic of ordinary numbers.
 *
 * Each operation becomes five kernels: `f80_OP` on values, its `special`
 * part, and those that instructions call: `x87_OP` (register, a, b) on
 * physical registers and `x87_OP_value` / `x87_OPr_value`, ST(0) with a value
 * from memory. These do the usual case themselves, without a further call:
 * normal numbers, the control word that compilers expect, a result that needs
 * no exponent beyond the format's. All return 1 when the instruction may go on
 * (to pop).
 *
 * Relies on `operand-class.ts`; `add.ts` and its siblings rely on it.
 *
 * @journey E:621 The frame around an operation
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import { F80_SIGN, ROUND_DOWN } from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import {
	admitDenormals,
	areNotNormal,
	biasedExponent,
	isNormal,
	normalise,
	type Parts,
	SPECIAL_DONE,
	SPECIAL_ORDINARY,
	signOf,
	TWO_OPERANDS,
} from "./operand-class.ts";
import {
	type Exact,
	isNotPlainControl,
	roundingMode,
	roundUsually,
} from "./round.ts";
import {
	exponentOf,
	isEmpty,
	raise,
	report,
	significandOf,
	stackRegister,
	writeRegister,
} from "./status-word.ts";
import { Terms } from "./terms.ts";

/** A finite operand with its leading 1 at bit 63. */
export interface Normal {
	readonly sign: I32;
	readonly exponent: I32;
	readonly m: I64;
}

export interface Operation {
	/**
	 * Cases with infinities and zeros, once NaNs are out of the way: calls
	 * `invalid`, or `done` with the writing of the result, in guest-time
	 * branches that exclude each other; or neither.
	 */
	special(
		t: Terms,
		register: I32,
		a: Parts,
		b: Parts,
		invalid: () => void,
		done: (write: () => void, flags?: number) => void,
	): void;
	/** All other cases. */
	exact(t: Terms, a: Normal, b: Normal): Exact;
}

/** The kernels of operation `name`. */
export function arithmetic(name: string, operation: Operation): Kernel[] {
	return [
		specialKernel(name, operation),
		valueKernel(name, operation),
		registerKernel(name, operation),
		memoryKernel(name, operation, false),
		memoryKernel(name, operation, true),
	];
}

/** (register, a, b) → SPECIAL_*. */
function specialKernel(name: string, operation: Operation): Kernel {
	return {
		name: `f80_${name}_special`,
		params: TWO_OPERANDS,
		result: "i32",
		build(e, ...args) {
			const t = new Terms(e);
			const [register, am, ase, bm, bse] = args as [I32, I64, I32, I64, I32];
			const outcome = t.var32(t.kernel32("f80_nan2", ...args));
			const a = { m: am, se: ase };
			const b = { m: bm, se: bse };
			t.if(t.eq(outcome.get(), SPECIAL_ORDINARY), () => {
				operation.special(
					t,
					register,
					a,
					b,
					() => outcome.set(t.kernel32("f80_invalid", register)),
					(write, flags = 0) => {
						const go = t.var32(1);
						if (flags !== 0) go.set(raise(t, flags));
						else go.set(admitDenormals(t, a, b));
						outcome.set(go.get());
						t.if(go.get(), () => {
							report(t, t.i32(0));
							write();
						});
					},
				);
			});
			t.if(t.eq(outcome.get(), SPECIAL_ORDINARY), () =>
				t.if(t.eqz(admitDenormals(t, a, b)), () => outcome.set(t.i32(0))),
			);
			return outcome.get();
		},
	};
}

/** (register, a, b) → done. */
function valueKernel(name: string, operation: Operation): Kernel {
	return {
		name: `f80_${name}`,
		params: TWO_OPERANDS,
		result: "i32",
		build(e, ...args) {
			const t = new Terms(e);
			const [register, am, ase, bm, bse] = args as [I32, I64, I32, I64, I32];
			const a = { m: am, se: ase };
			const b = { m: bm, se: bse };
			const outcome = t.var32(SPECIAL_ORDINARY);
			const ma = t.var64(am);
			const mb = t.var64(bm);
			const ea = t.var32(biasedExponent(t, ase));
			const eb = t.var32(biasedExponent(t, bse));
			t.ifRarely(t.eqz(t.and(isNormal(t, a), isNormal(t, b))), () => {
				outcome.set(t.kernel32(`f80_${name}_special`, ...args));
				const [na, nb] = [normalise(t, a), normalise(t, b)];
				ma.set(na.m);
				mb.set(nb.m);
				ea.set(na.exponent);
				eb.set(nb.exponent);
			});
			t.if(t.eq(outcome.get(), SPECIAL_ORDINARY), () => {
				outcome.set(t.i32(SPECIAL_DONE));
				const { sign, exponent, wide } = operation.exact(
					t,
					{ sign: t.let(signOf(t, ase)), exponent: ea.get(), m: ma.get() },
					{ sign: t.let(signOf(t, bse)), exponent: eb.get(), m: mb.get() },
				);
				t.ifRarely(
					t.eqz(wide.hi),
					() => writeExactZero(t, register),
					() => t.run("f80_round", register, sign, exponent, wide.hi, wide.lo),
				);
			});
			return outcome.get();
		},
	};
}

/** What two unequal numbers never leave: 0, with the sign that the rounding mode gives it. */
function writeExactZero(t: Terms, register: I32): void {
	const down = t.eq(roundingMode(t), ROUND_DOWN);
	writeRegister(t, register, t.i64(0), t.mul(down, F80_SIGN));
	report(t, t.i32(0));
}

/** (register, a, b), all physical register numbers → done. */
function registerKernel(name: string, operation: Operation): Kernel {
	return {
		name: `x87_${name}`,
		params: ["i32", "i32", "i32"],
		result: "i32",
		build(e, ...args) {
			const t = new Terms(e);
			const [register, a, b] = args as [I32, I32, I32];
			const empty = t.or(isEmpty(t, a), isEmpty(t, b));
			const parts = [a, b].map((index) => ({
				m: significandOf(t, index),
				se: exponentOf(t, index),
			})) as [Parts, Parts];
			return unlessEmpty(t, name, operation, register, empty, ...parts);
		},
	};
}

/** (significand, sign and exponent) → done: ST(0) = ST(0) op value, or value op ST(0). */
function memoryKernel(
	name: string,
	operation: Operation,
	reversed: boolean,
): Kernel {
	return {
		name: `x87_${name}${reversed ? "r" : ""}_value`,
		params: ["i64", "i32"],
		result: "i32",
		build(e, ...args) {
			const t = new Terms(e);
			const top = stackRegister(t, 0);
			const [m, se] = args as [I64, I32];
			const own = { m: significandOf(t, top), se: exponentOf(t, top) };
			const value = { m, se };
			const [a, b] = reversed ? [value, own] : [own, value];
			return unlessEmpty(t, name, operation, top, isEmpty(t, top), a, b);
		},
	};
}

/** The usual case at once, others by the kernel of values; a stack fault if `empty`. */
function unlessEmpty(
	t: Terms,
	name: string,
	operation: Operation,
	register: I32,
	empty: I32,
	a: Parts,
	b: Parts,
): I32 {
	const done = t.var32(1);
	const unusual = [empty, ...areNotNormal(t, a, b), isNotPlainControl(t)];
	const anyhow = () => {
		t.ifRarely(
			empty,
			() => done.set(t.kernel32("x87_stack_underflow", register)),
			() => {
				const operands = [a.m, a.se, b.m, b.se];
				done.set(t.kernel32(`f80_${name}`, register, ...operands));
			},
		);
	};
	t.ifAny(unusual, anyhow, () => {
		const exact = operation.exact(t, normalOf(t, a), normalOf(t, b));
		roundUsually(t, register, exact, anyhow);
	});
	return done.get();
}

/** A normal number, taken apart. */
function normalOf(t: Terms, { m, se }: Parts): Normal {
	const sign = t.let(signOf(t, se));
	return { sign, exponent: t.let(biasedExponent(t, se)), m };
}
