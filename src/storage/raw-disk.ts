/**
 * A raw image: byte n of the disk is byte n of the store. The last sector is
 * padded if the store ends within it.
 *
 * Zeroes are written out and discards are ignored: a hole needs `fallocate`,
 * which no JavaScript platform offers.
 *
 * Relies on a `ByteStore`; embedders make them.
 *
 * @journey D:305 The plainest image
 */

import type { BlockBackend } from "../virtio/backends.ts";
import type { ByteStore } from "./byte-store.ts";

const SECTOR_BYTES = 512;
const ZEROES = new Uint8Array(1 << 20);

/** A disk as large as its store is when it is made. */
export class RawDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly #store: ByteStore;

	constructor(store: ByteStore) {
		this.#store = store;
		this.sizeBytes = Math.ceil(store.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
	}

	get readOnly(): boolean {
		return this.#store.readOnly;
	}

	read(offset: number, target: Uint8Array): Promise<void> {
		return this.#store.read(offset, target);
	}

	write(offset: number, source: Uint8Array): Promise<void> {
		return this.#store.write(offset, source);
	}

	readNow(offset: number, targets: readonly Uint8Array[]): boolean {
		return this.#store.readNow?.(offset, targets) ?? false;
	}

	writeNow(offset: number, sources: readonly Uint8Array[]): boolean {
		return this.#store.writeNow?.(offset, sources) ?? false;
	}

	async flush(): Promise<void> {
		if (!this.readOnly) await this.#store.flush();
	}

	async writeZeroes(offset: number, lengthBytes: number): Promise<void> {
		for (let at = 0; at < lengthBytes; at += ZEROES.length) {
			const part = Math.min(ZEROES.length, lengthBytes - at);
			await this.#store.write(offset + at, ZEROES.subarray(0, part));
		}
	}

	close(): Promise<void> {
		return this.#store.close();
	}
}
