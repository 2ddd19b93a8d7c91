/**
 * Decimal adjustment, from the days when adding machines were the market:
 * AAA, AAS, AAM, AAD, DAA, DAS. Not in 64-bit mode.
 *
 * Relies on the emitter and `integer-values.ts`.
 *
 * @journey E:330 Decimal digits
 */

import type { Emitter, I32, Semantics, SemanticsTable } from "./emitter.ts";
import { first, RAX, VECTOR_DE } from "./integer-values.ts";

const al = (e: Emitter): I32 => e.readGpr(RAX, 8) as I32;

/** 1 when the lower digit is no digit or the operation carried out of it. */
function digitOverflow(e: Emitter, value: I32): I32 {
	const noDigit = e.gtU(e.and(value, e.i32(15)), e.i32(9));
	return e.let(e.or(noDigit, e.getFlag("AF")));
}

/** SF ZF PF by AL; OF is undefined. */
function setDecimalFlags(e: Emitter, result: I32, CF: I32, AF: I32): void {
	e.setFlagsFrom(8, result, { CF, OF: e.i32(0), AF });
}

/**
 * AAA and AAS: the digit in AL moves by 6 and its carry goes to AH. Both in
 * one addition to AX, as processors since the 286 do it.
 */
const adjustUnpacked =
	(direction: 1 | -1): Semantics =>
	(e) => {
		const ax = e.readGpr(RAX, 16) as I32;
		const overflow = digitOverflow(e, ax);
		const moved = e.add(ax, e.i32(direction * 0x106));
		const adjusted = e.select(overflow, moved, ax);
		const result = e.let(e.and(adjusted, e.i32(0xff0f)));
		e.writeGpr(RAX, 16, result);
		setDecimalFlags(e, result, overflow, overflow);
	};

/** AL splits into two digits of base `imm8`, which the assembler calls 10. */
const aam: Semantics = (e, form) => {
	const base = e.wrap(first(form).read());
	e.faultIf(e.eqz(base), VECTOR_DE);
	const value = al(e);
	const digit = e.let(e.remU(value, base));
	e.writeHighByte(RAX, e.divU(value, base));
	e.writeGpr(RAX, 8, digit);
	setDecimalFlags(e, digit, e.i32(0), e.i32(0));
};

/** AL = AH * imm8 + AL, AH = 0. */
const aad: Semantics = (e, form) => {
	const high = e.mul(e.readHighByte(RAX), e.wrap(first(form).read()));
	const result = e.let(e.zeroExtend(8, e.add(high, al(e))));
	e.writeGpr(RAX, 16, result);
	setDecimalFlags(e, result, e.i32(0), e.i32(0));
};

/**
 * DAA and DAS: 6 for the lower digit, 0x60 for the upper one. `borrows` tells
 * that DAS's first step can set CF on its own.
 */
const adjustPacked =
	(direction: 1 | -1): Semantics =>
	(e) => {
		const old = al(e);
		const low = digitOverflow(e, old);
		const above = e.gtU(old, e.i32(0x99));
		const high = e.let(e.or(above, e.getFlag("CF")));
		const lowStep = e.select(low, e.i32(direction * 6), e.i32(0));
		const highStep = e.select(high, e.i32(direction * 0x60), e.i32(0));
		const result = e.let(e.add(old, e.add(lowStep, highStep)));
		e.writeGpr(RAX, 8, result);
		const borrow = e.and(low, e.ltU(old, e.i32(6)));
		const carry = direction > 0 ? high : e.or(high, borrow);
		setDecimalFlags(e, result, carry, low);
	};

export const BCD: SemanticsTable = {
	AAA: adjustUnpacked(1),
	AAS: adjustUnpacked(-1),
	AAM: aam,
	AAD: aad,
	DAA: adjustPacked(1),
	DAS: adjustPacked(-1),
};
