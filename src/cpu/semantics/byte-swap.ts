/**
 * Byte order: BSWAP and MOVBE.
 *
 * Relies on the emitter and `integer-values.ts`.
 *
 * @journey E:316 Turning bytes round
 */

import type { Emitter, Integer, Semantics, SemanticsTable } from "./emitter.ts";
import { first, pair } from "./integer-values.ts";

/** Four bytes turned round: each rotation puts two of them in place. */
function swapped32(e: Emitter, value: Integer): Integer {
	const low = e.wrap(value);
	return e.or(
		e.and(e.rotl(low, e.i32(8)), e.i32(0x00ff00ff)),
		e.and(e.rotr(low, e.i32(8)), e.i32(0xff00ff00 | 0)),
	);
}

function swapped64(e: Emitter, value: Integer): Integer {
	const high = e.wrap(e.shrU(value, e.constant(64, 32)));
	return e.or(
		e.shl(e.toWidth(64, swapped32(e, value)), e.constant(64, 32)),
		e.toWidth(64, swapped32(e, high)),
	);
}

/** The bytes of `value` in reverse order, for 16, 32 or 64 bits. */
function swapBytes(e: Emitter, width: number, value: Integer): Integer {
	if (width === 64) return swapped64(e, value);
	if (width === 32) return swapped32(e, value);
	return e.shrU(swapped32(e, value), e.constant(32, 16));
}

/** BSWAP of 16 bits is undefined; processors clear the register's low half. */
const bswap: Semantics = (e, form) => {
	const destination = first(form);
	const { width } = destination;
	destination.modify((old) =>
		width === 16 ? e.i32(0) : swapBytes(e, width, old),
	);
};

const movbe: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	destination.write(swapBytes(e, destination.width, source.read()));
};

export const BYTE_SWAP: SemanticsTable = { BSWAP: bswap, MOVBE: movbe };
