/**
 * Comparison and classification.
 *
 * Relies on `operand-class.ts`; `semantics/x87-compare.ts` calls these.
 *
 * @journey E:632 Which is larger, and what is it?
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import {
	F80_EXPONENT_MAX,
	FPU_C0,
	FPU_C1,
	FPU_C2,
	FPU_C3,
	FPU_DE,
	FPU_IE,
	FPU_SF,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import {
	areNotNormal,
	biasedExponent,
	isDenormal,
	isNan,
	isSignalling,
	isUnsupported,
	type Parts,
	signOf,
} from "./operand-class.ts";
import {
	exponentOf,
	isEmpty,
	raise,
	report,
	significandOf,
	stackRegister,
} from "./status-word.ts";
import { Terms } from "./terms.ts";

const UNORDERED = FPU_C0 | FPU_C2 | FPU_C3;
/** Set in a comparison's result when an exception is not masked. */
export const COMPARE_REFUSED = 1;

const COMPARED = ["i64", "i32", "i64", "i32", "i32"] as const;

/**
 * (a, b, quiet) → C0 C2 C3 as the status word has them, or COMPARE_REFUSED.
 * `quiet` comparisons (FUCOM) object to signalling NaNs only.
 */
const compare: Kernel = {
	name: "f80_compare",
	params: COMPARED,
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [am, ase, bm, bse, quiet] = args as [I64, I32, I64, I32, I32];
		const a = { m: am, se: ase };
		const b = { m: bm, se: bse };
		const either = (test: (t: Terms, parts: Parts) => I32) =>
			t.or(test(t, a), test(t, b));
		const unsupported = t.let(either(isUnsupported));
		const unordered = t.let(t.or(unsupported, either(isNan)));
		const result = t.var32(UNORDERED);
		const go = t.var32(1);
		t.if(
			unordered,
			() => {
				const loud = t.or(t.eqz(quiet), unsupported);
				const invalid = t.or(loud, either(isSignalling));
				go.set(raise(t, t.mul(t.nonzero(invalid), FPU_IE)));
			},
			() => {
				go.set(raise(t, t.mul(either(isDenormal), FPU_DE)));
				result.set(order(t, a, b));
			},
		);
		t.if(t.eqz(go.get()), () =>
			result.set(t.or(result.get(), COMPARE_REFUSED)),
		);
		return result.get();
	},
};

/** Conditions for two numbers, infinities included. */
function order(t: Terms, a: Parts, b: Parts): I32 {
	const [signA, signB] = [signOf(t, a.se), signOf(t, b.se)];
	const zeros = t.eqz(t.or(a.m, b.m));
	const stored = (parts: Parts) => {
		const field = t.let(biasedExponent(t, parts.se));
		return t.let(t.or(field, t.eqz(field)));
	};
	const [ea, eb] = [stored(a), stored(b)];
	const level = t.let(t.eq(ea, eb));
	const sameSize = t.and(level, t.eq(a.m, b.m));
	const zeroA = t.eqz(a.m);
	const zeroB = t.eqz(b.m);
	const byExponent = t.gtU(ea, eb);
	const bySize = t.select(level, t.gtU(a.m, b.m), byExponent);
	// A zero's stored exponent counts 1: do not let it win over a denormal.
	const larger = t.let(t.and(t.or(bySize, zeroB), t.eqz(zeroA)));
	const sameSign = t.eq(signA, signB);
	const equal = t.or(zeros, t.and(sameSign, sameSize));
	const less = t.select(
		sameSign,
		t.xor(larger, t.eqz(signA)),
		t.nonzero(signA),
	);
	const unequal = t.select(less, FPU_C0, t.i32(0));
	return t.select(equal, FPU_C3, unequal);
}

/** (a, b, quiet) → as `f80_compare`, for two registers. */
const compareRegisters: Kernel = {
	name: "x87_compare",
	params: ["i32", "i32", "i32"],
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const [a, b, quiet] = args as [I32, I32, I32];
		const empty = t.or(isEmpty(t, a), isEmpty(t, b));
		const [x, y] = [a, b].map((index) => partsOf(t, index)) as [Parts, Parts];
		return unlessEmpty(t, empty, x, y, quiet);
	},
};

/** (significand, sign and exponent) → as `f80_compare`, ST(0) with a value. */
const compareValue: Kernel = {
	name: "x87_compare_value",
	params: ["i64", "i32"],
	result: "i32",
	build(e, ...args) {
		const t = new Terms(e);
		const top = stackRegister(t, 0);
		const [m, se] = args as [I64, I32];
		const value = { m, se };
		return unlessEmpty(t, isEmpty(t, top), partsOf(t, top), value, t.i32(0));
	},
};

function partsOf(t: Terms, index: I32): Parts {
	return { m: significandOf(t, index), se: exponentOf(t, index) };
}

/** Normal numbers at once, others by the kernel of values; a stack fault if `empty`. */
function unlessEmpty(
	t: Terms,
	empty: I32,
	a: Parts,
	b: Parts,
	quiet: I32,
): I32 {
	const result = t.var32(UNORDERED);
	const special = () =>
		t.if(
			empty,
			() => result.set(t.or(t.eqz(raise(t, FPU_IE | FPU_SF)), UNORDERED)),
			() => {
				const operands = [a.m, a.se, b.m, b.se, quiet];
				result.set(t.kernel32("f80_compare", ...operands));
			},
		);
	t.ifAny([empty, ...areNotNormal(t, a, b)], special, () => {
		report(t, t.i32(0));
		result.set(order(t, a, b));
	});
	return result.get();
}

/** () → C0..C3 for FXAM of ST(0), which raises nothing. */
const examine: Kernel = {
	name: "x87_examine",
	params: [],
	result: "i32",
	build(e) {
		const t = new Terms(e);
		const top = stackRegister(t, 0);
		const m = significandOf(t, top);
		const se = exponentOf(t, top);
		const field = t.let(biasedExponent(t, se));
		const unnormal = t.select(t.geS(m, 0), 0, t.i32(FPU_C2));
		const infinite = t.eqz(t.shl(m, 1));
		const special = t.select(
			t.geS(m, 0),
			0,
			t.select(infinite, FPU_C0 | FPU_C2, t.i32(FPU_C0)),
		);
		const finite = t.select(t.eq(field, F80_EXPONENT_MAX), special, unnormal);
		const small = t.select(t.eqz(m), FPU_C3, t.i32(FPU_C3 | FPU_C2));
		const number = t.select(t.eqz(field), small, finite);
		const kind = t.select(isEmpty(t, top), FPU_C3 | FPU_C0, number);
		const sign = t.mul(t.nonzero(signOf(t, se)), FPU_C1);
		return t.or(kind, sign);
	},
};

export const COMPARE_KERNELS: readonly Kernel[] = [
	compare,
	compareRegisters,
	compareValue,
	examine,
];
