/**
 * The software TLB of 64-bit code. Linear space is too large for a word for each
 * page: a page has a place by the low bits of its number, which it shares with
 * others, and a tag says whose it is. Who is displaced from there goes to another
 * place, in the second half of the table, which depends on more bits: arrays whose
 * distance is a power of two would take their entries from each other for ever.
 *
 * | offset | of an entry |
 * | --- | --- |
 * | 0 | linear address of the page, all 64 bits |
 * | 8 | word as in `tlb.ts`; 0 = no entry |
 * | 12 | that word's upper bits alone |
 *
 * Generated code compares the tag with the page of an access's *last* byte: one
 * comparison finds that the page is another one and that the access crosses into
 * the next, which in neither half has the same place. Pages of 32-bit space that
 * 64-bit code uses are here as well, so that it has one way to memory; for
 * fetching, they are in both tables.
 *
 * An entry can be lost while its translation still holds, and what the engine has
 * noted about code (`code-epochs.ts`) with it. So it is noted here when that
 * happens to code: from then on INVLPG cannot tell whether a page matters.
 *
 * @journey E:502 A table for 2^48 bytes
 */

import {
	CODE_MAP_BASE,
	PAGE_MAP_BYTES,
	RAM_BASE,
	WIDE_TLB_BASE,
	WIDE_TLB_ENTRIES,
	WIDE_TLB_ENTRY_BYTES,
	WIDE_TLB_MOST_USED,
	WIDE_TLB_NOTES,
	WIDE_TLB_USED_BASE,
} from "../memory-layout.ts";
import { CodeEpochs } from "./code-epochs.ts";
import { linear48 } from "./linear-address.ts";
import { TLB_ALL, TLB_FETCHING, TLB_GLOBAL, TLB_WRITE } from "./tlb.ts";

const PAGE = 4096;
const PAGE_MASK = ~0xfff;
const FOUR_GIB = 0x1_0000_0000;
const WORDS = WIDE_TLB_ENTRY_BYTES / 4;
/** Words of an entry. */
const HIGH = 1;
const WORD = 2;
const DISTANCE = 3;
/** The notes. */
const USED = 0;
const LOST = 1;
const TOUCHED = 2;

export class WideTlb {
	readonly #entries: Int32Array;
	/** Where local entries are; all of this is also written by `engine/wide-fill.ts`. */
	readonly #used: Int32Array;
	readonly #notes: Int32Array;
	/** Non-zero for physical pages with decoded code. */
	readonly #codePages: Uint8Array;
	readonly #epochs: CodeEpochs;

