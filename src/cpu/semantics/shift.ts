/**
 * Shifts: SHL, SHR, SAR and the double-precision SHLD, SHRD.
 *
 * The count is masked to 5 bits (6 for 64-bit operands), and a masked count
 * of zero changes no flag at all. Bytes and words live in 32-bit values, so a
 * count beyond the operand's width needs no special case: what is shifted out
 * of 8 bits is still there in 32.
 *
 * Relies on `integer-values.ts`; `rotate.ts` shares the count's rules.
 *
 * @journey E:332 Shifting, and the flag that fell off
 */

import type {
	Emitter,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { bit, bitAt, isNotZero, pair, triple } from "./integer-values.ts";
import type { ShiftKind } from "./shift-flags.ts";

/** Bits of the machine type that holds a `width`-bit value. */
export function machineWidth(width: number): 32 | 64 {
	return width === 64 ? 64 : 32;
}

/** The count of a shift or rotate of `width` bits, masked, in the value's type. */
export function maskedCount(
	e: Emitter,
	width: number,
	count: Integer,
): Integer {
	const mask = width === 64 ? 63 : 31;
	const masked = e.and(e.wrap(count), e.i32(mask));
	return e.let(e.toWidth(machineWidth(width), masked));
}

/** With flags only when the count is not zero. */
const shiftBy =
	(kind: ShiftKind): Semantics =>
	(e, form) => {
		const [destination, countOperand] = pair(form);
		const { width } = destination;
		const count = maskedCount(e, width, countOperand.read());
		destination.modify((old) => {
			const result = e.let(shifted(e, kind, width, old, count));
			e.if(isNotZero(e, count), () =>
				e.setShiftFlags({ kind, width, old, count, result }),
			);
			return result;
		});
	};

function shifted(
	e: Emitter,
	kind: ShiftKind,
	width: number,
	old: Integer,
	count: Integer,
): Integer {
	if (kind === "shl") return e.shl(old, count);
	if (kind === "shr") return e.shrU(old, count);
	return e.shrS(e.signExtend(width, old), count);
}

/** One less than `count`; only meaningful where the count is not zero. */
function before(e: Emitter, width: number, count: Integer): Integer {
	return e.sub(count, e.constant(width, 1));
}

type DoubleShift = (
	e: Emitter,
	width: number,
	old: Integer,
	filler: Integer,
	count: Integer,
) => { readonly result: Integer; readonly CF: I32 };

/** SHLD and SHRD: OF says whether the sign changed. */
const doubleShiftBy =
	(shift: DoubleShift): Semantics =>
	(e, form) => {
		const [destination, source, countOperand] = triple(form);
		const { width } = destination;
		const filler = source.read();
		const count = maskedCount(e, width, countOperand.read());
		destination.modify((old) => {
			const result = e.variable(old);
			e.if(isNotZero(e, count), () => {
				const shifted = shift(e, width, old, filler, count);
				const value = e.let(shifted.result);
				const turned = e.xor(value, old);
				const OF = bit(e, turned, width - 1);
				e.setFlagsFrom(width, value, { CF: shifted.CF, OF, AF: e.i32(0) });
				result.set(value);
			});
			return result.get();
		});
	};

/** `value` moved by width - count, in two steps so that no step is a whole width. */
function complementShift(
	e: Emitter,
	direction: "shl" | "shrU",
	width: number,
	value: Integer,
	count: Integer,
): Integer {
	const rest = e.sub(e.constant(width, width - 1), count);
	return e[direction](e[direction](value, e.constant(width, 1)), rest);
}

/**
 * Of 16 bits with a count above 16 the result is undefined; rotating the
 * operands as one pair is what the processors at hand do.
 */
const shld = doubleShiftBy((e, width, old, filler, count) => {
	if (width === 16) {
		const both = e.or(e.shl(old, e.constant(32, 16)), filler);
		const turned = e.let(e.rotl(both, count));
		return {
			result: e.shrU(turned, e.constant(32, 16)),
			CF: bit(e, turned, 0),
		};
	}
	return {
		result: e.or(
			e.shl(old, count),
			complementShift(e, "shrU", width, filler, count),
		),
		CF: bitAt(e, old, e.sub(e.constant(width, width), count)),
	};
});

const shrd = doubleShiftBy((e, width, old, filler, count) => {
	const CF = bitAt(e, old, before(e, width, count));
	if (width === 16) {
		const both = e.or(e.shl(filler, e.constant(32, 16)), old);
		const turned = e.let(e.rotr(both, count));
		return { result: turned, CF: bit(e, turned, 31) };
	}
	return {
		result: e.or(
			e.shrU(old, count),
			complementShift(e, "shl", width, filler, count),
		),
		CF,
	};
});

export const SHIFT: SemanticsTable = {
	SHL: shiftBy("shl"),
	SHR: shiftBy("shr"),
	SAR: shiftBy("sar"),
	SHLD: shld,
	SHRD: shrd,
};
