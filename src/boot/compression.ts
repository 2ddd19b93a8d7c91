/**
 * The compressions a kernel may wear, told apart by their magic numbers. The
 * decompressors themselves are handed in: the core has no dependencies, so
 * Node and the browser each bring what they have (zlib, a library), and a
 * missing one is no error because a bzImage can unpack itself.
 *
 * Relies on `image-reader.ts`; `linux-loader.ts` and `kernel-image.ts` rely
 * on it, `node/decompress.ts` implements it.
 *
 * @journey P:416 Unwrapping a kernel
 */

import { UsageError } from "../errors.ts";
import { ImageReader } from "./image-reader.ts";

/** Linux's `CONFIG_KERNEL_…` choices by the name of their format. */
export type Compression =
	| "gzip"
	| "xz"
	| "zstd"
	| "lz4"
	| "bzip2"
	| "lzma"
	| "lzo";

/**
 * Unpacks one whole stream. `unpackedBytes` is the size the kernel's build
 * recorded, when there is one: a hint for allocating, not to be trusted.
 */
export type Decompressor = (
	bytes: Uint8Array,
	unpackedBytes?: number,
) => Promise<Uint8Array>;

/** What an embedder can unpack; formats left out stay packed. */
export type Decompressors = Partial<Record<Compression, Decompressor>>;

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
	["gzip", [0x1f, 0x8b]],
	["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
	["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
	["lz4", [0x02, 0x21, 0x4c, 0x18]], // the legacy frame, which kernels use
	["bzip2", [0x42, 0x5a, 0x68]],
	["lzma", [0x5d, 0x00, 0x00]],
	["lzo", [0x89, 0x4c, 0x5a, 0x4f]],
];

/** The format the bytes start with, if any. */
export function detectCompression(bytes: Uint8Array): Compression | undefined {
	return MAGICS.find(([, magic]) =>
		magic.every((byte, index) => bytes[index] === byte),
	)?.[0];
}

/** Size of the little-endian word Linux's build puts behind the stream (`size_append`). */
const SIZE_SUFFIX_BYTES = 4;

/**
 * Unpacks a bzImage's payload, or answers undefined when nobody here can.
 *
 * Behind every format but gzip stands an extra word with the unpacked size;
 * gzip ends with such a word of its own, which stays part of the stream.
 */
export async function unpackPayload(
	payload: Uint8Array,
	decompressors: Decompressors,
): Promise<Uint8Array | undefined> {
	const compression = detectCompression(payload);
	const decompress = compression && decompressors[compression];
	if (compression === undefined || decompress === undefined) return undefined;
	const suffixAt = payload.length - SIZE_SUFFIX_BYTES;
	const size = new ImageReader(payload).u32(suffixAt, "compressed payload");
	const stream =
		compression === "gzip" ? payload : payload.subarray(0, suffixAt);
	return runDecompressor(decompress, compression, stream, size);
}

/** Unpacks a whole file (`vmlinux.gz` and the like); undefined if it is not packed or nobody can. */
export async function unpackFile(
	bytes: Uint8Array,
	decompressors: Decompressors,
): Promise<Uint8Array | undefined> {
	const compression = detectCompression(bytes);
	const decompress = compression && decompressors[compression];
	if (compression === undefined || decompress === undefined) return undefined;
	return runDecompressor(decompress, compression, bytes);
}

/**
 * An initrd that is packed as `packing` says, unpacked. A web server may have
 * sent it unpacked, so its first bytes have a say.
 */
export async function unpackInitrd(
	initrd: Uint8Array,
	packing: Compression,
	decompressors: Decompressors,
): Promise<Uint8Array> {
	const decompress = decompressors[packing];
	if (decompress === undefined || detectCompression(initrd) !== packing) {
		return initrd;
	}
	return runDecompressor(decompress, packing, initrd, undefined, "initrd");
}

async function runDecompressor(
	decompress: Decompressor,
	compression: Compression,
	bytes: Uint8Array,
	unpackedBytes?: number,
	what = "kernel",
): Promise<Uint8Array> {
	try {
		return await decompress(bytes, unpackedBytes);
	} catch (cause) {
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw new UsageError(
			`The ${what} is damaged: its ${compression} data cannot be unpacked (${reason}).`,
			{ hint: "Copy or download the file again.", cause },
		);
	}
}
