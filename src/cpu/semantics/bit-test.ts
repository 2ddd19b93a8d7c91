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
	Form,
	Integer,
	Operand,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import { bitAt, machineWidth } from "./shift.ts";

/** The new word, given the old one and the bit's mask; BT has none. */
type Change = (e: Emitter, old: Integer, mask: Integer) => Integer;

/** The word that holds the bit, whether it is the operand or lies further on. */
interface Word {
	read(): Integer;
	prepareWrite(): (value: Integer) => void;
}

const bitTest =
	(change?: Change): Semantics =>
	(e, form) => {
		const [base, offsetOperand] = pair(form);
		const { width } = base;
		const literal = form.row.operands[1] === "Ib";
		const offset = offsetOperand.readSigned();
		const beyond = base.isMemory && !literal;
		const word = beyond ? stringWord(e, form, base, offset) : base;
		const position = e.and(
			e.toWidth(width, offset),
			e.constant(width, width - 1),
		);
		const index = e.let(position);
		const put = change === undefined ? undefined : word.prepareWrite();
		const old = word.read();
		if (put !== undefined && change !== undefined) {
			const mask = e.shl(e.constant(width, 1), index);
			put(change(e, old, mask));
		}
		e.setFlags({ CF: bitAt(e, old, index) });
	};

/** The `width`-bit word at `base + (offset >> log2 width) * width / 8`. */
function stringWord(
	e: Emitter,
	form: Form,
	base: Operand,
	offset: Integer,
): Word {
	const { width } = base;
	const size = form.addressSize;
	const bits = machineWidth(width);
	const word = e.shrS(offset, e.constant(bits, Math.log2(width)));
	const distance = e.shl(word, e.constant(bits, Math.log2(width / 8)));
	const wide =
		size === 64 && bits === 32 ? e.extendS(e.wrap(distance)) : distance;
	const sum = e.add(base.address(), e.toWidth(size, wide));
	const address = e.let(e.zeroExtend(size, sum));
	return {
		read: () => e.loadSegment("data", address, width),
		prepareWrite: () => e.prepareStore("data", address, width),
	};
}

export const BIT_TEST: SemanticsTable = {
	BT: bitTest(),
	BTS: bitTest((e, old, mask) => e.or(old, mask)),
	BTR: bitTest((e, old, mask) => e.and(old, e.not(mask))),
	BTC: bitTest((e, old, mask) => e.xor(old, mask)),
};
