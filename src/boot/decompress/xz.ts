/**
 * The `.xz` container and LZMA2, as far as kernels use them: one or more
 * blocks, each LZMA2 with at most the x86 filter in front, CRC-32 verified.
 * Written from "The .xz File Format", version 1.1.0.
 *
 * Ours, because the libraries that run in Node and in browsers alike lack
 * the x86 filter, which every xz-compressed x86 kernel was packed with.
 *
 * Relies on `lzma.ts`, `x86-filter.ts`, `crc32.ts`; embedders rely on it.
 *
 * @journey P:434 The container most kernels come in
 */

import { crc32 } from "./crc32.ts";
import { LzmaDecoder, MAX_UNPACKED_BYTES } from "./lzma.ts";
import { undoX86Filter } from "./x86-filter.ts";

const STREAM_HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const CHECK_CRC32 = 1;
/** Bytes of the check behind each block, by its type number. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/** A block's extent as the index at the end of the file records it. */
interface IndexRecord {
	readonly unpaddedBytes: number;
	readonly unpackedBytes: number;
}

/** Unpacks a single-stream `.xz` file; throws an `Error` in plain words if it is damaged. */
export function unpackXz(bytes: Uint8Array): Uint8Array {
	const checkType = readStreamHeader(bytes);
	const records = readIndex(bytes);
	const total = records.reduce((sum, r) => sum + r.unpackedBytes, 0);
	if (total > MAX_UNPACKED_BYTES) throw new Error("too large");
	const output = new Uint8Array(total);
	let from = STREAM_HEADER_BYTES;
	let to = 0;
	for (const record of records) {
		const block = output.subarray(to, to + record.unpackedBytes);
		unpackBlock(bytes, from, record, checkType, block);
		from += padToFour(record.unpaddedBytes);
		to += record.unpackedBytes;
	}
	return output;
}

function padToFour(value: number): number {
	return Math.ceil(value / 4) * 4;
}

