/**
 * A disk in a qcow2 image: small as long as nobody writes, on top of another
 * disk if it says so. What is read comes from the image's own clusters, from
 * the disk below, or is zero; what is written goes to clusters of its own,
 * found when first needed.
 *
 * A write to a cluster that has its place goes straight there, and several may
 * be under way. Whoever needs a new place reserves the clusters of the disk
 * first, so that two writes to one cluster do not both find it a home.
 *
 * Relies on the image's tables; embedders make it (see D:310 and what
 * follows).
 *
 * @journey D:345 A disk that grows
 */

import { UsageError } from "../../errors.ts";
import type { BlockBackend } from "../../virtio/backends.ts";
import type { ByteStore } from "../byte-store.ts";
import {
	type ClusterUnpackers,
	CompressedClusters,
} from "./compressed-clusters.ts";
import { CorruptImage, type Mapping } from "./entries.ts";
import {
	HEADER_CLUSTER_BYTES,
	parseHeader,
	type Qcow2Header,
} from "./header.ts";
import { type NewMapping, Qcow2Image } from "./image.ts";

const SECTOR_BYTES = 512;
/** Clusters that one step of a write takes: as much as the device asks for at once. */
const MOST_CLUSTERS_AT_ONCE = 64;

/** What is needed besides the image itself. */
export interface Qcow2Options {
	/** The disk that the header names, if it names one. */
	readonly backing?: BlockBackend;
	readonly unpackers?: ClusterUnpackers;
}

/** Reads the header alone: whoever opens images must find the disk below first. */
export async function readQcow2Header(store: ByteStore): Promise<Qcow2Header> {
	const length = Math.min(HEADER_CLUSTER_BYTES, Math.max(512, store.sizeBytes));
	const bytes = new Uint8Array(length);
	await store.read(0, bytes);
	return parseHeader(bytes);
}

/** A range of the disk about which an image has something to say itself. */
export interface OwnRange {
	/** In bytes, from the disk's start. */
	readonly offset: number;
	readonly lengthBytes: number;
	readonly isZero: boolean;
}

/** A part of a request that lies in one cluster. */
interface Piece {
	readonly cluster: number;
	/** From the cluster's start. */
	readonly within: number;
	/** From the request's start. */
	readonly at: number;
	readonly lengthBytes: number;
}

