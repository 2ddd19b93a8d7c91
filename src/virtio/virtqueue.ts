/**
 * The contract of a virtqueue, as a device sees it: buffers come out, and go
 * back with a number of bytes written. The two kinds of ring (split and packed)
 * differ only behind it.
 *
 * What a queue needs of the world is its place in guest memory, the features
 * that were negotiated, and two wires: one interrupts the driver, the other
 * tells that the driver broke the rules. A queue that found a rule broken is
 * dead until reset: it gives no more buffers and touches no memory.
 *
 * Relies on descriptor chains; devices and transports rely on it.
 *
 * @journey D:105 The queue
 */

import type { DescriptorChain } from "./descriptor-chain.ts";

/** The device's end of a queue. */
export interface Virtqueue {
	readonly size: number;
	/** The next buffer the driver offers; undefined = none now. */
	pop(): DescriptorChain | undefined;
	/**
	 * Returns a buffer to the driver, in any order, and interrupts it if it asked
	 * for that. `writtenBytes` counts from the start of the writable part.
	 */
	push(chain: DescriptorChain, writtenBytes: number): void;
	/**
	 * Whether the driver should kick when it offers buffers. A hint: kicks may
	 * come all the same. Queues start wanting them.
	 */
	setKicksWanted(wanted: boolean): void;
	/** Ends the lives of all chains taken from the queue. */
	retire(): void;
}

/** Where the driver put the queue (virtio 1.3 §2.6: three areas). */
export interface QueuePlacement {
	readonly size: number;
	/** Descriptor table, or descriptor ring. */
	readonly descriptorArea: number;
	/** Available ring, or driver event suppression. */
	readonly driverArea: number;
	/** Used ring, or device event suppression. */
	readonly deviceArea: number;
}

/** The features that change a ring. */
export interface QueueFeatures {
	readonly eventIndex: boolean;
	readonly indirect: boolean;
}

/** The two wires that leave a queue. */
export interface QueueWires {
	/** A used buffer notification. */
	readonly interrupt: () => void;
	/** The driver broke a rule; called once. */
	readonly broken: (reason: string) => void;
}

/**
 * Whether an index that moved from `old` to `now` passed `event` (virtio 1.3
 * §2.7.10). All three count modulo 2^16.
 */
export function passedEvent(event: number, now: number, old: number): boolean {
	return ((now - event - 1) & 0xffff) < ((now - old) & 0xffff);
}

const LEGACY_AVAILABLE_HEAD = 6;

/** Where legacy drivers put the parts of a queue at `base` (virtio 1.3 §2.7.2). */
export function legacyPlacement(
	base: number,
	size: number,
	alignBytes: number,
): QueuePlacement {
	const driverArea = base + 16 * size;
	const driverEnd = driverArea + LEGACY_AVAILABLE_HEAD + 2 * size;
	return {
		size,
		descriptorArea: base,
		driverArea,
		deviceArea: Math.ceil(driverEnd / alignBytes) * alignBytes,
	};
}
