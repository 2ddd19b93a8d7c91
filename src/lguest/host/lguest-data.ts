/**
 * `lguest_data`: the one structure that Guest and Host share, in the three
 * shapes that it has had. It lies in the Guest's memory, so both see a change
 * at once, and the Guest can turn interrupts off with a store.
 *
 * Relies on the layouts of `abi.ts`; everything in this folder reads and writes
 * the structure through here.
 *
 * @journey H:215 The page we share
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import {
	LGUEST_DATA_L1,
	LGUEST_DATA_L2,
	LGUEST_DATA_L3,
	LGUEST_PAGE_BYTES,
	type LguestDataLayout,
	LHCALL_RING_FREE,
	LHCALL_RING_SIZE,
} from "../abi.ts";

/** In `irq_enabled` and `irq_pending`: EFLAGS.IF. */
export const IRQ_ENABLED = 0x200;

const SYSCALL_VECTOR = 0x80;
const LOWEST_KERNEL_ADDRESS = 0x4000_0000;
/**
 * The Guest is told to stay out of the linear addresses from here on. Nothing is
 * there, for this Host needs no place in the Guest's address space; but kernels
 * of all ages lay out the top of theirs by what they are told, and this is what
 * most Hosts said.
 */
export const HOST_ADDRESS = 0xffc0_0000;
/** The code where no interrupt may come is a handful of instructions. */
const LONGEST_NOIRQ_WINDOW = 64;

/** The structure at a physical address, which has been checked. */
export class LguestData {
	readonly layout: LguestDataLayout;
	readonly address: number;
	readonly #memory: GuestMemory;

	constructor(memory: GuestMemory, address: number, layout: LguestDataLayout) {
		this.#memory = memory;
		this.address = address;
		this.layout = layout;
	}

	get irqEnabled(): number {
		return this.#read(this.layout.irq_enabled);
	}

	set irqEnabled(value: number) {
		this.#write(this.layout.irq_enabled, value);
	}

	get blockedInterrupts(): number {
		return this.#read(this.layout.blocked_interrupts);
	}

	set cr2(value: number) {
		this.#write(this.layout.cr2, value);
	}

	get noirqStart(): number {
		return this.#read(this.layout.noirq_start);
	}

	get noirqEnd(): number {
		return this.#read(this.layout.noirq_end);
	}

	get kernelAddress(): number {
		return this.#read(this.layout.kernel_address);
	}

	get syscallVector(): number {
		return this.#read(this.layout.syscall_vec);
	}

	set reserveMem(bytes: number) {
		this.#write(this.layout.reserve_mem, bytes);
	}

	set tscKhz(value: number) {
		this.#write(this.layout.tsc_khz, value);
	}

	/** Only shapes that have the field keep it. */
	setPgdir(address: number): void {
		if (this.layout.pgdir !== undefined) {
			this.#write(this.layout.pgdir, address);
		}
	}

	/** Tells the Guest, where it has a word for that, that it should turn interrupts on. */
	setIrqPending(pending: boolean): void {
		const at = this.layout.irq_pending;
		if (at === undefined) return;
		const value = pending ? IRQ_ENABLED : 0;
		if (this.#read(at) !== value) this.#write(at, value);
	}

	setTime(seconds: number, nanoseconds: number): void {
		this.#write(this.layout.time, seconds);
		this.#write(this.layout.time + 4, nanoseconds);
	}

	/** Whether a call waits in the slot. */
	isSlotReady(slot: number): boolean {
		const at = this.address + this.layout.hcall_status + slot;
		return this.#memory.bytes[at] !== LHCALL_RING_FREE;
	}

	freeSlot(slot: number): void {
		const at = this.address + this.layout.hcall_status + slot;
		this.#memory.writeU8(at, LHCALL_RING_FREE);
	}

	/** A word of a slot of the ring, in the order EAX EBX ECX EDX ESI. */
	slotWord(slot: number, index: number): number {
		const { hcalls, hcallBytes } = this.layout;
		if (index * 4 >= hcallBytes) return 0;
		return this.#read(hcalls + slot * hcallBytes + index * 4);
	}

	#read(offset: number): number {
		return this.#memory.readU32(this.address + offset);
	}

	#write(offset: number, value: number): void {
		this.#memory.writeU32(this.address + offset, value >>> 0);
	}
}

/** Whether [address, address + bytes) is the Guest's; the end must lie below the last page's end. */
export function isGuestRange(
	address: number,
	bytes: number,
	pfnLimit: number,
): boolean {
	const end = address + bytes;
	return end < 2 ** 32 && Math.floor(end / LGUEST_PAGE_BYTES) < pfnLimit;
}

/**
 * Which shape the structure at `address` has, if it can be one: a ring that is
 * free all over, and two constants that make sense in this shape and would not
 * in another.
 */
export function recogniseLayout(
	memory: GuestMemory,
	address: number,
	pfnLimit: number,
): LguestDataLayout | undefined {
	return [LGUEST_DATA_L3, LGUEST_DATA_L2, LGUEST_DATA_L1].find((layout) => {
		if (!isGuestRange(address, layout.sizeBytes, pfnLimit)) return false;
		const status = address + layout.hcall_status;
		const ring = memory.bytes.subarray(status, status + LHCALL_RING_SIZE);
		if (!ring.every((byte) => byte === LHCALL_RING_FREE)) return false;
		return hasPlausibleConstants(new LguestData(memory, address, layout));
	});
}

function hasPlausibleConstants(data: LguestData): boolean {
	const { noirqStart, noirqEnd } = data;
	const windowFits =
		noirqStart < noirqEnd && noirqEnd - noirqStart < LONGEST_NOIRQ_WINDOW;
	return windowFits && (hasSyscallVector(data) || hasKernelAddress(data));
}

/** The only vector for system calls that Linux has on this processor. */
export function hasSyscallVector(data: LguestData): boolean {
	return data.syscallVector === SYSCALL_VECTOR;
}

/** Where a kernel can begin: below what the Host reserves, on a page. */
export function hasKernelAddress({ kernelAddress }: LguestData): boolean {
	return (
		kernelAddress >= LOWEST_KERNEL_ADDRESS &&
		kernelAddress < HOST_ADDRESS &&
		kernelAddress % LGUEST_PAGE_BYTES === 0
	);
}
