/**
 * The decompressors Node has for kernels: zlib's own gzip (and zstd where
 * this Node has it), fzstd otherwise, and the core's readers for xz, lzma
 * and legacy lz4. A bzImage in any other format unpacks itself in the guest.
 *
 * Relies on `boot/` and the library fzstd; the command line relies on it.
 *
 * @journey P:444 Unpacking in Node
 */

import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { decompress as unpackZstd } from "fzstd";
import type { Decompressor, Decompressors } from "../boot/compression.ts";
import { unpackLz4 } from "../boot/decompress/lz4.ts";
import { MAX_UNPACKED_BYTES, unpackLzma } from "../boot/decompress/lzma.ts";
import { unpackXz } from "../boot/decompress/xz.ts";

/** For `BootOptions.unpack`. */
export const nodeDecompressors: Decompressors = {
	gzip: async (bytes) =>
		promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gunzip)(bytes, {
			chunkSize: chunkFor(bytes),
			maxOutputLength: MAX_UNPACKED_BYTES,
		}),
	xz: async (bytes) => unpackXz(bytes),
	lzma: async (bytes, unpackedBytes) => unpackLzma(bytes, unpackedBytes),
	lz4: async (bytes) => unpackLz4(bytes),
	zstd: zstdDecompressor(),
};

/** zlib allows chunks from here on; its default. */
const LEAST_CHUNK_BYTES = 16 << 10;
/** As much as kernels get smaller, and more; then a trailer that lies costs little. */
const USUAL_RATIO = 8;

/**
 * One chunk for everything: the output then is in place when zlib's thread is
 * done. The last four bytes of a gzip stream are its size (RFC 1952, ISIZE); the
 * byte more is where zlib notices the end.
 */
function chunkFor(bytes: Uint8Array): number {
	const trailer = bytes.subarray(-4);
	const said = trailer.reduceRight((size, byte) => size * 256 + byte, 1);
	return Math.max(
		LEAST_CHUNK_BYTES,
		Math.min(said, USUAL_RATIO * bytes.length, MAX_UNPACKED_BYTES),
	);
}

/** Node 22.15 brought zstd to zlib; it is several times faster than the library. */
function zstdDecompressor(): Decompressor {
	const builtIn = (zlib as { zstdDecompress?: typeof zlib.gunzip })
		.zstdDecompress;
	if (builtIn === undefined) return async (bytes) => unpackZstd(bytes);
	return async (bytes) =>
		promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(builtIn)(bytes, {
			maxOutputLength: MAX_UNPACKED_BYTES,
		});
}
