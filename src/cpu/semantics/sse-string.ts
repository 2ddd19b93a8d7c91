/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: lengths before, index or mask and
 * flags after the kernel's comparison (`float/sse-string.ts`).
 *
 * Their memory operand needs no alignment (Intel SDM vol. 2, PCMPESTRI).
 *
 * @journey E:698 Where the string was found
 */

import { XMM } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { bit, pair, RAX, RCX, RDX } from "./integer-values.ts";
import { immediate, lanes16, sse, zero } from "./sse-access.ts";

interface Compared {
	/** One bit for each element of the second string. */
	readonly bits: I32;
	readonly control: I32;
	/** 16 or 8, by the immediate. */
	readonly count: I32;
}

/** Elements before the first zero. */
function implicitLength(e: Emitter, string: Vector, words: I32): I32 {
	const zeros = (shape: string) => {
		const lanes = e.op(`${shape}.eq`, string, zero(e));
		return e.op<"i32">(`${shape}.bitmask`, lanes);
	};
	// The stop bit behind the last element is the length of a full register.
	const wordStop = e.or(zeros("i16x8"), e.i32(1 << 8));
	const byteStop = e.or(zeros("i8x16"), e.i32(1 << 16));
	return e.let(e.ctz(e.select(words, wordStop, byteStop)));
}

/** |register|, cut to the element count: a length given in EAX or EDX, or RAX and RDX with REX.W. */
function explicitLength(
	e: Emitter,
	form: Form,
	register: number,
	count: I32,
): I32 {
	const width = form.operandSize === 64 ? 64 : 32;
	const length = e.readGpr(register, width);
	const negative = e.ltS(length, e.constant(width, 0));
	const size = e.let(
		e.select(negative, e.neg(length), length) as Integer,
	) as Integer;
	// The lowest number is its own negative, and large as unsigned.
	const fits = e.ltU(size, e.toWidth(width, count));
	return e.let(e.select(fits, e.wrap(size), count));
}

function compare(e: Emitter, form: Form, explicit: boolean): Compared {
	const [first, second] = pair(form);
	const b = second.readVector();
	const a = first.readVector();
	const control = immediate(e, form);
	const words = e.let(e.and(control, e.i32(1)));
	const count = e.let(e.shrU(e.i32(16), words));
	const [firstLength, secondLength] = explicit
		? [explicitLength(e, form, RAX, count), explicitLength(e, form, RDX, count)]
		: [implicitLength(e, a, words), implicitLength(e, b, words)];
	const bits = e.kernel(
		"sse_compare_strings",
		"i32",
		a,
		b,
		firstLength,
		secondLength,
		control,
	);
	e.setFlags({
		CF: e.ne(bits, e.i32(0)),
		ZF: e.ltU(secondLength, count),
		SF: e.ltU(firstLength, count),
		OF: bit(e, bits, 0),
		AF: e.i32(0),
		PF: e.i32(0),
	});
	return { bits, control, count };
}

/** ECX: the lowest or highest bit's number, or the element count when there is none. */
const giveIndex = (explicit: boolean): Semantics =>
	sse((e, form) => {
		const { bits, control, count } = compare(e, form, explicit);
		const highest = e.sub(e.i32(31), e.clz(bits));
		const wantsHighest = e.and(control, e.i32(0x40));
		const index = e.select(wantsHighest, highest, e.ctz(bits));
		e.writeGpr(RCX, 32, e.select(bits, index, count));
	});

const BYTE_BITS = Array.from({ length: 16 }, (_, i) => 1 << (i % 8));
const WORD_BITS = Array.from({ length: 8 }, (_, i) => 1 << i);

/** XMM0: the bits as they are, or widened to elements of ones. */
const giveMask = (explicit: boolean): Semantics =>
	sse((e, form) => {
		const { bits, control } = compare(e, form, explicit);
		const plain = e.lane<"v128">("i32x4.replace_lane", 0, zero(e), bits);
		const low = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
		const spread = e.shuffle(plain, plain, low);
		const byteBits = e.v128(BYTE_BITS);
		const chosen = e.op("v128.and", spread, byteBits);
		const bytes = e.op("i8x16.eq", chosen, byteBits);
		const wordBits = lanes16(e, WORD_BITS);
		const inWords = e.op("v128.and", e.op("i16x8.splat", bits), wordBits);
		const words = e.op("i16x8.eq", inWords, wordBits);
		const isWords = e.and(control, e.i32(1));
		const widened = e.select(isWords, words, bytes);
		const wide = e.and(control, e.i32(0x40));
		e.writeState(XMM, e.select(wide, widened, plain));
	});

export const SSE_STRING: SemanticsTable = {
	PCMPESTRI: giveIndex(true),
	PCMPESTRM: giveMask(true),
	PCMPISTRI: giveIndex(false),
	PCMPISTRM: giveMask(false),
};
