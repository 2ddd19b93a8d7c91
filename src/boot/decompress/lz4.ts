/**
 * The legacy LZ4 frame, which is what `lz4 -l` writes and Linux kernels are
 * packed with: a magic number, then blocks of at most 8 MiB unpacked, each
 * with its packed size in front. Written from "LZ4 Frame Format" (section
 * "Legacy frame") and "LZ4 Block Format".
 *
 * Ours, because the usual libraries read the modern frame only and this is
 * one page. Relies on nothing; embedders rely on it.
 *
 * @journey P:440 LZ4
 */

import { MAX_UNPACKED_BYTES } from "./lzma.ts";

const MAGIC = 0x184c2102;
const MAX_BLOCK_BYTES = 8 * 1024 * 1024;

/** Unpacks a legacy LZ4 file; throws an `Error` in plain words if it is damaged. */
export function unpackLz4(bytes: Uint8Array): Uint8Array {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const blocks: Uint8Array[] = [];
	let at = 0;
	let total = 0;
	while (at + 4 <= bytes.length) {
		const word = view.getUint32(at, true);
		at += 4;
		if (word === MAGIC) continue; // also between concatenated files
		if (at + word > bytes.length)
			throw new Error("the data ends in the middle");
		const block = unpackBlock(bytes.subarray(at, at + word));
		blocks.push(block);
		total += block.length;
		if (total > MAX_UNPACKED_BYTES) throw new Error("too large");
		at += word;
	}
	return concatenate(blocks, total);
}

function concatenate(blocks: readonly Uint8Array[], total: number): Uint8Array {
	const output = new Uint8Array(total);
	let at = 0;
	for (const block of blocks) {
		output.set(block, at);
		at += block.length;
	}
	return output;
}

/** Sequences of literals and a match; the last has literals only. */
function unpackBlock(input: Uint8Array): Uint8Array {
	const output = new Uint8Array(MAX_BLOCK_BYTES);
	let from = 0;
	let to = 0;
	const byte = (): number => {
		const value = input[from++];
		if (value === undefined) throw new Error("the data ends in the middle");
		return value;
	};
	const extended = (start: number): number => {
		let length = start;
		if (start !== 15) return length;
		for (;;) {
			const more = byte();
			length += more;
			if (more !== 255) return length;
		}
	};
	while (from < input.length) {
		const token = byte();
		const literals = extended(token >>> 4);
		requireRoom(to, literals, from + literals <= input.length);
		output.set(input.subarray(from, from + literals), to);
		from += literals;
		to += literals;
		if (from === input.length) break;
		const distance = byte() + byte() * 256;
		const length = extended(token & 15) + 4;
		requireRoom(to, length, distance !== 0 && distance <= to);
		for (const end = to + length; to < end; to++) {
			output[to] = output[to - distance] as number;
		}
	}
	return output.slice(0, to);
}

function requireRoom(at: number, lengthBytes: number, sane: boolean): void {
	if (!sane || at + lengthBytes > MAX_BLOCK_BYTES) {
		throw new Error("a sequence reaches outside the data");
	}
}
