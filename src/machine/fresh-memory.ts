/**
 * Memory as a machine needs it: zero at power-on, or random.
 *
 * Relies on guest memory; the machines rely on it.
 *
 * @journey H:112 Zeros, and anything but
 */

import type { GuestMemory } from "../memory/guest-memory.ts";

/** Bytes from a source of 32-bit words, low byte first. */
export function fillWords(target: Uint8Array, word: () => number): void {
	for (let at = 0, bits = 0; at < target.length; at++) {
		bits = at % 4 === 0 ? word() : bits >>> 8;
		target[at] = bits;
	}
}

/** Zeroes memory as at power-on, so that a restarted guest is like a fresh one. */
export function clearMemory(memory: GuestMemory): void {
	memory.clear(0, memory.sizeBytes);
}
