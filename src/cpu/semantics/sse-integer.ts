/**
 * Integer arithmetic on vectors: mostly one WebAssembly instruction for each
 * of ours, with repairs where the two disagree.
 *
 * Relies on `sse-access.ts`. `VECTOR_ARITHMETIC` is meaningful in the low half
 * alone as well, for the operations that keep to their lanes.
 *
 * @journey E:684 The same instruction, nearly
 */

import type {
	Emitter,
	I32,
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
	iota,
	lanes16,
	lanes32,
	sse,
	twice64,
	type VectorBinary,
	type VectorUnary,
	zero,
} from "./sse-access.ts";

/** The upper 16 bits of each product. */
const multiplyHighWords =
	(sign: "s" | "u"): VectorBinary =>
	(e, a, b) => {
		const low = e.op(`i32x4.extmul_low_i16x8_${sign}`, a, b);
		const high = e.op(`i32x4.extmul_high_i16x8_${sign}`, a, b);
		const picked = [2, 3, 6, 7, 10, 11, 14, 15];
		return e.shuffle(low, high, [...picked, ...picked.map((i) => i + 16)]);
	};

/** Products of the even 32-bit lanes. */
const multiplyEven =
	(sign: "s" | "u"): VectorBinary =>
	(e, a, b) => {
		const even = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
		return e.op(
			`i64x2.extmul_low_i32x4_${sign}`,
			e.shuffle(a, a, even),
			e.shuffle(b, b, even),
		);
	};

/** Unsigned bytes of the destination times signed bytes of the source, neighbours added with saturation. */
const multiplyAddBytes: VectorBinary = (e, a, b) => {
	const eight = e.i32(8);
	const evenA = e.op("v128.and", a, lanes16(e, new Array(8).fill(0xff)));
	const oddA = e.op("i16x8.shr_u", a, eight);
	const evenB = e.op("i16x8.shr_s", e.op("i16x8.shl", b, eight), eight);
	const oddB = e.op("i16x8.shr_s", b, eight);
	return e.op(
		"i16x8.add_sat_s",
		e.op("i16x8.mul", evenA, evenB),
		e.op("i16x8.mul", oddA, oddB),
	);
};

/** WebAssembly saturates -32768 * -32768 to 0x7fff, where x86 wraps to 0x8000. */
const multiplyRounded: VectorBinary = (e, a, b) => {
	const lowest = lanes16(e, new Array(8).fill(-0x8000));
	const both = e.op(
		"v128.and",
		e.op("i16x8.eq", a, lowest),
		e.op("i16x8.eq", b, lowest),
	);
	return e.op("v128.xor", e.op("i16x8.q15mulr_sat_s", a, b), both);
};

/** Sums of absolute differences of bytes, one for each half. */
const sumDifferences: VectorBinary = (e, a, b) => {
	const bytes = e.op(
		"v128.or",
		e.op("i8x16.sub_sat_u", a, b),
		e.op("i8x16.sub_sat_u", b, a),
	);
	const words = e.op("i16x8.extadd_pairwise_i8x16_u", bytes);
	const quarters = e.let(e.op("i32x4.extadd_pairwise_i16x8_u", words));
	const high = e.op("i64x2.shr_u", quarters, e.i32(32));
	const low = e.op("v128.and", quarters, twice64(e, 0xffff_ffffn));
	return e.op("i64x2.add", low, high);
};

/** Negated, kept or zero by the source's sign. */
const applySign =
	(shape: string, bits: number): VectorBinary =>
	(e, a, b) => {
		const negative = e.let(e.op(`${shape}.shr_s`, b, e.i32(bits - 1)));
		const flipped = e.op("v128.xor", a, negative);
		const signed = e.op(`${shape}.sub`, flipped, negative);
		return e.op("v128.andnot", signed, e.op(`${shape}.eq`, b, zero(e)));
	};

const EVEN_WORDS = [0, 1, 4, 5, 8, 9, 12, 13];
const EVEN_DWORDS = [0, 1, 2, 3, 8, 9, 10, 11];