function view(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function readStreamHeader(bytes: Uint8Array): number {
	if (bytes.length < STREAM_HEADER_BYTES + FOOTER_BYTES) {
		throw new Error("the data ends in the middle");
	}
	const flags = bytes.subarray(6, 8);
	if (flags[0] !== 0 || crc32(flags) !== view(bytes).getUint32(8, true)) {
		throw new Error("the stream header is wrong");
	}
	return (flags[1] as number) & 0x0f;
}

/** Reads backwards: footer, then the index it points at. */
function readIndex(bytes: Uint8Array): IndexRecord[] {
	const footerAt = bytes.length - FOOTER_BYTES;
	const footer = view(bytes.subarray(footerAt));
	if (footer.getUint16(10, true) !== 0x5a59) {
		throw new Error("the data ends in the middle");
	}
	if (
		crc32(bytes.subarray(footerAt + 4, footerAt + 10)) !==
		footer.getUint32(0, true)
	) {
		throw new Error("the footer is wrong");
	}
	const indexBytes = (footer.getUint32(4, true) + 1) * 4;
	const indexAt = footerAt - indexBytes;
	if (indexAt < STREAM_HEADER_BYTES) throw new Error("the footer is wrong");
	const index = bytes.subarray(indexAt, footerAt);
	const crcAt = indexBytes - 4;
	if (
		index[0] !== 0 ||
		crc32(index.subarray(0, crcAt)) !== view(index).getUint32(crcAt, true)
	) {
		throw new Error("the index is wrong");
	}
	return readIndexRecords(new ByteCursor(index.subarray(0, crcAt), 1));
}

function readIndexRecords(cursor: ByteCursor): IndexRecord[] {
	const count = cursor.variableLength();
	const records: IndexRecord[] = [];
	for (let i = 0; i < count; i++) {
		const unpaddedBytes = cursor.variableLength();
		records.push({ unpaddedBytes, unpackedBytes: cursor.variableLength() });
	}
	return records;
}

/** Reads single bytes and the format's variable-length integers. */
class ByteCursor {
	readonly #bytes: Uint8Array;
	position: number;

	constructor(bytes: Uint8Array, position: number) {
		this.#bytes = bytes;
		this.position = position;
	}

	byte(): number {
		const byte = this.#bytes[this.position++];
		if (byte === undefined) throw new Error("the data ends in the middle");
		return byte;
	}

	/** Seven bits a byte, lowest first; sizes beyond 2^49 are refused, not wrapped. */
	variableLength(): number {
		let value = 0;
		for (let scale = 1; scale <= 2 ** 42; scale *= 128) {
			const byte = this.byte();
			value += (byte & 0x7f) * scale;
			if (byte < 0x80) return value;
		}
		throw new Error("a size is absurd");
	}
}

function unpackBlock(
	bytes: Uint8Array,
	start: number,
	record: IndexRecord,
	checkType: number,
	output: Uint8Array,
): void {
	const checkBytes = CHECK_BYTES[checkType] as number;
	const dataEnd = start + record.unpaddedBytes - checkBytes;
	const headerBytes = ((bytes[start] ?? 0) + 1) * 4;
	if (dataEnd + checkBytes > bytes.length || start + headerBytes > dataEnd) {
		throw new Error("a block reaches outside the data");
	}
	const filters = readBlockHeader(bytes.subarray(start, start + headerBytes));
	unpackLzma2(bytes.subarray(start + headerBytes, dataEnd), output);
	if (filters.includes(FILTER_X86)) undoX86Filter(output);
	if (checkType === CHECK_CRC32) {
		const checkAt = start + padToFour(record.unpaddedBytes - checkBytes);
		if (crc32(output) !== view(bytes).getUint32(checkAt, true)) {
			throw new Error("the checksum does not match");
		}
	}
}

/** The filter identifiers of a block, LZMA2 being the last. */
function readBlockHeader(header: Uint8Array): number[] {
	const crcAt = header.length - 4;
	if (
		crc32(header.subarray(0, crcAt)) !== view(header).getUint32(crcAt, true)
	) {
		throw new Error("a block header is wrong");
	}
	const cursor = new ByteCursor(header.subarray(0, crcAt), 1);
	const flags = cursor.byte();
	if (flags & 0x40) cursor.variableLength(); // packed size: the index has it
	if (flags & 0x80) cursor.variableLength(); // unpacked size: likewise
	const filters: number[] = [];
	for (let i = 0; i <= (flags & 3); i++) {
		filters.push(cursor.variableLength());
		const propertyBytes = cursor.variableLength();
		if (propertyBytes === 4 && filters[i] === FILTER_X86) {
			throw new Error("the x86 filter's start offset is not supported");
		}
		cursor.position += propertyBytes;
	}
	const supported =
		filters.at(-1) === FILTER_LZMA2 &&
		filters.slice(0, -1).every((id) => id === FILTER_X86);
	if (!supported) throw new Error(`filters ${filters} are not supported`);
	return filters;
}

/**
 * LZMA2 cuts LZMA into chunks. The control byte says: 0 the end, 1 and 2
 * stored bytes (1 also resets the dictionary), from 0x80 on LZMA with bits 5
 * and 6 telling how much to reset: nothing, state, state and properties, all.
 */
function unpackLzma2(input: Uint8Array, output: Uint8Array): void {
	const decoder = new LzmaDecoder(input, output);
	const cursor = new ByteCursor(input, 0);
	const u16 = (): number => cursor.byte() * 256 + cursor.byte();
	for (;;) {
		const control = cursor.byte();
		if (control === 0) break;
		if (control === 1 || control >= 0xe0) decoder.resetDictionary();
		if (control < 0x80) {
			if (control > 2) throw new Error("an impossible chunk");
			const length = u16() + 1;
			const stored = input.subarray(cursor.position, cursor.position + length);
			if (stored.length < length)
				throw new Error("the data ends in the middle");
			decoder.copyStored(stored);
			cursor.position += length;
		} else {
			const unpacked = ((control & 0x1f) << 16) + u16() + 1;
			const packed = u16() + 1;
			if (control >= 0xc0) decoder.setProperties(cursor.byte());
			else if (control >= 0xa0) decoder.resetState();
			const start = cursor.position;
			const end = decoder.position + unpacked;
			decoder.decode(start, start + packed, end);
			if (decoder.position !== end) throw new Error("a chunk is short");
			decoder.requireChunkEnd();
			cursor.position = start + packed;
		}
	}
	if (decoder.position !== output.length) {
		throw new Error("less data than announced");
	}
}
