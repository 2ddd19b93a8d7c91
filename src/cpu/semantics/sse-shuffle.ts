/**
 * Rearranging: shuffles, interleaving, packing, extending, blending, single
 * elements in and out.
 *
 * Which element goes where often stands in an immediate byte, which the cold
 * engine knows at run time only; such an instruction computes the index vector
 * of a swizzle.
 *
 * Relies on `sse-access.ts`.
 *
 * @journey E:688 Card tricks
 */

import type {
	Emitter,
	I32,
	I64,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import {
	aligned,
	direct,
	fromBoth,
	fromBothBy,
	fromSource,
	half,
	immediate,
	iota,
	lanes16,
	lanes32,
	sse,
	type VectorBinary,
	withHalf,
	zero,
} from "./sse-access.ts";

/** Elements of both, alternating, from the low or the high halves. */
function interleave(
	elementBytes: number,
	which: "low" | "high",
): readonly number[] {
	const start = which === "low" ? 0 : 8;
	return Array.from({ length: 16 }, (_, i) => {
		const element = Math.floor(i / (2 * elementBytes));
		const fromSecond = Math.floor(i / elementBytes) % 2 === 1;
		const byte = start + element * elementBytes + (i % elementBytes);
		return byte + (fromSecond ? 16 : 0);
	});
}

const unpack = (elementBytes: number, which: "low" | "high"): Semantics =>
	fromBoth((e, a, b) => e.shuffle(a, b, interleave(elementBytes, which)));

/** x86 looks at bit 7 and the low four bits of an index, a swizzle at all of it. */
const shuffleBytes: VectorBinary = (e, a, b) =>
	e.op(
		"i8x16.swizzle",
		a,
		e.op("v128.and", b, e.v128(new Array<number>(16).fill(0x8f))),
	);

/** Index vector of four 32-bit lanes, chosen by two bits of `by` each. */
function dwordIndices(e: Emitter, by: I32): Vector {
	const spread = e.op("i32x4.splat", by);
	// Multiplying brings each lane's two bits to bit 6.
	const raised = e.op("i32x4.mul", spread, lanes32(e, [64, 16, 4, 1]));
	const low = e.op("i32x4.shr_u", raised, e.i32(6));
	const lane = e.op("v128.and", low, lanes32(e, [3, 3, 3, 3]));
	const step = lanes32(e, new Array(4).fill(0x04040404));
	const first = lanes32(e, new Array(4).fill(0x03020100));
	return e.op("i32x4.add", e.op("i32x4.mul", lane, step), first);
}

/** Index vector of eight words: lanes `from`.. chosen by `by`, in both halves alike. */
function wordIndices(e: Emitter, by: I32, from: 0 | 4): Vector {
	const spread = e.op("i16x8.splat", by);
	const factors = [64, 16, 4, 1, 64, 16, 4, 1];
	const raised = e.op("i16x8.mul", spread, lanes16(e, factors));
	const low = e.op("i16x8.shr_u", raised, e.i32(6));
	const lane = e.op("v128.and", low, lanes16(e, new Array(8).fill(3)));
	const step = lanes16(e, new Array(8).fill(0x0202));
	const first = lanes16(e, new Array(8).fill(0x0100 + from * 0x0202));
	return e.op("i16x8.add", e.op("i16x8.mul", lane, step), first);
}

/** PSHUFD, PSHUFLW, PSHUFHW: source and immediate. */
const shuffleSource = (
	operation: (e: Emitter, source: Vector, by: I32) => Vector,
): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		destination.writeVector(operation(e, value, immediate(e, form)));
	});

const LOW_HALF = [0, 1, 2, 3, 4, 5, 6, 7];
const HIGH_HALF = [8, 9, 10, 11, 12, 13, 14, 15];

const shuffleLowWords = shuffleSource((e, source, by) => {
	const moved = e.op("i8x16.swizzle", source, wordIndices(e, by, 0));
	const kept = HIGH_HALF.map((i) => i + 16);
	return e.shuffle(moved, source, [...LOW_HALF, ...kept]);
});

const shuffleHighWords = shuffleSource((e, source, by) => {
	const moved = e.op("i8x16.swizzle", source, wordIndices(e, by, 4));
	const picked = HIGH_HALF.map((i) => i + 16);
	return e.shuffle(source, moved, [...LOW_HALF, ...picked]);
});

/** Two lanes of the destination below two of the source. */
const shuffleSingles = fromBothBy((e, a, b, by) => {
	const indices = e.let(dwordIndices(e, by));
	const low = e.op("i8x16.swizzle", a, indices);
	const high = e.op("i8x16.swizzle", b, indices);
	return e.shuffle(low, high, [...LOW_HALF, ...HIGH_HALF.map((i) => i + 16)]);
});

