/**
 * What all virtio devices have in common (virtio 1.3 §2 and §3): the status
 * register as a state machine, feature negotiation, the configuration space,
 * queues coming and going, and reset at any moment.
 *
 * It stands between a transport, which turns register accesses into these
 * calls, and a model, which is one kind of device (see D:130). A hostile driver
 * ends in DEVICE_NEEDS_RESET: the device falls silent, and only a reset wakes
 * it.
 *
 * Relies on the queues; transports and the machine rely on it.
 *
 * @journey D:135 What every device does
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
	featureSet,
	hasFeature,
	VIRTIO_CONFIG_S_DRIVER_OK,
	VIRTIO_CONFIG_S_FEATURES_OK,
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_ANY_LAYOUT,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_VERSION_1,
} from "./constants.ts";
import type { DeviceModel, DevicePort } from "./device-model.ts";
import { checkPackedPlacement, PackedVirtqueue } from "./packed-virtqueue.ts";
import { checkSplitPlacement, SplitVirtqueue } from "./split-virtqueue.ts";
import type { QueuePlacement, Virtqueue } from "./virtqueue.ts";

/** Why the transport is asked to interrupt the driver. */
export type InterruptCause = "queue" | "config";

/** How far driver and device are; "failed" until the driver resets it. */
export type DeviceState = "reset" | "ready" | "failed";

/** Of one device, since the machine's last reset. */
export interface DeviceCounters {
	/** Number of its type (virtio 1.3 §5). */
	readonly deviceId: number;
	/** Notifications by the driver. */
	readonly kicks: number;
	readonly interrupts: number;
}

/** What the machine decides about a device. */
export interface VirtioDeviceOptions {
	/** The rules from before virtio 1.0, where the transport speaks those. */
	readonly legacy?: boolean;
	/** Whether to offer packed rings. Default: yes, except to legacy drivers. */
	readonly packed?: boolean;
	/** Told once for each life when the driver breaks a rule; for logs. */
	readonly onFailure?: (reason: string) => void;
}

/** A queue's registers, and its ring once somebody uses it. */
interface QueueSlot {
	placement: QueuePlacement;
	enabled: boolean;
	ring: Virtqueue | undefined;
}

const COMMON_FEATURES = featureSet(VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX);

/** A device, as transports see it. */
export class VirtioDevice {
	readonly model: DeviceModel;
	/** Set by the transport. */
	onInterrupt: (cause: InterruptCause, queueIndex?: number) => void = () => {};
	/**
	 * Set by transports that show the driver a copy: status or configuration
	 * have changed, and not because the driver wrote them.
	 */
	onChange: () => void = () => {};
	/** Set by the machine: a kick has left work with the backend. */
	onBusy: () => void = () => {};
	/** Set by the machine: for those who watch. */
	onState: (state: DeviceState, reason?: string) => void = () => {};
	readonly #memory: GuestMemory;
	readonly #onFailure: (reason: string) => void;
	readonly #slots: QueueSlot[];
	readonly #offersPacked: boolean;
	#isLegacy: boolean;
	#status = 0;
	#driverFeatures = 0n;
	#configGeneration = 0;
	#kicks = 0;
	#interrupts = 0;

