/**
 * The layouts of the block device: its requests, its configuration space and
 * the numbers in them (virtio 1.3 §5.2).
 *
 * Relies on descriptor chains; `block.ts` relies on it.
 *
 * @journey D:155 What a disk is asked
 */

import type { BlockBackend } from "../backends.ts";
import type { DescriptorChain, Move } from "../descriptor-chain.ts";

/** Every offset and length of the protocol counts these. */
export const SECTOR_BYTES = 512;

// Feature bits (§5.2.3).
export const VIRTIO_BLK_F_SIZE_MAX = 1;
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_TOPOLOGY = 10;
export const VIRTIO_BLK_F_CONFIG_WCE = 11;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

// Request types (§5.2.6).
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

/** What the driver reads in a request's last byte. */
export type BlockStatus = 0 | 1 | 2;
export const VIRTIO_BLK_S_OK: BlockStatus = 0;
export const VIRTIO_BLK_S_IOERR: BlockStatus = 1;
export const VIRTIO_BLK_S_UNSUPP: BlockStatus = 2;

/** Length of the identification that GET_ID gives. */
export const VIRTIO_BLK_ID_BYTES = 20;

/** A mebibyte is 256 pages, which may lie anywhere; beside them there are a header and a status. */
export const QUEUE_SIZE = 512;
/** Data descriptors of one request, and the most in each; both are told to the driver. */
const MOST_PIECES = QUEUE_SIZE - 2;
export const MOST_PIECE_BYTES = 128 * 1024;
/** What follows; a request for more fails, so that a kick's work is bounded. */
export const MOST_DATA_BYTES = MOST_PIECES * MOST_PIECE_BYTES;

/** Segments of one discard or write-zeroes request. */
export const MOST_SEGMENTS = 16;
/** Sectors of one such segment: half of what its field can say. */
export const MOST_SEGMENT_SECTORS = 0x7fffffff;

const HEADER_BYTES = 16;
const SEGMENT_BYTES = 16;
/** The only flag of a segment. */
const SEGMENT_UNMAP = 1;

/** A request's fixed part; its data lie in the chain between header and status. */
export interface BlockRequest {
	readonly type: number;
	/** In bytes; may be anything the driver could write. */
	readonly offset: number;
	/** Of data, whichever way they go. */
	readonly dataBytes: number;
}

/** Undefined when there is no header, or no room for a status. */
export function parseRequest(chain: DescriptorChain): BlockRequest | undefined {
	const { readable, writable } = chain;
	if (readable.lengthBytes < HEADER_BYTES || writable.lengthBytes < 1) {
		return undefined;
	}
	const header = new DataView(readable.read(0, HEADER_BYTES).buffer);
	const sector =
		header.getUint32(12, true) * 2 ** 32 + header.getUint32(8, true);
	const type = header.getUint32(0, true);
	const outgoing = readable.lengthBytes - HEADER_BYTES;
	const incoming = writable.lengthBytes - 1;
	return {
		type,
		offset: sector * SECTOR_BYTES,
		dataBytes: isIncoming(type) ? incoming : outgoing,
	};
}

function isIncoming(type: number): boolean {
	return type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_GET_ID;
}

/** Copies outgoing data from `offset` on. */
export function outgoingData(
	chain: DescriptorChain,
	offset: number,
	target: Uint8Array,
): void {
	chain.readable.readInto(HEADER_BYTES + offset, target);
}

/** Outgoing data from `offset` on, where they lie: see `ScatteredBytes.readBy`. */
export function outgoingPieces(
	chain: DescriptorChain,
	offset: number,
	lengthBytes: number,
	take: Move,
): boolean {
	return chain.readable.readBy(HEADER_BYTES + offset, lengthBytes, take);
}

/** A range to discard or to make zero. */
export interface Segment {
	readonly offset: number;
	readonly lengthBytes: number;
	readonly mayUnmap: boolean;
	/** The driver set flags that mean nothing. */
	readonly hasUnknownFlags: boolean;
}

/** Undefined when the data are no whole segments, none, or too many. */
export function parseSegments(chain: DescriptorChain): Segment[] | undefined {
	const bytes = chain.readable.lengthBytes - HEADER_BYTES;
	const count = bytes / SEGMENT_BYTES;
	if (!Number.isInteger(count) || count < 1 || count > MOST_SEGMENTS) {
		return undefined;
	}
	const data = new Uint8Array(bytes);
	outgoingData(chain, 0, data);
	const view = new DataView(data.buffer);
	return Array.from({ length: count }, (_, index) => {
		const at = index * SEGMENT_BYTES;
		const sector =
			view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
		const flags = view.getUint32(at + 12, true);
		return {
			offset: sector * SECTOR_BYTES,
			lengthBytes: view.getUint32(at + 8, true) * SECTOR_BYTES,
			mayUnmap: (flags & SEGMENT_UNMAP) !== 0,
			hasUnknownFlags: (flags & ~SEGMENT_UNMAP) !== 0,
		};
	});
}

/** Where the cache mode is; the one field a driver may write. */
export const WRITEBACK_OFFSET = 32;
const CONFIG_BYTES = 60;

/**
 * The configuration space (§5.2.4). Physical blocks are as large as the
 * backend likes them, logical ones stay at 512 so that any file will do.
 */
export function blockConfig(backend: BlockBackend): Uint8Array {
	const config = new Uint8Array(CONFIG_BYTES);
	const view = new DataView(config.buffer);
	const sectors = backend.sizeBytes / SECTOR_BYTES;
	const preferred = backend.preferredBytes ?? 4096;
	const alignSectors = preferred / SECTOR_BYTES;
	view.setBigUint64(0, BigInt(sectors), true); // capacity
	view.setUint32(8, MOST_PIECE_BYTES, true); // size_max
	view.setUint32(12, MOST_PIECES, true); // seg_max
	view.setUint32(20, SECTOR_BYTES, true); // blk_size
	config[24] = Math.log2(alignSectors); // physical_block_exp
	view.setUint16(26, alignSectors, true); // min_io_size
	config[WRITEBACK_OFFSET] = 1;
	view.setUint32(36, MOST_SEGMENT_SECTORS, true); // max_discard_sectors
	view.setUint32(40, MOST_SEGMENTS, true); // max_discard_seg
	view.setUint32(44, alignSectors, true); // discard_sector_alignment
	view.setUint32(48, MOST_SEGMENT_SECTORS, true); // max_write_zeroes_sectors
	view.setUint32(52, MOST_SEGMENTS, true); // max_write_zeroes_seg
	config[56] = backend.unmaps === true ? 1 : 0; // write_zeroes_may_unmap
	return config;
}
