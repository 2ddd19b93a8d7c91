/**
 * Reads kernels and initrds, and turns every way in which that can fail into
 * a sentence with the file's name in it.
 *
 * Relies on Node's file system; the run command and the guests' workers rely on
 * it.
 *
 * @journey L:122 Files, and what may be wrong with them
 */

import { type FileHandle, open } from "node:fs/promises";
import { type OnProgress, UsageError } from "../index.ts";

const CHUNK_BYTES = 4 << 20;
/** More than 32-bit guests can hold. */
const MOST_BYTES = 0xffff_ffff;

/**
 * All of a file. `role` is what the user calls it: "kernel", "initrd". One of
 * more than `mostBytes`, the guest's memory, is not read.
 */
export async function readInputFile(
	path: string,
	role: string,
	onProgress: OnProgress,
	mostBytes = MOST_BYTES,
): Promise<Uint8Array> {
	try {
		const file = await open(path);
		try {
			await refuseLarger(file, mostBytes, path, role);
			return await readAll(file, role, onProgress);
		} finally {
			await file.close();
		}
	} catch (error) {
		throw readError(error, path, role);
	}
}

async function refuseLarger(
	file: FileHandle,
	mostBytes: number,
	path: string,
	role: string,
): Promise<void> {
	const { size } = await file.stat();
	if (size <= mostBytes) return;
	const isForNobody = size > MOST_BYTES;
	throw new UsageError(
		`${path}: the ${role} is larger than ${isForNobody ? "any" : "the"} guest's memory.`,
		{
			hint: isForNobody
				? "Is it the right file?"
				: "Is it the right file? If so, give the guest more --memory.",
		},
	);
}

async function readAll(
	file: FileHandle,
	role: string,
	onProgress: OnProgress,
): Promise<Uint8Array> {
	const { size } = await file.stat();
	const chunks: Uint8Array[] = [];
	let total = 0;
	// Not by size alone: a pipe has none.
	for (;;) {
		const chunk = new Uint8Array(
			Math.min(CHUNK_BYTES, Math.max(size - total, 0x1_0000)),
		);
		const { bytesRead } = await file.read(chunk);
		if (bytesRead === 0) break;
		chunks.push(chunk.subarray(0, bytesRead));
		total += bytesRead;
		onProgress(`reading the ${role}`, total, size);
	}
	return joined(chunks, total);
}

function joined(chunks: readonly Uint8Array[], total: number): Uint8Array {
	const [only] = chunks;
	if (chunks.length === 1 && only !== undefined) return only;
	const bytes = new Uint8Array(total);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	return bytes;
}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: "does not exist",
	EISDIR: "is a directory",
	EACCES: "may not be read: permission denied",
	EPERM: "may not be read: permission denied",
	ENOTDIR: "does not exist: a part of its path is no directory",
	ELOOP: "is a symbolic link that leads nowhere",
	ENAMETOOLONG: "has a name that is too long",
};

function readError(error: unknown, path: string, role: string): unknown {
	if (!(error instanceof Error) || !("code" in error)) return error;
	const reason = REASONS[String(error.code)];
	return new UsageError(
		reason === undefined
			? `The ${role} ${path} cannot be read: ${error.message}.`
			: `The ${role} ${path} ${reason}.`,
		{ hint: `Give the path of a readable ${role} file.`, cause: error },
	);
}
