/**
 * A driver's view of a configuration space as bytes, by accesses of the widest
 * size that fits.
 */

import type { AccessSize, MmioBus, PortBus } from "../../src/chipset/bus.ts";

export function readBytes(
	bus: MmioBus | PortBus,
	base: number,
	lengthBytes: number,
): Uint8Array {
	const size = accessSize(base, lengthBytes);
	const bytes: number[] = [];
	for (let at = 0; at < lengthBytes; at += size) {
		const value = bus.read(base + at, size);
		for (let i = 0; i < size; i++) bytes.push((value >>> (8 * i)) & 0xff);
	}
	return Uint8Array.from(bytes);
}

export function writeBytes(
	bus: MmioBus | PortBus,
	base: number,
	bytes: Uint8Array,
): void {
	const size = accessSize(base, bytes.length);
	for (let at = 0; at < bytes.length; at += size) {
		let value = 0;
		for (let i = 0; i < size; i++) value += (bytes[at + i] ?? 0) * 2 ** (8 * i);
		bus.write(base + at, size, value);
	}
}

/** The widest access that fits. */
function accessSize(at: number, lengthBytes: number): AccessSize {
	if ((at | lengthBytes) % 4 === 0) return 4;
	return (at | lengthBytes) % 2 === 0 ? 2 : 1;
}
