/**
 * Makes an empty qcow2 image: a header, a refcount table with one block, and an
 * L1 table with nothing in it. Version 3, as `qemu-img create` would make it.
 *
 * Relies on the header's layout; embedders call it.
 *
 * @journey D:350 A new image
 */

import type { ByteStore } from "../byte-store.ts";
import { writePlace } from "./entries.ts";
import { EXTENSION_BACKING_FORMAT, HEADER_AT, QCOW2_MAGIC } from "./header.ts";

/** What the new image is like. */
export interface Qcow2Creation {
	/** Of the disk; a multiple of 512. */
	readonly sizeBytes: number;
	/** A power of two from 9 to 21; default 16. */
	readonly clusterBits?: number;
	/** What it is on top of, as the header shall say. */
	readonly backing?: {
		readonly name: string;
		readonly format: "raw" | "qcow2";
	};
}

const HEADER_BYTES = 104;
const REFCOUNT_ORDER = 4;

/**
 * Writes the image to an empty store and flushes it. What makes it an image
 * comes last: one that was not finished begins with zeroes.
 */
export async function createQcow2(
	store: ByteStore,
	creation: Qcow2Creation,
): Promise<void> {
	const clusterBits = creation.clusterBits ?? 16;
	const clusterBytes = 2 ** clusterBits;
	const entriesPerL2 = clusterBytes / 8;
	const l1Entries = Math.max(
		1,
		Math.ceil(creation.sizeBytes / (clusterBytes * entriesPerL2)),
	);
	const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes);
	const perBlock = clusterBytes / 2;
	// Header, refcount table, its blocks, L1 table, in this order.
	let blocks = 0;
	let tableClusters = 1;
	let clusters = 0;
	do {
		blocks++;
		tableClusters = Math.ceil((blocks * 8) / clusterBytes);
		clusters = 1 + tableClusters + blocks + l1Clusters;
	} while (blocks * perBlock < clusters);
	const image = new Uint8Array(clusters * clusterBytes);
	const firstBlock = (1 + tableClusters) * clusterBytes;
	writeHeader(image, creation, {
		...{ clusterBits, clusterBytes, l1Entries, tableClusters },
		l1Offset: firstBlock + blocks * clusterBytes,
	});
	const table = new DataView(image.buffer, clusterBytes);
	for (let block = 0; block < blocks; block++) {
		const offset = firstBlock + block * clusterBytes;
		writePlace(table, block, { offset, exclusive: false });
	}
	const counts = new DataView(image.buffer, firstBlock);
	for (let cluster = 0; cluster < clusters; cluster++) {
		counts.setUint16(cluster * 2, 1);
	}
	await store.write(clusterBytes, image.subarray(clusterBytes));
	await store.flush();
	await store.write(0, image.subarray(0, clusterBytes));
	await store.flush();
}

interface Places {
	readonly clusterBits: number;
	readonly clusterBytes: number;
	readonly l1Entries: number;
	readonly tableClusters: number;
	readonly l1Offset: number;
}

function writeHeader(
	image: Uint8Array,
	creation: Qcow2Creation,
	places: Places,
): void {
	const view = new DataView(image.buffer);
	view.setUint32(HEADER_AT.magic, QCOW2_MAGIC);
	view.setUint32(HEADER_AT.version, 3);
	view.setUint32(HEADER_AT.clusterBits, places.clusterBits);
	view.setBigUint64(HEADER_AT.size, BigInt(creation.sizeBytes));
	view.setUint32(HEADER_AT.l1Size, places.l1Entries);
	view.setBigUint64(HEADER_AT.l1TableOffset, BigInt(places.l1Offset));
	view.setBigUint64(HEADER_AT.refcountTableOffset, BigInt(places.clusterBytes));
	view.setUint32(HEADER_AT.refcountTableClusters, places.tableClusters);
	view.setUint32(HEADER_AT.refcountOrder, REFCOUNT_ORDER);
	view.setUint32(HEADER_AT.headerLength, HEADER_BYTES);
	const { backing } = creation;
	if (backing === undefined) return;
	const format = new TextEncoder().encode(backing.format);
	view.setUint32(HEADER_BYTES, EXTENSION_BACKING_FORMAT);
	view.setUint32(HEADER_BYTES + 4, format.length);
	image.set(format, HEADER_BYTES + 8);
	// Behind the extension, padded to 8, and the one that ends the list.
	const nameAt = HEADER_BYTES + 8 + 8 + 8;
	const name = new TextEncoder().encode(backing.name);
	view.setBigUint64(HEADER_AT.backingFileOffset, BigInt(nameAt));
	view.setUint32(HEADER_AT.backingFileSize, name.length);
	image.set(name, nameAt);
}
