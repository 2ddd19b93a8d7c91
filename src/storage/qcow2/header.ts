/**
 * The first cluster of a qcow2 image: what the image is, and where its tables
 * lie. All numbers are big-endian. An image may come from anywhere, so every
 * number is checked before anything is allocated by it, and a feature that we
 * do not know is refused in words.
 *
 * Relies on nothing; the files beside it rely on it. Source: QEMU,
 * docs/interop/qcow2.txt.
 *
 * @journey D:310 An image that knows itself
 */

import { UsageError } from "../../errors.ts";

/** `QFI` and 0xFB. */
export const QCOW2_MAGIC = 0x514649fb;

/** Shortest header of each version. */
const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;
/** Header fields that are read or written by name. */
export const HEADER_AT = {
	magic: 0,
	version: 4,
	backingFileOffset: 8,
	backingFileSize: 16,
	clusterBits: 20,
	size: 24,
	cryptMethod: 32,
	l1Size: 36,
	l1TableOffset: 40,
	refcountTableOffset: 48,
	refcountTableClusters: 56,
	snapshotCount: 60,
	snapshotsOffset: 64,
	incompatibleFeatures: 72,
	compatibleFeatures: 80,
	autoclearFeatures: 88,
	refcountOrder: 96,
	headerLength: 100,
	compressionType: 104,
} as const;

/** Bits of incompatible_features. */
const INCOMPATIBLE_DIRTY = 1n << 0n;
const INCOMPATIBLE_CORRUPT = 1n << 1n;
const INCOMPATIBLE_COMPRESSION_TYPE = 1n << 3n;
/** What each bit we cannot do means to the user. */
const REFUSED_FEATURES: readonly (readonly [bigint, string])[] = [
	[1n << 2n, "keeps its data in another file"],
	[1n << 4n, "has extended L2 entries (subclusters)"],
];

/** Header extensions: type, length, data, padded to 8 bytes. */
const EXTENSION_END = 0;
export const EXTENSION_BACKING_FORMAT = 0xe2792aca;

export const SMALLEST_CLUSTER_BITS = 9;
export const LARGEST_CLUSTER_BITS = 21;
/** As much as QEMU allows: what an image may make us hold in memory. */
const MOST_L1_BYTES = 32 << 20;
export const MOST_REFCOUNT_TABLE_BYTES = 8 << 20;
const MOST_BACKING_NAME_BYTES = 1023;

/** How compressed clusters are packed. */
export type Qcow2Compression = "deflate" | "zstd";

/** A header that was understood. Offsets and sizes are in bytes. */
export interface Qcow2Header {
	readonly version: 2 | 3;
	readonly clusterBits: number;
	/** Of the disk the guest sees. */
	readonly sizeBytes: number;
	readonly l1Entries: number;
	readonly l1Offset: number;
	readonly refcountTableOffset: number;
	readonly refcountTableClusters: number;
	/** Width of a reference count, as a power of two of bits. */
	readonly refcountOrder: number;
	readonly snapshotCount: number;
	readonly compression: Qcow2Compression;
	/** Reference counts may be too low: somebody stopped half-way. */
	readonly isDirty: boolean;
	/** Somebody found the tables contradictory. */
	readonly isCorrupt: boolean;
	readonly autoclearFeatures: bigint;
	/** As recorded: a name to be resolved by whoever knows files. */
	readonly backingName: string | undefined;
	readonly backingFormat: string | undefined;
}

/** Whether these are the first bytes of a qcow2 image. */
export function isQcow2(bytes: Uint8Array): boolean {
	if (bytes.length < 4) return false;
	return viewOf(bytes).getUint32(0) === QCOW2_MAGIC;
}

/** How much `parseHeader` may need: the first cluster, which may be shorter. */
export const HEADER_CLUSTER_BYTES = 1 << LARGEST_CLUSTER_BITS;

/**
 * Understands the image's first bytes, zero-padded to a cluster at least.
 * Throws `UsageError`.
 */
export function parseHeader(bytes: Uint8Array): Qcow2Header {
	if (!isQcow2(bytes)) throw broken("is no qcow2 image");
	const view = viewOf(bytes);
	const version = view.getUint32(HEADER_AT.version);
	if (version !== 2 && version !== 3) {
		throw broken(`is of version ${version}; 2 and 3 are known`);
	}
	const clusterBits = view.getUint32(HEADER_AT.clusterBits);
	if (
		clusterBits < SMALLEST_CLUSTER_BITS ||
		clusterBits > LARGEST_CLUSTER_BITS
	) {
		throw broken(`has clusters of 2^${clusterBits} bytes`);
	}
	const clusterBytes = 1 << clusterBits;
	if (view.getUint32(HEADER_AT.cryptMethod) !== 0) {
		throw broken("is encrypted, which lguest cannot do");
	}
	const features = version === 3 ? readFeatures(view, clusterBytes) : NONE;
	const first = bytes.subarray(0, clusterBytes);
	const header: Qcow2Header = {
		version,
		clusterBits,
		sizeBytes: readSize(view, HEADER_AT.size, "size"),
		l1Entries: view.getUint32(HEADER_AT.l1Size),
		l1Offset: readSize(view, HEADER_AT.l1TableOffset, "L1 table"),
		refcountTableOffset: readSize(
			view,
			HEADER_AT.refcountTableOffset,
			"refcount table",
		),
		refcountTableClusters: view.getUint32(HEADER_AT.refcountTableClusters),
		snapshotCount: view.getUint32(HEADER_AT.snapshotCount),
		...features,
		backingName: readBackingName(first),
		backingFormat: readExtension(
			first,
			features.headerBytes,
			EXTENSION_BACKING_FORMAT,
		),
	};
	checkTables(header);
	return header;
}

