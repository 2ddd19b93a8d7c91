/**
 * The ends of linear space, for accesses that no segment limit has stopped:
 * 4 GiB in flat 32-bit code, the canonical halves in 64-bit mode.
 *
 * Inside the MMU a linear address is a number below 2^48: bits 48..63 of a
 * canonical address only repeat bit 47 (Intel SDM vol. 1, "Canonical
 * Addressing"), and 48 bits fit a `number` exactly.
 *
 * @journey E:508 Where addresses end
 */

import { raise, VECTOR_GP, VECTOR_SS } from "../exceptions.ts";
import { segmentOffset } from "../state.ts";

const FOUR_GIB = 0x1_0000_0000;
const HIGH_MASK = 0xffff;
/** Bits of the upper half below the ones that must be equal. */
const CANONICAL_SHIFT = 15;
const STACK_OFFSET = segmentOffset(2);

/**
 * The linear address of an access in 32-bit space. `segment` is the state
 * offset of the segment register if it is flat, 0 where the limit was checked:
 * such an access may wrap round.
 */
export function linear32(low: number, bytes: number, segment: number): number {
	const linear = low >>> 0;
	if (segment !== 0 && linear + bytes > FOUR_GIB) refuse(segment);
	return linear;
}

/** The same in 64-bit mode, by halves of the address. */
export function linear64(
	low: number,
	high: number,
	bytes: number,
	segment: number,
): number {
	const linear = linear48(low, high);
	const lastCarries = (low >>> 0) + bytes > FOUR_GIB;
	if (!isCanonical(high)) refuse(segment);
	if (lastCarries && !isCanonical((high + 1) | 0)) refuse(segment);
	return linear;
}

/** A canonical address as the MMU has it, by its halves. */
export function linear48(low: number, high: number): number {
	return (high & HIGH_MASK) * FOUR_GIB + (low >>> 0);
}

/** Bits 47..63 are equal; `high` is the signed upper half. */
export function isCanonical(high: number): boolean {
	const top = high >> CANONICAL_SHIFT;
	return top === 0 || top === -1;
}

/** #SS(0) for the stack, #GP(0) for all else (Intel SDM vol. 3, "Stack Fault Exception"). */
function refuse(segment: number): never {
	return raise(segment === STACK_OFFSET ? VECTOR_SS : VECTOR_GP, 0);
}
