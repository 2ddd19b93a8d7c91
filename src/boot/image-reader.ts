/**
 * Bounds-checked little-endian reading of a kernel file. Every structure the
 * loaders take from a file goes through here, so that a file which ends too
 * early produces one sentence with the number of bytes that were expected,
 * whatever part was being read.
 *
 * Relies on nothing but `errors.ts`; `elf.ts`, `bzimage.ts` and
 * `multiboot.ts` rely on it.
 *
 * @journey P:402 Reading untrusted files
 */

import { UsageError } from "../errors.ts";

/** The error for a file that ends before `neededBytes`; `part` is what was being read. */
export function truncatedImageError(
	part: string,
	neededBytes: number,
	actualBytes: number,
): UsageError {
	return new UsageError(
		`The kernel file is truncated: its ${part} needs ${neededBytes} bytes but the file has only ${actualBytes}.`,
		{
			hint: "Copy or download the file again and compare its size with the original.",
		},
	);
}

/** A window over a file's bytes whose reads name what they were after. */
export class ImageReader {
	readonly bytes: Uint8Array;
	readonly #view: DataView;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	}

	get lengthBytes(): number {
		return this.bytes.length;
	}

	/** Whether `lengthBytes` at `offset` exist; never wraps, all are plain numbers. */
	has(offset: number, lengthBytes: number): boolean {
		return offset >= 0 && offset + lengthBytes <= this.bytes.length;
	}

	/** Throws the truncation error unless the range exists. */
	require(offset: number, lengthBytes: number, part: string): void {
		if (!this.has(offset, lengthBytes)) {
			throw truncatedImageError(part, offset + lengthBytes, this.bytes.length);
		}
	}

	u8(offset: number, part: string): number {
		this.require(offset, 1, part);
		return this.#view.getUint8(offset);
	}

	u16(offset: number, part: string): number {
		this.require(offset, 2, part);
		return this.#view.getUint16(offset, true);
	}

	u32(offset: number, part: string): number {
		this.require(offset, 4, part);
		return this.#view.getUint32(offset, true);
	}

	/**
	 * A 64-bit field as a number. Exact up to 2^53; beyond that it is rounded,
	 * which no caller notices because it is far outside any file or guest RAM.
	 */
	u64(offset: number, part: string): number {
		this.require(offset, 8, part);
		return Number(this.#view.getBigUint64(offset, true));
	}

	/** A view (no copy) of the range. */
	slice(offset: number, lengthBytes: number, part: string): Uint8Array {
		this.require(offset, lengthBytes, part);
		return this.bytes.subarray(offset, offset + lengthBytes);
	}

	/** Text up to NUL, at most `maxBytes` of it; shorter when the file ends. */
	text(offset: number, maxBytes: number): string {
		let end = offset;
		const limit = Math.min(this.bytes.length, offset + maxBytes);
		while (end < limit && this.bytes[end] !== 0) end++;
		return decodeLatin1(this.bytes.subarray(offset, end));
	}
}

/** Bytes as text, one character per byte: kernel strings are ASCII. */
export function decodeLatin1(bytes: Uint8Array): string {
	let text = "";
	for (const byte of bytes) text += String.fromCharCode(byte);
	return text;
}

/** Where `needle` first occurs at or after `from` and ends before `end`; -1 if nowhere. */
export function findBytes(
	haystack: Uint8Array,
	needle: Uint8Array,
	from = 0,
	end = haystack.length,
): number {
	const first = needle[0];
	if (first === undefined) return -1;
	const last = Math.min(end, haystack.length) - needle.length;
	for (
		let at = haystack.indexOf(first, from);
		at !== -1 && at <= last;
		at = haystack.indexOf(first, at + 1)
	) {
		if (matchesAt(haystack, needle, at)) return at;
	}
	return -1;
}

function matchesAt(
	haystack: Uint8Array,
	needle: Uint8Array,
	at: number,
): boolean {
	for (let i = 1; i < needle.length; i++) {
		if (haystack[at + i] !== needle[i]) return false;
	}
	return true;
}

/** ASCII text as bytes, for `findBytes` and for strings placed in guest memory. */
export function encodeLatin1(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
