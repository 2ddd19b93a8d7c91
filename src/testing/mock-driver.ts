/**
 * Plays the driver: sets a device up the way the specification tells drivers
 * to, builds rings in guest memory, offers buffers and collects used ones. It
 * is deliberately able to do wrong, for tests of hostile guests.
 *
 * It reaches the device through a `DriverSide`: directly, or over a transport's
 * registers, so that one story can be told over each (see
 * `test/transports.case.ts`).
 *
 * Relies on the shared half of devices; tests rely on it, and the cases beside.
 *
 * @journey D:360 A driver to order
 */

import { GuestMemory } from "../memory/guest-memory.ts";
import {
	featureSet,
	hasFeature,
	VIRTIO_CONFIG_S_ACKNOWLEDGE,
	VIRTIO_CONFIG_S_DRIVER,
	VIRTIO_CONFIG_S_DRIVER_OK,
	VIRTIO_CONFIG_S_FEATURES_OK,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_VERSION_1,
	VIRTQ_DESC_F_AVAIL,
	VIRTQ_DESC_F_INDIRECT,
	VIRTQ_DESC_F_NEXT,
	VIRTQ_DESC_F_USED,
	VIRTQ_DESC_F_WRITE,
} from "../virtio/constants.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { legacyPlacement, type QueuePlacement } from "../virtio/virtqueue.ts";

/** What a driver can do to a device, whatever lies between. */
export interface DriverSide {
	readonly isLegacy: boolean;
	/** Queues have the device's size, as some legacy interfaces want it. */
	readonly hasFixedQueueSizes?: boolean;
	readFeatures(): bigint;
	writeFeatures(features: bigint): void;
	readStatus(): number;
	writeStatus(status: number): void;
	queueSizeMax(index: number): number;
	/** Where the queue is, if that is not for the driver to say. */
	givenPlacement?(index: number): QueuePlacement | undefined;
	enableQueue(index: number, placement: QueuePlacement): void;
	kick(index: number): void;
	readConfig(offset: number, lengthBytes: number): Uint8Array;
	writeConfig(offset: number, bytes: Uint8Array): void;
	/** Interrupt causes since the last call, which acknowledges them. */
	takeInterrupts(): { queue: boolean; config: boolean };
}

/** No transport at all. */
export class DirectSide implements DriverSide {
	readonly #device: VirtioDevice;
	#queue = false;
	#config = false;

	constructor(device: VirtioDevice) {
		this.#device = device;
		device.onInterrupt = (cause) => {
			if (cause === "queue") this.#queue = true;
			else this.#config = true;
		};
	}

	get isLegacy(): boolean {
		return this.#device.isLegacy;
	}

	readFeatures(): bigint {
		return this.#device.offeredFeatures;
	}

	writeFeatures(features: bigint): void {
		this.#device.writeDriverFeatures(features);
	}

	readStatus(): number {
		return this.#device.status;
	}

	writeStatus(status: number): void {
		this.#device.writeStatus(status);
	}

	queueSizeMax(index: number): number {
		return this.#device.queueSizeMax(index);
	}

	enableQueue(index: number, placement: QueuePlacement): void {
		this.#device.placeQueue(index, placement);
		this.#device.enableQueue(index);
	}

	kick(index: number): void {
		this.#device.kick(index);
	}

	readConfig(offset: number, lengthBytes: number): Uint8Array {
		return this.#device.readConfig(offset, lengthBytes);
	}

	writeConfig(offset: number, bytes: Uint8Array): void {
		this.#device.writeConfig(offset, bytes);
	}

	takeInterrupts(): { queue: boolean; config: boolean } {
		const causes = { queue: this.#queue, config: this.#config };
		this.#queue = false;
		this.#config = false;
		return causes;
	}
}

/** A part of a buffer: bytes for the device to read, or room for it to write. */
export type Piece = Uint8Array | { readonly room: number };

/** Room for the device to write. */
export function room(lengthBytes: number): Piece {
	return { room: lengthBytes };
}

/** A buffer that came back. */
export interface UsedBuffer {
	/** What `offer` returned for it. */
	readonly id: number;
	/** As the device says. */
	readonly writtenBytes: number;
	/** All of the device-writable part. */
	readonly written: Uint8Array;
}

/** Memory for tests; allocations are never freed. */
export class TestMemory extends GuestMemory {
	#next = 0x1000;

	constructor(sizeBytes = 1 << 20) {
		super(new ArrayBuffer(sizeBytes), 0, sizeBytes);
	}

