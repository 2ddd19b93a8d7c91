/**
 * The tables of a qcow2 image as a whole: which cluster of the disk is where,
 * and in which order changes reach the store.
 *
 * That order is what makes the image survive anything. Data are in place before
 * a table says so. At a flush the reference counts go first, then the L2
 * tables, then the L1 table, with a barrier before each step that refers to the
 * one before; only after all that do the counts of clusters that are not
 * referred to any more go down. So wherever it stops, everything flushed is
 * there, and clusters may be lost but never used twice.
 *
 * Relies on the tables and counts beside it; `disk.ts` relies on it.
 *
 * @journey D:330 In which order things become true
 */

import type { ByteStore } from "../byte-store.ts";
import { Turns } from "../turns.ts";
import {
	CorruptImage,
	type Mapping,
	NONE,
	readMapping,
	readPlace,
	writeMapping,
	writePlace,
} from "./entries.ts";
import { HEADER_AT, type Qcow2Header } from "./header.ts";
import { Refcounts, type RefcountTableCopy } from "./refcounts.ts";
import { type Table, TableCache, type TableCopy } from "./table-cache.ts";

/** Tables and freed clusters that may wait for a flush; more, and we flush by ourselves. */
const MOST_DIRTY_TABLES = 128;
const MOST_WAITING_FREES = 4096;

const BEYOND_THE_END = "a table beyond the end of the image";

/** What a cluster can be made to be. */
export interface NewMapping {
	readonly kind: "none" | "zero" | "data";
	readonly offset: number;
}

/** What one flush writes, as it was at one moment. */
interface Snapshot {
	readonly blocks: readonly TableCopy[];
	readonly refcountTable: RefcountTableCopy | undefined;
	readonly l2Tables: readonly TableCopy[];
	readonly l1Entries: ReadonlyMap<number, Uint8Array>;
	/** Offsets of clusters that nothing refers to once this is written. */
	readonly obsolete: readonly number[];
	/** Transfers that may still use those. */
	readonly transfers: readonly Promise<unknown>[];
}

/** An open image; one per store. */
export class Qcow2Image {
	readonly header: Qcow2Header;
	readonly clusterBytes: number;
	readonly entriesPerTable: number;
	/** Called when clusters may come to hold something else. */
	onRelease: () => void = () => {};
	readonly #store: ByteStore;
	readonly #refcounts: Refcounts;
	readonly #l2Tables: TableCache;
	readonly #l1: DataView;
	readonly #dirtyL1 = new Set<number>();
	/** Everybody who changes tables. */
	readonly #changes = new Turns();
	/** Flushes among themselves. */
	readonly #flushes = new Turns();
	#nextFlush: Promise<void> | undefined;
	#obsolete: number[] = [];
	readonly #transfers = new Set<Promise<unknown>>();
	#mayWrite = false;

	private constructor(
		store: ByteStore,
		header: Qcow2Header,
		refcounts: Refcounts,
		l1: Uint8Array,
	) {
		this.header = header;
		this.clusterBytes = 1 << header.clusterBits;
		this.entriesPerTable = this.clusterBytes / 8;
		this.#store = store;
		this.#refcounts = refcounts;
		refcounts.onObsolete = (offset) => this.#obsolete.push(offset);
		this.#l2Tables = new TableCache(store, this.clusterBytes);
		this.#l1 = new DataView(l1.buffer);
		this.#noteMetadata();
	}

	/** Reads the tables that stay in memory. Throws `CorruptImage`. */
	static async open(
		store: ByteStore,
		header: Qcow2Header,
	): Promise<Qcow2Image> {
		const l1 = new Uint8Array(header.l1Entries * 8);
		const refcountTableBytes =
			header.refcountTableClusters << header.clusterBits;
		for (const end of [
			header.l1Offset + l1.length,
			header.refcountTableOffset + refcountTableBytes,
		]) {
			// Writing there would make the image as large as somebody likes.
			if (end > store.sizeBytes) throw new CorruptImage(BEYOND_THE_END);
		}
		await store.read(header.l1Offset, l1);
		const refcounts = await Refcounts.open(store, header);
		return new Qcow2Image(store, header, refcounts, l1);
	}

	/** Where a cluster of the disk is. Rejects with `CorruptImage`. */
	async lookUp(cluster: number): Promise<Mapping> {
		const { offset } = this.#l1Place(cluster);
		if (offset === 0) return NONE;
		const table =
			this.#l2Tables.peek(offset) ?? (await this.#l2Tables.load(offset));
		return this.#readMapping(table, cluster);
	}