/** An image that somebody has opened. */
export class Qcow2Disk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly unmaps = true;
	readonly #store: ByteStore;
	readonly #image: Qcow2Image;
	readonly #clusterBytes: number;
	readonly #backing: BlockBackend | undefined;
	readonly #compressed: CompressedClusters;
	/** Clusters of the disk that are getting a new place → when that is done. */
	readonly #reserved = new Map<number, Promise<void>>();

	private constructor(
		store: ByteStore,
		image: Qcow2Image,
		options: Qcow2Options,
	) {
		const { header, clusterBytes } = image;
		this.sizeBytes = Math.ceil(header.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
		this.readOnly = store.readOnly;
		this.#store = store;
		this.#image = image;
		this.#clusterBytes = clusterBytes;
		this.#backing = options.backing;
		const { compression } = header;
		const unpack = options.unpackers?.[compression];
		this.#compressed = new CompressedClusters(
			store,
			clusterBytes,
			unpack ??
				(() => Promise.reject(new Error(`nobody here unpacks ${compression}`))),
		);
		image.onRelease = () => this.#compressed.forget();
	}

	/**
	 * Opens the image in `store`. Throws `UsageError` for one that cannot be
	 * opened, or not for writing.
	 */
	static async open(
		store: ByteStore,
		options: Qcow2Options = {},
	): Promise<Qcow2Disk> {
		const header = await readQcow2Header(store);
		if (!store.readOnly) refuseUnsafeWriting(header);
		if (
			(header.backingName !== undefined) !==
			(options.backing !== undefined)
		) {
			throw new UsageError(
				header.backingName === undefined
					? "The image is on top of no other."
					: `The image is on top of "${header.backingName}", which was not given.`,
			);
		}
		try {
			const image = await Qcow2Image.open(store, header);
			return new Qcow2Disk(store, image, options);
		} catch (error) {
			if (!(error instanceof CorruptImage)) throw error;
			throw new UsageError(`The image has ${error.message}.`, {
				hint: "qemu-img check tells more about it.",
				cause: error,
			});
		}
	}

	get header(): Qcow2Header {
		return this.#image.header;
	}

	/** The disk that this one is on top of. */
	get backing(): BlockBackend | undefined {
		return this.#backing;
	}

	/** In order, at most a cluster each; everything else is as it is below. */
	async *ownRanges(): AsyncGenerator<OwnRange> {
		const size = this.#clusterBytes;
		const end = Math.ceil(this.sizeBytes / size);
		const { entriesPerTable } = this.#image;
		for (let cluster = 0; cluster < end; ) {
			if (this.#image.hasNoTable(cluster)) {
				cluster += entriesPerTable - (cluster % entriesPerTable);
				continue;
			}
			const { kind } = await this.#image.lookUp(cluster);
			const offset = cluster * size;
			const lengthBytes = Math.min(size, this.sizeBytes - offset);
			cluster++;
			if (kind === "none") continue;
			yield { offset, lengthBytes, isZero: kind === "zero" };
		}
	}

	read(offset: number, target: Uint8Array): Promise<void> {
		return this.#image.during(this.#read(offset, target));
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		await this.#image.prepareForChange();
		const clusters = this.#clustersOf(offset, source.length);
		for (;;) {
			const waits = this.#reservations(clusters);
			if (waits.length > 0) {
				await Promise.all(waits);
				continue;
			}
			const inPlace = this.#inPlace(offset, source.length);
			if (inPlace !== undefined) {
				const writing = inPlace.map(({ at, lengthBytes, place }) =>
					this.#store.write(place, source.subarray(at, at + lengthBytes)),
				);
				await this.#image.during(Promise.all(writing));
				return;
			}
			await this.#reserving(clusters, () =>
				this.#image.during(this.#writePieces(offset, source)),
			);
			return;
		}
	}

	async flush(): Promise<void> {
		if (!this.readOnly) await this.#image.flush();
	}

	async writeZeroes(
		offset: number,
		lengthBytes: number,
		mayUnmap: boolean,
	): Promise<void> {
		await this.#clear(offset, lengthBytes, mayUnmap, (at, length) =>
			this.write(at, new Uint8Array(length)),
		);
	}

	/** Gives clusters back; what is left of one at the ends stays as it is. */
	async discard(offset: number, lengthBytes: number): Promise<void> {
		await this.#clear(offset, lengthBytes, true, () => undefined);
	}

	async close(): Promise<void> {
		await this.#image.close();
		await this.#backing?.close?.();
	}

	async #read(offset: number, target: Uint8Array): Promise<void> {
		const parts: Promise<void>[] = [];
		for (const run of await this.#runs(offset, target.length)) {
			const part = target.subarray(run.at, run.at + run.lengthBytes);
			const done = this.#readRun(run, offset + run.at, part);
			if (done !== undefined) parts.push(done);
		}
		if (parts.length === 1) await parts[0];
		else await Promise.all(parts);
	}

	#readRun(
		run: Run,
		diskOffset: number,
		target: Uint8Array,
	): Promise<void> | undefined {
		const { mapping } = run;
		switch (mapping.kind) {
			case "zero":
				target.fill(0);
				return undefined;
			case "data":
				return this.#store.read(mapping.offset + run.within, target);
			case "none":
				return this.#readBelow(diskOffset, target);
			default:
				return this.#compressed.read(mapping).then((bytes) => {
					target.set(bytes.subarray(run.within, run.within + target.length));
				});
		}
	}

	/** The disk below may be smaller: behind its end there are zeroes. */
	#readBelow(offset: number, target: Uint8Array): Promise<void> | undefined {
		const below = this.#backing;
		const present = Math.max(0, (below?.sizeBytes ?? 0) - offset);
		if (present < target.length) target.fill(0, present);
		if (below === undefined || present === 0) return undefined;
		return below.read(offset, target.subarray(0, present)) ?? undefined;
	}

	/** A range as pieces, neighbours in the image joined. */
	async #runs(offset: number, lengthBytes: number): Promise<Run[]> {
		const runs: Run[] = [];
		for (const piece of this.#pieces(offset, lengthBytes)) {
			const mapping =
				this.#image.peek(piece.cluster) ??
				(await this.#image.lookUp(piece.cluster));
			const last = runs.at(-1);
			if (last !== undefined && continues(last, mapping)) {
				last.lengthBytes += piece.lengthBytes;
			} else {
				const { within, at } = piece;
				runs.push({ within, at, lengthBytes: piece.lengthBytes, mapping });
			}
		}
		return runs;
	}

	/** Where each part goes, if all of it has its place already. */
	#inPlace(offset: number, lengthBytes: number) {
		const parts: { at: number; lengthBytes: number; place: number }[] = [];
		for (const piece of this.#pieces(offset, lengthBytes)) {
			const mapping = this.#image.peek(piece.cluster);
			if (mapping?.kind !== "data" || !mapping.exclusive) return undefined;
			this.#image.checkDataPlace(mapping.offset);
			const place = mapping.offset + piece.within;
			const last = parts.at(-1);
			if (last !== undefined && last.place + last.lengthBytes === place) {
				last.lengthBytes += piece.lengthBytes;
			} else {
				parts.push({ at: piece.at, lengthBytes: piece.lengthBytes, place });
			}
		}
		return parts;
	}

	/** Its clusters are reserved. */
	async #writePieces(offset: number, source: Uint8Array): Promise<void> {
		const pieces = this.#pieces(offset, source.length);
		for (let i = 0; i < pieces.length; ) {
			const piece = pieces[i];
			if (piece === undefined) return;
			const mapping = await this.#image.lookUp(piece.cluster);
			const hasPlace = mapping.kind === "data" && mapping.exclusive;
			if (hasPlace) {
				this.#image.checkDataPlace(mapping.offset);
				await this.#store.write(
					mapping.offset + piece.within,
					source.subarray(piece.at, piece.at + piece.lengthBytes),
				);
				i++;
			} else {
				i += await this.#writeElsewhere(pieces.slice(i), offset, source);
			}
		}
	}

	/** Writes the first of `pieces` to new clusters, as many as fit; their number. */
	async #writeElsewhere(
		pieces: readonly Piece[],
		offset: number,
		source: Uint8Array,
	): Promise<number> {
		const wanted = await this.#countHomeless(pieces);
		const place = await this.#image.allocate(wanted);
		const taken = pieces.slice(0, place.clusters);
		const contents = await this.#wholeClusters(taken, offset, source);
		await this.#store.write(place.offset, contents);
		const first = taken[0]?.cluster ?? 0;
		await this.#image.change(
			first,
			taken.map((_piece, index) => ({
				kind: "data",
				offset: place.offset + index * this.#clusterBytes,
			})),
		);
		return taken.length;
	}

	/** How many of the pieces, from the first on, need a new place. */
	async #countHomeless(pieces: readonly Piece[]): Promise<number> {
		let count = 1;
		for (const { cluster } of pieces.slice(1, MOST_CLUSTERS_AT_ONCE)) {
			const mapping = await this.#image.lookUp(cluster);
			if (mapping.kind === "data" && mapping.exclusive) break;
			count++;
		}
		return count;
	}

	/** The clusters of the pieces as they will be: what is not written is kept. */
	async #wholeClusters(
		pieces: readonly Piece[],
		offset: number,
		source: Uint8Array,
	): Promise<Uint8Array> {
		const size = this.#clusterBytes;
		const first = pieces[0];
		const last = pieces.at(-1);
		if (first === undefined || last === undefined) return new Uint8Array(0);
		const end = last.at + last.lengthBytes;
		const covers = (piece: Piece) => piece.lengthBytes === size;
		if (covers(first) && covers(last)) return source.subarray(first.at, end);
		const contents = new Uint8Array(pieces.length * size);
		const start = offset + first.at - first.within;
		for (const piece of new Set([first, last])) {
			if (covers(piece)) continue;
			const at = (piece.cluster - first.cluster) * size;
			const old = contents.subarray(at, at + size);
			await this.#read(start + at, old);
		}
		contents.set(source.subarray(first.at, end), first.within);
		return contents;
	}

	/** Whole clusters become zero, or nothing at all; the rest is `partial`'s. */
	async #clear(
		offset: number,
		lengthBytes: number,
		mayUnmap: boolean,
		partial: (offset: number, lengthBytes: number) => Promise<void> | undefined,
	): Promise<void> {
		const size = this.#clusterBytes;
		const end = offset + lengthBytes;
		// The disk may end within a cluster, and then that is a whole one.
		const last =
			end === this.sizeBytes ? Math.ceil(end / size) : Math.floor(end / size);
		const first = Math.ceil(offset / size);
		if (first >= last) {
			await partial(offset, lengthBytes);
			return;
		}
		const head = first * size - offset;
		if (head > 0) await partial(offset, head);
		const tail = end - last * size;
		if (tail > 0) await partial(last * size, tail);
		const perTable = this.#image.entriesPerTable;
		for (let at = first; at < last; ) {
			const next = Math.min(last, (Math.floor(at / perTable) + 1) * perTable);
			await this.#clearClusters(at, next, mayUnmap, partial);
			at = next;
		}
	}

	/** Clusters of one L2 table. */
	async #clearClusters(
		first: number,
		end: number,
		mayUnmap: boolean,
		partial: (offset: number, lengthBytes: number) => Promise<void> | undefined,
	): Promise<void> {
		const below = this.#backing;
		const isOpaque =
			below === undefined || first * this.#clusterBytes >= below.sizeBytes;
		if (isOpaque && this.#image.hasNoTable(first)) return;
		if (!isOpaque && this.#image.header.version === 2) {
			// Version 2 has no way to say zero: what is below would shine through.
			for (let cluster = first; cluster < end; cluster++) {
				await partial(cluster * this.#clusterBytes, this.#clusterBytes);
			}
			return;
		}
		await this.#image.prepareForChange();
		const clusters = Array.from({ length: end - first }, (_, i) => first + i);
		for (;;) {
			const waits = this.#reservations(clusters);
			if (waits.length === 0) break;
			await Promise.all(waits);
		}
		await this.#reserving(clusters, async () => {
			const mappings: NewMapping[] = [];
			for (const cluster of clusters) {
				const old = await this.#image.lookUp(cluster);
				mappings.push(this.#cleared(old, isOpaque, mayUnmap));
			}
			await this.#image.change(first, mappings);
		});
	}

	#cleared(old: Mapping, isOpaque: boolean, mayUnmap: boolean): NewMapping {
		const keeps = (old.kind === "data" || old.kind === "zero") && old.exclusive;
		if (!mayUnmap && keeps && this.#image.header.version === 3) {
			return { kind: "zero", offset: old.offset };
		}
		return { kind: isOpaque ? "none" : "zero", offset: 0 };
	}

	#clustersOf(offset: number, lengthBytes: number): number[] {
		return this.#pieces(offset, lengthBytes).map(({ cluster }) => cluster);
	}

	#reservations(clusters: readonly number[]): Promise<void>[] {
		if (this.#reserved.size === 0) return [];
		return clusters.flatMap((cluster) => this.#reserved.get(cluster) ?? []);
	}

	/** Nobody else finds new places for these clusters meanwhile. */
	async #reserving(
		clusters: readonly number[],
		act: () => Promise<void>,
	): Promise<void> {
		const acting = act();
		const ended = acting.catch(() => {});
		for (const cluster of clusters) this.#reserved.set(cluster, ended);
		try {
			await acting;
		} finally {
			for (const cluster of clusters) this.#reserved.delete(cluster);
		}
	}

	#pieces(offset: number, lengthBytes: number): Piece[] {
		const size = this.#clusterBytes;
		const pieces: Piece[] = [];
		for (let at = 0; at < lengthBytes; ) {
			const cluster = Math.floor((offset + at) / size);
			const within = offset + at - cluster * size;
			const length = Math.min(size - within, lengthBytes - at);
			pieces.push({ cluster, within, at, lengthBytes: length });
			at += length;
		}
		return pieces;
	}
}

/** Pieces that lie side by side in the image too, or are all the same nothing. */
interface Run {
	readonly within: number;
	readonly at: number;
	lengthBytes: number;
	readonly mapping: Mapping;
}

function continues(run: Run, next: Mapping): boolean {
	const { mapping } = run;
	if (mapping.kind === "data" && next.kind === "data") {
		return mapping.offset + run.within + run.lengthBytes === next.offset;
	}
	return (
		mapping.kind === next.kind &&
		(mapping.kind === "none" || mapping.kind === "zero")
	);
}

/** Writing makes things worse where counts or tables are already wrong. */
function refuseUnsafeWriting(header: Qcow2Header): void {
	if (!header.isDirty && !header.isCorrupt) return;
	throw new UsageError(
		header.isCorrupt
			? "The image is marked as corrupt."
			: "The image was not closed properly, and its reference counts are not to be trusted.",
		{
			hint: "qemu-img check -r all repairs it; without writing (ro) it can be read as it is.",
		},
	);
}
