/**
 * What Node unpacks the compressed clusters of a qcow2 image with: zlib for
 * deflate, and for zstd zlib again where this Node has it, else fzstd. All stop
 * when the cluster is full: behind its data lies another's.
 *
 * Relies on Node and fzstd; `disk-files.ts` relies on it.
 *
 * @journey L:148 Unpacking clusters
 */

import * as zlib from "node:zlib";
import { Decompress } from "fzstd";
import type { ClusterUnpacker, ClusterUnpackers } from "../index.ts";

/** A transform of zlib's, until `unpackedBytes` have come out. */
function streamed(make: () => zlib.Zlib & NodeJS.ReadWriteStream) {
	const unpacker: ClusterUnpacker = (packed, unpackedBytes) =>
		new Promise((resolve, reject) => {
			const stream = make();
			const parts: Uint8Array[] = [];
			let length = 0;
			const finish = (error?: Error) => {
				stream.close();
				if (length < unpackedBytes) {
					reject(error ?? new Error("a compressed cluster ends too early"));
				} else resolve(Buffer.concat(parts));
			};
			stream.on("data", (part: Uint8Array) => {
				parts.push(part);
				length += part.length;
				if (length >= unpackedBytes) finish();
			});
			stream.once("error", finish);
			stream.once("end", () => finish());
			stream.end(packed);
		});
	return unpacker;
}

const zstdWithLibrary: ClusterUnpacker = async (packed, unpackedBytes) => {
	const bytes = new Uint8Array(unpackedBytes);
	let length = 0;
	const stream = new Decompress((part) => {
		const kept = part.subarray(0, unpackedBytes - length);
		bytes.set(kept, length);
		length += kept.length;
	});
	try {
		stream.push(packed, true);
	} catch (error) {
		// What follows a whole cluster need not be zstd.
		if (length < unpackedBytes) throw error;
	}
	return bytes.subarray(0, length);
};

/** Node 22.15 brought zstd to zlib. */
const builtInZstd = (
	zlib as { createZstdDecompress?: () => zlib.Zlib & NodeJS.ReadWriteStream }
).createZstdDecompress;

/** For `Qcow2Options.unpackers`. */
export const nodeUnpackers: ClusterUnpackers = {
	deflate: streamed(() =>
		zlib.createInflateRaw({ finishFlush: zlib.constants.Z_SYNC_FLUSH }),
	),
	zstd:
		builtInZstd === undefined ? zstdWithLibrary : streamed(() => builtInZstd()),
};
