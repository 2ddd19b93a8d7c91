/**
 * How often each cluster of the image is referred to, and so which are free.
 * The refcount table, kept whole in memory, says where the refcount blocks are;
 * a block has the counts of as many clusters as fit.
 *
 * Counts go up before anything refers to a cluster and down only after nothing
 * does any more, also on disk: whenever the process ends, the worst that is
 * left behind is a cluster that nobody uses.
 *
 * Relies on the table cache; `image.ts` relies on it. Callers take turns.
 * Source: QEMU, docs/interop/qcow2.txt, "Host cluster management".
 *
 * @journey D:325 Which clusters are free
 */

import type { ByteStore } from "../byte-store.ts";
import { CorruptImage, readPlace, writePlace } from "./entries.ts";
import { MOST_REFCOUNT_TABLE_BYTES, type Qcow2Header } from "./header.ts";
import { type Table, TableCache } from "./table-cache.ts";

/**
 * Clusters that may be in use behind the store's end, because what is in them
 * has not been written yet; with more the counts are nonsense, and a search
 * through them might never end.
 */
const MOST_UNWRITTEN_CLUSTERS = 1 << 16;

/** Where the refcount table is. */
export interface RefcountTablePlace {
	readonly offset: number;
	readonly clusters: number;
}

/** What a flush writes of the refcount table. */
export interface RefcountTableCopy {
	readonly place: RefcountTablePlace;
	/** Set when the table has a new place, which the header must be told. */
	readonly isMoved: boolean;
	/** Byte ranges at offsets within the table. */
	readonly parts: readonly {
		readonly at: number;
		readonly bytes: Uint8Array;
	}[];
}

/** The reference counts of one image. */
export class Refcounts {
	readonly blocks: TableCache;
	/** Clusters with tables in them: never data, whatever a bad entry says. */
	readonly metadata = new Set<number>();
	readonly #store: ByteStore;
	readonly #clusterBits: number;
	readonly #clusterBytes: number;
	readonly #order: number;
	readonly #perBlock: number;
	#table: DataView;
	#place: RefcountTablePlace;
	#isMoved = false;
	readonly #dirtyEntries = new Set<number>();
	/** Every cluster before it is in use. */
	#firstFree = 0;

	private constructor(
		store: ByteStore,
		header: Qcow2Header,
		table: Uint8Array,
	) {
		this.#store = store;
		this.#clusterBits = header.clusterBits;
		this.#clusterBytes = 1 << header.clusterBits;
		this.#order = header.refcountOrder;
		this.#perBlock = (this.#clusterBytes * 8) / (1 << this.#order);
		this.blocks = new TableCache(store, this.#clusterBytes);
		this.#table = new DataView(table.buffer);
		this.#place = {
			offset: header.refcountTableOffset,
			clusters: header.refcountTableClusters,
		};
		this.#addMetadata(this.#place.offset, this.#place.clusters);
		for (let index = 0; index < this.#blockCapacity; index++) {
			const { offset } = readPlace(this.#table, index, this.#clusterBits);
			if (offset !== 0) this.#addMetadata(offset, 1);
		}
	}

	/** Reads the table. Throws `CorruptImage`. */
	static async open(store: ByteStore, header: Qcow2Header): Promise<Refcounts> {
		const bytes = header.refcountTableClusters << header.clusterBits;
		const table = new Uint8Array(bytes);
		await store.read(header.refcountTableOffset, table);
		return new Refcounts(store, header, table);
	}

	/**
	 * Takes free clusters that lie side by side: at least one, at most `most`.
	 * Their contents are anything.
	 */
	async allocate(most: number): Promise<{ offset: number; clusters: number }> {
		const absurd = this.#clustersInStore + MOST_UNWRITTEN_CLUSTERS;
		for (let from = this.#firstFree; from < absurd; ) {
			const block = await this.#blockForAllocation(from);
			const blockEnd = this.#endOfBlock(from);
			const first = this.#firstFreeIn(block, from, blockEnd);
			this.#firstFree = first;
			from = first;
			if (first === blockEnd) continue;
			const end = this.#endOfRun(
				block,
				first,
				Math.min(blockEnd, first + most),
			);
			this.#take(block, first, end);
			this.#firstFree = end;
			return {
				offset: first * this.#clusterBytes,
				clusters: end - first,
			};
		}
		throw new CorruptImage("clusters beyond the end that count as used");
	}

