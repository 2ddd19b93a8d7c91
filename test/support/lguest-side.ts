/**
 * The driver's side of the lguest bus: stores into the descriptor page and
 * NOTIFY, with status and acknowledgements told as Linux 2.6.26 and later tell
 * them. It reads where things are from the page, as a kernel does.
 */

import {
	LGUEST_DEVICE_DESC,
	LGUEST_DEVICE_DESC_BYTES,
	LGUEST_PAGE_BYTES,
	LGUEST_VQCONFIG,
	LGUEST_VQCONFIG_BYTES,
	lguestDeviceDescSize,
} from "../../src/lguest/abi.ts";
import {
	LGUEST_TRAILER_BYTES,
	LGUEST_TRAILER_GENERATION,
} from "../../src/virtio/transports/lguest-bus.ts";
import {
	legacyPlacement,
	type QueuePlacement,
} from "../../src/virtio/virtqueue.ts";
import type { DriverSide, TestMemory } from "./mock-driver.ts";

/** Edges that the interrupt controller holds, as one sees them from the CPU. */
export class EdgeLatch {
	readonly pending = new Set<number>();

	readonly raise = (irq: number): void => {
		this.pending.add(irq);
	};
}

/** Whoever hears the hypercall. */
export interface NotifiedBus {
	notify(address: number, lengthBytes: number): boolean;
	/** Looks for what was stored in silence. */
	poll?(): void;
}

/** Drives the device whose descriptor is at `address`. */
export class LguestSide implements DriverSide {
	readonly isLegacy: boolean;
	readonly address: number;
	readonly #bus: NotifiedBus;
	readonly #memory: TestMemory;
	readonly #latch: EdgeLatch;
	#seen = { used: [0, 0], generation: 0 };

	constructor(
		bus: NotifiedBus,
		memory: TestMemory,
		latch: EdgeLatch,
		address: number,
		isLegacy: boolean,
	) {
		this.#bus = bus;
		this.#memory = memory;
		this.#latch = latch;
		this.address = address;
		this.isLegacy = isLegacy;
	}

	/** Where the next descriptor is. */
	get end(): number {
		return (
			this.address +
			lguestDeviceDescSize(
				this.#field("num_vq"),
				this.#field("feature_len"),
				this.#field("config_len"),
			)
		);
	}

	readFeatures(): bigint {
		return this.#bits(this.#featuresAt);
	}

	writeFeatures(features: bigint): void {
		for (let i = 0; i < this.#field("feature_len"); i++) {
			const byte = Number((features >> BigInt(8 * i)) & 0xffn);
			this.#memory.writeU8(this.#acksAt + i, byte);
		}
	}

	readStatus(): number {
		return this.#field("status");
	}

	/** Stores, and tells. At a reset the handlers go: what is pending finds nobody. */
	writeStatus(status: number): void {
		this.storeStatus(status);
		this.notify(this.address);
		if (status !== 0) return;
		this.#latch.pending.clear();
		this.#seen = this.#look();
	}

	/** Stores in silence. */
	storeStatus(status: number): void {
		this.#memory.writeU8(this.address + LGUEST_DEVICE_DESC.status, status);
	}

	notify(address: number, lengthBytes = 0): boolean {
		return this.#bus.notify(address, lengthBytes);
	}

	queueSizeMax(index: number): number {
		if (index >= this.#field("num_vq")) return 0;
		return this.#memory.readU16(this.#queueAt(index) + LGUEST_VQCONFIG.num);
	}

	givenPlacement(index: number): QueuePlacement {
		const pfn = this.#memory.readU32(
			this.#queueAt(index) + LGUEST_VQCONFIG.pfn,
		);
		const base = pfn * LGUEST_PAGE_BYTES;
		return legacyPlacement(base, this.queueSizeMax(index), LGUEST_PAGE_BYTES);
	}

	enableQueue(): void {}

	kick(index: number): void {
		const there = index < this.#field("num_vq");
		this.notify(there ? this.givenPlacement(index).descriptorArea : index);
	}

	readConfig(offset: number, lengthBytes: number): Uint8Array {
		const bytes = new Uint8Array(lengthBytes);
		const end = Math.min(offset + lengthBytes, this.#configBytes);
		const length = Math.max(0, end - offset);
		bytes.set(this.#memory.read(this.#configAt + offset, length));
		return bytes;
	}

	/** Old drivers do not tell, so here they kick a queue for the sake of it. */
	writeConfig(offset: number, bytes: Uint8Array): void {
		if (offset + bytes.length > this.#configBytes) return;
		this.#memory.write(this.#configAt + offset, bytes);
		if (this.isLegacy) this.#bus.poll?.();
		else this.notify(this.#configAt + offset, bytes.length);
	}

	/** A handler is called for its number, and looks for itself what has changed. */
	takeInterrupts(): { queue: boolean; config: boolean } {
		const { pending } = this.#latch;
		const called = this.#irqs().some((irq) => pending.delete(irq));
		const { used, generation } = this.#seen;
		const now = this.#look();
		this.#seen = called ? now : this.#seen;
		return {
			queue: called && now.used.some((index, i) => index !== used[i]),
			config: called && now.generation !== generation,
		};
	}

	get #featuresAt(): number {
		return this.#queueAt(this.#field("num_vq"));
	}

	get #acksAt(): number {
		return this.#featuresAt + this.#field("feature_len");
	}

	get #configAt(): number {
		return this.#acksAt + this.#field("feature_len");
	}

	get #configBytes(): number {
		const trailer = this.isLegacy ? 0 : LGUEST_TRAILER_BYTES;
		return this.#field("config_len") - trailer;
	}

	#queueAt(index: number): number {
		return (
			this.address + LGUEST_DEVICE_DESC_BYTES + index * LGUEST_VQCONFIG_BYTES
		);
	}

	#field(name: keyof typeof LGUEST_DEVICE_DESC): number {
		return this.#memory.readU8(this.address + LGUEST_DEVICE_DESC[name]);
	}

	/** The queues' used indices, and the generation where there is one. */
	#look(): { used: number[]; generation: number } {
		const used = this.#queues().map((index) => {
			const { deviceArea } = this.givenPlacement(index);
			return this.#memory.readU16(deviceArea + 2);
		});
		const at = this.#configAt + this.#configBytes + LGUEST_TRAILER_GENERATION;
		return { used, generation: this.isLegacy ? 0 : this.#memory.readU16(at) };
	}

	/** The trailer's irq is that of the first queue. */
	#irqs(): number[] {
		return this.#queues().map((index) =>
			this.#memory.readU16(this.#queueAt(index) + LGUEST_VQCONFIG.irq),
		);
	}

	#queues(): number[] {
		return Array.from({ length: this.#field("num_vq") }, (_, index) => index);
	}

	#bits(address: number): bigint {
		return this.#memory
			.read(address, this.#field("feature_len"))
			.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
	}
}