	constructor(
		model: DeviceModel,
		memory: GuestMemory,
		options: VirtioDeviceOptions = {},
	) {
		this.model = model;
		this.#isLegacy = options.legacy ?? false;
		this.#offersPacked = options.packed ?? true;
		this.#memory = memory;
		this.#onFailure = options.onFailure ?? (() => {});
		this.#slots = model.queueSizes.map(emptySlot);
		model.connect(this.#port());
	}

	get status(): number {
		return this.#status;
	}

	/** Whether the rules from before virtio 1.0 hold. */
	get isLegacy(): boolean {
		return this.#isLegacy;
	}

	/**
	 * For transports that have registers for both ages: which ones the driver
	 * uses. Only before it has set any status bit, for then it is decided.
	 */
	chooseDialect(legacy: boolean): void {
		if (this.#status === 0) this.#isLegacy = legacy;
	}

	/** What the driver may choose from. */
	get offeredFeatures(): bigint {
		const own = this.model.features | COMMON_FEATURES;
		if (this.#isLegacy) return own | featureSet(VIRTIO_F_ANY_LAYOUT);
		return (
			own |
			featureSet(VIRTIO_F_VERSION_1) |
			(this.#offersPacked ? featureSet(VIRTIO_F_RING_PACKED) : 0n)
		);
	}

	/** Changes whenever a multi-field read of the space could be torn (§2.5.1). */
	get configGeneration(): number {
		return this.#configGeneration;
	}

	/** What the driver has chosen so far. */
	get driverFeatures(): bigint {
		return this.#driverFeatures;
	}

	/** Drivers only ever add bits; zero is a reset (§2.1.1, §2.4). */
	writeStatus(value: number): void {
		if (value === 0) {
			this.reset();
			return;
		}
		const added = value & ~this.#status & 0xff & ~VIRTIO_CONFIG_S_NEEDS_RESET;
		this.#status |= added & ~VIRTIO_CONFIG_S_FEATURES_OK;
		if ((added & VIRTIO_CONFIG_S_FEATURES_OK) !== 0 && this.#featuresFit()) {
			this.#status |= VIRTIO_CONFIG_S_FEATURES_OK;
		}
		if ((added & VIRTIO_CONFIG_S_DRIVER_OK) !== 0) this.#start();
	}

	/** Ignored once the driver has said that it is done (§2.2.1). */
	writeDriverFeatures(features: bigint): void {
		const settled = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
		if ((this.#status & settled) === 0) this.#driverFeatures = features;
	}

	/** Everything as after power-on; work in flight is abandoned (§2.4). */
	reset(): void {
		if (this.#status !== 0) this.onState("reset");
		this.#status = 0;
		this.#driverFeatures = 0n;
		for (const slot of this.#slots) slot.ring?.retire();
		this.#slots.splice(
			0,
			this.#slots.length,
			...this.model.queueSizes.map(emptySlot),
		);
		this.model.reset();
	}

	/** 0 = there is no such queue. */
	queueSizeMax(index: number): number {
		return this.model.queueSizes[index] ?? 0;
	}

	queuePlacement(index: number): QueuePlacement | undefined {
		return this.#slots[index]?.placement;
	}

	/** Changes parts of where the queue is; not while it is enabled (§4.2.2.2). */
	placeQueue(index: number, change: Partial<QueuePlacement>): void {
		const slot = this.#slots[index];
		if (slot === undefined || slot.enabled) return;
		slot.placement = { ...slot.placement, ...change };
	}

	isQueueEnabled(index: number): boolean {
		return this.#slots[index]?.enabled ?? false;
	}

	enableQueue(index: number): void {
		const slot = this.#slots[index];
		if (slot !== undefined) slot.enabled = true;
	}

	/** Its buffers are the driver's again. */
	disableQueue(index: number): void {
		const slot = this.#slots[index];
		if (slot === undefined) return;
		slot.ring?.retire();
		slot.ring = undefined;
		slot.enabled = false;
	}

	/** An available buffer notification. */
	kick(index: number): void {
		if (this.#ring(index) === undefined) return;
		this.#kicks++;
		this.model.kicked(index);
		if (this.model.busy) this.onBusy();
	}

	/** How much driver and device had to do with each other. */
	get counters(): DeviceCounters {
		const { deviceId } = this.model;
		return { deviceId, kicks: this.#kicks, interrupts: this.#interrupts };
	}

	/** Bytes past the end read as zero. */
	readConfig(offset: number, lengthBytes: number): Uint8Array {
		const bytes = new Uint8Array(lengthBytes);
		bytes.set(this.model.config.subarray(offset, offset + lengthBytes));
		return bytes;
	}

	/** Only writes that lie within the space reach the model. */
	writeConfig(offset: number, bytes: Uint8Array): void {
		if (offset + bytes.length > this.model.config.length) return;
		this.model.writeConfig?.(offset, bytes);
	}

	/** Stops the device for the reason given; see `DevicePort.fail`. */
	fail(reason: string): void {
		if ((this.#status & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0) return;
		this.#status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		for (const slot of this.#slots) slot.ring?.retire();
		this.#onFailure(reason);
		this.onState("failed", reason);
		// virtio 1.3 §2.1.2: only a driver that is ready is told.
		const isTold = (this.#status & VIRTIO_CONFIG_S_DRIVER_OK) !== 0;
		if (isTold) this.#configGeneration++;
		this.onChange();
		if (isTold) this.#interrupt("config");
	}

	#interrupt(cause: InterruptCause, queueIndex?: number): void {
		this.#interrupts++;
		this.onInterrupt(cause, queueIndex);
	}

	#port(): DevicePort {
		return {
			negotiated: (feature) => this.#negotiated(feature),
			queue: (index) => this.#ring(index),
			configChanged: () => {
				this.#configGeneration++;
				this.onChange();
				if (this.#isLive()) this.#interrupt("config");
			},
			fail: (reason) => this.fail(reason),
		};
	}

	#start(): void {
		const agreed = (this.#status & VIRTIO_CONFIG_S_FEATURES_OK) !== 0;
		if (!agreed && !this.#isLegacy) {
			this.fail("DRIVER_OK without FEATURES_OK");
			return;
		}
		this.onState("ready");
		this.model.start?.();
		// What was offered before nobody has been told of (§3.1.1, step 7).
		this.#slots.forEach((slot, index) => {
			if (slot.enabled) this.kick(index);
		});
	}

	/** A subset of the offer, and not the dialect of another age (§2.2.2, §6.1). */
	#featuresFit(): boolean {
		if ((this.#driverFeatures & ~this.offeredFeatures) !== 0n) return false;
		return this.#isLegacy || this.#negotiated(VIRTIO_F_VERSION_1);
	}

	/** Legacy drivers never say which features are final: bits not offered do not count. */
	#negotiated(feature: number): boolean {
		return hasFeature(this.#driverFeatures & this.offeredFeatures, feature);
	}

	/** Legacy drivers may use queues before DRIVER_OK (§3.1.2). */
	#isLive(): boolean {
		if ((this.#status & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0) return false;
		return this.#isLegacy
			? this.#status !== 0
			: (this.#status & VIRTIO_CONFIG_S_DRIVER_OK) !== 0;
	}

	/** Made when first used: by then the features are settled. */
	#ring(index: number): Virtqueue | undefined {
		const slot = this.#slots[index];
		if (slot === undefined || !slot.enabled || !this.#isLive()) {
			return undefined;
		}
		slot.ring ??= this.#makeRing(index, slot.placement);
		return slot.ring;
	}

	#makeRing(index: number, placement: QueuePlacement): Virtqueue | undefined {
		const packed = this.#negotiated(VIRTIO_F_RING_PACKED);
		const check = packed ? checkPackedPlacement : checkSplitPlacement;
		const fault =
			placement.size > this.queueSizeMax(index)
				? `a queue of ${placement.size} entries: too many`
				: check(this.#memory, placement);
		if (fault !== undefined) {
			this.fail(fault);
			return undefined;
		}
		const Ring = packed ? PackedVirtqueue : SplitVirtqueue;
		return new Ring(
			this.#memory,
			placement,
			{
				eventIndex: this.#negotiated(VIRTIO_F_EVENT_IDX),
				indirect: this.#negotiated(VIRTIO_F_INDIRECT_DESC),
			},
			{
				interrupt: () => this.#interrupt("queue", index),
				broken: (reason) => this.fail(`queue ${index}: ${reason}`),
			},
		);
	}
}

/** Until the driver says otherwise a queue has its full size, at address 0. */
function emptySlot(size: number): QueueSlot {
	return {
		placement: { size, descriptorArea: 0, driverArea: 0, deviceArea: 0 },
		enabled: false,
		ring: undefined,
	};
}
