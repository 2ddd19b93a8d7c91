/**
 * SSE moves: who gets which bytes, and what happens to the others.
 *
 * Relies on `sse-access.ts`.
 *
 * @journey E:682 Moving without thinking
 */

import { MXCSR_WRITABLE } from "../mxcsr.ts";
import { MXCSR } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	I64,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { first, pair, RDI, state32, VECTOR_GP } from "./integer-values.ts";
import {
	aligned,
	fromSource,
	half,
	lowOnly,
	requireSse,
	sse,
	withHalf,
} from "./sse-access.ts";

/** 16 bytes from a to b, aligned in memory. */
const moveAligned = sse((_, form) => {
	const [destination, source] = pair(form);
	const value = aligned(source).readVector();
	aligned(destination).writeVector(value);
});

const moveUnaligned = sse((_, form) => {
	const [destination, source] = pair(form);
	destination.writeVector(source.readVector());
});

/** MOVSS, MOVSD: from memory the rest becomes zero, between registers it stays. */
const moveScalar = sse((_, form) => {
	const [destination, source] = pair(form);
	if (source.isMemory) destination.writeVector(source.readVector());
	else destination.write(source.read());
});

/** MOVLPS, MOVLPD: the low half to or from memory, the high half stays. */
const moveLow = sse((_, form) => {
	const [destination, source] = pair(form);
	destination.write(source.read());
});

/** MOVHPS, MOVHPD: the high half to or from memory. */
const moveHigh = sse((e, form) => {
	const [destination, source] = pair(form);
	if (destination.isMemory) {
		destination.write(half(e, source.readVector(), 1));
		return;
	}
	const bits = source.read() as I64;
	const merged = withHalf(e, destination.readVector(), 1, bits);
	destination.writeVector(merged);
});

const moveHighToLow = sse((e, form) => {
	const [destination, source] = pair(form);
	destination.write(half(e, source.readVector(), 1));
});

const moveLowToHigh = sse((e, form) => {
	const [destination, source] = pair(form);
	const bits = half(e, source.readVector(), 0);
	destination.writeVector(withHalf(e, destination.readVector(), 1, bits));
});

/** MOVD: 32 or 64 bits from an integer register or memory, zeros above; or back. */
const moveInteger = sse((e, form) => {
	const [destination, source] = pair(form);
	if (destination.width < 128) {
		destination.write(e.toWidth(destination.width, lowQuad(e, form)));
		return;
	}
	destination.writeVector(lowOnly(e, e.toWidth(64, source.read()) as I64));
});

function lowQuad(e: Emitter, form: Form): I64 {
	const [, source] = pair(form);
	return half(e, source.readVector(), 0);
}

/** MOVQ: 64 bits; a register as destination gets zeros above. */
const moveQuad = sse((e, form) => {
	const [destination, source] = pair(form);
	const bits = source.read() as I64;
	if (destination.isMemory) destination.write(bits);
	else destination.writeVector(lowOnly(e, bits));
});

const duplicate = (lanes: readonly number[]): Semantics =>
	fromSource((e, source) => e.shuffle(source, source, lanes));

/** Sign bits of the lanes, as an integer. */
const moveMask = (shape: string): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		destination.write(e.op<"i32">(`${shape}.bitmask`, source.readVector()));
	});

/** MOVNTI needs none of SSE's switches: it moves an integer. */
const storeInteger: Semantics = (_, form) => {
	const [destination, source] = pair(form);
	destination.write(source.read());
};

/** A mask bit for each byte; the selected ones go to DS:rDI. */
const maskedStore = sse((e, form) => {
	const [data, mask] = pair(form);
	const selected = e.op<"i32">("i8x16.bitmask", mask.readVector());
	storeSelected(e, form, data.readVector(), e.let(selected), 16);
});

/**
 * Stores the bytes of `bytes` that are bits of `selected` at DS:rDI. All
 * `lengthBytes` must be writable, even if none is selected: the manual leaves
 * that open, and silicon (AMD's) decided.
 */
export function storeSelected(
	e: Emitter,
	form: Form,
	bytes: Vector,
	selected: I32,
	lengthBytes: 8 | 16,
): void {
	const width = form.addressSize;
	const base = e.readGpr(RDI, width);
	const place = (index: I32) => {
		const sum = e.add(base, e.toWidth(base.type === "i64" ? 64 : 32, index));
		return e.zeroExtend(width, sum);
	};
	for (let i = 0; i < lengthBytes; i += 8) {
		e.prepareStore("data", place(e.i32(i)), 64);
	}
	const left = e.variable(selected);
	e.if(left.get(), () =>
		e.loop((again) => {
			const rest = left.get();
			const index = e.let(e.ctz(rest));
			e.storeSegment("data", place(index), 8, byteAt(e, bytes, index));
			left.set(e.and(rest, e.sub(rest, e.i32(1))));
			again(left.get());
		}),
	);
}

function byteAt(e: Emitter, bytes: Vector, index: I32): I32 {
	const moved = e.op("i8x16.swizzle", bytes, e.op("i8x16.splat", index));
	return e.lane<"i32">("i8x16.extract_lane_u", 0, moved);
}

/** Reserved bits are #GP(0) before anything is written. */
const loadControl: Semantics = (e, form) => {
	requireSse(e);
	const value = e.wrap(first(form).read());
	e.faultIf(e.and(value, e.i32(~MXCSR_WRITABLE)), VECTOR_GP, e.i32(0));
	e.writeState(MXCSR, value);
};

const storeControl: Semantics = (e, form) => {
	requireSse(e);
	first(form).write(state32(e, MXCSR));
};

export const SSE_MOVE: SemanticsTable = {
	MOVUPS: moveUnaligned,
	MOVUPD: moveUnaligned,
	MOVDQU: moveUnaligned,
	LDDQU: moveUnaligned,
	MOVAPS: moveAligned,
	MOVAPD: moveAligned,
	MOVDQA: moveAligned,
	MOVNTPS: moveAligned,
	MOVNTPD: moveAligned,
	MOVNTDQ: moveAligned,
	MOVNTDQA: moveAligned,
	MOVSS: moveScalar,
	MOVSD: moveScalar,
	MOVLPS: moveLow,
	MOVLPD: moveLow,
	MOVHPS: moveHigh,
	MOVHPD: moveHigh,
	MOVHLPS: moveHighToLow,
	MOVLHPS: moveLowToHigh,
	MOVD: moveInteger,
	MOVQ: moveQuad,
	MOVSLDUP: duplicate([0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
	MOVSHDUP: duplicate([4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
	MOVDDUP: duplicate([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]),
	MOVMSKPS: moveMask("i32x4"),
	MOVMSKPD: moveMask("i64x2"),
	PMOVMSKB: moveMask("i8x16"),
	MOVNTI: storeInteger,
	MASKMOVDQU: maskedStore,
	LDMXCSR: loadControl,
	STMXCSR: storeControl,
};
