/**
 * The software TLB of the 32-bit linear space: one word for each 4 KiB page,
 * read by generated code on every access.
 *
 * | bits | meaning |
 * | --- | --- |
 * | 31..12 | host page address minus linear page address, modulo 2^32 |
 * | 0 | supervisor reads may take the fast path |
 * | 1 | supervisor writes may |
 * | 2 | supervisor fetches may |
 * | 3..5 | the same for user mode |
 * | 6 | never set: with this bit alone as mask every access takes the slow path (alignment checks, data breakpoints) |
 * | 7 | set in every entry |
 * | 8 | global: a write of CR3 keeps it |
 *
 * An access tests the entry with its mask from CPU state (TLB_READ_MASK, ...)
 * and adds the upper bits to the linear address. An absent entry is zero, so
 * that the table costs no memory where nothing has been mapped.
 *
 * @journey E:500 A page table for the fast path
 */

import {
	CODE_MAP_BASE,
	PAGE_MAP_BYTES,
	RAM_BASE,
	TLB_BASE,
	TLB_COUNTS,
	TLB_ENTRIES,
	TLB_MOST_USED,
	TLB_USED_BASE,
	TLB_USED_GLOBAL_BASE,
} from "../memory-layout.ts";
import { CodeEpochs } from "./code-epochs.ts";

export const TLB_READ_SUPERVISOR = 1 << 0;
export const TLB_WRITE_SUPERVISOR = 1 << 1;
export const TLB_EXECUTE_SUPERVISOR = 1 << 2;
export const TLB_READ_USER = 1 << 3;
export const TLB_WRITE_USER = 1 << 4;
export const TLB_EXECUTE_USER = 1 << 5;
export const TLB_NEVER = 1 << 6;
export const TLB_PRESENT = 1 << 7;
export const TLB_GLOBAL = 1 << 8;
/** Both write bits. */
export const TLB_WRITE = TLB_WRITE_SUPERVISOR | TLB_WRITE_USER;

/** What an entry with nothing refused has in its low bits. */
export const TLB_ALL =
	TLB_PRESENT |
	TLB_READ_SUPERVISOR |
	TLB_WRITE_SUPERVISOR |
	TLB_EXECUTE_SUPERVISOR |
	TLB_READ_USER |
	TLB_WRITE_USER |
	TLB_EXECUTE_USER;

const EMPTY = 0;
const PAGE_MASK = ~0xfff;
/** A change to any of these may lead a fetch elsewhere. */
export const TLB_FETCHING =
	PAGE_MASK | TLB_GLOBAL | TLB_EXECUTE_SUPERVISOR | TLB_EXECUTE_USER;

export class Tlb {
	readonly #entries: Int32Array;
	/** Linear page numbers of entries, by whether CR3 writes keep them. */
	readonly #used: Int32Array;
	readonly #usedGlobal: Int32Array;
	/** How many of each. All of this is also written by `engine/tlb-fill.ts`. */
	readonly #counts: Int32Array;
	/** Non-zero for physical pages with decoded code. */
	readonly #codePages: Uint8Array;
	readonly #epochs: CodeEpochs;

	constructor(buffer: ArrayBufferLike) {
		this.#entries = new Int32Array(buffer, TLB_BASE, TLB_ENTRIES);
		this.#used = new Int32Array(buffer, TLB_USED_BASE, TLB_MOST_USED);
		this.#usedGlobal = new Int32Array(
			buffer,
			TLB_USED_GLOBAL_BASE,
			TLB_MOST_USED,
		);
		this.#counts = new Int32Array(buffer, TLB_COUNTS, 2);
		this.#codePages = new Uint8Array(buffer, CODE_MAP_BASE, PAGE_MAP_BYTES);
		this.#epochs = new CodeEpochs(buffer);
		this.#epochs.endAll();
	}

	/** The entry of linear page `page`, or 0. */
	get(page: number): number {
		return this.#entries[page] as number;
	}

	/** Maps a linear page to the host page; `refused` are the TLB_* bits not set. */
	set(page: number, hostPage: number, refused: number, global: boolean): void {
		const before = this.#entries[page] as number;
		if (before === EMPTY) this.#remember(page, global);
		const delta = (hostPage - page * 4096) & PAGE_MASK;
		const kind = global ? TLB_GLOBAL : 0;
		const entry = delta | kind | (TLB_ALL & ~refused);
		this.#entries[page] = entry;
		if (before !== EMPTY && ((before ^ entry) & TLB_FETCHING) !== 0) {
			this.#epochs.endAll();
		}
	}

	/** INVLPG. */
	drop(page: number): void {
		const entry = this.#entries[page] as number;
		if (entry === EMPTY) return;
		this.#entries[page] = EMPTY;
		const host = ((entry & PAGE_MASK) + page * 4096) >>> 0;
		if (this.#codePages[(host - RAM_BASE) >>> 12]) this.#epochs.endAll();
	}

	/** A CR3 write: all but global entries. */
	dropLocal(): void {
		this.#epochs.endLocal();
		for (let i = 0; i < this.#usedCount; i++) {
			this.#entries[this.#used[i] as number] = EMPTY;
		}
		this.#usedCount = 0;
	}

	dropAll(): void {
		this.dropLocal();
		this.#epochs.endAll();
		for (let i = 0; i < this.#usedGlobalCount; i++) {
			this.#entries[this.#usedGlobal[i] as number] = EMPTY;
		}
		this.#usedGlobalCount = 0;
	}

	/** Sends writes to a host page to the slow path, through every mapping. */
	protectHostPage(hostPage: number): void {
		this.#protect(this.#used, this.#usedCount, hostPage);
		this.#protect(this.#usedGlobal, this.#usedGlobalCount, hostPage);
	}

	#protect(pages: Int32Array, count: number, hostPage: number): void {
		for (let i = 0; i < count; i++) {
			const page = pages[i] as number;
			const entry = this.#entries[page] as number;
			if (entry === EMPTY) continue;
			if ((((entry & PAGE_MASK) + page * 4096) | 0) === (hostPage | 0)) {
				this.#entries[page] = entry & ~TLB_WRITE;
			}
		}
	}

	get #usedCount(): number {
		return this.#counts[0] as number;
	}
	set #usedCount(count: number) {
		this.#counts[0] = count;
	}
	get #usedGlobalCount(): number {
		return this.#counts[1] as number;
	}
	set #usedGlobalCount(count: number) {
		this.#counts[1] = count;
	}

	#remember(page: number, global: boolean): void {
		if (global) {
			if (this.#usedGlobalCount === TLB_MOST_USED) this.dropAll();
			this.#usedGlobal[this.#usedGlobalCount++] = page;
		} else {
			if (this.#usedCount === TLB_MOST_USED) this.dropLocal();
			this.#used[this.#usedCount++] = page;
		}
	}
}
