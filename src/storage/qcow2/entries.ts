/**
 * The words in an image's tables, and what they mean. An L1 entry says where an
 * L2 table is; an L2 entry says where a cluster of the disk is, or that it is
 * zero, or compressed, or that nobody has written it yet. A word is 64 bits,
 * big-endian; offsets are below 2^56 and here ordinary numbers.
 *
 * Relies on nothing; the files beside it rely on it. Source: QEMU,
 * docs/interop/qcow2.txt, "Cluster mapping".
 *
 * @journey D:315 Words in a table
 */

/** The high half of a word: reference count exactly 1, so it may be written in place. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
/** The low half: reads as zeroes; version 3 only. */
const READS_AS_ZERO = 1;
const HIGH_OFFSET_BITS = 0x00ff_ffff;
const LOW_OFFSET_BITS = 0xffff_fe00;
const TWO_32 = 2 ** 32;
const COMPRESSED_SECTOR_BYTES = 512;

/** Where a cluster of the disk is. Offsets are bytes in the image. */
export type Mapping =
	| { readonly kind: "none" }
	/** `offset` = room kept for it, 0 = none. */
	| {
			readonly kind: "zero";
			readonly offset: number;
			readonly exclusive: boolean;
	  }
	| {
			readonly kind: "data";
			readonly offset: number;
			/** Nobody else, no snapshot, refers to it. */
			readonly exclusive: boolean;
	  }
	| {
			readonly kind: "compressed";
			readonly offset: number;
			/** An upper bound: whole sectors. */
			readonly lengthBytes: number;
	  };

/** The image contradicts itself; for the guest an I/O error. */
export class CorruptImage extends Error {}

/** Reads entry `index` of an L2 table. Throws `CorruptImage`. */
export function readMapping(
	table: DataView,
	index: number,
	clusterBits: number,
): Mapping {
	const high = table.getUint32(index * 8);
	const low = table.getUint32(index * 8 + 4);
	if ((high & COMPRESSED) !== 0) return compressed(high, low, clusterBits);
	const offset = offsetOf(high, low);
	if (offset % (1 << clusterBits) !== 0) {
		throw new CorruptImage("a cluster that starts between clusters");
	}
	const exclusive = (high & COPIED) !== 0;
	if ((low & READS_AS_ZERO) !== 0) return { kind: "zero", offset, exclusive };
	return offset === 0 ? NONE : { kind: "data", offset, exclusive };
}

export const NONE: Mapping = { kind: "none" };

/**
 * Of the 62 bits below the flags the upper ones count further sectors and the
 * rest, 62 - (clusterBits - 8) of them, are the offset, to the byte.
 */
function compressed(high: number, low: number, clusterBits: number): Mapping {
	const highOffsetBits = 62 - (clusterBits - 8) - 32;
	const upper = high & 0x3fff_ffff;
	const furtherSectors = upper >>> highOffsetBits;
	const offset = (upper & (2 ** highOffsetBits - 1)) * TWO_32 + low;
	const lengthBytes =
		(furtherSectors + 1) * COMPRESSED_SECTOR_BYTES -
		(offset % COMPRESSED_SECTOR_BYTES);
	return { kind: "compressed", offset, lengthBytes };
}

/** Writes entry `index`; what we write is never compressed, and ours alone. */
export function writeMapping(
	table: DataView,
	index: number,
	mapping: { readonly kind: "none" | "zero" | "data"; readonly offset: number },
): void {
	const { kind, offset } = mapping;
	writePlace(table, index, { offset, exclusive: offset !== 0 });
	if (kind === "zero") {
		const low = table.getUint32(index * 8 + 4);
		table.setUint32(index * 8 + 4, (low | READS_AS_ZERO) >>> 0);
	}
}

/** An entry of the L1 table, or of the refcount table, where the flag is never set. */
export interface TablePlace {
	/** 0 = there is none. */
	readonly offset: number;
	readonly exclusive: boolean;
}

/** Throws `CorruptImage`. */
export function readPlace(
	table: DataView,
	index: number,
	clusterBits: number,
): TablePlace {
	const high = table.getUint32(index * 8);
	const offset = offsetOf(high, table.getUint32(index * 8 + 4));
	if (offset % (1 << clusterBits) !== 0) {
		throw new CorruptImage("a table that starts between clusters");
	}
	return { offset, exclusive: (high & COPIED) !== 0 };
}

/** Writes entry `index` of such a table. */
export function writePlace(
	table: DataView,
	index: number,
	{ offset, exclusive }: TablePlace,
): void {
	const copied = exclusive ? COPIED : 0;
	table.setUint32(index * 8, (Math.floor(offset / TWO_32) | copied) >>> 0);
	table.setUint32(index * 8 + 4, offset % TWO_32);
}

function offsetOf(high: number, low: number): number {
	return (high & HIGH_OFFSET_BITS) * TWO_32 + ((low & LOW_OFFSET_BITS) >>> 0);
}
