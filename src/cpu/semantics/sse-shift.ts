/**
 * Shifts of vector elements and of whole registers. x86 does not wrap shift
 * counts here: what is shifted too far is gone.
 *
 * Relies on `sse-access.ts`.
 *
 * @journey E:686 Shifted too far
 */

import type {
	Emitter,
	I32,
	I64,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import { aligned, half, immediate, iota, sse, zero } from "./sse-access.ts";

/** The count: the low 64 bits of a vector, or an immediate; cut to at most `limit`. */
function countUpTo(
	e: Emitter,
	form: Parameters<Semantics>[1],
	limit: number,
): I32 {
	const [, source] = pair(form);
	if (source.width < 64) {
		const count = immediate(e, form);
		return e.let(e.select(e.ltU(count, e.i32(limit)), count, e.i32(limit)));
	}
	const count: I64 = e.let(half(e, aligned(source).readVector(), 0));
	const fits = e.ltU(count, e.i64(limit));
	return e.let(e.select(fits, e.wrap(count), e.i32(limit)));
}

const logical = (name: string, bits: number): Semantics =>
	sse((e, form) => {
		const [destination] = pair(form);
		const count = countUpTo(e, form, bits);
		const shifted = e.op(name, destination.readVector(), count);
		const gone = e.eq(count, e.i32(bits));
		destination.writeVector(e.select(gone, zero(e), shifted));
	});

/** What is shifted too far leaves copies of the sign. */
const arithmetic = (name: string, bits: number): Semantics =>
	sse((e, form) => {
		const [destination] = pair(form);
		const count = countUpTo(e, form, bits - 1);
		destination.writeVector(e.op(name, destination.readVector(), count));
	});

/** PSRLDQ and PSLLDQ move bytes; a swizzle gives zero for every index that leaves the register. */
const bytes = (direction: "i8x16.add" | "i8x16.sub"): Semantics =>
	sse((e, form) => {
		const [destination] = pair(form);
		const count = countUpTo(e, form, 16);
		const from = e.op(direction, iota(e), e.op("i8x16.splat", count));
		const moved = e.op("i8x16.swizzle", destination.readVector(), from);
		destination.writeVector(moved);
	});

export const SSE_SHIFT: SemanticsTable = {
	PSLLW: logical("i16x8.shl", 16),
	PSLLD: logical("i32x4.shl", 32),
	PSLLQ: logical("i64x2.shl", 64),
	PSRLW: logical("i16x8.shr_u", 16),
	PSRLD: logical("i32x4.shr_u", 32),
	PSRLQ: logical("i64x2.shr_u", 64),
	PSRAW: arithmetic("i16x8.shr_s", 16),
	PSRAD: arithmetic("i32x4.shr_s", 32),
	PSLLDQ: bytes("i8x16.sub"),
	PSRLDQ: bytes("i8x16.add"),
};