interface VersionedPart {
	readonly headerBytes: number;
	readonly refcountOrder: number;
	readonly compression: Qcow2Compression;
	readonly isDirty: boolean;
	readonly isCorrupt: boolean;
	readonly autoclearFeatures: bigint;
}

/** What version 2 fixes once and for all. */
const NONE: VersionedPart = {
	headerBytes: V2_HEADER_BYTES,
	refcountOrder: 4,
	compression: "deflate",
	isDirty: false,
	isCorrupt: false,
	autoclearFeatures: 0n,
};

function readFeatures(view: DataView, clusterBytes: number): VersionedPart {
	const headerBytes = view.getUint32(HEADER_AT.headerLength);
	if (headerBytes < V3_HEADER_BYTES || headerBytes > clusterBytes) {
		throw broken(`has a header of ${headerBytes} bytes`);
	}
	const incompatible = view.getBigUint64(HEADER_AT.incompatibleFeatures);
	for (const [bit, meaning] of REFUSED_FEATURES) {
		if ((incompatible & bit) !== 0n) {
			throw broken(`${meaning}, which lguest cannot do`);
		}
	}
	const unknown =
		incompatible &
		~(
			INCOMPATIBLE_DIRTY |
			INCOMPATIBLE_CORRUPT |
			INCOMPATIBLE_COMPRESSION_TYPE
		);
	if (unknown !== 0n) {
		throw broken(
			`needs features that lguest does not know (0x${unknown.toString(16)})`,
		);
	}
	const refcountOrder = view.getUint32(HEADER_AT.refcountOrder);
	if (refcountOrder > 6) {
		throw broken(`has reference counts of 2^${refcountOrder} bits`);
	}
	return {
		headerBytes,
		refcountOrder,
		compression: readCompression(view, headerBytes, incompatible),
		isDirty: (incompatible & INCOMPATIBLE_DIRTY) !== 0n,
		isCorrupt: (incompatible & INCOMPATIBLE_CORRUPT) !== 0n,
		autoclearFeatures: view.getBigUint64(HEADER_AT.autoclearFeatures),
	};
}

function readCompression(
	view: DataView,
	headerBytes: number,
	incompatible: bigint,
): Qcow2Compression {
	if ((incompatible & INCOMPATIBLE_COMPRESSION_TYPE) === 0n) return "deflate";
	const type =
		headerBytes > HEADER_AT.compressionType
			? view.getUint8(HEADER_AT.compressionType)
			: 0;
	if (type > 1) throw broken(`is compressed in a way lguest does not know`);
	return type === 1 ? "zstd" : "deflate";
}

/** Numbers that JavaScript counts exactly; larger ones are nonsense. */
function readSize(view: DataView, at: number, what: string): number {
	const value = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
	if (!Number.isSafeInteger(value)) throw broken(`has an absurd ${what}`);
	return value;
}

function readBackingName(first: Uint8Array): string | undefined {
	const view = viewOf(first);
	const at = readSize(view, HEADER_AT.backingFileOffset, "backing file name");
	if (at === 0) return undefined;
	const length = view.getUint32(HEADER_AT.backingFileSize);
	if (length > MOST_BACKING_NAME_BYTES || at + length > first.length) {
		throw broken("has an absurd backing file name");
	}
	return new TextDecoder().decode(first.subarray(at, at + length));
}

/** Text of the header extension of this type, the first one. */
function readExtension(
	first: Uint8Array,
	start: number,
	wanted: number,
): string | undefined {
	const view = viewOf(first);
	for (let at = start; at + 8 <= first.length; ) {
		const type = view.getUint32(at);
		const length = view.getUint32(at + 4);
		if (type === EXTENSION_END) return undefined;
		if (length > first.length - at - 8) {
			throw broken("has a header extension that ends nowhere");
		}
		if (type === wanted) {
			return new TextDecoder().decode(first.subarray(at + 8, at + 8 + length));
		}
		at += 8 + Math.ceil(length / 8) * 8;
	}
	return undefined;
}

function checkTables(header: Qcow2Header): void {
	const { clusterBits, sizeBytes, l1Entries, l1Offset } = header;
	const clusterBytes = 1 << clusterBits;
	const bytesPerL2 = clusterBytes * (clusterBytes / 8);
	if (l1Entries * 8 > MOST_L1_BYTES) throw broken("has too large an L1 table");
	if (l1Entries < Math.ceil(sizeBytes / bytesPerL2)) {
		throw broken("has an L1 table that does not cover the disk");
	}
	const tableBytes = header.refcountTableClusters * clusterBytes;
	if (tableBytes > MOST_REFCOUNT_TABLE_BYTES || tableBytes === 0) {
		throw broken("has a refcount table of an impossible size");
	}
	for (const offset of [l1Offset, header.refcountTableOffset]) {
		if (offset % clusterBytes !== 0) {
			throw broken("has a table that does not start at a cluster");
		}
	}
	const hasNoTable = l1Offset === 0 && l1Entries > 0;
	if (hasNoTable || header.refcountTableOffset === 0) {
		throw broken("has a table on top of its header");
	}
}

/** A complaint about the image; whoever knows its name puts that in front. */
function broken(what: string): UsageError {
	return new UsageError(`The image ${what}.`, {
		hint: "qemu-img info and qemu-img check tell more about it; qemu-img convert makes a plain one.",
	});
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
