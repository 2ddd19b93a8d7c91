/**
 * Bytes in a file of the origin's private file system (OPFS), where a page may
 * keep files that survive its reload. Only a worker may write to them in place,
 * and only one at a time: whoever has a file open has it locked.
 *
 * Relies on the web platform; `opfs-overlay.ts` relies on it.
 *
 * @journey L:292 Files of a page's own
 */

import {
	type ByteStore,
	LguestError,
	StorageFullError,
	UsageError,
} from "../index.ts";

/** The part of `FileSystemSyncAccessHandle` that is used: the DOM library knows only windows. */
export interface SyncAccessHandle {
	read(target: Uint8Array, options: { at: number }): number;
	write(source: Uint8Array, options: { at: number }): number;
	flush(): void;
	getSize(): number;
	truncate(sizeBytes: number): void;
	close(): void;
}

/** Our folder in the origin's file system. */
const FOLDER = "lguest-disks";

/** The folder that all kept disks are in; rejects where there is no OPFS. */
export async function keptDisks(): Promise<FileSystemDirectoryHandle> {
	try {
		const root = await navigator.storage.getDirectory();
		return await root.getDirectoryHandle(FOLDER, { create: true });
	} catch (cause) {
		throw folderError(cause);
	}
}

/** By the File System Standard, "navigator.storage.getDirectory" and "getDirectoryHandle". */
const NOT_ALLOWED = new Set(["SecurityError", "NotAllowedError", "TypeError"]);

/** What it means for the user that the folder cannot be had. */
export function folderError(cause: unknown): LguestError {
	const { name, message } =
		cause instanceof Error ? cause : new Error(String(cause));
	if (name === "QuotaExceededError") {
		return new StorageFullError("The browser has no more room for disks.", {
			hint: "Free some space.",
			cause,
		});
	}
	return new LguestError(
		NOT_ALLOWED.has(name)
			? "This browser keeps no files for this page."
			: `The browser's files cannot be had: ${message}`,
		{
			hint: "Private windows and pages without HTTPS may not keep any.",
			cause,
		},
	);
}

/** What a browser's refusal means for the user of the disk `name`. */
export function storageError(name: string, cause: unknown): LguestError {
	const kind = cause instanceof Error ? cause.name : "";
	if (kind === "QuotaExceededError") {
		return new StorageFullError(
			`The browser has no more room for the disk "${name}".`,
			{
				hint: "Free some space, or remove disks that are no longer needed.",
				cause,
			},
		);
	}
	if (kind === "NoModificationAllowedError") {
		return new UsageError(`The disk "${name}" is in use.`, {
			hint: "Another guest has it, perhaps in another tab. End it, or use another disk.",
			cause,
		});
	}
	const reason = cause instanceof Error ? cause.message : String(cause);
	return new LguestError(`The disk "${name}" has failed: ${reason}`, { cause });
}

/** Bytes in an open file of OPFS. */
export class OpfsStore implements ByteStore {
	readonly readOnly = false;
	readonly #handle: SyncAccessHandle;
	readonly #name: string;
	#sizeBytes: number;

	/** In a worker: opens the file, made if it does not exist, and locks it. */
	static async open(name: string): Promise<OpfsStore> {
		const folder = await keptDisks();
		try {
			const file = await folder.getFileHandle(name, { create: true });
			const opener = file as unknown as {
				createSyncAccessHandle(): Promise<SyncAccessHandle>;
			};
			return new OpfsStore(await opener.createSyncAccessHandle(), name);
		} catch (cause) {
			throw storageError(name, cause);
		}
	}

	constructor(handle: SyncAccessHandle, name: string) {
		this.#handle = handle;
		this.#name = name;
		this.#sizeBytes = handle.getSize();
	}

	get sizeBytes(): number {
		return this.#sizeBytes;
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		this.#try(() => {
			const present = this.#handle.read(target, { at: offset });
			target.fill(0, present);
		});
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		this.#try(() => {
			for (let at = 0; at < source.length; ) {
				const part = source.subarray(at);
				const written = this.#handle.write(part, { at: offset + at });
				// Of a full storage Firefox says 0, and Chromium has said a huge number.
				if (written === 0 || written > part.length) {
					throw new DOMException("no more is written", "QuotaExceededError");
				}
				at += written;
			}
		});
		this.#sizeBytes = Math.max(this.#sizeBytes, offset + source.length);
	}

	async flush(): Promise<void> {
		this.#try(() => this.#handle.flush());
	}

	/** Gives all its room back. */
	clear(): void {
		this.#try(() => this.#handle.truncate(0));
		this.#sizeBytes = 0;
	}

	async close(): Promise<void> {
		this.#handle.close();
	}

	#try(act: () => void): void {
		try {
			act();
		} catch (cause) {
			throw storageError(this.#name, cause);
		}
	}
}
