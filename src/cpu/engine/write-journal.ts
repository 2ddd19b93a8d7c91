/**
 * What guest memory was before it was written, so that the writes can be taken
 * back: kept in lines of 256 bytes, each once, however often it is written.
 *
 * It belongs to `--engine compare` (`region-comparer.ts`): generated code tells
 * of every store before it makes it, and so does the MMU. Accessed and dirty
 * flags in page tables are no stores of the program: the MMU keeps those to
 * itself, and they stay.
 *
 * @journey E:751 Stores that can be taken back
 */

import { RAM_BASE } from "../memory-layout.ts";

const LINE_BITS = 8;
const LINE_WORDS = 1 << (LINE_BITS - 2);

export class WriteJournal {
	readonly #words: Int32Array;
	/** By line of the whole memory: 1 = kept. */
	readonly #isKept: Uint8Array;
	#lines = new Uint32Array(64);
	#kept = new Int32Array(64 * LINE_WORDS);
	#count = 0;
	#isOpen = false;

	/** `buffer`: the machine's whole memory; its size is a multiple of 64 KiB. */
	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer);
		this.#isKept = new Uint8Array(buffer.byteLength >>> LINE_BITS);
	}

	/** Lines kept. */
	get lines(): number {
		return this.#count;
	}

	/** From here on, stores are kept; before, `note` does nothing. */
	open(): void {
		this.#isOpen = true;
	}

	/** Bytes [host, host + bytes) are about to change; nothing below RAM is kept, for staged bytes come here again. */
	note(host: number, bytes: number): void {
		if (!this.#isOpen || host < RAM_BASE) return;
		const last = (host + bytes - 1) >>> LINE_BITS;
		for (let line = host >>> LINE_BITS; line <= last; line++) {
			if (this.#isKept[line] === 0) this.#keep(line);
		}
	}

	/** Memory becomes what it was, and what it is now is kept instead; a second time, the other way round. */
	exchange(): void {
		for (let i = 0; i < this.#count; i++) {
			const kept = i * LINE_WORDS;
			const memory = (this.#lines[i] as number) * LINE_WORDS;
			for (let word = 0; word < LINE_WORDS; word++) {
				const was = this.#kept[kept + word] as number;
				this.#kept[kept + word] = this.#words[memory + word] as number;
				this.#words[memory + word] = was;
			}
		}
	}

	/** Host address of the first word that is not what is kept, with both: kept, then current. */
	firstDifference(): [host: number, kept: number, now: number] | undefined {
		for (let i = 0; i < this.#count; i++) {
			const start = (this.#lines[i] as number) * LINE_WORDS;
			for (let word = 0; word < LINE_WORDS; word++) {
				const kept = this.#kept[i * LINE_WORDS + word] as number;
				const now = this.#words[start + word] as number;
				if (kept !== now) return [(start + word) * 4, kept, now];
			}
		}
		return undefined;
	}

	/** Forgets everything; memory stays as it is. */
	close(): void {
		for (let i = 0; i < this.#count; i++) {
			this.#isKept[this.#lines[i] as number] = 0;
		}
		this.#count = 0;
		this.#isOpen = false;
	}

	#keep(line: number): void {
		if (this.#count === this.#lines.length) this.#grow();
		this.#isKept[line] = 1;
		this.#lines[this.#count] = line;
		const kept = this.#count * LINE_WORDS;
		const memory = line * LINE_WORDS;
		for (let word = 0; word < LINE_WORDS; word++) {
			this.#kept[kept + word] = this.#words[memory + word] as number;
		}
		this.#count++;
	}

	#grow(): void {
		const lines = new Uint32Array(this.#lines.length * 2);
		lines.set(this.#lines);
		this.#lines = lines;
		const kept = new Int32Array(this.#kept.length * 2);
		kept.set(this.#kept);
		this.#kept = kept;
	}
}
