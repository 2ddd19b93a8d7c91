/**
 * The comparison inside PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: one bit
 * for each element of the second string.
 *
 * Follows Intel SDM vol. 2, "PCMPxSTRx": aggregation operation in bits 3:2 of
 * the immediate, format in 1:0, polarity in 5:4. Sets of elements are bits of
 * an i32.
 *
 * Relies on `terms.ts`.
 *
 * @journey E:678 Strings, sixteen at a time
 */

import type { I32, Variable, Vector } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import { Terms } from "./terms.ts";

/** A format of elements, known when code is generated. */
interface Elements {
	readonly shape: "i8x16" | "i16x8";
	readonly count: number;
}

const BYTES: Elements = { shape: "i8x16", count: 16 };
const WORDS: Elements = { shape: "i16x8", count: 8 };

/** Both strings with the lengths that count; `valid` are the elements within. */
interface Strings {
	readonly t: Terms;
	readonly elements: Elements;
	readonly first: Vector;
	readonly second: Vector;
	readonly firstLength: I32;
	readonly firstValid: I32;
	readonly secondValid: I32;
}

/** The elements where a comparison holds, as bits. */
function bitsWhere(s: Strings, comparison: string, a: Vector, b: Vector): I32 {
	const { e } = s.t;
	const { shape } = s.elements;
	const lanes = e.op(`${shape}.${comparison}`, a, b);
	return e.op<"i32">(`${shape}.bitmask`, lanes);
}

/** Element `index` of the first string in all places. */
function spread(s: Strings, index: I32): Vector {
	const { e } = s.t;
	if (s.elements === BYTES) {
		return e.let(e.op("i8x16.swizzle", s.first, e.op("i8x16.splat", index)));
	}
	const low = e.mul(index, e.i32(0x0202));
	const both = e.op("i16x8.splat", e.add(low, e.i32(0x0100)));
	return e.let(e.op("i8x16.swizzle", s.first, both));
}

/** Runs `body` for each index of the first string, `step` apart, below `limit`. */
function forEach(
	s: Strings,
	limit: I32,
	step: number,
	body: (index: I32) => void,
): void {
	const { t } = s;
	const next = t.var32(0);
	t.if(limit, () =>
		t.loop((again) => {
			const index = next.get();
			body(index);
			next.set(t.add(index, step));
			again(t.ltU(next.get(), limit));
		}),
	);
}

/** Elements of the second string that the first contains. */
function equalAny(s: Strings, result: Variable<"i32">): void {
	const { t } = s;
	forEach(s, s.firstLength, 1, (index) => {
		const found = bitsWhere(s, "eq", s.second, spread(s, index));
		result.set(t.or(result.get(), found));
	});
	result.set(t.and(result.get(), s.secondValid));
}

/** Elements within one of the ranges that pairs of the first string give; a range without an end is none. */
function ranges(s: Strings, signed: I32, result: Variable<"i32">): void {
	const { t } = s;
	const pairs = t.let(t.and(s.firstLength, -2));
	const scan = (suffix: "s" | "u") =>
		forEach(s, pairs, 2, (index) => {
			const low = spread(s, index);
			const high = spread(s, t.add(index, 1));
			const above = bitsWhere(s, `ge_${suffix}`, s.second, low);
			const below = bitsWhere(s, `le_${suffix}`, s.second, high);
			result.set(t.or(result.get(), t.and(above, below)));
		});
	t.if(
		signed,
		() => scan("s"),
		() => scan("u"),
	);
	result.set(t.and(result.get(), s.secondValid));
}

/** Places where both strings agree; behind both ends they do. */
function equalEach(s: Strings, result: Variable<"i32">): void {
	const { t } = s;
	const equal = bitsWhere(s, "eq", s.first, s.second);
	const both = t.and(s.firstValid, s.secondValid);
	const either = t.or(s.firstValid, s.secondValid);
	const all = (1 << s.elements.count) - 1;
	const neither = t.and(t.not(either), all);
	result.set(t.or(t.and(equal, both), neither));
}

/** Places where the first string begins in the second; its end may lie beyond the register. */
function equalOrdered(s: Strings, result: Variable<"i32">): void {
	const { t } = s;
	const all = (1 << s.elements.count) - 1;
	result.set(t.i32(all));
	forEach(s, s.firstLength, 1, (index) => {
		const equal = bitsWhere(s, "eq", s.second, spread(s, index));
		const here = t.shrU(t.and(equal, s.secondValid), index);
		const beyond = t.not(t.shrU(t.i32(all), index));
		result.set(t.and(result.get(), t.or(here, beyond)));
	});
}

function aggregate(s: Strings, control: I32, result: Variable<"i32">): void {
	const { t } = s;
	const kind = t.let(t.and(t.shrU(control, 2), 3));
	const low = t.and(kind, 1);
	t.if(
		t.ltU(kind, 2),
		() =>
			t.if(
				low,
				() => ranges(s, t.and(control, 2), result),
				() => equalAny(s, result),
			),
		() =>
			t.if(
				low,
				() => equalOrdered(s, result),
				() => equalEach(s, result),
			),
	);
}

/** Polarity 01 turns all bits, 11 those of the second string. */
function polarize(s: Strings, control: I32, bits: I32): I32 {
	const { t } = s;
	const all = (1 << s.elements.count) - 1;
	const negated = t.nonzero(t.and(control, 0x10));
	const masked = t.and(control, 0x20);
	const turned = t.select(masked, s.secondValid, t.i32(all));
	return t.xor(bits, t.select(negated, turned, t.i32(0)));
}

/** (first, second, their lengths 0..count, control) → IntRes2. */
const compareStrings: Kernel = {
	name: "sse_compare_strings",
	params: ["v128", "v128", "i32", "i32", "i32"],
	result: "i32",
	build(e, ...args) {
		const [first, second] = args as [Vector, Vector];
		const [firstLength, secondLength, control] = args.slice(2) as [
			I32,
			I32,
			I32,
		];
		const t = new Terms(e);
		const result = t.var32(0);
		const valid = (length: I32) => t.let(t.sub(t.shl(t.i32(1), length), 1));
		const firstValid = valid(firstLength);
		const secondValid = valid(secondLength);
		const strings = { t, first, second, firstLength, firstValid, secondValid };
		const run = (elements: Elements) => () => {
			const s = { ...strings, elements };
			aggregate(s, control, result);
			result.set(polarize(s, control, result.get()));
		};
		t.if(t.and(control, 1), run(WORDS), run(BYTES));
		return result.get();
	},
};

export const SSE_STRING_KERNELS: readonly Kernel[] = [compareStrings];
