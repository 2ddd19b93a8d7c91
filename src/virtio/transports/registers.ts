/**
 * What transports with registers have in common: a device's 64-bit numbers in
 * words of 32 bits, its configuration space as numbers, and the queue of the
 * legacy interfaces, which is one address.
 *
 * Relies on the device's shared half; the MMIO and PCI transports rely on it.
 *
 * @journey D:168 Large numbers through small doors
 */

import type { AccessSize } from "../../chipset/bus.ts";
import type { VirtioDevice } from "../device.ts";
import { legacyPlacement, type QueuePlacement } from "../virtqueue.ts";

/** One of the three addresses of a queue. */
export type QueueArea = Exclude<keyof QueuePlacement, "size">;

/** Word 0 or 1 of a set of features; there are none beyond. */
export function featureWord(features: bigint, word: number): number {
	if (word > 1) return 0;
	return Number((features >> BigInt(32 * word)) & 0xffff_ffffn);
}

/** Bits nobody could have offered must be refused later, so they are kept. */
export function writeDriverFeatureWord(
	device: VirtioDevice,
	word: number,
	value: number,
): void {
	if (word > 1) return;
	const old = device.driverFeatures;
	const other = word === 1 ? old & 0xffff_ffffn : (old >> 32n) << 32n;
	device.writeDriverFeatures(other | (BigInt(value) << BigInt(32 * word)));
}

/** One half of an address; what cannot be exact lies outside memory anyway. */
export function placeQueueArea(
	device: VirtioDevice,
	queue: number,
	area: QueueArea,
	isHigh: boolean,
	value: number,
): void {
	const old = device.queuePlacement(queue)?.[area] ?? 0;
	const low = isHigh ? old % 2 ** 32 : value;
	const high = isHigh ? value : Math.floor(old / 2 ** 32);
	device.placeQueue(queue, { [area]: high * 2 ** 32 + low });
}

/**
 * The queue of a legacy driver, whose size is settled before; page 0 takes it
 * away (virtio 1.3 §2.7.2).
 */
export function placeLegacyQueue(
	device: VirtioDevice,
	queue: number,
	page: number,
	pageBytes: number,
	alignBytes: number,
): void {
	device.disableQueue(queue);
	const size = device.queuePlacement(queue)?.size;
	if (page === 0 || size === undefined) return;
	if (alignBytes === 0 || (alignBytes & (alignBytes - 1)) !== 0) {
		device.fail(`a queue aligned to ${alignBytes} bytes`);
		return;
	}
	const base = page * pageBytes;
	device.placeQueue(queue, legacyPlacement(base, size, alignBytes));
	device.enableQueue(queue);
}

/** A little-endian number from the configuration space. */
export function readConfigValue(
	device: VirtioDevice,
	offset: number,
	size: AccessSize,
): number {
	const bytes = device.readConfig(offset, size);
	return bytes.reduceRight((value, byte) => value * 0x100 + byte, 0);
}

/** The other way round. */
export function writeConfigValue(
	device: VirtioDevice,
	offset: number,
	size: AccessSize,
	value: number,
): void {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, value, true);
	device.writeConfig(offset, bytes.subarray(0, size));
}
