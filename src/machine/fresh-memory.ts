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

const SCAN_BYTES = 0x1_0000;

/**
 * Zeroes memory as at power-on, so that a restarted guest is like a fresh one.
 * Pages that are zero are only read: writing would make the system commit them.
 */
export function clearMemory(memory: GuestMemory): void {
	for (let at = 0; at < memory.sizeBytes; at += SCAN_BYTES) {
		const length = Math.min(SCAN_BYTES, memory.sizeBytes - at);
		if (!isZero(memory.bytes.subarray(at, at + length))) {
			memory.fill(at, 0, length);
		}
	}
}

/** Memory sizes are whole pages, and so multiples of a word. */
function isZero({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
	const words = new Int32Array(buffer, byteOffset, byteLength / 4);
	for (let i = 0; i < words.length; i++) {
		if (words[i] !== 0) return false;
	}
	return true;
}
