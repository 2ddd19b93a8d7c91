/**
 * Compressed clusters: read, never written. They are unpacked by whoever knows
 * how on this platform, and the last few are kept, because a guest reads a
 * cluster in many small pieces.
 *
 * Relies on a `ByteStore` and on what the embedder can unpack; `disk.ts` relies
 * on it.
 *
 * @journey D:340 Clusters in a smaller suit
 */

import type { ByteStore } from "../byte-store.ts";
import { CorruptImage, type Mapping } from "./entries.ts";
import type { Qcow2Compression } from "./header.ts";

/**
 * Unpacks one cluster. What follows the compressed stream in `packed` is
 * something else and must not disturb. Rejects if there is less than
 * `unpackedBytes`; more is cut off.
 */
export type ClusterUnpacker = (
	packed: Uint8Array,
	unpackedBytes: number,
) => Promise<Uint8Array>;

/** What the embedder can unpack; deflate is raw, without zlib's header. */
export type ClusterUnpackers = Partial<
	Record<Qcow2Compression, ClusterUnpacker>
>;

type CompressedMapping = Extract<Mapping, { kind: "compressed" }>;

const MOST_KEPT = 8;

/** The compressed clusters of one image. */
export class CompressedClusters {
	readonly #store: ByteStore;
	readonly #clusterBytes: number;
	readonly #unpack: ClusterUnpacker;
	readonly #kept = new Map<number, Promise<Uint8Array>>();

	constructor(store: ByteStore, clusterBytes: number, unpack: ClusterUnpacker) {
		this.#store = store;
		this.#clusterBytes = clusterBytes;
		this.#unpack = unpack;
	}

	/** The cluster's contents, to be read only. */
	read(mapping: CompressedMapping): Promise<Uint8Array> {
		const here = this.#kept.get(mapping.offset);
		if (here !== undefined) return here;
		const reading = this.#read(mapping);
		this.#kept.set(mapping.offset, reading);
		reading.catch(() => this.#kept.delete(mapping.offset));
		const [oldest] = this.#kept.keys();
		if (this.#kept.size > MOST_KEPT && oldest !== undefined) {
			this.#kept.delete(oldest);
		}
		return reading;
	}

	/** The clusters may hold something else by now. */
	forget(): void {
		this.#kept.clear();
	}

	async #read({ offset, lengthBytes }: CompressedMapping): Promise<Uint8Array> {
		if (offset >= this.#store.sizeBytes) {
			throw new CorruptImage("a compressed cluster beyond the end");
		}
		const packed = new Uint8Array(lengthBytes);
		await this.#store.read(offset, packed);
		const bytes = await this.#unpack(packed, this.#clusterBytes);
		if (bytes.length < this.#clusterBytes) {
			throw new CorruptImage("a compressed cluster that is too short");
		}
		return bytes.subarray(0, this.#clusterBytes);
	}
}
