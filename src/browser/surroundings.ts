/**
 * What a guest needs of a browser, in its worker: files over `fetch`,
 * decompressors, disks that are read piece by piece, and a turn for the event
 * loop.
 *
 * Relies on the core, the web platform and the library fzstd; the worker relies
 * on it.
 *
 * @journey L:280 A browser, seen from a guest
 */

import { decompress as unpackZstd } from "fzstd";
import type { Decompressors } from "../boot/compression.ts";
import { unpackLz4 } from "../boot/decompress/lz4.ts";
import { unpackLzma } from "../boot/decompress/lzma.ts";
import { unpackXz } from "../boot/decompress/xz.ts";
import {
	type BlockBackend,
	type ByteSource,
	type DiskDescription,
	type GuestSurroundings,
	MemoryDisk,
	OverlayDisk,
	UsageError,
} from "../index.ts";
import { BlobDisk } from "./blob-disk.ts";
import { openBrowserDevices } from "./device-backends.ts";
import { downloads, readAll } from "./downloads.ts";
import { FetchDisk } from "./fetch-disk.ts";
import { openOpfsOverlay } from "./opfs-overlay.ts";

const decompressors: Decompressors = {
	gzip: unpackGzip,
	xz: async (bytes) => unpackXz(bytes),
	lzma: async (bytes, unpackedBytes) => unpackLzma(bytes, unpackedBytes),
	lz4: async (bytes) => unpackLz4(bytes),
	zstd: async (bytes) => unpackZstd(bytes),
};

/** For `serveGuest`. */
export const browserSurroundings: GuestSurroundings = {
	decompressors,
	breathe,
	readBytes: (url, role, onProgress) => downloads.read(url, role, onProgress),
	openDisk,
	openDevices: openBrowserDevices,
};

async function unpackGzip(bytes: Uint8Array): Promise<Uint8Array> {
	const { readable, writable } = new DecompressionStream("gzip");
	const writer = writable.getWriter();
	// What is wrong with it is told at the other end.
	writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
	writer.close().catch(() => {});
	return readAll(readable);
}

const turn = new MessageChannel();
const waiting: (() => void)[] = [];
turn.port1.onmessage = () => waiting.shift()?.();

/** A message to oneself comes after those of others; timers would wait for 4 ms. */
function breathe(): Promise<void> {
	return new Promise((resolve) => {
		waiting.push(resolve);
		turn.port2.postMessage(undefined);
	});
}

function urlOf(source: unknown, role: string): string {
	if (typeof source === "string") return source;
	throw new UsageError(`A ${role} is a URL, a file or bytes.`);
}

async function openDisk(disk: DiskDescription): Promise<BlockBackend> {
	const { source, readOnly = false, overlay = false } = disk;
	const below = await openSource(source);
	if (typeof overlay === "string") {
		return openOpfsOverlay(overlay, { disk: below, source: nameOf(source) });
	}
	// What cannot be written to gets an overlay, so what the guest writes goes elsewhere.
	return below.readOnly && !readOnly ? new OverlayDisk(below) : below;
}

/** As something to put an overlay on. */
async function openSource(source: ByteSource): Promise<BlockBackend> {
	if (source instanceof Uint8Array) {
		return MemoryDisk.from(source, { readOnly: true });
	}
	if (source instanceof Blob) return new BlobDisk(source);
	return FetchDisk.open(urlOf(source, "disk"));
}

/** How an overlay remembers what it is on top of. */
function nameOf(source: ByteSource): string {
	if (source instanceof Uint8Array) return "bytes";
	if (source instanceof File) return source.name;
	if (source instanceof Blob) return "a file";
	return urlOf(source, "disk");
}
