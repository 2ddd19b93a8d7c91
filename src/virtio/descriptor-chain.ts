/**
 * One buffer as a driver offers it: a chain of descriptors, first those the
 * device may read, then those it may write (virtio 1.3 §2.7.5). Devices see two
 * byte strings and need not know how a driver cut them into pieces, which the
 * specification forbids them to depend on (§2.7.4).
 *
 * `ChainBuilder` holds the rules that a hostile driver breaks. After them every
 * piece is known to lie in guest memory, so nothing here can fail later.
 *
 * Relies on guest memory; the queues make chains and the devices use them.
 *
 * @journey D:110 A buffer, in pieces
 */

import type { GuestMemory } from "../memory/guest-memory.ts";

/** The driver must not offer more in one chain (virtio 1.3 §2.7.5). */
const MOST_CHAIN_BYTES = 2 ** 32;

/** Moves bytes from or to the guest's memory itself; says whether it did. */
export type Move = (pieces: readonly Uint8Array[]) => boolean;

/** A string of bytes that lies in pieces all over guest memory. */
export class ScatteredBytes {
	readonly #memory: GuestMemory;
	readonly #life: ChainLife;
	readonly #addresses: number[] = [];
	readonly #lengths: number[] = [];
	#lengthBytes = 0;
	/** Where the last piece ends. */
	#end = -1;

	constructor(memory: GuestMemory, life: ChainLife) {
		this.#memory = memory;
		this.#life = life;
	}

	get lengthBytes(): number {
		return this.#lengthBytes;
	}

	/** The builder has checked the range. */
	append(address: number, lengthBytes: number): void {
		if (lengthBytes === 0) return;
		const isNext = address === this.#end;
		this.#end = address + lengthBytes;
		this.#lengthBytes += lengthBytes;
		if (!isNext) {
			this.#addresses.push(address);
			this.#lengths.push(lengthBytes);
			return;
		}
		const last = this.#lengths.length - 1;
		this.#lengths[last] = (this.#lengths[last] ?? 0) + lengthBytes;
	}