	/** The same without waiting, where the table is at hand. */
	peek(cluster: number): Mapping | undefined {
		const { offset } = this.#l1Place(cluster);
		if (offset === 0) return NONE;
		const table = this.#l2Tables.peek(offset);
		return table === undefined ? undefined : this.#readMapping(table, cluster);
	}

	/** Clusters side by side, at least one; they are referred to by nobody yet. */
	allocate(most: number): Promise<{ offset: number; clusters: number }> {
		return this.#changes.take(() => this.#refcounts.allocate(most));
	}

	/**
	 * Says what clusters from `first` on are from now on. What they were before
	 * is let go of.
	 */
	change(first: number, mappings: readonly NewMapping[]): Promise<void> {
		return this.#changes.take(async () => {
			for (let i = 0; i < mappings.length; ) {
				const table = await this.#tableForChange(first + i);
				const left =
					this.entriesPerTable - ((first + i) % this.entriesPerTable);
				const part = mappings.slice(i, i + left);
				part.forEach((mapping, at) => {
					this.#replace(table, first + i + at, mapping);
				});
				this.#l2Tables.markDirty(table);
				i += part.length;
			}
		});
	}

	/** Whether no cluster of the L2 table that `cluster` is in has been mapped. */
	hasNoTable(cluster: number): boolean {
		return this.#l1Place(cluster).offset === 0;
	}

	/** Data may not be written here: a table is here, or nothing at all. */
	checkDataPlace(offset: number): void {
		if (offset >= this.#store.sizeBytes) {
			throw new CorruptImage("a cluster beyond the end of the image");
		}
		if (this.#refcounts.metadata.has(offset / this.clusterBytes)) {
			throw new CorruptImage("a cluster of the disk where a table is");
		}
	}

	/** Counts a transfer as under way: the clusters it uses stay as they are. */
	during<Result>(transfer: Promise<Result>): Promise<Result> {
		const ended = () => this.#transfers.delete(transfer);
		this.#transfers.add(transfer);
		transfer.then(ended, ended);
		return transfer;
	}

	/** Before the first write, and never within a transfer: room for more changes. */
	async prepareForChange(): Promise<void> {
		if (!this.#mayWrite) await this.#clearAutoclearFeatures();
		const isFull =
			this.#l2Tables.dirtyCount > MOST_DIRTY_TABLES ||
			this.#refcounts.blocks.dirtyCount > MOST_DIRTY_TABLES ||
			this.#obsolete.length > MOST_WAITING_FREES;
		if (isFull) await this.flush();
	}

	/** All that was written before is on disk and can be found. */
	flush(): Promise<void> {
		// One flush that has not begun serves all who wait.
		this.#nextFlush ??= this.#flushes.take(() => {
			this.#nextFlush = undefined;
			return this.#flushNow();
		});
		return this.#nextFlush;
	}

	/** Flushes, and has nothing left that a later flush would write. */
	async close(): Promise<void> {
		if (this.#mayWrite) {
			await this.flush();
			await this.flush();
		}
		await this.#store.close();
	}

	/** Features that a writer who does not know them has to take back. */
	async #clearAutoclearFeatures(): Promise<void> {
		if (this.header.autoclearFeatures !== 0n) {
			await this.#store.write(HEADER_AT.autoclearFeatures, new Uint8Array(8));
			await this.#store.flush();
		}
		this.#mayWrite = true;
	}

	#noteMetadata(): void {
		const { metadata } = this.#refcounts;
		const l1Clusters = Math.ceil(this.#l1.byteLength / this.clusterBytes);
		const l1First = this.header.l1Offset / this.clusterBytes;
		metadata.add(0);
		for (let i = 0; i < l1Clusters; i++) metadata.add(l1First + i);
		for (let i = 0; i < this.header.l1Entries; i++) {
			const { offset } = readPlace(this.#l1, i, this.header.clusterBits);
			if (offset !== 0) metadata.add(offset / this.clusterBytes);
		}
	}

	#l1Place(cluster: number) {
		const index = Math.floor(cluster / this.entriesPerTable);
		return readPlace(this.#l1, index, this.header.clusterBits);
	}

	#readMapping(table: Table, cluster: number): Mapping {
		const { version, clusterBits } = this.header;
		const index = cluster % this.entriesPerTable;
		const mapping = readMapping(table.view, index, clusterBits);
		if (mapping.kind === "zero" && version === 2) {
			throw new CorruptImage("a zero cluster, which version 2 does not have");
		}
		return mapping;
	}

	/** The L2 table of `cluster`, ours alone; made or copied if need be. */
	async #tableForChange(cluster: number): Promise<Table> {
		const index = Math.floor(cluster / this.entriesPerTable);
		const { offset, exclusive } = this.#l1Place(cluster);
		if (offset !== 0 && exclusive) return this.#l2Tables.load(offset);
		const old = offset === 0 ? undefined : await this.#l2Tables.load(offset);
		const place = await this.#refcounts.allocate(1);
		if (old !== undefined) this.#obsolete.push(offset);
		this.#refcounts.metadata.add(place.offset / this.clusterBytes);
		writePlace(this.#l1, index, { offset: place.offset, exclusive: true });
		this.#dirtyL1.add(index);
		return this.#l2Tables.create(place.offset, old?.bytes);
	}

	#replace(table: Table, cluster: number, mapping: NewMapping): void {
		const old = this.#readMapping(table, cluster);
		writeMapping(table.view, cluster % this.entriesPerTable, mapping);
		if (old.kind === "none") return;
		if (old.kind === "compressed") {
			// It counts once for each cluster that it touches.
			const last = old.offset + old.lengthBytes - 1;
			for (
				let at = old.offset - (old.offset % this.clusterBytes);
				at <= last;
				at += this.clusterBytes
			) {
				this.#obsolete.push(at);
			}
		} else if (old.offset !== 0 && old.offset !== mapping.offset) {
			this.#obsolete.push(old.offset);
		}
	}

	async #flushNow(): Promise<void> {
		// In a turn: nobody is half-way through a change.
		const snapshot = await this.#changes.take(() => this.#takeSnapshot());
		try {
			await this.#write(snapshot);
		} catch (error) {
			this.#putBack(snapshot);
			throw error;
		}
		this.#refcounts.blocks.written();
		this.#l2Tables.written();
		if (snapshot.obsolete.length === 0) return;
		await Promise.allSettled(snapshot.transfers);
		await this.#changes.take(async () => {
			for (const offset of snapshot.obsolete) {
				await this.#refcounts.release(offset);
			}
			this.onRelease();
		});
	}

	#takeSnapshot(): Snapshot {
		const l1Entries = new Map<number, Uint8Array>();
		for (const index of this.#dirtyL1) {
			const bytes = new Uint8Array(this.#l1.buffer, index * 8, 8);
			l1Entries.set(index, bytes.slice());
		}
		this.#dirtyL1.clear();
		const obsolete = this.#obsolete;
		this.#obsolete = [];
		return {
			blocks: this.#refcounts.blocks.takeDirty(),
			refcountTable: this.#refcounts.takeTable(),
			l2Tables: this.#l2Tables.takeDirty(),
			l1Entries,
			obsolete,
			transfers: [...this.#transfers],
		};
	}

	#putBack(snapshot: Snapshot): void {
		this.#refcounts.blocks.failed();
		this.#l2Tables.failed();
		const { refcountTable, l1Entries, obsolete } = snapshot;
		if (refcountTable !== undefined) this.#refcounts.tableFailed(refcountTable);
		for (const index of l1Entries.keys()) this.#dirtyL1.add(index);
		this.#obsolete.push(...obsolete);
	}

	async #write(snapshot: Snapshot): Promise<void> {
		const { blocks, refcountTable, l2Tables, l1Entries } = snapshot;
		await this.#writeAll(blocks);
		if (refcountTable !== undefined) {
			await this.#store.flush();
			await this.#writeRefcountTable(refcountTable);
		}
		if (l2Tables.length > 0 || l1Entries.size > 0) {
			await this.#store.flush();
			await this.#writeAll(l2Tables);
		}
		if (l1Entries.size > 0) {
			await this.#store.flush();
			for (const [index, bytes] of l1Entries) {
				await this.#store.write(this.header.l1Offset + index * 8, bytes);
			}
		}
		await this.#store.flush();
	}

	async #writeAll(copies: readonly TableCopy[]): Promise<void> {
		for (const { offset, bytes } of copies) {
			await this.#store.write(offset, bytes);
		}
	}

	async #writeRefcountTable(copy: RefcountTableCopy): Promise<void> {
		const { place, isMoved, parts } = copy;
		for (const { at, bytes } of parts) {
			await this.#store.write(place.offset + at, bytes);
		}
		if (!isMoved) return;
		await this.#store.flush();
		const fields = new Uint8Array(12);
		const view = new DataView(fields.buffer);
		view.setBigUint64(0, BigInt(place.offset));
		view.setUint32(8, place.clusters);
		await this.#store.write(HEADER_AT.refcountTableOffset, fields);
	}
}
