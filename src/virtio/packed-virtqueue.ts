/**
 * The packed virtqueue, device side (virtio 1.3 §2.8): one ring of descriptors
 * that both sides overwrite. Who owns a descriptor is told by two bits of its
 * flags against a *wrap counter* that each side toggles at each round; used
 * descriptors are written over available ones, in order of use.
 *
 * | Offset | Width | Meaning                                               |
 * | ------ | ----- | ----------------------------------------------------- |
 * | 0      | 8     | address                                               |
 * | 8      | 4     | length; when used: bytes written                      |
 * | 12     | 2     | buffer id, valid in a chain's last descriptor         |
 * | 14     | 2     | flags, with VIRTQ_DESC_F_AVAIL and VIRTQ_DESC_F_USED  |
 *
 * Relies on guest memory and chains; `device.ts` makes it.
 *
 * @journey D:120 One ring for both
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import {
	RING_EVENT_FLAGS_DESC,
	RING_EVENT_FLAGS_DISABLE,
	RING_EVENT_FLAGS_ENABLE,
	VIRTQ_DESC_BYTES,
	VIRTQ_DESC_F_AVAIL,
	VIRTQ_DESC_F_INDIRECT,
	VIRTQ_DESC_F_NEXT,
	VIRTQ_DESC_F_USED,
	VIRTQ_DESC_F_WRITE,
	VIRTQUEUE_MAX_SIZE,
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

const EVENT_SUPPRESSION_BYTES = 4;

/** Why a packed queue cannot be there, if it cannot (virtio 1.3 §2.8.10.1). */
export function checkPackedPlacement(
	memory: GuestMemory,
	{ size, descriptorArea, driverArea, deviceArea }: QueuePlacement,
): string | undefined {
	if (size === 0 || size > VIRTQUEUE_MAX_SIZE) {
		return `a packed queue of ${size} entries`;
	}
	const areas = [
		{ at: descriptorArea, bytes: VIRTQ_DESC_BYTES * size, align: 16 },
		{ at: driverArea, bytes: EVENT_SUPPRESSION_BYTES, align: 4 },
		{ at: deviceArea, bytes: EVENT_SUPPRESSION_BYTES, align: 4 },
	];
	for (const { at, bytes, align } of areas) {
		if (at % align !== 0 || !memory.contains(at, bytes)) {
			return `a part of a queue at 0x${at.toString(16)}+${bytes}: outside guest memory, or not aligned to ${align}`;
		}
	}
	return undefined;
}

/** A place in the ring together with the round it belongs to. */
interface Position {
	index: number;
	wrap: boolean;
}