/** Neighbours combined: the destination's pairs give the low half, the source's the high half. */
const horizontal =
	(name: string, even: readonly number[], laneBytes: number): VectorBinary =>
	(e, a, b) => {
		const both = [...even, ...even.map((i) => i + 16)];
		const left = e.shuffle(a, b, both);
		const right = e.shuffle(
			a,
			b,
			both.map((i) => i + laneBytes),
		);
		return e.op(name, left, right);
	};

/** Arithmetic from two vectors, by mnemonic. */
export const VECTOR_ARITHMETIC: Readonly<Record<string, VectorBinary>> = {
	PADDB: direct("i8x16.add"),
	PADDW: direct("i16x8.add"),
	PADDD: direct("i32x4.add"),
	PADDQ: direct("i64x2.add"),
	PADDSB: direct("i8x16.add_sat_s"),
	PADDSW: direct("i16x8.add_sat_s"),
	PADDUSB: direct("i8x16.add_sat_u"),
	PADDUSW: direct("i16x8.add_sat_u"),
	PSUBB: direct("i8x16.sub"),
	PSUBW: direct("i16x8.sub"),
	PSUBD: direct("i32x4.sub"),
	PSUBQ: direct("i64x2.sub"),
	PSUBSB: direct("i8x16.sub_sat_s"),
	PSUBSW: direct("i16x8.sub_sat_s"),
	PSUBUSB: direct("i8x16.sub_sat_u"),
	PSUBUSW: direct("i16x8.sub_sat_u"),
	PMULLW: direct("i16x8.mul"),
	PMULHW: multiplyHighWords("s"),
	PMULHUW: multiplyHighWords("u"),
	PMULHRSW: multiplyRounded,
	PMULLD: direct("i32x4.mul"),
	PMULUDQ: multiplyEven("u"),
	PMULDQ: multiplyEven("s"),
	PMADDWD: direct("i32x4.dot_i16x8_s"),
	PMADDUBSW: multiplyAddBytes,
	PSADBW: sumDifferences,
	PAVGB: direct("i8x16.avgr_u"),
	PAVGW: direct("i16x8.avgr_u"),
	PMINUB: direct("i8x16.min_u"),
	PMINSB: direct("i8x16.min_s"),
	PMINUW: direct("i16x8.min_u"),
	PMINSW: direct("i16x8.min_s"),
	PMINUD: direct("i32x4.min_u"),
	PMINSD: direct("i32x4.min_s"),
	PMAXUB: direct("i8x16.max_u"),
	PMAXSB: direct("i8x16.max_s"),
	PMAXUW: direct("i16x8.max_u"),
	PMAXSW: direct("i16x8.max_s"),
	PMAXUD: direct("i32x4.max_u"),
	PMAXSD: direct("i32x4.max_s"),
	PCMPEQB: direct("i8x16.eq"),
	PCMPEQW: direct("i16x8.eq"),
	PCMPEQD: direct("i32x4.eq"),
	PCMPEQQ: direct("i64x2.eq"),
	PCMPGTB: direct("i8x16.gt_s"),
	PCMPGTW: direct("i16x8.gt_s"),
	PCMPGTD: direct("i32x4.gt_s"),
	PCMPGTQ: direct("i64x2.gt_s"),
	PAND: direct("v128.and"),
	PANDN: (e, a, b) => e.op("v128.andnot", b, a),
	POR: direct("v128.or"),
	PXOR: direct("v128.xor"),
	PSIGNB: applySign("i8x16", 8),
	PSIGNW: applySign("i16x8", 16),
	PSIGND: applySign("i32x4", 32),
	PHADDW: horizontal("i16x8.add", EVEN_WORDS, 2),
	PHADDD: horizontal("i32x4.add", EVEN_DWORDS, 4),
	PHADDSW: horizontal("i16x8.add_sat_s", EVEN_WORDS, 2),
	PHSUBW: horizontal("i16x8.sub", EVEN_WORDS, 2),
	PHSUBD: horizontal("i32x4.sub", EVEN_DWORDS, 4),
	PHSUBSW: horizontal("i16x8.sub_sat_s", EVEN_WORDS, 2),
};

/** Bitwise operations that are named for floats. */
const BITWISE: Readonly<Record<string, VectorBinary>> = {
	ANDPS: direct("v128.and"),
	ANDPD: direct("v128.and"),
	ANDNPS: (e, a, b) => e.op("v128.andnot", b, a),
	ANDNPD: (e, a, b) => e.op("v128.andnot", b, a),
	ORPS: direct("v128.or"),
	ORPD: direct("v128.or"),
	XORPS: direct("v128.xor"),
	XORPD: direct("v128.xor"),
};

