/**
 * Tables of an image in memory: L2 tables in one cache, refcount blocks in
 * another, each a cluster long. Changes stay here until a flush takes them, in
 * the order that `image.ts` decides; what has not been written yet is never
 * evicted.
 *
 * Relies on a `ByteStore`; `image.ts` and `refcounts.ts` rely on it.
 *
 * @journey D:320 Tables at hand
 */

import type { ByteStore } from "../byte-store.ts";
import { CorruptImage } from "./entries.ts";

/** Clean tables that are kept, in bytes and at least in number. */
const CACHE_BYTES = 16 << 20;
const FEWEST_TABLES = 16;

/** One cluster of table. */
export interface Table {
	readonly offset: number;
	readonly bytes: Uint8Array;
	readonly view: DataView;
}

/** What a flush has to write: contents as they were when it began. */
export interface TableCopy {
	readonly offset: number;
	readonly bytes: Uint8Array;
}

/** A cache of tables, by their offset in the image. */
export class TableCache {
	readonly #store: ByteStore;
	readonly #clusterBytes: number;
	/** Least recently used first. */
	readonly #tables = new Map<number, Table>();
	readonly #loading = new Map<number, Promise<Table>>();
	readonly #dirty = new Set<number>();
	/** Taken by a flush that has not ended. */
	readonly #flushing = new Set<number>();

	constructor(store: ByteStore, clusterBytes: number) {
		this.#store = store;
		this.#clusterBytes = clusterBytes;
	}

	get dirtyCount(): number {
		return this.#dirty.size;
	}

	/** The table if it is here. */
	peek(offset: number): Table | undefined {
		const table = this.#tables.get(offset);
		if (table !== undefined) {
			this.#tables.delete(offset);
			this.#tables.set(offset, table);
		}
		return table;
	}

	/**
	 * Rejects with `CorruptImage` for a place outside the image. Whoever wants to
	 * change the table does so before awaiting anything else, and marks it.
	 */
	async load(offset: number): Promise<Table> {
		const here = this.peek(offset);
		if (here !== undefined) return here;
		const underWay = this.#loading.get(offset);
		if (underWay !== undefined) return underWay;
		const loading = this.#read(offset);
		this.#loading.set(offset, loading);
		try {
			return await loading;
		} finally {
			this.#loading.delete(offset);
		}
	}

	/** A new table: zeroes, or the contents given. */
	create(offset: number, contents?: Uint8Array): Table {
		const bytes = new Uint8Array(this.#clusterBytes);
		if (contents !== undefined) bytes.set(contents);
		const table = makeTable(offset, bytes);
		this.#tables.set(offset, table);
		this.#dirty.add(offset);
		return table;
	}

	/** The table was changed. */
	markDirty(table: Table): void {
		// It may have been evicted between its loading and its change.
		this.#tables.set(table.offset, table);
		this.#dirty.add(table.offset);
	}

	/** Copies of what changed; ends with `written` or `failed`. */
	takeDirty(): TableCopy[] {
		const copies: TableCopy[] = [];
		for (const offset of [...this.#dirty].sort((a, b) => a - b)) {
			const table = this.#tables.get(offset);
			if (table !== undefined) {
				copies.push({ offset, bytes: table.bytes.slice() });
				this.#flushing.add(offset);
			}
		}
		this.#dirty.clear();
		return copies;
	}

	/** The copies are in the store. */
	written(): void {
		this.#flushing.clear();
		this.#trim();
	}

	/** They are not, or not all. */
	failed(): void {
		for (const offset of this.#flushing) {
			if (this.#tables.has(offset)) this.#dirty.add(offset);
		}
		this.#flushing.clear();
	}

	async #read(offset: number): Promise<Table> {
		if (offset + this.#clusterBytes > this.#store.sizeBytes) {
			throw new CorruptImage("a table beyond the end of the image");
		}
		const bytes = new Uint8Array(this.#clusterBytes);
		await this.#store.read(offset, bytes);
		const table = makeTable(offset, bytes);
		this.#tables.set(offset, table);
		this.#trim();
		return table;
	}

	#trim(): void {
		const most = Math.max(CACHE_BYTES / this.#clusterBytes, FEWEST_TABLES);
		for (const offset of this.#tables.keys()) {
			if (this.#tables.size <= most) return;
			if (this.#dirty.has(offset) || this.#flushing.has(offset)) continue;
			this.#tables.delete(offset);
		}
	}
}

function makeTable(offset: number, bytes: Uint8Array): Table {
	return { offset, bytes, view: new DataView(bytes.buffer) };
}
