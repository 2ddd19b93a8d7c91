/**
 * What a guest needs of Node, wherever it runs: kernels and disks from files
 * and URLs, decompressors, a turn for the event loop, and what the process
 * costs. The command line and the guests' workers both get it here.
 *
 * Relies on the files beside it; the worker and the run command rely on it.
 *
 * @journey L:272 Node, seen from a guest
 */

import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
	type BlockBackend,
	type DiskDescription,
	type FileRole,
	type GuestSurroundings,
	type OnProgress,
	UsageError,
} from "../index.ts";
import { nodeDecompressors } from "./decompress.ts";
import { DeviceBackends } from "./device-backends.ts";
import { openDisk } from "./disk-files.ts";
import { collectGarbage } from "./heap.ts";
import { readInputFile } from "./input-file.ts";
import { processStatistics } from "./statistics.ts";

/** For `serveGuest`. */
export const nodeSurroundings: GuestSurroundings = {
	decompressors: nodeDecompressors,
	breathe,
	readBytes,
	canReadAgain: isFile,
	openDisk: openDescribedDisk,
	openDevices: (devices) => DeviceBackends.open(devices),
	tidy: collectGarbage,
	addStatistics: processStatistics,
};

/** After the event loop's other work, without the millisecond a timer costs. */
export function breathe(): Promise<void> {
	return new Promise((resolve) => {
		setImmediate(resolve);
	});
}

async function readBytes(
	address: string,
	role: FileRole,
	onProgress: OnProgress,
	mostBytes?: number,
): Promise<Uint8Array> {
	const path = pathOf(address, role);
	if (/^https?:/.test(path)) return download(path, role);
	return readInputFile(path, role, onProgress, mostBytes);
}

/** Not on the network, which may be gone next time, and no pipe. */
function isFile(address: string): boolean {
	if (/^https?:/.test(address)) return false;
	const path = pathOf(address, "file");
	return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** A path, or a URL that is no file's. */
function pathOf(source: unknown, role: string): string {
	const text = source instanceof URL ? source.href : source;
	if (typeof text !== "string") {
		throw new UsageError(`A ${role} is a path, a URL or bytes.`);
	}
	return text.startsWith("file:") ? fileURLToPath(text) : text;
}

async function download(url: string, role: string): Promise<Uint8Array> {
	const response = await fetch(url).catch((cause: unknown) => {
		throw new UsageError(`The ${role} ${url} cannot be fetched.`, { cause });
	});
	if (!response.ok) {
		throw new UsageError(
			`The ${role} ${url} cannot be fetched: status ${response.status}.`,
		);
	}
	return new Uint8Array(await response.arrayBuffer());
}

async function openDescribedDisk(disk: DiskDescription): Promise<BlockBackend> {
	const { source } = disk;
	if (source instanceof Uint8Array) {
		throw new UsageError("A disk of bytes has no overlay in a file.", {
			hint: "Put the bytes into a file, or keep the overlay in memory.",
		});
	}
	return openDisk({ ...disk, path: pathOf(source, "disk") });
}
