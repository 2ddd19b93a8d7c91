/**
 * Numbers as the original Host printed them in its reasons of death, which
 * people search for.
 *
 * @journey H:281 Numbers in obituaries
 */

/** As C's `%#lx`: nothing in front of a zero. */
export function hex(value: number): string {
	return value === 0 ? "0" : `0x${(value >>> 0).toString(16)}`;
}