	/** A copy of up to `lengthBytes` bytes; shorter where the string ends. */
	read(offset: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
		const available = Math.max(0, this.#lengthBytes - offset);
		const bytes = new Uint8Array(Math.min(lengthBytes, available));
		this.readInto(offset, bytes);
		return bytes;
	}

	/** A copy in `target`, as far as the string goes. */
	readInto(offset: number, target: Uint8Array): void {
		let at = 0;
		for (const view of this.#views(offset, target.length)) {
			target.set(view, at);
			at += view.length;
		}
	}

	/**
	 * Gives how much fitted. After a reset the memory belongs to the driver
	 * again, so a late write goes nowhere (virtio 1.3 §2.4.1).
	 */
	write(offset: number, source: Uint8Array): number {
		if (this.#life.ended) return 0;
		let at = 0;
		for (const view of this.#views(offset, source.length)) {
			view.set(source.subarray(at, at + view.length));
			this.#memory.wroteTo(view);
			at += view.length;
		}
		return at;
	}

	/** Has `take` look at the memory itself, in its pieces, and gives what it says. */
	readBy(offset: number, lengthBytes: number, take: Move): boolean {
		return take(this.#views(offset, lengthBytes));
	}

	/** Likewise has `fill` write to it; late, it is not asked, as `write`. */
	writeBy(offset: number, lengthBytes: number, fill: Move): boolean {
		if (this.#life.ended) return false;
		const views = this.#views(offset, lengthBytes);
		// One that throws may have begun.
		let hasWritten = true;
		try {
			hasWritten = fill(views);
			return hasWritten;
		} finally {
			if (hasWritten) for (const view of views) this.#memory.wroteTo(view);
		}
	}

	/** Makes all of it zero; late, it goes nowhere, as `write`. */
	clear(): void {
		if (this.#life.ended) return;
		this.forEachPiece((address, lengthBytes) => {
			this.#memory.clear(address, lengthBytes);
		});
	}

	/** Where the pieces lie, in their order. */
	forEachPiece(visit: (address: number, lengthBytes: number) => void): void {
		for (const [i, address] of this.#addresses.entries()) {
			visit(address, this.#lengths[i] ?? 0);
		}
	}

	/** The range's pieces, as far as the string goes. */
	#views(offset: number, lengthBytes: number): Uint8Array[] {
		const views: Uint8Array[] = [];
		let skip = offset;
		let rest = Math.min(lengthBytes, this.#lengthBytes - offset);
		for (let i = 0; rest > 0; i++) {
			const length = (this.#lengths[i] ?? 0) - skip;
			if (length > 0) {
				const part = Math.min(length, rest);
				views.push(this.#memory.view((this.#addresses[i] ?? 0) + skip, part));
				rest -= part;
			}
			skip = Math.max(0, -length);
		}
		return views;
	}
}

/** Shared by all chains of a queue between two resets. */
export interface ChainLife {
	/** The queue was reset: the chains are the driver's again. */
	ended: boolean;
}

/** What a device takes from a queue and gives back to it. */
export class DescriptorChain {
	/** By which the driver recognises its buffer: head index or buffer id. */
	readonly id: number;
	/** Packed rings: how far the used index moves. */
	readonly descriptorCount: number;
	/** For the device to read. */
	readonly readable: ScatteredBytes;
	/** For the device to write. */
	readonly writable: ScatteredBytes;
	readonly #life: ChainLife;

	constructor(id: number, builder: ChainBuilder) {
		this.id = id;
		this.descriptorCount = builder.slots;
		this.readable = builder.readable;
		this.writable = builder.writable;
		this.#life = builder.life;
	}

	/** False after a reset: whoever works on the chain should stop. */
	get alive(): boolean {
		return !this.#life.ended;
	}
}

/** Collects the descriptors of one chain and checks each. */
export class ChainBuilder {
	readonly readable: ScatteredBytes;
	readonly writable: ScatteredBytes;
	readonly life: ChainLife;
	/** Descriptors used up in the ring itself, as against indirect ones. */
	slots = 0;
	readonly #memory: GuestMemory;
	readonly #mostDescriptors: number;
	#descriptors = 0;

	constructor(memory: GuestMemory, life: ChainLife, mostDescriptors: number) {
		this.#memory = memory;
		this.life = life;
		this.#mostDescriptors = mostDescriptors;
		this.readable = new ScatteredBytes(memory, life);
		this.writable = new ScatteredBytes(memory, life);
	}

	/**
	 * Adds a buffer descriptor; the value says what is wrong with it, if
	 * anything. The count ends loops: a chain is never longer than the queue.
	 */
	add(
		address: number,
		lengthBytes: number,
		isWritable: boolean,
	): string | undefined {
		this.#descriptors++;
		if (this.#descriptors > this.#mostDescriptors) {
			return "a descriptor chain is longer than the queue, or loops";
		}
		if (!this.#memory.contains(address, lengthBytes)) {
			return `a buffer at 0x${address.toString(16)}+${lengthBytes} is outside guest memory`;
		}
		if (!isWritable && this.writable.lengthBytes > 0) {
			return "a device-readable descriptor follows a device-writable one";
		}
		const list = isWritable ? this.writable : this.readable;
		list.append(address, lengthBytes);
		const total = this.readable.lengthBytes + this.writable.lengthBytes;
		return total > MOST_CHAIN_BYTES
			? "a descriptor chain is longer than 4 GiB"
			: undefined;
	}

	/** Whether an indirect descriptor's table can be walked. */
	checkTable(address: number, lengthBytes: number): string | undefined {
		if (lengthBytes === 0 || lengthBytes % 16 !== 0) {
			return `an indirect table of ${lengthBytes} bytes`;
		}
		return this.#memory.contains(address, lengthBytes)
			? undefined
			: `an indirect table at 0x${address.toString(16)} is outside guest memory`;
	}
}

/** A 64-bit guest address as a number; beyond 2^53 it is outside memory anyway. */
export function readAddress(memory: GuestMemory, at: number): number {
	return memory.readU32(at + 4) * 2 ** 32 + memory.readU32(at);
}
