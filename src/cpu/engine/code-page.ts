/**
 * Decoded code of one physical page in one mode: which record stands for the
 * instruction at an offset, and which branches wait for there to be one.
 *
 * A guest has a thousand such pages, each decoded in places only, and two hundred
 * thousand instructions in them. So what is kept by offset lies in stretches of
 * 256 offsets, two bytes each, in one array for all pages.
 *
 * Relies on nothing; `code-cache.ts` and the hot engine rely on it.
 *
 * @journey E:488 A page of decoded code
 */

/** A region as the cache knows it. */
export interface RegionHandle {
	/** Table slot of its function. */
	readonly slot: number;
	/** Page and offset of its entry. */
	readonly page: CodePage;
	readonly offset: number;
	/** The record that enters it. */
	readonly record: number;
	/** Number, as in `ordinalAt`, of the record it stands before. */
	readonly ownOrdinal: number;
	/** Every page it is made of. */
	pages: readonly CodePage[];
}

const PAGE = 4096;
const CHUNK_BITS = 6;
const CHUNK = 1 << CHUNK_BITS;
/** Offsets that share a piece of memory. */
const STRETCH_BITS = 8;
const STRETCH = 1 << STRETCH_BITS;

/** In a stretch: no record, but this is the number of one that waits for it. */
const WAITING = 0x8000;
/** Most records a page can have. */
export const MOST_PAGE_RECORDS = WAITING - 1;

/** The stretches of all pages of a machine. */
export class Stretches {
	#slots = new Uint16Array(64 * STRETCH);
	#next = 1;
	readonly #free: number[] = [];

	/** A stretch of zeros; never number 0. */
	take(): number {
		const free = this.#free.pop();
		if (free !== undefined) return free;
		if ((this.#next + 1) * STRETCH > this.#slots.length) {
			const larger = new Uint16Array(this.#slots.length * 2);
			larger.set(this.#slots);
			this.#slots = larger;
		}
		return this.#next++;
	}

	giveBack(stretch: number): void {
		this.#slots.fill(0, stretch * STRETCH, (stretch + 1) * STRETCH);
		this.#free.push(stretch);
	}

	get(stretch: number, index: number): number {
		return this.#slots[stretch * STRETCH + index] as number;
	}

	set(stretch: number, index: number, value: number): void {
		this.#slots[stretch * STRETCH + index] = value;
	}
}

export class CodePage {
	readonly physical: number;
	readonly #stretches: Stretches;
	/** Its stretches, by the high bits of the offset; 0 = nothing there. */
	readonly #parts = new Uint32Array(PAGE / STRETCH);
	/** Every record made from bytes of this page. */
	readonly records: number[] = [];
	/** Which 64-byte chunks have been decoded. */
	readonly #chunks = new Uint8Array(PAGE / CHUNK);
	/** Regions made of this page's code, whole or in part. */
	readonly regions = new Set<RegionHandle>();

	constructor(physical: number, stretches: Stretches) {
		this.physical = physical;
		this.#stretches = stretches;
	}

	/** Record number in `records`, plus one; 0 = none. */
	ordinalAt(offset: number): number {
		const value = this.#at(offset);
		return value < WAITING ? value : 0;
	}

	setOrdinal(offset: number, ordinal: number): void {
		this.#set(offset, ordinal);
	}

	/** The record that waits for one at an offset, 0 = none; it names the next. */
	waitingAt(offset: number): number {
		const value = this.#at(offset);
		return value < WAITING ? 0 : this.#record(value - WAITING);
	}

	/** The page's last record waits for one at an offset that has none. */
	lastWaitsFor(offset: number): void {
		this.#set(offset, WAITING + this.records.length);
	}

	/** The record of an offset; 0 = none. */
	recordAt(offset: number): number {
		const ordinal = this.ordinalAt(offset);
		return ordinal === 0 ? 0 : this.#record(ordinal);
	}

	/** Notes that these bytes are decoded, as far as they are in the page. */
	mark(offset: number, bytes: number): void {
		const last = Math.min(offset + bytes - 1, PAGE - 1);
		for (let at = offset; at <= last; at += CHUNK) {
			this.#chunks[at >> CHUNK_BITS] = 1;
		}
		this.#chunks[last >> CHUNK_BITS] = 1;
	}

	/** Whether something near the bytes from one offset to before another is decoded. */
	hasCode(from: number, to: number): boolean {
		for (let at = from & -CHUNK; at < to; at += CHUNK) {
			if (this.#chunks[at >> CHUNK_BITS] !== 0) return true;
		}
		return false;
	}

	/** It is forgotten: nothing is at any offset. */
	retire(): void {
		for (const [i, part] of this.#parts.entries()) {
			if (part !== 0) this.#stretches.giveBack(part);
			this.#parts[i] = 0;
		}
	}

	#record(ordinal: number): number {
		return this.records[ordinal - 1] as number;
	}

	#at(offset: number): number {
		const part = this.#parts[offset >> STRETCH_BITS] as number;
		return part === 0 ? 0 : this.#stretches.get(part, offset & (STRETCH - 1));
	}

	#set(offset: number, value: number): void {
		const index = offset >> STRETCH_BITS;
		let part = this.#parts[index] as number;
		if (part === 0) {
			part = this.#stretches.take();
			this.#parts[index] = part;
		}
		this.#stretches.set(part, offset & (STRETCH - 1), value);
	}
}
