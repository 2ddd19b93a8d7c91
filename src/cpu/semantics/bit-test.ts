/**
 * BT, BTS, BTR, BTC: one bit of a register, or of a string of bits in memory.
 *
 * With memory and a register offset the operand is only where the string
 * starts: the offset is signed and reaches up to 2^31 bits (2^63) either way
 * (Intel SDM vol. 1, "Bit Strings" and vol. 2, BT). The accessed word is the
 * one that holds the bit.
 *
 * Relies on `shift.ts` and `integer-values.ts`.
 *
 * @journey E:334 A bit, far away
 */

import type {
	Emitter,
	Integer,
	Operand,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { bitAt, pair } from "./integer-values.ts";
import { machineWidth } from "./shift.ts";

/** The new word, given the old one and the bit's mask; BT has none. */
type Change = (e: Emitter, old: Integer, mask: Integer) => Integer;

const bitTest =
	(change?: Change): Semantics =>
	(e, form) => {
		const [base, offsetOperand] = pair(form);
		const { width } = base;
		const offset = offsetOperand.readSigned();
		const literal = form.row.operands[1] === "Ib";
		const word = base.isMemory && !literal ? stringWord(e, base, offset) : base;
		const last = e.constant(width, width - 1);
		const index = e.let(e.and(e.toWidth(width, offset), last));
		const take = (old: Integer) => e.setFlags({ CF: bitAt(e, old, index) });
		if (change === undefined) {
			take(word.read());
			return;
		}
		word.modify((old) => {
			take(old);
			return change(e, old, e.shl(e.constant(width, 1), index));
		});
	};

/** The `width`-bit word at `base + (offset >> log2 width) * width / 8`. */
function stringWord(e: Emitter, base: Operand, offset: Integer): Operand {
	const { width } = base;
	const bits = machineWidth(width);
	const word = e.shrS(offset, e.constant(bits, Math.log2(width)));
	return base.displaced(e.shl(word, e.constant(bits, Math.log2(width / 8))));
}

export const BIT_TEST: SemanticsTable = {
	BT: bitTest(),
	BTS: bitTest((e, old, mask) => e.or(old, mask)),
	BTR: bitTest((e, old, mask) => e.and(old, e.not(mask))),
	BTC: bitTest((e, old, mask) => e.xor(old, mask)),
};
