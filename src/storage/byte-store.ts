/**
 * What a disk image is kept in: bytes that can be read, written and made to
 * last. In Node it is a file; a test, or a page that has fetched an image,
 * keeps it in memory. Images (raw, qcow2) are written over this and so work
 * wherever somebody brings a store.
 *
 * Relies on nothing; images rely on it, embedders implement it.
 *
 * @journey D:300 Bytes that last
 */

/** Several calls may be under way at a time, as with `BlockBackend`. */
export interface ByteStore {
	readonly readOnly: boolean;
	/** As far as anything was written; grows. */
	readonly sizeBytes: number;
	/** Fills all of `target`, with zeroes past the end, or fails. */
	read(offset: number, target: Uint8Array): Promise<void>;
	/** Stores all of `source`, or fails. */
	write(offset: number, source: Uint8Array): Promise<void>;
	/** As of `BlockBackend`. */
	readNow?(offset: number, targets: readonly Uint8Array[]): boolean;
	/** As of `BlockBackend`. */
	writeNow?(offset: number, sources: readonly Uint8Array[]): boolean;
	/** Every write that has completed survives whatever comes. */
	flush(): Promise<void>;
	close(): Promise<void>;
}

/** A store in memory; nothing of it survives anything. */
export class MemoryStore implements ByteStore {
	readonly readOnly: boolean;
	#bytes: Uint8Array;
	#sizeBytes: number;

	constructor(contents: Uint8Array = new Uint8Array(0), readOnly = false) {
		this.#bytes = contents.slice();
		this.#sizeBytes = contents.length;
		this.readOnly = readOnly;
	}

	get sizeBytes(): number {
		return this.#sizeBytes;
	}

	/** What it holds; a view, not a copy. */
	get contents(): Uint8Array {
		return this.#bytes.subarray(0, this.#sizeBytes);
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		const present = this.contents.subarray(offset, offset + target.length);
		target.set(present);
		target.fill(0, present.length);
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		const end = offset + source.length;
		if (end > this.#bytes.length) {
			const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
			larger.set(this.#bytes);
			this.#bytes = larger;
		}
		this.#bytes.set(source, offset);
		this.#sizeBytes = Math.max(this.#sizeBytes, end);
	}

	async flush(): Promise<void> {}

	async close(): Promise<void> {}
}
