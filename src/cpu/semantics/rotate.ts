/**
 * Rotates: ROL, ROR and, through the carry flag, RCL and RCR.
 *
 * They touch CF and OF only. ROL and ROR set them whenever the *masked* count
 * is not zero, even if it is a multiple of the width; RCL and RCR turn a ring
 * of width + 1 bits, so for bytes and words the count is also taken modulo 9
 * or 17 (Intel SDM vol. 2, RCL/RCR/ROL/ROR, Operation).
 *
 * Relies on `shift.ts` for counts and on `integer-values.ts`.
 *
 * @journey E:333 Rings of 8 and rings of 9
 */

import type {
	Emitter,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { bit, bitAt, isNotZero, pair } from "./integer-values.ts";
import { maskedCount } from "./shift.ts";

/** Rotates left by `count`; narrow values by two shifts, for the machine only rotates whole types. */
function rotateLeft(
	e: Emitter,
	width: number,
	old: Integer,
	count: Integer,
): Integer {
	if (width >= 32) return e.rotl(old, count);
	const mask = e.constant(width, width - 1);
	const left = e.and(count, mask);
	const right = e.and(e.neg(count), mask);
	return e.zeroExtend(width, e.or(e.shl(old, left), e.shrU(old, right)));
}

const rol: Semantics = (e, form) => {
	const [destination, countOperand] = pair(form);
	const { width } = destination;
	const count = maskedCount(e, width, countOperand.read());
	destination.modify((old) => {
		const result = e.let(rotateLeft(e, width, old, count));
		const CF = bit(e, result, 0);
		const OF = e.xor(bit(e, result, width - 1), CF);
		e.if(isNotZero(e, count), () => e.setFlags({ CF, OF }));
		return result;
	});
};

const ror: Semantics = (e, form) => {
	const [destination, countOperand] = pair(form);
	const { width } = destination;
	const count = maskedCount(e, width, countOperand.read());
	destination.modify((old) => {
		const turned = rotateLeft(e, width, old, e.neg(count));
		const result = e.let(turned);
		const CF = bit(e, result, width - 1);
		const OF = e.xor(CF, bit(e, result, width - 2));
		e.if(isNotZero(e, count), () => e.setFlags({ CF, OF }));
		return result;
	});
};

/** A rotation of value and carry by `count`, which is 1 to `width`. */
type RingTurn = (
	e: Emitter,
	width: number,
	old: Integer,
	carry: Integer,
	count: Integer,
) => { readonly result: Integer; readonly CF: I32 };

const throughCarry =
	(
		turn: RingTurn,
		overflow: (e: Emitter, msb: I32, next: I32, CF: I32) => I32,
	): Semantics =>
	(e, form) => {
		const [destination, countOperand] = pair(form);
		const { width } = destination;
		const masked = maskedCount(e, width, countOperand.read());
		const ring = e.constant(width, width + 1);
		const count = width < 32 ? e.let(e.remU(masked, ring)) : masked;
		destination.modify((old) => {
			const result = e.variable(old);
			e.if(isNotZero(e, count), () => {
				const carry = e.toWidth(width, e.getFlag("CF"));
				const turned = turn(e, width, old, carry, count);
				const value = e.let(turned.result);
				const CF = e.let(turned.CF);
				const msb = bit(e, value, width - 1);
				const OF = overflow(e, msb, bit(e, value, width - 2), CF);
				e.setFlags({ CF, OF });
				result.set(value);
			});
			return result.get();
		});
	};

/** Old bits move up by count, the carry lies below them, and the ones that fell off below that. */
const rcl = throughCarry(
	(e, width, old, carry, count) => {
		const one = e.constant(width, 1);
		const rest = e.sub(e.constant(width, width), count);
		const wrapped = e.shrU(e.shrU(old, one), rest);
		const carried = e.shl(carry, e.sub(count, one));
		const result = e.or(e.or(e.shl(old, count), carried), wrapped);
		return { result, CF: bitAt(e, old, rest) };
	},
	(e, msb, _next, CF) => e.xor(msb, CF),
);

/** The mirror image of RCL. */
const rcr = throughCarry(
	(e, width, old, carry, count) => {
		const one = e.constant(width, 1);
		const rest = e.sub(e.constant(width, width), count);
		const wrapped = e.shl(e.shl(old, one), rest);
		const carried = e.shl(carry, rest);
		const result = e.or(e.or(e.shrU(old, count), carried), wrapped);
		return { result, CF: bitAt(e, old, e.sub(count, one)) };
	},
	(e, msb, next) => e.xor(msb, next),
);

export const ROTATE: SemanticsTable = {
	ROL: rol,
	ROR: ror,
	RCL: rcl,
	RCR: rcr,
};
