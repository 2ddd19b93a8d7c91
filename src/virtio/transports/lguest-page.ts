/**
 * The descriptor page, as the Launcher writes it: one descriptor behind the
 * other, and behind the page the memory of their rings. Before there was a
 * PCI bus in every virtual machine this was all of lguest's hardware.
 *
 * ```text
 * top of RAM ──▶ descriptors, packed, a byte of zero behind the last
 *   + 1 page     ring of the first device's first queue, whole pages
 *   …            the other rings, in the order of their making
 * ```
 *
 * Relies on guest memory, which must reach above RAM and be zero there; the
 * bus relies on it.
 *
 * @journey D:190 A page of bytes
 */

import { UsageError } from "../../errors.ts";
import {
	LGUEST_DEVICE_DESC_BYTES,
	LGUEST_DEVICE_PAGES,
	LGUEST_LENGTH_MAX,
	LGUEST_PAGE_BYTES,
	LGUEST_VQCONFIG,
	LGUEST_VQCONFIG_BYTES,
	LGUEST_VRING_ALIGN,
	lguestDeviceDescSize,
} from "../../lguest/abi.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { legacyPlacement, type QueuePlacement } from "../virtqueue.ts";

/** A device for the page. */
export interface DescriptorContents {
	/** Device type, not 0. */
	readonly type: number;
	readonly queues: readonly { readonly num: number; readonly irq: number }[];
	/** Feature bits on offer. */
	readonly features: bigint;
	readonly config: Uint8Array;
}

/** Where the parts of a descriptor are, as physical addresses. */
export interface PlacedDescriptor {
	readonly address: number;
	readonly hostFeatures: number;
	readonly guestFeatures: number;
	/** Of each of the two sets of feature bits. */
	readonly featureBytes: number;
	readonly config: number;
	readonly configBytes: number;
	/** Where the queues' rings are. */
	readonly rings: readonly QueuePlacement[];
}

/** Entries for the used ring behind `deviceArea`, and the event index behind them. */
function ringEnd({ deviceArea, size }: QueuePlacement): number {
	return deviceArea + 4 + 8 * size + 2;
}

/** Whole pages that a ring of `num` entries takes. */
export function lguestRingPages(num: number): number {
	const end = ringEnd(legacyPlacement(0, num, LGUEST_VRING_ALIGN));
	return Math.ceil(end / LGUEST_PAGE_BYTES);
}

/** One page being filled. */
export class DescriptorPage {
	readonly address: number;
	readonly #memory: GuestMemory;
	readonly #regionEnd: number;
	#next: number;
	#nextRing: number;

	/** `address` is the top of RAM; room for `LGUEST_DEVICE_PAGES` must be there. */
	constructor(memory: GuestMemory, address: number) {
		this.address = address;
		this.#memory = memory;
		this.#regionEnd = Math.min(
			memory.sizeBytes,
			address + LGUEST_DEVICE_PAGES * LGUEST_PAGE_BYTES,
		);
		this.#next = address;
		this.#nextRing = address + LGUEST_PAGE_BYTES;
	}

	/** How many page frames the Guest has, with the page and all rings so far. */
	get pfnLimit(): number {
		return this.#nextRing / LGUEST_PAGE_BYTES;
	}

	/** Writes a descriptor behind the last one. */
	append(contents: DescriptorContents): PlacedDescriptor {
		const { type, queues } = contents;
		const config = contents.config.subarray(0, LGUEST_LENGTH_MAX);
		const featureBytes = bytesOf(contents.features);
		this.#requireRoom(queues, featureBytes, config.length);
		const address = this.#next;
		const rings = queues.map(({ num }) => this.#allocateRing(num));
		const hostFeatures =
			address +
			LGUEST_DEVICE_DESC_BYTES +
			LGUEST_VQCONFIG_BYTES * queues.length;
		const guestFeatures = hostFeatures + featureBytes;
		const placed = {
			...{ address, hostFeatures, guestFeatures, featureBytes, rings },
			...{ config: guestFeatures + featureBytes, configBytes: config.length },
		};
		this.#memory.write(
			address,
			Uint8Array.of(type, queues.length, featureBytes, config.length, 0),
		);
		queues.forEach((queue, index) => {
			const pfn = (rings[index]?.descriptorArea ?? 0) / LGUEST_PAGE_BYTES;
			const at = LGUEST_DEVICE_DESC_BYTES + LGUEST_VQCONFIG_BYTES * index;
			this.#writeQueue(address + at, { ...queue, pfn });
		});
		this.#memory.write(hostFeatures, encode(contents.features, featureBytes));
		this.#memory.write(placed.config, config);
		this.#next = placed.config + config.length;
		return placed;
	}

	#writeQueue(
		at: number,
		{ num, irq, pfn }: { num: number; irq: number; pfn: number },
	): void {
		this.#memory.writeU16(at + LGUEST_VQCONFIG.num, num);
		this.#memory.writeU16(at + LGUEST_VQCONFIG.irq, irq);
		this.#memory.writeU32(at + LGUEST_VQCONFIG.pfn, pfn);
	}

	#allocateRing(num: number): QueuePlacement {
		const ring = legacyPlacement(this.#nextRing, num, LGUEST_VRING_ALIGN);
		this.#nextRing += lguestRingPages(num) * LGUEST_PAGE_BYTES;
		return ring;
	}

	/** A Guest stops at the end of the page as at a type of 0, so it may be full. */
	#requireRoom(
		queues: readonly { readonly num: number }[],
		featureBytes: number,
		configBytes: number,
	): void {
		const size = lguestDeviceDescSize(queues.length, featureBytes, configBytes);
		const pages = queues.reduce(
			(sum, { num }) => sum + lguestRingPages(num),
			0,
		);
		const end = this.#nextRing + pages * LGUEST_PAGE_BYTES;
		const pageEnd = this.address + LGUEST_PAGE_BYTES;
		if (this.#next + size <= pageEnd && end <= this.#regionEnd) return;
		throw new UsageError(
			"The machine has more devices than lguest's descriptor page has room for.",
			{ hint: "Use fewer devices, or --transport pci." },
		);
	}
}

/** Just as many bytes as the highest feature needs. */
function bytesOf(features: bigint): number {
	return features === 0n ? 0 : Math.ceil(features.toString(2).length / 8);
}

function encode(features: bigint, lengthBytes: number): Uint8Array {
	return Uint8Array.from({ length: lengthBytes }, (_, index) =>
		Number((features >> BigInt(8 * index)) & 0xffn),
	);
}
