/**
 * A file as a disk. Reads and writes go through Node's thread pool, so they
 * stall neither the guest nor the terminal; what the system refuses (a full
 * file system, a bad sector) becomes an I/O error for the guest.
 *
 * Relies on Node's file system; the run command relies on it.
 *
 * @journey L:145 Disks in files
 */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { UsageError } from "../index.ts";
import type { BlockBackend } from "../virtio/backends.ts";

const SECTOR_BYTES = 512;
const ZEROES = new Uint8Array(1 << 20);

/** The part of a `FileHandle` that is used; tests bring their own. */
export type DiskFile = Pick<
	FileHandle,
	"read" | "write" | "datasync" | "close"
>;

/** A disk in a raw image; the last sector is padded if the file ends within it. */
export class FileBackend implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly #file: DiskFile;

	constructor(file: DiskFile, fileBytes: number, readOnly: boolean) {
		this.#file = file;
		this.sizeBytes = Math.ceil(fileBytes / SECTOR_BYTES) * SECTOR_BYTES;
		this.readOnly = readOnly;
	}

	/** Throws `UsageError` when the file cannot be a disk. */
	static async open(path: string, readOnly: boolean): Promise<FileBackend> {
		let file: FileHandle | undefined;
		try {
			// Without waiting: a FIFO would block until somebody writes.
			const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
			file = await open(path, access | (constants.O_NONBLOCK ?? 0));
			const status = await file.stat();
			if (!status.isFile()) throw new NotAFile();
			return new FileBackend(file, status.size, readOnly);
		} catch (error) {
			await file?.close();
			throw openError(error, path, readOnly);
		}
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		for (let at = 0; at < target.length; ) {
			const { bytesRead } = await this.#file.read(
				target,
				at,
				target.length - at,
				offset + at,
			);
			if (bytesRead === 0) {
				// Behind the file's end, which padding may put within a sector.
				target.fill(0, at);
				return;
			}
			at += bytesRead;
		}
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		for (let at = 0; at < source.length; ) {
			const { bytesWritten } = await this.#file.write(
				source,
				at,
				source.length - at,
				offset + at,
			);
			if (bytesWritten === 0) throw new Error("the file takes no more");
			at += bytesWritten;
		}
	}

	/** Data and what is needed to find them: fdatasync. */
	async flush(): Promise<void> {
		if (!this.readOnly) await this.#file.datasync();
	}

	async writeZeroes(offset: number, lengthBytes: number): Promise<void> {
		for (let at = 0; at < lengthBytes; at += ZEROES.length) {
			const part = Math.min(ZEROES.length, lengthBytes - at);
			await this.write(offset + at, ZEROES.subarray(0, part));
		}
	}

	async close(): Promise<void> {
		await this.#file.close();
	}
}

class NotAFile extends Error {}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: "does not exist",
	EISDIR: "is a directory",
	EACCES: "may not be opened: permission denied",
	EPERM: "may not be opened: permission denied",
	EROFS: "is on a read-only file system",
	ENOTDIR: "does not exist: a part of its path is no directory",
	ELOOP: "is a symbolic link that leads nowhere",
	ENAMETOOLONG: "has a name that is too long",
	ENXIO: "is no regular file",
};

function openError(error: unknown, path: string, readOnly: boolean): unknown {
	if (error instanceof NotAFile) {
		return new UsageError(`The disk ${path} is no regular file.`, {
			hint: "Give the path of a raw disk image.",
		});
	}
	if (!(error instanceof Error) || !("code" in error)) return error;
	const code = String(error.code);
	const hint =
		["EACCES", "EPERM", "EROFS"].includes(code) && !readOnly
			? `Try --disk ${path},ro if the guest need not write to it.`
			: "Give the path of a raw disk image; truncate -s 1G disk.img makes one.";
	return new UsageError(
		REASONS[code] === undefined
			? `The disk ${path} cannot be opened: ${error.message}.`
			: `The disk ${path} ${REASONS[code]}.`,
		{ hint, cause: error },
	);
}
