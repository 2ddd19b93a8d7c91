/**
 * Results that are exact, recognised without taking numbers apart: counters
 * and small integers kept in floats, which may go on for long before anything
 * sets PE and so opens the fast paths of the semantics.
 *
 * An exact result in the normal range raises nothing, whatever MXCSR says.
 *
 * Relies on `sse-format.ts`; `sse-arithmetic.ts` relies on it.
 *
 * @journey E:665 Nothing was lost
 */

import type { I32, I64, Value } from "../semantics/emitter.ts";
import { F32, type Format, type SseTerms } from "./sse-format.ts";

/** What WebAssembly computes, and whether that is exact and needs no flag. */
export interface Attempt {
	readonly result: I64;
	readonly holds: I32;
}
export type ExactOperation = (
	t: SseTerms,
	f: Format,
	x: I64,
	y: I64,
) => Attempt;

function toOwn(t: SseTerms, f: Format, x: I64): Value {
	const { e } = t;
	return f === F32
		? e.op("f32.reinterpret_i32", t.wrap(x))
		: e.op("f64.reinterpret_i64", x);
}

function fromOwn(t: SseTerms, f: Format, x: Value): I64 {
	const { e } = t;
	return t.let(
		f === F32
			? t.wide(e.op<"i32">("i32.reinterpret_f32", x))
			: e.op<"i64">("i64.reinterpret_f64", x),
	);
}

function attempt(
	t: SseTerms,
	f: Format,
	[x, y]: readonly [I64, I64],
	result: I64,
	exact: I32,
): Attempt {
	const denormal = t.or(t.isDenormal(f, x), t.isDenormal(f, y));
	const clean = t.and(t.isSafe(f, result), t.eqz(denormal));
	return { result, holds: t.and(clean, exact) };
}

/** The error of a sum is a float itself, and these steps compute it exactly (Knuth, The Art of Computer Programming vol. 2, theorem 4.2.2 B). */
const sumOf =
	(negate: boolean): ExactOperation =>
	(t, f, x, y) => {
		const { e } = t;
		const op = (name: string, ...args: readonly Value[]) =>
			t.let(e.op(`${f.name}.${name}`, ...args) as Value);
		const a = t.let(toOwn(t, f, x));
		const second = t.let(toOwn(t, f, y));
		const b = negate ? op("neg", second) : second;
		const sum = op("add", a, b);
		const ofB = op("sub", sum, a);
		const ofA = op("sub", sum, ofB);
		const error = op("add", op("sub", a, ofA), op("sub", b, ofB));
		const zero = f === F32 ? e.f32(0) : e.f64(0);
		const exact = e.op<"i32">(`${f.name}.eq`, error, zero);
		return attempt(t, f, [x, y], fromOwn(t, f, sum), exact);
	};

export const exactSum: ExactOperation = sumOf(false);
export const exactDifference: ExactOperation = sumOf(true);

/** Lowest bit of the significand that is set, by number; of a power of two, as if there were the implicit one only. */
function trailingZeros(t: SseTerms, f: Format, x: I64): I32 {
	const bits = t.or(x, f.smallestNormal);
	return t.wrap(t.e.ctz(bits));
}

/** Exact surely when the significands' lengths together fit into one. */
export const exactProduct: ExactOperation = (t, f, x, y) => {
	const product = t.e.op(`${f.name}.mul`, toOwn(t, f, x), toOwn(t, f, y));
	const zeros = t.add(trailingZeros(t, f, x), trailingZeros(t, f, y));
	// Lengths are fractionBits + 1 - zeros.
	const exact = t.gtU(zeros, f.fractionBits);
	return attempt(t, f, [x, y], fromOwn(t, f, product), exact);
};
