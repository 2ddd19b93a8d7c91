/**
 * The split virtqueue, device side (virtio 1.3 §2.7): a table of descriptors, a
 * ring where the driver puts what is available, a ring where the device puts
 * what is used.
 *
 * | Area     | Offset     | Width | Meaning                                 |
 * | -------- | ---------- | ----- | --------------------------------------- |
 * | driver   | 0          | 2     | flags                                   |
 * | driver   | 2          | 2     | idx: where the next head will be put    |
 * | driver   | 4 + 2n     | 2     | ring: heads                             |
 * | driver   | 4 + 2·size | 2     | used_event                              |
 * | device   | 0          | 2     | flags                                   |
 * | device   | 2          | 2     | idx: where the next element will be put |
 * | device   | 4 + 8n     | 8     | ring: id, len                           |
 * | device   | 4 + 8·size | 2     | avail_event                             |
 *
 * Work per kick is bounded by what the areas can express: never more than
 * `size` chains are pending or in flight, or the driver is broken.
 *
 * Relies on guest memory and chains; `device.ts` makes it.
 *
 * @journey D:115 Three rings that are two
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
	VIRTQ_AVAIL_F_NO_INTERRUPT,
	VIRTQ_DESC_BYTES,
	VIRTQ_DESC_F_INDIRECT,
	VIRTQ_DESC_F_NEXT,
	VIRTQ_DESC_F_WRITE,
	VIRTQ_USED_F_NO_NOTIFY,
} from "./constants.ts";
import {
	ChainBuilder,
	DescriptorChain,
	readAddress,
} from "./descriptor-chain.ts";
import {
	passedEvent,
	type QueueFeatures,
	type QueuePlacement,
	type QueueWires,
	type Virtqueue,
} from "./virtqueue.ts";

/** Why a split queue cannot be there, if it cannot (virtio 1.3 §2.7, §2.7.1). */
export function checkSplitPlacement(
	memory: GuestMemory,
	{ size, descriptorArea, driverArea, deviceArea }: QueuePlacement,
): string | undefined {
	if (size === 0 || (size & (size - 1)) !== 0) {
		return `a split queue of ${size} entries: not a power of two`;
	}
	const areas = [
		{ at: descriptorArea, bytes: 16 * size, align: 16 },
		{ at: driverArea, bytes: 6 + 2 * size, align: 2 },
		{ at: deviceArea, bytes: 6 + 8 * size, align: 4 },
	];
	for (const { at, bytes, align } of areas) {
		if (at % align !== 0 || !memory.contains(at, bytes)) {
			return `a part of a queue at 0x${at.toString(16)}+${bytes}: outside guest memory, or not aligned to ${align}`;
		}
	}
	return undefined;
}

/** The placement must have passed `checkSplitPlacement`. */
export class SplitVirtqueue implements Virtqueue {
	readonly size: number;
	readonly #memory: GuestMemory;
	readonly #placement: QueuePlacement;
	readonly #features: QueueFeatures;
	readonly #wires: QueueWires;
	readonly #life = { ended: false };
	/** Free-running, modulo 2^16, as the indexes in memory are. */
	#nextAvailable = 0;
	#nextUsed = 0;
	#inFlight = 0;
	#kicksWanted = true;

	constructor(
		memory: GuestMemory,
		placement: QueuePlacement,
		features: QueueFeatures,
		wires: QueueWires,
	) {
		this.size = placement.size;
		this.#memory = memory;
		this.#placement = placement;
		this.#features = features;
		this.#wires = wires;
		// With the event index it stays that way (virtio 1.3 §2.7.10.1).
		memory.writeU16(placement.deviceArea, 0);
	}

	pop(): DescriptorChain | undefined {
		if (this.#life.ended) return undefined;
		const pending = this.#pending();
		if (pending === 0) {
			// The last word before the device goes idle: kick at the next one.
			this.#publishAvailEvent();
			return undefined;
		}
		if (pending > this.size || this.#inFlight === this.size) {
			return this.#fail("more buffers are available than the queue has");
		}
		const slot = this.#nextAvailable & (this.size - 1);
		const head = this.#memory.readU16(
			this.#placement.driverArea + 4 + 2 * slot,
		);
		const chain = this.#walk(head);
		if (typeof chain === "string") return this.#fail(chain);
		this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
		this.#inFlight++;
		return chain;
	}

