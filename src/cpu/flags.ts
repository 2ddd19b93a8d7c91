/**
 * EFLAGS bits, and the lazy form in which the arithmetic flags are kept.
 *
 * Computing six flags after every ADD would cost more than the ADD. Two words
 * hold enough to compute any of them later, without asking which instruction
 * it was:
 *
 * `FLAG_RESULT`: the result, sign-extended to 32 bits. (A 64-bit result is
 * folded: bits 0..7 and the sign stay, bit 8 collects the rest.)
 *
 * `FLAG_AUX`:
 *
 * | bit | meaning |
 * | --- | --- |
 * | 31 | CF: carry out of the top bit |
 * | 30 | carry into the top bit; OF = bit 31 xor bit 30 |
 * | 8 | parity correction, xored into the result's bit 0 for PF |
 * | 3 | AF: carry out of bit 3 |
 * | 0 | sign correction, xored into the result's sign for SF |
 *
 * The corrections make every combination of flags representable, so POPF and
 * a snapshot need no special case. This file has the TypeScript side;
 * `engine/state-emitter.ts` generates the same rules.
 *
 * @journey E:210 Flags nobody has asked for yet
 */

import { EFLAGS, FLAG_AUX, FLAG_RESULT } from "./state.ts";
import type { StateView } from "./state-view.ts";

export const EFLAGS_CF = 1 << 0;
/** Always reads as 1. */
export const EFLAGS_FIXED = 1 << 1;
export const EFLAGS_PF = 1 << 2;
export const EFLAGS_AF = 1 << 4;
export const EFLAGS_ZF = 1 << 6;
export const EFLAGS_SF = 1 << 7;
export const EFLAGS_TF = 1 << 8;
export const EFLAGS_IF = 1 << 9;
export const EFLAGS_DF = 1 << 10;
export const EFLAGS_OF = 1 << 11;
export const EFLAGS_IOPL = 3 << 12;
export const EFLAGS_IOPL_SHIFT = 12;
export const EFLAGS_NT = 1 << 14;
export const EFLAGS_RF = 1 << 16;
export const EFLAGS_VM = 1 << 17;
export const EFLAGS_AC = 1 << 18;
export const EFLAGS_VIF = 1 << 19;
export const EFLAGS_VIP = 1 << 20;
export const EFLAGS_ID = 1 << 21;

/** CF PF AF ZF SF OF: the flags kept lazily. */
export const EFLAGS_ARITHMETIC =
	EFLAGS_CF | EFLAGS_PF | EFLAGS_AF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF;

export const AUX_CF_SHIFT = 31;
export const AUX_PARTIAL_CARRY_SHIFT = 30;
export const AUX_PARITY_SHIFT = 8;
export const AUX_AF_SHIFT = 3;
/** Bits 31 and 30. */
export const AUX_CARRIES = 0xc000_0000 | 0;
/** The result that, without corrections, says "not zero, positive, even parity". */
export const RESULT_PLAIN_NONZERO = 0x100;

/** The whole EFLAGS register. */
export function readEflags(state: StateView): number {
	const result = state.get32(FLAG_RESULT);
	const aux = state.get32(FLAG_AUX);
	let flags = state.get32(EFLAGS);
	if (aux < 0) flags |= EFLAGS_CF;
	if ((aux ^ (aux << 1)) < 0) flags |= EFLAGS_OF;
	if (aux & (1 << AUX_AF_SHIFT)) flags |= EFLAGS_AF;
	if (result === 0) flags |= EFLAGS_ZF;
	if (((result >>> 31) ^ aux) & 1) flags |= EFLAGS_SF;
	if (evenParity(result ^ (aux >>> AUX_PARITY_SHIFT))) flags |= EFLAGS_PF;
	return flags;
}

/** Sets every bit of EFLAGS to `flags` (bit 1 stays 1). */
export function writeEflags(state: StateView, flags: number): void {
	const carry = flags & EFLAGS_CF ? 1 : 0;
	const overflow = flags & EFLAGS_OF ? 1 : 0;
	state.set32(FLAG_RESULT, flags & EFLAGS_ZF ? 0 : RESULT_PLAIN_NONZERO);
	state.set32(
		FLAG_AUX,
		(carry << AUX_CF_SHIFT) |
			((carry ^ overflow) << AUX_PARTIAL_CARRY_SHIFT) |
			(flags & EFLAGS_PF ? 0 : 1 << AUX_PARITY_SHIFT) |
			(flags & EFLAGS_AF ? 1 << AUX_AF_SHIFT : 0) |
			(flags & EFLAGS_SF ? 1 : 0),
	);
	state.set32(EFLAGS, (flags & ~EFLAGS_ARITHMETIC) | EFLAGS_FIXED);
}

function evenParity(value: number): boolean {
	const folded = (value ^ (value >> 4)) & 15;
	return ((0x6996 >> folded) & 1) === 0;
}
