/**
 * What the author of a device writes, and what the author gets. A *model* says
 * what kind of device it is and reacts to kicks; everything that all devices
 * share (status, features, queues, reset, interrupts) is in `device.ts`, and
 * how the driver reaches it is the transport's business.
 *
 * Relies on queues; devices implement it.
 *
 * @journey D:130 A device of one's own
 */

import type { Completion } from "./backends.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** One device's own half. It is made anew for each machine reset. */
export interface DeviceModel {
	/** Device type, one of `VIRTIO_ID_*` (virtio 1.3 §5). */
	readonly deviceId: number;
	/** The type's own feature bits; those of queues and transport are added. */
	readonly features: bigint;
	/** The most entries each queue may have, powers of two. */
	readonly queueSizes: readonly number[];
	/**
	 * The configuration space, little-endian. The model may change it and then
	 * calls `configChanged`; drivers change it only by way of `writeConfig`.
	 */
	readonly config: Uint8Array;
	/** Called once, before anything else. */
	connect(port: DevicePort): void;
	/** The driver is ready (DRIVER_OK); kicks of all its queues follow. */
	start?(): void;
	/** There may be buffers in this queue. Spurious calls are normal. */
	kicked(queueIndex: number): void;
	/** The driver starts over: chains are dead, features are forgotten. */
	reset(): void;
	/** Whether the backend is working on something for the driver. */
	readonly busy?: boolean;
	/** Resolves when the backend has finished everything it was asked. */
	settle?(): Completion;
	/** The driver wrote `bytes` at `offset`, both within the space. */
	writeConfig?(offset: number, bytes: Uint8Array): void;
}

/** The shared half, as the model sees it. */
export interface DevicePort {
	/** Whether driver and device agreed on a feature bit. */
	negotiated(feature: number): boolean;
	/** Undefined until the driver has set the queue up and is ready. */
	queue(index: number): Virtqueue | undefined;
	/** Tells the driver to read the configuration again. */
	configChanged(): void;
	/**
	 * The driver broke a rule of the device type: the device stops and says so
	 * with DEVICE_NEEDS_RESET. The first reason wins.
	 */
	fail(reason: string): void;
}
