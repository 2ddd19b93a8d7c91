/**
 * Small expressions that integer semantics share: operands brought to a
 * common width, single bits, state words with their types, and the constants
 * of the architecture that recur.
 *
 * Relies on the emitter's vocabulary only; the integer, string and system
 * semantics rely on it.
 *
 * @journey E:311 Operands, bits and widths
 */

import {
	CPL,
	EFLAGS,
	type Field,
	SEGMENT,
	SEGMENT_SELECTOR,
} from "../state.ts";
import type { Emitter, Form, I32, I64, Integer, Operand } from "./emitter.ts";

/** General registers by encoding, where instructions name them implicitly. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

/** Exception vectors (Intel SDM vol. 3, "Exception and Interrupt Vectors"). */
export const VECTOR_DE = 0;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_GP = 13;

/** The form's operand `i`; a missing one is a mistake in the opcode table. */
function operand(form: Form, i: number): Operand {
	const found = form.operands[i];
	if (found === undefined) {
		throw new Error(`${form.row.mnemonic} has no operand ${i}`);
	}
	return found;
}

/** The only, or first, operand. */
export function first(form: Form): Operand {
	return operand(form, 0);
}

/** The first two operands: mostly destination and source. */
export function pair(form: Form): readonly [Operand, Operand] {
	return [operand(form, 0), operand(form, 1)];
}

/** Three operands. */
export function triple(form: Form): readonly [Operand, Operand, Operand] {
	return [operand(form, 0), operand(form, 1), operand(form, 2)];
}

/** Sign-extended from the operand's own width to `width` (8 to 64). */
export function signedAs(e: Emitter, source: Operand, width: number): Integer {
	const value = source.readSigned();
	return width === 64 && source.width < 64 ? e.extendS(e.wrap(value)) : value;
}

/**
 * The source of an operation on `width` bits. Only immediates are narrower
 * than their partner: at 64-bit operand size they are 32 bits, sign-extended
 * (Intel SDM vol. 2, "Immediate Operands" of 64-bit mode).
 */
export function readAs(e: Emitter, source: Operand, width: number): Integer {
	return source.width < width ? signedAs(e, source, width) : source.read();
}

/** What taking values apart needs. */
export type BitArithmetic = Pick<
	Emitter,
	"shrU" | "constant" | "and" | "xor" | "wrap" | "i32"
>;

/** Bit `index` of `value`, 0 or 1. */
export function bit(e: BitArithmetic, value: Integer, index: number): I32 {
	const width = value.type === "i64" ? 64 : 32;
	const shifted = index === 0 ? value : e.shrU(value, e.constant(width, index));
	return e.and(e.wrap(shifted), e.i32(1));
}

/** `value >> count`, lowest bit only: the last bit that a shift pushed out. */
export function bitAt(e: BitArithmetic, value: Integer, count: Integer): I32 {
	return bit(e, e.shrU(value, count), 0);
}

/** 1 when the low `width` bits of `value` are all zero. */
export function isZero(e: Emitter, width: number, value: Integer): I32 {
	return e.eqz(e.zeroExtend(width, value));
}

/** 1 when `value` is not zero, which `select` and `and` need as a clean bit. */
export function isNotZero(e: Emitter, value: Integer): I32 {
	return e.eqz(e.eqz(value));
}

/** Low 32 bits of a state field, read now. */
export function state32(e: Emitter, field: Field, index = 0): I32 {
	return e.readState(field, index, 0, 4) as I32;
}

/** 64 bits of a state field, read now. */
export function state64(e: Emitter, field: Field, index = 0): I64 {
	return e.readState(field, index, 0, 8) as I64;
}

/** Writes 64 bits of a state field, zero-extending a narrower value. */
export function setState64(
	e: Emitter,
	field: Field,
	value: Integer,
	index = 0,
): void {
	e.writeState(field, e.toWidth(64, value), index, 0, 8);
}

/** Selector of the segment register whose number `segment` is. */
export function readSelector(e: Emitter, segment: I32): I32 {
	return e.readStateAt(SEGMENT, segment, SEGMENT_SELECTOR, 4) as I32;
}

/** 1 when the running code may not touch IF: CPL > IOPL. Holds in VM86 mode too, where CPL is 3. */
export function lacksIoPrivilege(e: Emitter): I32 {
	const iopl = e.and(e.shrU(state32(e, EFLAGS), e.i32(12)), e.i32(3));
	return e.gtU(state32(e, CPL), iopl);
}

/** The width of RIP's type: i64 in 64-bit mode. */
export function ripWidth(form: Form): 32 | 64 {
	return form.long ? 64 : 32;
}
