/**
 * A file of the user's as a disk that can be read. The browser reads what is
 * asked for and no more, however large the file is.
 *
 * Relies on the web platform's `Blob`; the surroundings rely on it.
 *
 * @journey L:284 A disk from a file input
 */

import type { BlockBackend } from "../index.ts";

const SECTOR_BYTES = 512;

/** Read-only; the last sector is padded if the file ends within it. */
export class BlobDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly = true;
	readonly #blob: Blob;

	constructor(blob: Blob) {
		this.#blob = blob;
		this.sizeBytes = Math.ceil(blob.size / SECTOR_BYTES) * SECTOR_BYTES;
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		const part = this.#blob.slice(offset, offset + target.length);
		const bytes = new Uint8Array(await part.arrayBuffer());
		target.set(bytes);
		target.fill(0, bytes.length);
	}

	write(): never {
		throw new Error("a file input cannot be written to");
	}

	flush(): undefined {}

	writeZeroes(): never {
		throw new Error("a file input cannot be written to");
	}
}