	allocate(lengthBytes: number, alignBytes = 16): number {
		const at = Math.ceil(this.#next / alignBytes) * alignBytes;
		this.#next = at + lengthBytes;
		if (this.#next > this.sizeBytes) throw new Error("test memory is full");
		return at;
	}
}

interface RawDescriptor {
	readonly address: number;
	readonly length: number;
	readonly flags: number;
}

interface Offered {
	readonly writable: readonly RawDescriptor[];
	readonly slots: number;
}

/** How a `MockDriver` starts. */
export interface MockDriverOptions {
	/** Feature bits to accept if offered, besides VERSION_1. */
	readonly accept?: readonly number[];
	/** Entries of each queue; default 8, or the device's maximum if smaller. */
	readonly queueSize?: number;
}

/** One driver; `start` it and use its queues. */
export class MockDriver {
	readonly side: DriverSide;
	readonly memory: TestMemory;
	readonly queues: MockQueue[] = [];
	features = 0n;

	constructor(side: DriverSide, memory: TestMemory) {
		this.side = side;
		this.memory = memory;
	}

	/** A driver that talks to `device` directly, up and running. */
	static started(
		device: VirtioDevice,
		memory: TestMemory,
		options: MockDriverOptions = {},
	): MockDriver {
		const driver = new MockDriver(new DirectSide(device), memory);
		driver.start(options);
		return driver;
	}

	/** virtio 1.3 §3.1.1, in its order. */
	start(options: MockDriverOptions = {}): void {
		this.negotiate(options.accept ?? []);
		this.setUpQueues(options.queueSize ?? 8);
		this.addStatus(VIRTIO_CONFIG_S_DRIVER_OK);
	}

	/** Steps 1 to 6; false when the device does not agree. */
	negotiate(accept: readonly number[]): boolean {
		const { side } = this;
		side.writeStatus(0);
		this.addStatus(VIRTIO_CONFIG_S_ACKNOWLEDGE);
		this.addStatus(VIRTIO_CONFIG_S_DRIVER);
		const wanted = featureSet(...accept, VIRTIO_F_VERSION_1);
		this.features = side.readFeatures() & wanted;
		side.writeFeatures(this.features);
		if (side.isLegacy) return true;
		this.addStatus(VIRTIO_CONFIG_S_FEATURES_OK);
		return (side.readStatus() & VIRTIO_CONFIG_S_FEATURES_OK) !== 0;
	}

	/** All of them, at fresh addresses. */
	setUpQueues(queueSize: number): void {
		this.queues.length = 0;
		for (let index = 0; this.side.queueSizeMax(index) > 0; index++) {
			const most = this.side.queueSizeMax(index);
			const isFixed = this.side.hasFixedQueueSizes ?? false;
			const size = isFixed ? most : Math.min(queueSize, most);
			const queue = this.#makeQueue(index, size);
			this.queues.push(queue);
			this.side.enableQueue(index, queue.placement);
		}
	}

	addStatus(bits: number): void {
		this.side.writeStatus(this.side.readStatus() | bits);
	}

	/** Throws for a queue the device does not have. */
	queue(index = 0): MockQueue {
		const queue = this.queues[index];
		if (queue === undefined) throw new Error(`there is no queue ${index}`);
		return queue;
	}

	#makeQueue(index: number, size: number): MockQueue {
		const has = (feature: number) => hasFeature(this.features, feature);
		const kick = () => this.side.kick(index);
		const options = {
			eventIndex: has(VIRTIO_F_EVENT_IDX),
			indirect: has(VIRTIO_F_INDIRECT_DESC),
		};
		if (has(VIRTIO_F_RING_PACKED)) {
			return new MockPackedQueue(this.memory, size, options, kick);
		}
		const given = this.side.givenPlacement?.(index);
		if (given !== undefined) {
			return new MockSplitQueue(this.memory, given, options, kick);
		}
		const base = this.memory.allocate(16 * size + 4096 + 8 * size + 6, 4096);
		const placement = legacyPlacement(
			base,
			size,
			this.side.isLegacy ? 4096 : 4,
		);
		return new MockSplitQueue(this.memory, placement, options, kick);
	}
}

interface MockQueueOptions {
	readonly eventIndex: boolean;
	readonly indirect: boolean;
}

/** The driver's end of a queue. */
export abstract class MockQueue {
	readonly placement: QueuePlacement;
	readonly memory: TestMemory;
	protected readonly options: MockQueueOptions;
	readonly #kick: () => void;
	protected readonly outstanding = new Map<number, Offered>();

	constructor(
		memory: TestMemory,
		placement: QueuePlacement,
		options: MockQueueOptions,
		kick: () => void,
	) {
		this.memory = memory;
		this.placement = placement;
		this.options = options;
		this.#kick = kick;
	}