/** The placement must have passed `checkPackedPlacement`. */
export class PackedVirtqueue implements Virtqueue {
	readonly size: number;
	readonly #memory: GuestMemory;
	readonly #placement: QueuePlacement;
	readonly #features: QueueFeatures;
	readonly #wires: QueueWires;
	readonly #life = { ended: false };
	/** Both start in the first round, whose counter is 1 (§2.8.1). */
	readonly #available: Position = { index: 0, wrap: true };
	readonly #used: Position = { index: 0, wrap: true };
	/** Descriptors of the ring that the device holds. */
	#held = 0;

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
	}

	pop(): DescriptorChain | undefined {
		if (this.#life.ended || !this.#isAvailable()) return undefined;
		const chain = this.#walk();
		if (typeof chain === "string") return this.#fail(chain);
		this.#held += chain.descriptorCount;
		this.#advance(this.#available, chain.descriptorCount);
		return chain;
	}

	push(chain: DescriptorChain, writtenBytes: number): void {
		if (!chain.alive || this.#life.ended) return;
		const { index, wrap } = this.#used;
		const at = this.#descriptorAt(index);
		this.#memory.writeU32(at + 8, writtenBytes);
		this.#memory.writeU16(at + 12, chain.id);
		const owner = wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;
		const written = writtenBytes > 0 ? VIRTQ_DESC_F_WRITE : 0;
		// The flags go last: they make the descriptor the driver's (§2.8.6).
		this.#memory.writeU16(at + 14, owner | written);
		this.#held -= chain.descriptorCount;
		this.#advance(this.#used, chain.descriptorCount);
		if (this.#wantsInterrupt(chain.descriptorCount)) this.#wires.interrupt();
	}

	setKicksWanted(wanted: boolean): void {
		if (this.#life.ended) return;
		const flags = wanted ? RING_EVENT_FLAGS_ENABLE : RING_EVENT_FLAGS_DISABLE;
		this.#memory.writeU16(this.#placement.deviceArea + 2, flags);
	}

	retire(): void {
		this.#life.ended = true;
	}

	#descriptorAt(index: number): number {
		return this.#placement.descriptorArea + index * VIRTQ_DESC_BYTES;
	}

	/**
	 * Available: the two bits differ, and the driver's equals our counter. While
	 * we hold the whole ring nothing is: what we see are old descriptors.
	 */
	#isAvailable(): boolean {
		if (this.#held === this.size) return false;
		const { index, wrap } = this.#available;
		const flags = this.#memory.readU16(this.#descriptorAt(index) + 14);
		const avail = (flags & VIRTQ_DESC_F_AVAIL) !== 0;
		const used = (flags & VIRTQ_DESC_F_USED) !== 0;
		return avail === wrap && used !== wrap;
	}

	#advance(position: Position, count: number): void {
		position.index += count;
		if (position.index < this.size) return;
		position.index -= this.size;
		position.wrap = !position.wrap;
	}

	/** virtio 1.3 §2.8.10: the driver's event suppression structure. */
	#wantsInterrupt(count: number): boolean {
		const { driverArea } = this.#placement;
		const flags = this.#memory.readU16(driverArea + 2) & 3;
		if (flags !== RING_EVENT_FLAGS_DESC || !this.#features.eventIndex) {
			return flags !== RING_EVENT_FLAGS_DISABLE;
		}
		const descriptor = this.#memory.readU16(driverArea);
		const wrap = descriptor >>> 15 === 1;
		// An event of the round before ours lies one ring behind.
		const event =
			(descriptor & 0x7fff) - (wrap === this.#used.wrap ? 0 : this.size);
		return passedEvent(event, this.#used.index, this.#used.index - count);
	}

	#fail(reason: string): undefined {
		this.retire();
		this.#wires.broken(reason);
		return undefined;
	}

	/** The chain at our position, or what is wrong with it. */
	#walk(): DescriptorChain | string {
		const builder = new ChainBuilder(this.#memory, this.#life, this.size);
		const free = this.size - this.#held;
		for (let index = this.#available.index; ; ) {
			const at = this.#descriptorAt(index);
			const flags = this.#memory.readU16(at + 14);
			builder.slots++;
			if (builder.slots > free) {
				return "a descriptor chain is longer than what is free in the ring";
			}
			const fault = this.#addDescriptor(builder, at, flags);
			if (fault !== undefined) return fault;
			if ((flags & VIRTQ_DESC_F_NEXT) === 0) {
				return new DescriptorChain(this.#memory.readU16(at + 12), builder);
			}
			index = index + 1 === this.size ? 0 : index + 1;
		}
	}

	#addDescriptor(
		builder: ChainBuilder,
		at: number,
		flags: number,
	): string | undefined {
		const address = readAddress(this.#memory, at);
		const length = this.#memory.readU32(at + 8);
		if ((flags & VIRTQ_DESC_F_INDIRECT) === 0) {
			return builder.add(address, length, (flags & VIRTQ_DESC_F_WRITE) !== 0);
		}
		if (!this.#features.indirect) {
			return "an indirect descriptor without VIRTIO_F_INDIRECT_DESC";
		}
		// virtio 1.3 §2.8.19: an indirect descriptor stands alone.
		if ((flags & VIRTQ_DESC_F_NEXT) !== 0 || builder.slots > 1) {
			return "an indirect descriptor in a chain";
		}
		return (
			builder.checkTable(address, length) ??
			this.#addTable(builder, address, length)
		);
	}

	/** A packed indirect table is simply a list; flags but WRITE are ignored (§2.8.7). */
	#addTable(
		builder: ChainBuilder,
		table: number,
		lengthBytes: number,
	): string | undefined {
		for (let at = table; at < table + lengthBytes; at += VIRTQ_DESC_BYTES) {
			const flags = this.#memory.readU16(at + 14);
			const fault = builder.add(
				readAddress(this.#memory, at),
				this.#memory.readU32(at + 8),
				(flags & VIRTQ_DESC_F_WRITE) !== 0,
			);
			if (fault !== undefined) return fault;
		}
		return undefined;
	}
}
