/**
 * MMX: vectors of 64 bits in the x87's registers.
 *
 * The arithmetic is that of SSE, of which only the lower half is kept; what is
 * MMX's own is the price of shared registers: every instruction resets TOP and
 * marks all registers in use, and a register written becomes a NaN to the x87.
 *
 * Relies on the tables of `sse-integer.ts` and on `x87-stack.ts`. `index.ts`
 * chooses between this table and SSE's by the row's registers.
 *
 * @journey E:654 Vectors in borrowed registers
 */

import { CR0, FPU_TAG, FPU_TOP } from "../state.ts";
import { MMX_EXPONENT } from "../x87-bits.ts";
import type {
	Emitter,
	Form,
	I32,
	I64,
	Operand,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { pair, state32, triple, VECTOR_UD } from "./integer-values.ts";
import {
	direct,
	half,
	immediate,
	iota,
	lowOnly,
	type VectorBinary,
	withHalf,
} from "./sse-access.ts";
import { VECTOR_ARITHMETIC, VECTOR_UNARY } from "./sse-integer.ts";
import { storeSelected } from "./sse-move.ts";
import { raisePending, requireX87 } from "./x87-stack.ts";

const CR0_EM = 1 << 2;

/** #UD, #NM and #MF, in this order (Intel SDM vol. 3, "Emulation of the MMX Instruction Set"). */
function requireMmx(e: Emitter): void {
	e.faultIf(e.and(state32(e, CR0), e.i32(CR0_EM)), VECTOR_UD);
	requireX87(e);
	raisePending(e);
}

/** The x87's stack becomes eight registers in use with TOP at 0; behind the last access that can fault. */
export function claim(e: Emitter): void {
	e.writeState(FPU_TOP, e.i32(0), 0, 0, 4);
	e.writeState(FPU_TAG, e.i32(0xff), 0, 0, 4);
}

/** Writes an MMX register, the x87's exponent included. */
export function put(e: Emitter, destination: Operand, bits: I64): void {
	const low = lowOnly(e, bits);
	destination.writeVector(withHalf(e, low, 1, e.i64(MMX_EXPONENT)));
}

const mmx =
	(body: Semantics): Semantics =>
	(e, form) => {
		requireMmx(e);
		body(e, form);
	};

/** destination := low half of operation(destination, source). */
const fromBoth = (operation: VectorBinary): Semantics =>
	mmx((e, form) => {
		const [destination, source] = pair(form);
		const value = source.readVector();
		claim(e);
		const result = operation(e, destination.readVector(), value);
		put(e, destination, half(e, result, 0));
	});

/** destination := low half of operation(source). */
const fromSource = (operation: (e: Emitter, source: Vector) => Vector) =>
	fromBoth((e, _, source) => operation(e, source));

/** Both operands as the halves of one vector, the source above. */
function joined(e: Emitter, a: Vector, b: Vector): Vector {
	return e.let(withHalf(e, a, 1, half(e, b, 0)));
}

/** An operation whose halves are those of its operands, such as a pack. */
const acrossHalves = (operation: VectorBinary): Semantics =>
	fromBoth((e, a, b) => {
		const both = joined(e, a, b);
		return operation(e, both, both);
	});

/** Elements of both, alternating: the result's low or high half. */
const unpack = (elementBytes: number, which: 0 | 1): Semantics => {
	const lanes = Array.from({ length: 16 }, (_, i) => {
		const element = Math.floor(i / (2 * elementBytes));
		const fromSecond = Math.floor(i / elementBytes) % 2 === 1;
		const byte = element * elementBytes + (i % elementBytes);
		return byte + (fromSecond ? 16 : 0);
	});
	return fromBoth((e, a, b) =>
		lowOnly(e, half(e, e.shuffle(a, b, lanes), which)),
	);
};

/** Shifts by the whole of the source, or by an immediate byte. */
function shiftCount(e: Emitter, form: Form, limit: number): I32 {
	const [, source] = pair(form);
	const count = e.let(e.toWidth(64, source.read()) as I64);
	const fits = e.ltU(count, e.i64(limit));
	return e.let(e.select(fits, e.wrap(count), e.i32(limit)));
}

const shiftLogical = (name: string, bits: number): Semantics =>
	mmx((e, form) => {
		const [destination] = pair(form);
		const count = shiftCount(e, form, bits);
		claim(e);
		const shifted = e.op(name, destination.readVector(), count);
		const gone = e.eq(count, e.i32(bits));
		put(e, destination, e.select(gone, e.i64(0), half(e, shifted, 0)));
	});

/** What is shifted too far leaves copies of the sign. */
const shiftArithmetic = (name: string, bits: number): Semantics =>
	mmx((e, form) => {
		const [destination] = pair(form);
		const count = shiftCount(e, form, bits - 1);
		claim(e);
		const shifted = e.op(name, destination.readVector(), count);
		put(e, destination, half(e, shifted, 0));
	});

/** MOVD, MOVQ, MOVNTQ: between MMX registers and anything else. */
const move: Semantics = mmx((e, form) => {
	const [destination, source] = pair(form);
	const value = source.read();
	if (form.row.operands[0]?.startsWith("P") || isMmxRegister(form)) {
		claim(e);
		put(e, destination, e.toWidth(64, value) as I64);
		return;
	}
	destination.write(e.toWidth(destination.width, value));
	claim(e);
});

/** A Q operand that is a register. */
function isMmxRegister(form: Form): boolean {
	return form.isRegister && form.row.operands[0] === "Qq";
}

/** PSHUFW: each word chosen by two bits of the immediate. */
const shuffleWords = mmx((e, form) => {
	const [destination, source] = triple(form);
	const value = source.read() as I64;
	const by = e.let(e.extendU(immediate(e, form)));
	claim(e);
	const word = (i: number): I64 => {
		const index = e.and(e.shrU(by, e.i64(2 * i)), e.i64(3));
		const picked = e.shrU(value, e.shl(index, e.i64(4)));
		return e.shl(e.and(picked, e.i64(0xffff)), e.i64(16 * i));
	};
	const sum = [1, 2, 3].map(word).reduce((a, b) => e.or(a, b), word(0));
	put(e, destination, sum);
});

/** PALIGNR: 8 bytes out of 16, the destination above the source. */
const align = mmx((e, form) => {
	const [destination, source] = triple(form);
	const value = source.readVector();
	const by = immediate(e, form);
	claim(e);
	const both = joined(e, value, destination.readVector());
	const count = e.select(e.ltU(by, e.i32(16)), by, e.i32(16));
	const from = e.op("i8x16.add", iota(e), e.op("i8x16.splat", count));
	put(e, destination, half(e, e.op("i8x16.swizzle", both, from), 0));
});

/** Bit position of the word that the immediate names. */
function wordPosition(e: Emitter, form: Form): I64 {
	const index = e.and(immediate(e, form), e.i32(3));
	return e.let(e.extendU(e.shl(index, e.i32(4))));
}

const extractWord = mmx((e, form) => {
	const [destination, source] = pair(form);
	const value = source.read() as I64;
	claim(e);
	const moved = e.shrU(value, wordPosition(e, form));
	destination.write(e.and(e.wrap(moved), e.i32(0xffff)));
});

const insertWord = mmx((e, form) => {
	const [destination, source] = pair(form);
	const value = e.zeroExtend(16, e.toWidth(64, source.read()) as I64);
	claim(e);
	const at = wordPosition(e, form);
	const hole = e.not(e.shl(e.i64(0xffff), at));
	const kept = e.and(destination.read() as I64, hole);
	put(e, destination, e.or(kept, e.shl(value, at)));
});

const moveMask = mmx((e, form) => {
	const [destination, source] = pair(form);
	const mask = e.op<"i32">("i8x16.bitmask", source.readVector());
	const low = e.let(e.and(mask, e.i32(0xff)));
	claim(e);
	destination.write(low);
});

/** MASKMOVQ: the bytes whose mask byte is negative go to DS:rDI. */
const maskedStore = mmx((e, form) => {
	const [data, mask] = pair(form);
	const bits = e.op<"i32">("i8x16.bitmask", mask.readVector());
	const selected = e.let(e.and(bits, e.i32(0xff)));
	// Here alone the x87 is claimed even if the store then faults.
	claim(e);
	storeSelected(e, form, data.readVector(), selected, 8);
});

/** EMMS: all registers empty, for the x87 to use. */
const empty: Semantics = mmx((e) => {
	e.writeState(FPU_TOP, e.i32(0), 0, 0, 4);
	e.writeState(FPU_TAG, e.i32(0), 0, 0, 4);
});

/** Operations that keep to their lanes, so that the low half is all there is to it. */
const LANEWISE = `
	PADDB PADDW PADDD PADDQ PADDSB PADDSW PADDUSB PADDUSW
	PSUBB PSUBW PSUBD PSUBQ PSUBSB PSUBSW PSUBUSB PSUBUSW
	PMULLW PMULHW PMULHUW PMULHRSW PMULUDQ PMADDWD PMADDUBSW PSADBW
	PAVGB PAVGW PMINUB PMINSW PMAXUB PMAXSW
	PCMPEQB PCMPEQW PCMPEQD PCMPGTB PCMPGTW PCMPGTD
	PAND PANDN POR PXOR PSIGNB PSIGNW PSIGND
`;
const HORIZONTAL = "PHADDW PHADDD PHADDSW PHSUBW PHSUBD PHSUBSW";

/** SSE's operations of those names, through `make`. */
function borrowed<T>(
	names: string,
	operations: Readonly<Record<string, T>>,
	make: (operation: T) => Semantics,
): SemanticsTable {
	const all = names.trim().split(/\s+/);
	return Object.fromEntries(
		all.map((name) => [name, make(operations[name] as T)]),
	);
}

export const mmxSemantics: SemanticsTable = {
	...borrowed(LANEWISE, VECTOR_ARITHMETIC, fromBoth),
	...borrowed(HORIZONTAL, VECTOR_ARITHMETIC, acrossHalves),
	...borrowed("PABSB PABSW PABSD", VECTOR_UNARY, fromSource),
	PACKSSWB: acrossHalves(direct("i8x16.narrow_i16x8_s")),
	PACKUSWB: acrossHalves(direct("i8x16.narrow_i16x8_u")),
	PACKSSDW: acrossHalves(direct("i16x8.narrow_i32x4_s")),
	PUNPCKLBW: unpack(1, 0),
	PUNPCKLWD: unpack(2, 0),
	PUNPCKLDQ: unpack(4, 0),
	PUNPCKHBW: unpack(1, 1),
	PUNPCKHWD: unpack(2, 1),
	PUNPCKHDQ: unpack(4, 1),
	PSLLW: shiftLogical("i16x8.shl", 16),
	PSLLD: shiftLogical("i32x4.shl", 32),
	PSLLQ: shiftLogical("i64x2.shl", 64),
	PSRLW: shiftLogical("i16x8.shr_u", 16),
	PSRLD: shiftLogical("i32x4.shr_u", 32),
	PSRLQ: shiftLogical("i64x2.shr_u", 64),
	PSRAW: shiftArithmetic("i16x8.shr_s", 16),
	PSRAD: shiftArithmetic("i32x4.shr_s", 32),
	// Bit 7 of an index clears the byte; otherwise three bits count.
	PSHUFB: fromBoth((e, a, b) => {
		const index = e.v128(new Array<number>(16).fill(0x87));
		return e.op("i8x16.swizzle", a, e.op("v128.and", b, index));
	}),
	PSHUFW: shuffleWords,
	PALIGNR: align,
	PEXTRW: extractWord,
	PINSRW: insertWord,
	PMOVMSKB: moveMask,
	MOVD: move,
	MOVQ: move,
	MOVNTQ: move,
	MASKMOVQ: maskedStore,
	EMMS: empty,
};
