/**
 * Addresses of network cards (IEEE 802), read from text and made by chance.
 *
 * Relies on nothing; the embedders' network options rely on it.
 *
 * @journey D:146 Six bytes and two bits
 */

import { UsageError } from "../errors.ts";

/** Of the first byte: set in an address that is many cards'. */
const GROUP_BIT = 1;
/** The first byte of one that no maker has given away. */
const OWN = 0x02;

/** As in "02:00:00:00:00:01". Undefined: not an address that one card can have. */
export function macFromText(text: string): Uint8Array | undefined {
	if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
	const mac = Uint8Array.from(text.split(":"), (part) =>
		Number.parseInt(part, 16),
	);
	const isForMany = ((mac[0] ?? 0) & GROUP_BIT) !== 0;
	return isForMany || mac.every((byte) => byte === 0) ? undefined : mac;
}

/**
 * The address that somebody gave a card, or else nobody's, from five bytes by
 * chance. Throws `UsageError`.
 */
export function macOfCard(
	given: string | undefined,
	chance: Uint8Array,
): Uint8Array {
	if (given === undefined) return Uint8Array.of(OWN, ...chance.subarray(0, 5));
	const mac = macFromText(given);
	if (mac !== undefined) return mac;
	throw new UsageError(`"${given}" is no network card's address.`, {
		hint: 'One that nobody has starts with "02:", as in "02:00:00:00:00:01".',
	});
}