/** One double of each. */
const shuffleDoubles = fromBothBy((e, a, b, by) => {
	const pick = (vector: Vector, bit: number): I64 =>
		e.select(e.and(by, e.i32(bit)), half(e, vector, 1), half(e, vector, 0));
	const low = withHalf(e, zero(e), 0, pick(a, 1));
	return withHalf(e, low, 1, pick(b, 2));
});

/** 16 bytes out of 32, the destination above the source. */
const align = fromBothBy((e, a, b, by) => {
	const count = e.let(e.select(e.ltU(by, e.i32(32)), by, e.i32(32)));
	const from = e.let(e.op("i8x16.add", iota(e), e.op("i8x16.splat", count)));
	const above = e.op("i8x16.sub", from, e.op("i8x16.splat", e.i32(16)));
	return e.op(
		"v128.or",
		e.op("i8x16.swizzle", b, from),
		e.op("i8x16.swizzle", a, above),
	);
});

/** PMOVSX and PMOVZX: widened once for each name. */
const extend = (...names: readonly string[]): Semantics =>
	fromSource((e, source) =>
		names.reduce((value, name) => e.op(name, value), source),
	);

/** Lanes of the source where the immediate has a one. */
const blendBy = (
	lanes: (e: Emitter) => { mask: Vector; shape: string },
): Semantics =>
	fromBothBy((e, a, b, by) => {
		const { mask, shape } = lanes(e);
		const bits = e.op("v128.and", e.op(`${shape}.splat`, by), mask);
		return e.op("v128.bitselect", b, a, e.op(`${shape}.eq`, bits, mask));
	});

const blendDoubles = fromBothBy((e, a, b, by) => {
	const spread = e.op("i64x2.splat", e.extendU(by));
	const bit = e.v128([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
	const chosen = e.op("i64x2.eq", e.op("v128.and", spread, bit), bit);
	return e.op("v128.bitselect", b, a, chosen);
});

/** Lanes of the source where XMM0 is negative. */
const blendByRegister = (shape: string, bits: number): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const mask = form.operands[2]?.readVector() as Vector;
		const value = aligned(source).readVector();
		const chosen = e.op(`${shape}.shr_s`, mask, e.i32(bits - 1));
		const old = destination.readVector();
		destination.writeVector(e.op("v128.bitselect", value, old, chosen));
	});

/** The bytes of element `index` first. */
function elementFirst(
	e: Emitter,
	vector: Vector,
	index: I32,
	elementBytes: number,
): Vector {
	const start = e.op("i8x16.splat", e.mul(index, e.i32(elementBytes)));
	return e.op("i8x16.swizzle", vector, e.op("i8x16.add", iota(e), start));
}

/** PEXTRx, EXTRACTPS: an element, zero-extended into a register. */
const extract = (fixedBytes?: number): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bytes = fixedBytes ?? destination.width / 8;
		const last = e.i32(16 / bytes - 1);
		const index = e.and(immediate(e, form), last);
		const moved = elementFirst(e, source.readVector(), index, bytes);
		const low = half(e, moved, 0);
		const element = e.zeroExtend(8 * bytes, low);
		destination.write(e.toWidth(destination.width, element));
	});

/** PINSRx: one element replaced. */
const insert = (shape: string, fixedBytes?: number): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bytes = fixedBytes ?? source.width / 8;
		const value = source.read();
		const index = e.and(immediate(e, form), e.i32(16 / bytes - 1));
		const wide = bytes === 8;
		const splat = e.op(
			`${wide ? "i64x2" : shape}.splat`,
			e.toWidth(wide ? 64 : 32, value),
		);
		const owner = Array.from({ length: 16 }, (_, i) => Math.floor(i / bytes));
		const here = e.op("i8x16.eq", e.v128(owner), e.op("i8x16.splat", index));
		const old = destination.readVector();
		destination.writeVector(e.op("v128.bitselect", splat, old, here));
	});