	/** Makes a buffer available without a kick; the value recognises it later. */
	offer(...pieces: readonly Piece[]): number {
		const descriptors = pieces.map((piece) => this.#place(piece));
		const id = this.offerRaw(descriptors);
		const writable = descriptors.filter(
			(d) => (d.flags & VIRTQ_DESC_F_WRITE) !== 0,
		);
		const slots = this.options.indirect ? 1 : descriptors.length;
		this.outstanding.set(id, { writable, slots });
		return id;
	}

	/** `offer`, and a kick however much the device wants silence. */
	send(...pieces: readonly Piece[]): number {
		const id = this.offer(...pieces);
		this.kick();
		return id;
	}

	kick(): void {
		this.#kick();
	}

	/** Everything that has come back since the last call. */
	takeUsed(): UsedBuffer[] {
		const used: UsedBuffer[] = [];
		for (
			let next = this.nextUsed();
			next !== undefined;
			next = this.nextUsed()
		) {
			const offered = this.outstanding.get(next.id);
			this.outstanding.delete(next.id);
			used.push({ ...next, written: this.#gather(offered?.writable ?? []) });
		}
		return used;
	}

	/** Sends and expects the answer at once: the written part. */
	exchange(...pieces: readonly Piece[]): Uint8Array {
		const id = this.send(...pieces);
		const [used] = this.takeUsed();
		if (used?.id !== id) throw new Error(`buffer ${id} did not come back`);
		return used.written;
	}

	/** Puts descriptors with these exact contents; gives the head or id. */
	abstract offerRaw(descriptors: readonly RawDescriptor[]): number;
	/** Says whether an interrupt is wanted at the next used buffer, or at none. */
	abstract wantInterrupts(wanted: boolean): void;
	/** Whether the device asked to be kicked for the last buffer offered. */
	abstract kickWanted(): boolean;
	protected abstract nextUsed():
		| { id: number; writtenBytes: number }
		| undefined;

	/** Writes a table, chained as split rings want it or plain as packed ones do. */
	protected writeTable(
		descriptors: readonly RawDescriptor[],
		chained: boolean,
	): number {
		const table = this.memory.allocate(16 * descriptors.length);
		descriptors.forEach((descriptor, index) => {
			const isLast = index === descriptors.length - 1;
			const at = table + 16 * index;
			this.writeDescriptor(at, descriptor);
			if (chained) {
				const next = isLast ? 0 : VIRTQ_DESC_F_NEXT;
				this.memory.writeU16(at + 12, descriptor.flags | next);
				this.memory.writeU16(at + 14, index + 1);
			} else {
				this.memory.writeU16(at + 14, descriptor.flags);
			}
		});
		return table;
	}

	protected writeDescriptor(at: number, descriptor: RawDescriptor): void {
		this.memory.writeU64(at, BigInt(descriptor.address));
		this.memory.writeU32(at + 8, descriptor.length);
	}

	#place(piece: Piece): RawDescriptor {
		if (piece instanceof Uint8Array) {
			const address = this.memory.allocate(piece.length);
			this.memory.write(address, piece);
			return { address, length: piece.length, flags: 0 };
		}
		const address = this.memory.allocate(piece.room);
		return { address, length: piece.room, flags: VIRTQ_DESC_F_WRITE };
	}

	#gather(pieces: readonly RawDescriptor[]): Uint8Array {
		const total = pieces.reduce((sum, { length }) => sum + length, 0);
		const bytes = new Uint8Array(total);
		let at = 0;
		for (const { address, length } of pieces) {
			bytes.set(this.memory.read(address, length), at);
			at += length;
		}
		return bytes;
	}
}

/** The driver's end of a split queue. */
export class MockSplitQueue extends MockQueue {
	#freeDescriptor = 0;
	#available = 0;
	#used = 0;