	push(chain: DescriptorChain, writtenBytes: number): void {
		if (!chain.alive || this.#life.ended) return;
		const { deviceArea } = this.#placement;
		const slot = this.#nextUsed & (this.size - 1);
		this.#memory.writeU32(deviceArea + 4 + 8 * slot, chain.id);
		this.#memory.writeU32(deviceArea + 8 + 8 * slot, writtenBytes);
		const old = this.#nextUsed;
		this.#nextUsed = (old + 1) & 0xffff;
		this.#inFlight--;
		// The index goes last: it makes the element the driver's (§2.7.8.2).
		this.#memory.writeU16(deviceArea + 2, this.#nextUsed);
		if (this.#wantsInterrupt(old)) this.#wires.interrupt();
	}

	setKicksWanted(wanted: boolean): void {
		if (this.#life.ended) return;
		this.#kicksWanted = wanted;
		if (this.#features.eventIndex) {
			// There is no way to say "never"; an event already passed is as good.
			this.#publishAvailEvent();
			return;
		}
		const flags = wanted ? 0 : VIRTQ_USED_F_NO_NOTIFY;
		this.#memory.writeU16(this.#placement.deviceArea, flags);
	}

	retire(): void {
		this.#life.ended = true;
	}

	#pending(): number {
		const index = this.#memory.readU16(this.#placement.driverArea + 2);
		return (index - this.#nextAvailable) & 0xffff;
	}

	#publishAvailEvent(): void {
		if (!this.#features.eventIndex || !this.#kicksWanted) return;
		const at = this.#placement.deviceArea + 4 + 8 * this.size;
		this.#memory.writeU16(at, this.#nextAvailable);
	}

	/** The driver may ask for silence by a flag or by an index (§2.7.7.2). */
	#wantsInterrupt(oldUsed: number): boolean {
		const { driverArea } = this.#placement;
		if (!this.#features.eventIndex) {
			const flags = this.#memory.readU16(driverArea);
			return (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
		}
		const usedEvent = this.#memory.readU16(driverArea + 4 + 2 * this.size);
		return passedEvent(usedEvent, this.#nextUsed, oldUsed);
	}

	#fail(reason: string): undefined {
		this.retire();
		this.#wires.broken(reason);
		return undefined;
	}

	/** The chain from `head`, or what is wrong with it. */
	#walk(head: number): DescriptorChain | string {
		const builder = new ChainBuilder(this.#memory, this.#life, this.size);
		let table = this.#placement.descriptorArea;
		let entries = this.size;
		let index = head;
		let isIndirect = false;
		for (;;) {
			if (index >= entries) {
				return `descriptor ${index} in a table of ${entries}`;
			}
			const at = table + index * VIRTQ_DESC_BYTES;
			const address = readAddress(this.#memory, at);
			const length = this.#memory.readU32(at + 8);
			const flags = this.#memory.readU16(at + 12);
			if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
				const fault =
					this.#indirectFault(flags, isIndirect) ??
					builder.checkTable(address, length);
				if (fault !== undefined) return fault;
				isIndirect = true;
				table = address;
				entries = length / VIRTQ_DESC_BYTES;
				index = 0;
				continue;
			}
			const isWritable = (flags & VIRTQ_DESC_F_WRITE) !== 0;
			const fault = builder.add(address, length, isWritable);
			if (fault !== undefined) return fault;
			if ((flags & VIRTQ_DESC_F_NEXT) === 0) {
				return new DescriptorChain(head, builder);
			}
			index = this.#memory.readU16(at + 14);
		}
	}

	/** virtio 1.3 §2.7.5.3.1: what the driver must not do. */
	#indirectFault(flags: number, isIndirect: boolean): string | undefined {
		if (!this.#features.indirect) {
			return "an indirect descriptor without VIRTIO_F_INDIRECT_DESC";
		}
		if (isIndirect) return "an indirect descriptor in an indirect table";
		return (flags & VIRTQ_DESC_F_NEXT) !== 0
			? "an indirect descriptor with VIRTQ_DESC_F_NEXT"
			: undefined;
	}
}