/** Arithmetic from one vector, by mnemonic. */
export const VECTOR_UNARY: Readonly<Record<string, VectorUnary>> = {
	PABSB: (e, source) => e.op("i8x16.abs", source),
	PABSW: (e, source) => e.op("i16x8.abs", source),
	PABSD: (e, source) => e.op("i32x4.abs", source),
};

/** The smallest word and, above it, its index: one number to minimise when they are put together. */
const minimumPosition: VectorUnary = (e, source) => {
	const keyed = (name: string, indices: readonly number[]) => {
		const words = e.op(name, source);
		const high = e.op("i32x4.shl", words, e.i32(16));
		return e.op("v128.or", high, lanes32(e, indices));
	};
	const smaller = (a: Vector, b: Vector) => e.let(e.op("i32x4.min_u", a, b));
	const four = smaller(
		keyed("i32x4.extend_low_i16x8_u", [0, 1, 2, 3]),
		keyed("i32x4.extend_high_i16x8_u", [4, 5, 6, 7]),
	);
	const swapped = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
	const two = smaller(four, e.shuffle(four, four, swapped));
	const crossed = [4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15];
	const one = smaller(two, e.shuffle(two, two, crossed));
	const key = e.let(e.lane<"i32">("i32x4.extract_lane", 0, one));
	const result = e.rotl(key, e.i32(16));
	return e.lane("i32x4.replace_lane", 0, zero(e), result);
};

/** MPSADBW: eight sliding sums of four absolute differences; the immediate picks the blocks. */
const slidingDifferences = (
	e: Emitter,
	a: Vector,
	b: Vector,
	by: I32,
): Vector => {
	// Bit 2 counts blocks of four bytes, so it is the byte offset itself.
	const start = e.and(by, e.i32(4));
	const window = e.let(
		e.op(
			"i8x16.swizzle",
			a,
			e.op("i8x16.add", iota(e), e.op("i8x16.splat", start)),
		),
	);
	const block = e.shl(e.and(by, e.i32(3)), e.i32(2));
	const four = e.let(
		e.op(
			"i8x16.swizzle",
			b,
			e.op("i8x16.add", iota(e), e.op("i8x16.splat", block)),
		),
	);
	const difference = (k: number): Vector => {
		const slid = e.shuffle(
			window,
			window,
			Array.from({ length: 16 }, (_, i) => (i + k) % 16),
		);
		const same = e.shuffle(four, four, new Array<number>(16).fill(k));
		return e.op(
			"i16x8.abs",
			e.op(
				"i16x8.sub",
				e.op("i16x8.extend_low_i8x16_u", slid),
				e.op("i16x8.extend_low_i8x16_u", same),
			),
		);
	};
	return [1, 2, 3].reduce(
		(sum, k) => e.op("i16x8.add", sum, difference(k)),
		difference(0),
	);
};

/** ZF: no bit in common; CF: the destination has all bits of the source. */
const test: Semantics = sse((e, form) => {
	const [destination, source] = pair(form);
	const b = aligned(source).readVector();
	const a = destination.readVector();
	const none = e.i32(0);
	e.setFlags({
		ZF: e.eqz(e.op<"i32">("v128.any_true", e.op("v128.and", a, b))),
		CF: e.eqz(e.op<"i32">("v128.any_true", e.op("v128.andnot", b, a))),
		PF: none,
		AF: none,
		SF: none,
		OF: none,
	});
});

function table<T>(
	operations: Readonly<Record<string, T>>,
	make: (operation: T) => Semantics,
): SemanticsTable {
	return Object.fromEntries(
		Object.entries(operations).map(([name, operation]) => [
			name,
			make(operation),
		]),
	);
}

export const SSE_INTEGER: SemanticsTable = {
	...table(VECTOR_ARITHMETIC, fromBoth),
	...table(BITWISE, fromBoth),
	...table(VECTOR_UNARY, fromSource),
	PHMINPOSUW: fromSource(minimumPosition),
	MPSADBW: fromBothBy(slidingDifferences),
	PTEST: test,
};