/** INSERTPS: a lane of the source to a lane of the destination, then some lanes to zero. */
const insertSingle = sse((e, form) => {
	const [destination, source] = pair(form);
	const value = source.readVector();
	const by = immediate(e, form);
	const shift = (n: number) => e.shrU(by, e.i32(n));
	// From memory there is only one lane to choose.
	const index = source.isMemory ? e.i32(0) : e.and(shift(6), e.i32(3));
	const element = elementFirst(e, value, index, 4);
	const splat = e.shuffle(
		element,
		element,
		Array.from({ length: 16 }, (_, i) => i % 4),
	);
	const target = e.op("i32x4.splat", e.and(shift(4), e.i32(3)));
	const here = e.op("i32x4.eq", target, lanes32(e, [0, 1, 2, 3]));
	const old = destination.readVector();
	const placed = e.op("v128.bitselect", splat, old, here);
	const bit = lanes32(e, [1, 2, 4, 8]);
	const chosen = e.op("v128.and", e.op("i32x4.splat", by), bit);
	const cleared = e.op("i32x4.eq", chosen, bit);
	destination.writeVector(e.op("v128.andnot", placed, cleared));
});

/** Neighbours of the lower half first, then one more widening. */
const wordsFromBytes = (sign: "s" | "u") => `i16x8.extend_low_i8x16_${sign}`;
const dwordsFromWords = (sign: "s" | "u") => `i32x4.extend_low_i16x8_${sign}`;
const quadsFromDwords = (sign: "s" | "u") => `i64x2.extend_low_i32x4_${sign}`;

export const SSE_SHUFFLE: SemanticsTable = {
	PUNPCKLBW: unpack(1, "low"),
	PUNPCKLWD: unpack(2, "low"),
	PUNPCKLDQ: unpack(4, "low"),
	PUNPCKLQDQ: unpack(8, "low"),
	PUNPCKHBW: unpack(1, "high"),
	PUNPCKHWD: unpack(2, "high"),
	PUNPCKHDQ: unpack(4, "high"),
	PUNPCKHQDQ: unpack(8, "high"),
	UNPCKLPS: unpack(4, "low"),
	UNPCKHPS: unpack(4, "high"),
	UNPCKLPD: unpack(8, "low"),
	UNPCKHPD: unpack(8, "high"),
	PACKSSWB: fromBoth(direct("i8x16.narrow_i16x8_s")),
	PACKUSWB: fromBoth(direct("i8x16.narrow_i16x8_u")),
	PACKSSDW: fromBoth(direct("i16x8.narrow_i32x4_s")),
	PACKUSDW: fromBoth(direct("i16x8.narrow_i32x4_u")),
	PSHUFB: fromBoth(shuffleBytes),
	PSHUFD: shuffleSource((e, source, by) =>
		e.op("i8x16.swizzle", source, dwordIndices(e, by)),
	),
	PSHUFLW: shuffleLowWords,
	PSHUFHW: shuffleHighWords,
	SHUFPS: shuffleSingles,
	SHUFPD: shuffleDoubles,
	PALIGNR: align,
	PMOVSXBW: extend(wordsFromBytes("s")),
	PMOVSXBD: extend(wordsFromBytes("s"), dwordsFromWords("s")),
	PMOVSXBQ: extend(
		wordsFromBytes("s"),
		dwordsFromWords("s"),
		quadsFromDwords("s"),
	),
	PMOVSXWD: extend(dwordsFromWords("s")),
	PMOVSXWQ: extend(dwordsFromWords("s"), quadsFromDwords("s")),
	PMOVSXDQ: extend(quadsFromDwords("s")),
	PMOVZXBW: extend(wordsFromBytes("u")),
	PMOVZXBD: extend(wordsFromBytes("u"), dwordsFromWords("u")),
	PMOVZXBQ: extend(
		wordsFromBytes("u"),
		dwordsFromWords("u"),
		quadsFromDwords("u"),
	),
	PMOVZXWD: extend(dwordsFromWords("u")),
	PMOVZXWQ: extend(dwordsFromWords("u"), quadsFromDwords("u")),
	PMOVZXDQ: extend(quadsFromDwords("u")),
	BLENDPS: blendBy((e) => ({
		mask: lanes32(e, [1, 2, 4, 8]),
		shape: "i32x4",
	})),
	PBLENDW: blendBy((e) => ({
		mask: lanes16(e, [1, 2, 4, 8, 16, 32, 64, 128]),
		shape: "i16x8",
	})),
	BLENDPD: blendDoubles,
	PBLENDVB: blendByRegister("i8x16", 8),
	BLENDVPS: blendByRegister("i32x4", 32),
	BLENDVPD: blendByRegister("i64x2", 64),
	PEXTRB: extract(1),
	PEXTRW: extract(2),
	PEXTRD: extract(),
	EXTRACTPS: extract(4),
	PINSRB: insert("i8x16", 1),
	PINSRW: insert("i16x8", 2),
	PINSRD: insert("i32x4"),
	INSERTPS: insertSingle,
};
