/**
 * The Guest's descriptor table. It is ours: the Guest hands over descriptors by
 * hypercall, we look at each and put it where the processor reads.
 *
 * A kernel that was written for level 0 makes descriptors for level 0; here
 * they are made ones for level 1. What could lead out of the Guest (gates, task
 * segments) is left out.
 *
 * Relies on the ABI's numbers; the Guest relies on it.
 *
 * @journey H:245 Segments
 */

import {
	GDT_ENTRIES,
	GDT_ENTRY_TLS_ENTRIES,
	GDT_ENTRY_TLS_MIN,
	GUEST_PL,
	LGUEST_CS,
	LGUEST_DS,
} from "../abi.ts";
import type { Guest } from "./guest.ts";

/** Bits of a descriptor's high half (Intel SDM vol. 3, "Segment Descriptors"). */
const ACCESSED = 1 << 8;
const CODE_OR_DATA = 1 << 12;
const DPL_SHIFT = 13;
const DPL_MASK = 3 << DPL_SHIFT;
const PRESENT = 1 << 15;

/** 4 GiB from address 0: code and data. */
const FLAT_LOW = 0x0000_ffff;
const FLAT_CODE_HIGH = 0x00cf_9b00;
const FLAT_DATA_HIGH = 0x00cf_9300;

/** Where hosts and guests of old kept task segments. */
const IGNORED = [10, 11, 16, 31];

const DESCRIPTOR_BYTES = 8;

/** One Guest's table. */
export class Segments {
	/** What the processor reads: low and high half of each descriptor. */
	readonly table = new Int32Array(GDT_ENTRIES * 2);
	readonly #guest: Guest;

	constructor(guest: Guest) {
		this.#guest = guest;
		this.#set(LGUEST_CS, FLAT_LOW, FLAT_CODE_HIGH);
		this.#set(LGUEST_DS, FLAT_LOW, FLAT_DATA_HIGH);
	}

	/** LOAD_GDT: all of the table. */
	load(address: number, count: number): void {
		if (count > GDT_ENTRIES) {
			this.#guest.kill(`too many gdt entries ${count | 0}`);
			return;
		}
		this.#read(address, 0, count);
	}

	/** LOAD_GDT_ENTRY. */
	loadEntry(index: number, low: number, high: number): void {
		if (index >= GDT_ENTRIES) {
			this.#guest.kill(`too many gdt entries ${index | 0}`);
			return;
		}
		this.#set(index, low, high);
	}

	/** LOAD_TLS: the three that change with every thread. */
	loadTls(address: number): void {
		this.#read(address, GDT_ENTRY_TLS_MIN, GDT_ENTRY_TLS_ENTRIES);
	}

	#read(address: number, first: number, count: number): void {
		if (!this.#guest.mayRead(address, count * DESCRIPTOR_BYTES)) return;
		const { memory } = this.#guest;
		for (let i = 0; i < count; i++) {
			const at = address + i * DESCRIPTOR_BYTES;
			this.#set(first + i, memory.readU32(at), memory.readU32(at + 4));
		}
	}

	#set(index: number, low: number, high: number): void {
		const usable = (high & CODE_OR_DATA) !== 0 && !IGNORED.includes(index);
		this.table[index * 2] = usable ? low : 0;
		this.table[index * 2 + 1] = usable ? forLevel1(high) : 0;
	}
}

function forLevel1(high: number): number {
	const marked = high | ACCESSED;
	return (marked & DPL_MASK) === 0 ? marked | (GUEST_PL << DPL_SHIFT) : marked;
}

/** Whether a high half is of code or data for level 1, and present. */
export function isForKernel(high: number): boolean {
	const wanted = PRESENT | CODE_OR_DATA | (GUEST_PL << DPL_SHIFT);
	return (high & (PRESENT | CODE_OR_DATA | DPL_MASK)) === wanted;
}