	constructor(buffer: ArrayBufferLike) {
		this.#entries = new Int32Array(
			buffer,
			WIDE_TLB_BASE,
			2 * WIDE_TLB_ENTRIES * WORDS,
		);
		this.#used = new Int32Array(buffer, WIDE_TLB_USED_BASE, WIDE_TLB_MOST_USED);
		this.#notes = new Int32Array(buffer, WIDE_TLB_NOTES, 3);
		this.#codePages = new Uint8Array(buffer, CODE_MAP_BASE, PAGE_MAP_BYTES);
		this.#epochs = new CodeEpochs(buffer);
	}

	/** The word of the page of a linear address below 2^48, or 0. */
	get(linear: number): number {
		const at = this.#find(linear);
		return at < 0 ? 0 : (this.#entries[at + WORD] as number);
	}

	/** Maps the page to the host page; `refused` are the TLB_* bits not set. */
	set(
		linear: number,
		hostPage: number,
		refused: number,
		global: boolean,
	): void {
		const low = (linear % FOUR_GIB) & PAGE_MASK;
		const word =
			((hostPage - low) & PAGE_MASK) |
			(global ? TLB_GLOBAL : 0) |
			(TLB_ALL & ~refused);
		let at = this.#find(linear);
		if (at < 0) {
			at = firstPlace(linear);
			this.#displace(at);
		} else {
			const before = this.#entries[at + WORD] as number;
			if (((before ^ word) & TLB_FETCHING) !== 0) this.#epochs.endAll();
		}
		this.#put(at, low, highOf(linear), word);
		this.#notes[TOUCHED] = 1;
	}

	/** INVLPG. */
	drop(linear: number): void {
		const at = this.#find(linear);
		const matters = at < 0 ? this.#notes[LOST] !== 0 : this.#isCode(at);
		if (at >= 0) this.#entries[at + WORD] = 0;
		if (!matters) return;
		this.#epochs.endAll();
		this.#notes[LOST] = 0;
	}

	/** A CR3 write: all but global entries. The caller ends the epoch. */
	dropLocal(): void {
		const count = this.#notes[USED] as number;
		if (count > WIDE_TLB_MOST_USED) {
			for (let at = 0; at < this.#entries.length; at += WORDS) this.#free(at);
		} else {
			for (let i = 0; i < count; i++) this.#free(this.#used[i] as number);
		}
		this.#notes[USED] = 0;
	}

	/** Everything. The caller ends the epochs. */
	dropAll(): void {
		if (this.#notes[TOUCHED] === 0) return;
		this.#entries.fill(0);
		this.#notes.fill(0);
	}

	/** Sends writes to a host page to the slow path, through every mapping. */
	protectHostPage(hostPage: number): void {
		if (this.#notes[TOUCHED] === 0) return;
		for (let at = 0; at < this.#entries.length; at += WORDS) {
			const word = this.#entries[at + WORD] as number;
			if (word === 0 || this.#hostOf(at, word) !== (hostPage | 0)) continue;
			this.#entries[at + WORD] = word & ~TLB_WRITE;
		}
	}

	/** Index of the first word of a page's entry, or -1. */
	#find(linear: number): number {
		const first = firstPlace(linear);
		if (this.#isAt(first, linear)) return first;
		const second = secondPlace(linear);
		return this.#isAt(second, linear) ? second : -1;
	}

	/** Moves what is in the first half to its place in the second. */
	#displace(at: number): void {
		const word = this.#entries[at + WORD] as number;
		if (word === 0) return;
		const low = this.#entries[at] as number;
		const high = this.#entries[at + HIGH] as number;
		const to = secondPlace(linear48(low, high));
		const isLoss = this.#entries[to + WORD] !== 0 && this.#isCode(to);
		if (isLoss) this.#notes[LOST] = 1;
		this.#put(to, low, high, word);
	}

	#put(at: number, low: number, high: number, word: number): void {
		const before = this.#entries[at + WORD] as number;
		const isNoted = before !== 0 && (before & TLB_GLOBAL) === 0;
		if ((word & TLB_GLOBAL) === 0 && !isNoted) this.#remember(at);
		this.#entries[at] = low;
		this.#entries[at + HIGH] = high;
		this.#entries[at + WORD] = word;
		this.#entries[at + DISTANCE] = word & PAGE_MASK;
	}

	#remember(at: number): void {
		const count = this.#notes[USED] as number;
		// One more than there is room for says that the list is of no use.
		if (count > WIDE_TLB_MOST_USED) return;
		if (count < WIDE_TLB_MOST_USED) this.#used[count] = at;
		this.#notes[USED] = count + 1;
	}

	#free(at: number): void {
		const word = this.#entries[at + WORD] as number;
		if ((word & TLB_GLOBAL) === 0) this.#entries[at + WORD] = 0;
	}

	#isAt(at: number, linear: number): boolean {
		const low = (linear % FOUR_GIB) & PAGE_MASK;
		return (
			this.#entries[at] === low &&
			this.#entries[at + HIGH] === highOf(linear) &&
			this.#entries[at + WORD] !== 0
		);
	}

	#isCode(at: number): boolean {
		const host = this.#hostOf(at, this.#entries[at + WORD] as number) >>> 0;
		return this.#codePages[(host - RAM_BASE) >>> 12] !== 0;
	}

	#hostOf(at: number, word: number): number {
		return ((word & PAGE_MASK) + (this.#entries[at] as number)) | 0;
	}
}

/** Index of the first word of a page's entry in the first half. */
function firstPlace(linear: number): number {
	return (Math.floor(linear / PAGE) % WIDE_TLB_ENTRIES) * WORDS;
}

/**
 * The same in the second half: a sum, so that the place of the next page is one
 * or two further on.
 */
function secondPlace(linear: number): number {
	const sum = Math.floor(linear / PAGE) + Math.floor(linear / (PAGE * PAGE));
	return (WIDE_TLB_ENTRIES + (sum % WIDE_TLB_ENTRIES)) * WORDS;
}

/** Bits 32..63 of a canonical address, of which 32..47 are known. */
function highOf(linear: number): number {
	return (Math.floor(linear / FOUR_GIB) << 16) >> 16;
}
