/**
 * Which pages of guest memory: a bit for each, and how many there are.
 *
 * Relies on nothing; the balloon keeps what it holds and what is hinted so.
 *
 * @journey D:248 A set of pages
 */

/** Page numbers below a limit, each once. */
export class PageSet {
	readonly #limit: number;
	readonly #bits: Uint8Array;
	#size = 0;

	/** An empty set, for pages 0 to `limit` - 1. */
	constructor(limit: number) {
		this.#limit = limit;
		this.#bits = new Uint8Array(Math.ceil(limit / 8));
	}

	get size(): number {
		return this.#size;
	}

	has(page: number): boolean {
		return ((this.#bits[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
	}

	/** What is no page is not added. */
	add(page: number): void {
		if (page >= this.#limit || this.has(page)) return;
		this.#flip(page);
		this.#size++;
	}

	delete(page: number): void {
		if (!this.has(page)) return;
		this.#flip(page);
		this.#size--;
	}

	#flip(page: number): void {
		this.#bits[page >> 3] = (this.#bits[page >> 3] ?? 0) ^ (1 << (page & 7));
	}
}
