/**
 * What a page's user does with kept disks while no guest has them: list, save
 * to a file, restore from one, remove.
 *
 * Relies on OPFS; pages rely on it.
 *
 * @journey L:296 A copy for the drawer
 */

import { MemoryStore, readQcow2Header } from "../index.ts";
import { keptDisks, storageError } from "./opfs-store.ts";

/** As much of an image as tells that it is one. */
const HEAD_BYTES = 1 << 16;

/** Names, in order. */
export async function listKeptDisks(): Promise<string[]> {
	const names: string[] = [];
	for await (const name of (await keptDisks()).keys()) names.push(name);
	return names.sort();
}

/** The overlay as a qcow2 image. Throws `UsageError` while a guest has it. */
export async function readKeptDisk(name: string): Promise<File> {
	const folder = await keptDisks();
	try {
		const file = await folder.getFileHandle(name);
		// Only a file that nobody has open can be opened for writing.
		await (await file.createWritable({ keepExistingData: true })).abort();
		return await file.getFile();
	} catch (cause) {
		throw storageError(name, cause);
	}
}

/** Puts an image where guests find it. Throws `UsageError` for what is none. */
export async function writeKeptDisk(name: string, image: Blob): Promise<void> {
	const head = await image.slice(0, HEAD_BYTES).arrayBuffer();
	await readQcow2Header(new MemoryStore(new Uint8Array(head)));
	const folder = await keptDisks();
	try {
		const file = await folder.getFileHandle(name, { create: true });
		const writable = await file.createWritable();
		// Closes it, or leaves the old contents where that fails.
		await image.stream().pipeTo(writable);
	} catch (cause) {
		throw storageError(name, cause);
	}
}

/** Forgets a disk; one that is not there is no error. */
export async function removeKeptDisk(name: string): Promise<void> {
	const folder = await keptDisks();
	await folder.removeEntry(name).catch((cause: unknown) => {
		const isAbsent = cause instanceof Error && cause.name === "NotFoundError";
		if (!isAbsent) throw storageError(name, cause);
	});
}