	#take(block: Table, start: number, end: number): void {
		for (let cluster = start; cluster < end; cluster++) {
			if (this.metadata.has(cluster)) {
				throw new CorruptImage("a table in a cluster that counts as free");
			}
			this.#write(block, cluster, 1);
		}
		this.blocks.markDirty(block);
	}

	/** Takes exactly `clusters` of them, for a table that must be in one piece. */
	async #allocateWhole(clusters: number, from: number): Promise<number> {
		let start = from;
		for (let cluster = from; cluster - start < clusters; cluster++) {
			const block = await this.#blockForAllocation(cluster);
			if (this.#read(block, cluster) !== 0) start = cluster + 1;
		}
		for (let cluster = start; cluster < start + clusters; cluster++) {
			const block = await this.#blockForAllocation(cluster);
			this.#write(block, cluster, 1);
			this.blocks.markDirty(block);
		}
		return start * this.#clusterBytes;
	}

	/** One reference to the cluster at `offset` is gone, on disk too. */
	async release(offset: number): Promise<void> {
		const cluster = Math.floor(offset / this.#clusterBytes);
		const index = Math.floor(cluster / this.#perBlock);
		if (index >= this.#blockCapacity) return;
		const place = readPlace(this.#table, index, this.#clusterBits).offset;
		if (place === 0) return;
		const block = await this.blocks.load(place);
		const count = this.#read(block, cluster);
		// A count of nothing is another's mistake; it leaks nothing.
		if (count === 0) return;
		this.#write(block, cluster, count - 1);
		this.blocks.markDirty(block);
		if (count === 1) {
			this.metadata.delete(cluster);
			this.#firstFree = Math.min(this.#firstFree, cluster);
		}
	}

	/** What must be written of the table; ends with `tableWritten` or `tableFailed`. */
	takeTable(): RefcountTableCopy | undefined {
		if (this.#dirtyEntries.size === 0 && !this.#isMoved) return undefined;
		const entries = this.#isMoved ? [] : [...this.#dirtyEntries];
		const whole = new Uint8Array(this.#table.buffer);
		const parts = this.#isMoved
			? [{ at: 0, bytes: whole.slice() }]
			: entries.map((index) => ({
					at: index * 8,
					bytes: whole.slice(index * 8, index * 8 + 8),
				}));
		const copy = { place: this.#place, isMoved: this.#isMoved, parts };
		this.#dirtyEntries.clear();
		this.#isMoved = false;
		return copy;
	}

	/** It could not be written: next time all of it. */
	tableFailed(copy: RefcountTableCopy): void {
		this.#isMoved ||= copy.isMoved;
		for (const { at } of copy.parts) this.#dirtyEntries.add(at / 8);
	}

	get #blockCapacity(): number {
		return this.#table.byteLength / 8;
	}

	#addMetadata(offset: number, clusters: number): void {
		const first = Math.floor(offset / this.#clusterBytes);
		for (let i = 0; i < clusters; i++) this.metadata.add(first + i);
	}

	get #clustersInStore(): number {
		return Math.ceil(this.#store.sizeBytes / this.#clusterBytes);
	}

	/** The first cluster that the next block counts. */
	#endOfBlock(cluster: number): number {
		return (Math.floor(cluster / this.#perBlock) + 1) * this.#perBlock;
	}

	#firstFreeIn(block: Table, from: number, end: number): number {
		let cluster = from;
		while (cluster < end && this.#read(block, cluster) !== 0) cluster++;
		return cluster;
	}

	#endOfRun(block: Table, from: number, limit: number): number {
		let end = from + 1;
		while (end < limit && this.#read(block, end) === 0) end++;
		return end;
	}

	/** The block that counts `cluster`; if there is none, one is put right there. */
	async #blockForAllocation(cluster: number): Promise<Table> {
		const index = Math.floor(cluster / this.#perBlock);
		if (index >= this.#blockCapacity) await this.#growTable(index);
		const { offset } = readPlace(this.#table, index, this.#clusterBits);
		if (offset !== 0) return this.blocks.load(offset);
		const at = cluster * this.#clusterBytes;
		const block = this.blocks.create(at);
		this.#addMetadata(at, 1);
		this.#write(block, cluster, 1);
		writePlace(this.#table, index, { offset: at, exclusive: false });
		this.#dirtyEntries.add(index);
		return block;
	}

	/** The table has become too short: a longer one, elsewhere. */
	async #growTable(index: number): Promise<void> {
		const old = this.#place;
		const perCluster = this.#clusterBytes / 8;
		const clusters = Math.max(
			old.clusters * 2,
			Math.ceil((index + 2) / perCluster) + 1,
		);
		if (clusters * this.#clusterBytes > MOST_REFCOUNT_TABLE_BYTES) {
			throw new Error("the image cannot grow any more");
		}
		const table = new Uint8Array(clusters * this.#clusterBytes);
		table.set(new Uint8Array(this.#table.buffer));
		this.#table = new DataView(table.buffer);
		const offset = await this.#allocateWhole(clusters, index * this.#perBlock);
		this.#place = { offset, clusters };
		this.#isMoved = true;
		this.#addMetadata(offset, clusters);
		for (let i = 0; i < old.clusters; i++) {
			this.onObsolete(old.offset + i * this.#clusterBytes);
		}
	}

	/** Set by the image: a cluster to release once the tables are written. */
	onObsolete: (offset: number) => void = () => {};

	#read(block: Table, cluster: number): number {
		const index = cluster % this.#perBlock;
		const { view } = block;
		switch (this.#order) {
			case 3:
				return view.getUint8(index);
			case 4:
				return view.getUint16(index * 2);
			case 5:
				return view.getUint32(index * 4);
			case 6:
				return Number(view.getBigUint64(index * 8));
			default: {
				const bits = 1 << this.#order;
				const shift = (index * bits) % 8;
				return (view.getUint8((index * bits) >> 3) >> shift) & (2 ** bits - 1);
			}
		}
	}

	#write(block: Table, cluster: number, count: number): void {
		const index = cluster % this.#perBlock;
		const { view } = block;
		switch (this.#order) {
			case 3:
				view.setUint8(index, count);
				return;
			case 4:
				view.setUint16(index * 2, count);
				return;
			case 5:
				view.setUint32(index * 4, count);
				return;
			case 6:
				view.setBigUint64(index * 8, BigInt(count));
				return;
			default: {
				const bits = 1 << this.#order;
				const at = (index * bits) >> 3;
				const shift = (index * bits) % 8;
				const mask = (2 ** bits - 1) << shift;
				const kept = view.getUint8(at) & ~mask;
				view.setUint8(at, kept | (count << shift));
			}
		}
	}
}
