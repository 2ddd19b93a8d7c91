/**
 * A file, or a block device, that a disk image is in. What the system has at
 * hand is moved in place (`at-hand.ts`); all else goes through Node's thread
 * pool, so that it stalls neither the guest nor the terminal. What the system
 * refuses (a full file system, a bad sector) becomes an I/O error for the guest.
 *
 * Relies on Node's file system; `disk-files.ts` relies on it.
 *
 * @journey L:145 Disks in files
 */

import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { type ByteStore, UsageError } from "../index.ts";
import { AtHand, type InPlaceCalls, inPlaceCalls, moveAll } from "./at-hand.ts";

/** The part of a `FileHandle` that is used; tests bring their own. */
export type StoreFile = Pick<
	FileHandle,
	"read" | "write" | "datasync" | "close"
>;

/** What there is to know of an open file. */
export interface FileTraits {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	/** Absent: everything goes through the pool. */
	readonly inPlace?: InPlaceCalls | undefined;
}

/** Bytes in an open file. */
export class FileStore implements ByteStore {
	readonly readOnly: boolean;
	#sizeBytes: number;
	readonly #file: StoreFile;
	readonly #inPlace: InPlaceCalls | undefined;
	readonly #atHand = new AtHand();

	constructor(file: StoreFile, { sizeBytes, readOnly, inPlace }: FileTraits) {
		this.#file = file;
		this.#sizeBytes = sizeBytes;
		this.readOnly = readOnly;
		this.#inPlace = inPlace;
	}

	get sizeBytes(): number {
		return this.#sizeBytes;
	}

	readNow(offset: number, targets: readonly Uint8Array[]): boolean {
		return this.#tryInPlace(targets, ({ read }) => {
			for (const part of moveAll(targets, offset, read)) part.fill(0);
		});
	}

	writeNow(offset: number, sources: readonly Uint8Array[]): boolean {
		return this.#tryInPlace(sources, ({ write }) => {
			moveAll(sources, offset, (parts, at) =>
				this.#wrote(write(parts, at), at),
			);
		});
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		if (this.readNow(offset, [target])) return;
		for (let at = 0; at < target.length; ) {
			const length = target.length - at;
			const { bytesRead } = await this.#file.read(
				...([target, at, length, offset + at] as const),
			);
			this.#atHand.rested();
			if (bytesRead === 0) {
				// Behind the file's end.
				target.fill(0, at);
				return;
			}
			at += bytesRead;
		}
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		if (this.writeNow(offset, [source])) return;
		for (let at = 0; at < source.length; ) {
			const length = source.length - at;
			const { bytesWritten } = await this.#file.write(
				...([source, at, length, offset + at] as const),
			);
			this.#atHand.rested();
			at += this.#wrote(bytesWritten, offset + at);
		}
	}

	/** Whether it was done; throws what the system says to it. */
	#tryInPlace(
		parts: readonly Uint8Array[],
		move: (calls: InPlaceCalls) => void,
	): boolean {
		const calls = this.#inPlace;
		const lengthBytes = parts.reduce((sum, { length }) => sum + length, 0);
		if (calls === undefined || !this.#atHand.permits(lengthBytes)) return false;
		const before = performance.now();
		try {
			move(calls);
		} finally {
			this.#atHand.moved(lengthBytes, performance.now() - before);
		}
		return true;
	}

	/** Gives the number of bytes. */
	#wrote(bytesWritten: number, offset: number): number {
		if (bytesWritten === 0) throw new Error("the file takes no more");
		this.#sizeBytes = Math.max(this.#sizeBytes, offset + bytesWritten);
		return bytesWritten;
	}

	/** Data and what is needed to find them: fdatasync. */
	async flush(): Promise<void> {
		await this.#file.datasync();
	}

	async close(): Promise<void> {
		await this.#file.close();
	}
}

/** A file that is open, and which one it is. */
export interface OpenedFile {
	readonly store: FileStore;
	readonly status: Stats;
}

/** Throws `UsageError` when the file cannot be a disk. */
export async function openFileStore(
	path: string,
	readOnly: boolean,
): Promise<OpenedFile> {
	let file: FileHandle | undefined;
	try {
		// Without waiting: a FIFO would block until somebody writes.
		const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
		file = await open(path, access | (constants.O_NONBLOCK ?? 0));
		const status = await file.stat();
		if (!status.isFile() && !status.isBlockDevice()) throw new NotADisk();
		const sizeBytes = status.isFile() ? status.size : await deviceSize(file);
		const inPlace = status.isFile()
			? await inPlaceCalls(file, path)
			: undefined;
		const store = new FileStore(file, { sizeBytes, readOnly, inPlace });
		return { store, status };
	} catch (error) {
		await file?.close();
		throw openError(error, path, readOnly);
	}
}

/** The end of a device is where reads stop: the system call that tells is not for JavaScript. */
async function deviceSize(file: FileHandle): Promise<number> {
	const probe = new Uint8Array(512);
	const isInside = async (sector: number): Promise<boolean> => {
		const { bytesRead } = await file.read(probe, 0, 512, sector * 512);
		return bytesRead > 0;
	};
	let inside = 0;
	let outside = 1;
	while (await isInside(outside)) {
		inside = outside;
		outside *= 2;
	}
	while (outside - inside > 1) {
		const middle = Math.floor((inside + outside) / 2);
		if (await isInside(middle)) inside = middle;
		else outside = middle;
	}
	return (await isInside(inside)) ? outside * 512 : 0;
}

class NotADisk extends Error {}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: "does not exist",
	EISDIR: "is a directory",
	EACCES: "may not be opened: permission denied",
	EPERM: "may not be opened: permission denied",
	EROFS: "is on a read-only file system",
	ENOTDIR: "does not exist: a part of its path is no directory",
	ELOOP: "is a symbolic link that leads nowhere",
	ENAMETOOLONG: "has a name that is too long",
	ENXIO: "is no regular file and no block device",
	EBUSY: "is in use",
};

function openError(error: unknown, path: string, readOnly: boolean): unknown {
	if (error instanceof NotADisk) {
		return new UsageError(
			`The disk ${path} is no regular file and no block device.`,
			{ hint: "Give the path of a disk image." },
		);
	}
	if (!(error instanceof Error) || !("code" in error)) return error;
	const code = String(error.code);
	const hint =
		["EACCES", "EPERM", "EROFS"].includes(code) && !readOnly
			? `Try --disk ${path},ro if the guest need not write to it.`
			: "Give the path of a disk image; truncate -s 1G disk.img makes one.";
	return new UsageError(
		REASONS[code] === undefined
			? `The disk ${path} cannot be opened: ${error.message}.`
			: `The disk ${path} ${REASONS[code]}.`,
		{ hint, cause: error },
	);
}
