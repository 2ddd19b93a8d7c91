/**
 * Two numbers that generated code compares to know whether what it has noted
 * about code addresses still holds: one for addresses whose mapping the next
 * write of CR3 drops, one for global ones. Whoever changes a mapping of code,
 * or does away with translated code, makes a new one; the notes of the old
 * epoch are void then, and nobody has to look for them.
 *
 * Relies on the memory layout alone; `engine/region-cache.ts` reads them.
 *
 * @journey E:503 Notes that expire
 */

import {
	CODE_EPOCHS,
	REGION_CACHE_BASE,
	REGION_CACHE_ENTRIES,
	REGION_CACHE_ENTRY_BYTES,
} from "../memory-layout.ts";

/** The low bits are free for whoever mixes something in. */
const STEP = 0x100;

export class CodeEpochs {
	/** Local, global, and the last number given out. */
	readonly #epochs: Int32Array;
	readonly #notes: Int32Array;

	constructor(buffer: ArrayBufferLike) {
		this.#epochs = new Int32Array(buffer, CODE_EPOCHS, 3);
		this.#notes = new Int32Array(
			buffer,
			REGION_CACHE_BASE,
			(REGION_CACHE_ENTRIES * REGION_CACHE_ENTRY_BYTES) / 4,
		);
	}

	/** Local mappings are not what they were. */
	endLocal(): void {
		this.#epochs[0] = this.#next();
	}

	/** No mapping need be what it was, or translated code is no more. */
	endAll(): void {
		this.#epochs[0] = this.#next();
		this.#epochs[1] = this.#next();
	}

	/** A number that neither epoch and no note has. */
	#next(): number {
		const next = ((this.#epochs[2] as number) + STEP) | 0;
		if (next === 0) return this.#startOver();
		this.#epochs[2] = next;
		return next;
	}

	/** All numbers have been used: what has one of them must not come back to life. */
	#startOver(): number {
		this.#notes.fill(0);
		this.#epochs.set([STEP, 2 * STEP, 3 * STEP]);
		return 3 * STEP;
	}
}
