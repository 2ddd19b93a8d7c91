/**
 * CF and OF of SHL, SHR and SAR by a count that is not zero. Engines that put
 * off computing flags ask for them long after the shift.
 *
 * Relies on the emitter's arithmetic; `shift.ts` says when they are set.
 *
 * @journey E:331 The bit that fell off
 */

import type { Emitter, I32, Integer } from "./emitter.ts";
import { type BitArithmetic, bit, bitAt } from "./integer-values.ts";

export type ShiftKind = "shl" | "shr" | "sar";

/** A shift of `width` bits that has been made; all values zero-extended but the result, above whose `width` bits may be more. */
export interface MadeShift {
	readonly kind: ShiftKind;
	readonly width: number;
	readonly old: Integer;
	/** Masked, not zero. */
	readonly count: Integer;
	readonly result: Integer;
}

type Arithmetic = BitArithmetic & Pick<Emitter, "sub" | "shrS" | "signExtend">;

/** The last bit that was pushed out. */
export function shiftCarry(e: Arithmetic, shift: MadeShift): I32 {
	const { kind, width, old, count, result } = shift;
	const before = e.sub(count, e.constant(width, 1));
	switch (kind) {
		case "shl":
			// What is shifted out of 8 or 16 bits is still there in 32.
			return width < 32
				? bit(e, result, width)
				: bitAt(e, old, e.sub(e.constant(width, width), count));
		case "shr":
			return bitAt(e, old, before);
		case "sar":
			return bit(e, e.shrS(e.signExtend(width, old), before), 0);
	}
}

/** Defined for a count of 1; follows the same rule beyond. */
export function shiftOverflow(e: Arithmetic, shift: MadeShift): I32 {
	const { kind, width, old, result } = shift;
	const top = width - 1;
	if (kind === "sar") return e.i32(0);
	if (kind === "shr") return bit(e, old, top);
	return e.xor(bit(e, result, top), shiftCarry(e, shift));
}