	offerRaw(descriptors: readonly RawDescriptor[]): number {
		const { descriptorArea, size } = this.placement;
		const list = this.options.indirect
			? [this.#indirect(descriptors)]
			: descriptors;
		const heads = list.map(() => this.#freeDescriptor++ % size);
		list.forEach((descriptor, n) => {
			const at = descriptorArea + 16 * (heads[n] ?? 0);
			const next = heads[n + 1];
			this.writeDescriptor(at, descriptor);
			const more = next === undefined ? 0 : VIRTQ_DESC_F_NEXT;
			this.memory.writeU16(at + 12, descriptor.flags | more);
			this.memory.writeU16(at + 14, next ?? 0);
		});
		const head = heads[0] ?? 0;
		this.offerHead(head);
		return head;
	}

	/** Makes any head available, however wrong. */
	offerHead(head: number): void {
		const { driverArea, size } = this.placement;
		const slot = this.#available % size;
		this.memory.writeU16(driverArea + 4 + 2 * slot, head);
		this.#available = (this.#available + 1) & 0xffff;
		this.memory.writeU16(driverArea + 2, this.#available);
	}

	wantInterrupts(wanted: boolean): void {
		const { driverArea, size } = this.placement;
		if (!this.options.eventIndex) {
			this.memory.writeU16(driverArea, wanted ? 0 : 1);
			return;
		}
		// "None" is an event that has just passed.
		const event = wanted ? this.#used : this.#used - 1;
		this.memory.writeU16(driverArea + 4 + 2 * size, event & 0xffff);
	}

	kickWanted(): boolean {
		const { deviceArea, size } = this.placement;
		if (!this.options.eventIndex) {
			return (this.memory.readU16(deviceArea) & 1) === 0;
		}
		const event = this.memory.readU16(deviceArea + 4 + 8 * size);
		return event === ((this.#available - 1) & 0xffff);
	}

	protected nextUsed(): { id: number; writtenBytes: number } | undefined {
		const { deviceArea, size } = this.placement;
		if (this.memory.readU16(deviceArea + 2) === this.#used) return undefined;
		const at = deviceArea + 4 + 8 * (this.#used % size);
		this.#used = (this.#used + 1) & 0xffff;
		return {
			id: this.memory.readU32(at),
			writtenBytes: this.memory.readU32(at + 4),
		};
	}

	#indirect(descriptors: readonly RawDescriptor[]): RawDescriptor {
		return {
			address: this.writeTable(descriptors, true),
			length: 16 * descriptors.length,
			flags: VIRTQ_DESC_F_INDIRECT,
		};
	}
}

/** The driver's end of a packed queue. */
export class MockPackedQueue extends MockQueue {
	#index = 0;
	#wrap = true;
	#usedIndex = 0;
	#usedWrap = true;
	#nextId = 0;

	constructor(
		memory: TestMemory,
		size: number,
		options: MockQueueOptions,
		kick: () => void,
	) {
		const placement = {
			size,
			descriptorArea: memory.allocate(16 * size),
			driverArea: memory.allocate(4),
			deviceArea: memory.allocate(4),
		};
		super(memory, placement, options, kick);
	}

	/** The first descriptor's flags go last, as §2.8.21 tells drivers. */
	offerRaw(descriptors: readonly RawDescriptor[]): number {
		const list = this.options.indirect
			? [
					{
						address: this.writeTable(descriptors, false),
						length: 16 * descriptors.length,
						flags: VIRTQ_DESC_F_INDIRECT,
					},
				]
			: descriptors;
		const id = this.#nextId++ & 0xffff;
		const flags: [number, number][] = [];
		list.forEach((descriptor, n) => {
			const at = this.placement.descriptorArea + 16 * this.#index;
			const owner = this.#wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
			const more = n === list.length - 1 ? 0 : VIRTQ_DESC_F_NEXT;
			this.writeDescriptor(at, descriptor);
			this.memory.writeU16(at + 12, id);
			flags.unshift([at + 14, descriptor.flags | more | owner]);
			this.#index++;
			if (this.#index === this.placement.size) {
				this.#index = 0;
				this.#wrap = !this.#wrap;
			}
		});
		for (const [at, value] of flags) this.memory.writeU16(at, value);
		return id;
	}

	wantInterrupts(wanted: boolean): void {
		const { driverArea } = this.placement;
		if (!this.options.eventIndex || !wanted) {
			this.memory.writeU16(driverArea + 2, wanted ? 0 : 1);
			return;
		}
		this.wantInterruptAt(this.#usedIndex, this.#usedWrap);
	}

	/** Interrupt only when this descriptor is used; needs the event index. */
	wantInterruptAt(index: number, wrap: boolean): void {
		const { driverArea } = this.placement;
		this.memory.writeU16(driverArea, index | (wrap ? 0x8000 : 0));
		this.memory.writeU16(driverArea + 2, 2);
	}

	kickWanted(): boolean {
		return this.memory.readU16(this.placement.deviceArea + 2) !== 1;
	}

	protected nextUsed(): { id: number; writtenBytes: number } | undefined {
		const at = this.placement.descriptorArea + 16 * this.#usedIndex;
		const flags = this.memory.readU16(at + 14);
		const avail = (flags & VIRTQ_DESC_F_AVAIL) !== 0;
		const used = (flags & VIRTQ_DESC_F_USED) !== 0;
		if (avail !== used || used !== this.#usedWrap) return undefined;
		const id = this.memory.readU16(at + 12);
		const writtenBytes = this.memory.readU32(at + 8);
		this.#usedIndex += this.outstanding.get(id)?.slots ?? 1;
		if (this.#usedIndex >= this.placement.size) {
			this.#usedIndex -= this.placement.size;
			this.#usedWrap = !this.#usedWrap;
		}
		return { id, writtenBytes };
	}
}
