/**
 * Keeps two programs from writing to one image. Node cannot lock files, but on
 * Linux it can listen on an abstract socket, a name that vanishes with its
 * process however that ends: one name for the writer of an image, and names
 * that begin alike for its readers. Whoever comes takes a name first and looks
 * around then, so of two that come at once never both go on.
 *
 * QEMU's own locks we cannot take, but see: the kernel lists who locks what.
 * All of it is advice, among those who ask; on other systems there is none.
 *
 * Relies on Node and /proc; `disk-files.ts` relies on it.
 *
 * @journey L:146 One writer at a time
 */

import type { Stats } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { UsageError } from "../index.ts";

/** Held until closed, or until the process is gone. */
export interface DiskLock {
	release(): void;
}

let readersHere = 0;

/** Throws `UsageError` if somebody writes to the image, or reads it while we want to write. */
export async function lockDisk(
	path: string,
	status: Stats,
	readOnly: boolean,
): Promise<DiskLock | undefined> {
	if (process.platform !== "linux") return undefined;
	const image = `lguest-disk-${status.dev}-${status.ino}`;
	readersHere++;
	const name = readOnly
		? `${image}-reader-${process.pid}-${readersHere}`
		: `${image}-writer`;
	const server = await holdName(name);
	if (server === undefined) throw inUse(path, "another lguest writes to it");
	const release = () => {
		server.close();
	};
	const others = await obstacles(image, status, readOnly);
	if (others !== undefined) {
		release();
		throw inUse(path, others);
	}
	return { release };
}

/** Takes an abstract name, until closed; undefined when somebody has it. */
export function holdName(name: string): Promise<Server | undefined> {
	return new Promise((resolve, reject) => {
		const server = createServer((socket) => socket.destroy());
		if (process.platform !== "linux") return resolve(server);
		server.once("error", (error: NodeJS.ErrnoException) => {
			if (error.code === "EADDRINUSE") resolve(undefined);
			else reject(error);
		});
		server.listen(`\0${name}`, () => resolve(server));
		server.unref();
	});
}

async function obstacles(
	image: string,
	status: Stats,
	readOnly: boolean,
): Promise<string | undefined> {
	const sockets = await readText("/proc/net/unix");
	if (readOnly && sockets.includes(`@${image}-writer`)) {
		return "another lguest writes to it";
	}
	if (!readOnly && sockets.includes(`@${image}-reader-`)) {
		return "another lguest reads it";
	}
	const locks = await readText("/proc/locks");
	return locks.split("\n").some((line) => qemuUses(line, status, readOnly))
		? "QEMU has it open"
		: undefined;
}

/**
 * QEMU locks byte 100 of an image that it reads and byte 101 of one that it
 * writes, as in `1: OFDLCK ADVISORY READ -1 fe:00:2146366 100 101`.
 */
function qemuUses(line: string, status: Stats, readOnly: boolean): boolean {
	const lock = /OFDLCK .* (\w+):(\w+):(\d+) (\d+) (\d+)$/.exec(line);
	if (lock === null) return false;
	const [major, minor] = [lock[1], lock[2]].map((hex) =>
		Number.parseInt(hex ?? "", 16),
	);
	const [inode, first, last] = lock.slice(3).map(Number);
	if (inode !== status.ino) return false;
	if (major !== majorOf(status.dev) || minor !== minorOf(status.dev)) {
		return false;
	}
	const byte = readOnly ? 101 : 100;
	return (first ?? 0) <= 101 && (last ?? 0) >= byte;
}

/** Linux packs a device number so (`new_encode_dev`). */
function majorOf(device: number): number {
	return (device >> 8) & 0xfff;
}

function minorOf(device: number): number {
	return (device & 0xff) | ((device >> 12) & 0xfff00);
}

async function readText(path: string): Promise<string> {
	return await readFile(path, "utf8").catch(() => "");
}

function inUse(path: string, who: string): UsageError {
	return new UsageError(`The disk ${path} is in use: ${who}.`, {
		hint: "Two writers destroy a disk. End the other, or give each an overlay of its own: --disk FILE,overlay while nobody writes to FILE.",
	});
}
