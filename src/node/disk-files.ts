/**
 * From a path to a disk: opens the image, and those that it is on top of, locks
 * them, and puts an overlay on top if asked.
 *
 * The format of an image is never guessed from what the guest may have written.
 * A guest that owns a raw image can put a qcow2 header into it, which names any
 * file of yours as the disk below; whoever then believes the header shows the
 * guest that file. (QEMU learnt it the hard way.) So the name decides: `.qcow2`
 * is qcow2, all else is raw, and a raw image that looks like qcow2 is refused
 * until somebody says which it is. Below a qcow2 image only its recorded format
 * counts.
 *
 * Relies on the images of the core; the run command relies on it.
 *
 * @journey L:149 Which disk is that?
 */

import type { Stats } from "node:fs";
import { open as openFile, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
	commitQcow2,
	createQcow2,
	isQcow2,
	OverlayDisk,
	Qcow2Disk,
	type Qcow2Header,
	RawDisk,
	readQcow2Header,
	UsageError,
} from "../index.ts";
import type { BlockBackend } from "../virtio/backends.ts";
import { nodeUnpackers } from "./cluster-unpackers.ts";
import { type DiskLock, lockDisk } from "./disk-lock.ts";
import { FileStore, type OpenedFile, openFileStore } from "./file-store.ts";
import { keepName, moveIntoPlace } from "./into-place.ts";

/** How an image file is laid out. */
export type DiskFormat = "raw" | "qcow2";

/** A disk that is asked for. */
export interface DiskRequest {
	readonly path: string;
	/** The guest may not write. */
	readonly readOnly?: boolean;
	/**
	 * The guest writes elsewhere: `true` = to memory, until the end; a path = to a
	 * qcow2 image there, made if it does not exist.
	 */
	readonly overlay?: boolean | string;
	readonly format?: DiskFormat;
}

/** Images on top of images: more is a mistake, or a trap. */
const MOST_LAYERS = 32;

/** What an image is on top of, as its header names it. */
interface Backing {
	readonly name: string;
	readonly format: DiskFormat;
}

/** An image file, by itself. */
export interface ImageFile {
	readonly path: string;
	readonly format?: DiskFormat;
}

/**
 * Writes what an overlay holds down into the disk below it and makes the overlay
 * empty, all under its lock: what a guest writes comes before or after. The
 * value is the number of bytes written down. Throws `UsageError`.
 */
export async function commitOverlay(image: ImageFile): Promise<number> {
	const { path, format } = image;
	const disk = await openImage(path, format, false, [], false);
	try {
		if (!(disk instanceof Qcow2Disk)) throw noOverlay(path);
		const backing = backingOf(path, disk.header);
		const bytes = await commitQcow2(disk);
		await replaceByEmpty(path, disk.header, backing);
		return bytes;
	} finally {
		await disk.close?.();
	}
}

/**
 * An overlay is made empty: a new one takes its place, on top of the same disk.
 * That disk need not be there. Throws `UsageError`.
 */
export async function emptyOverlay({ path, format }: ImageFile): Promise<void> {
	const { store, lock } = await openLocked(path, false);
	try {
		if ((format ?? (await formatOf(path, store))) === "raw") {
			throw noOverlay(path);
		}
		const header = await named(path, () => readQcow2Header(store));
		await replaceByEmpty(path, header, backingOf(path, header));
	} finally {
		lock?.release();
		await store.close();
	}
}

/** What an image that can be emptied is on top of. */
function backingOf(
	path: string,
	{ backingName: name, backingFormat: format, snapshotCount }: Qcow2Header,
): Backing {
	if (snapshotCount > 0) {
		throw new UsageError(`The image ${path} has snapshots.`, {
			hint: "qemu-img snapshot -l lists them and -d deletes them.",
		});
	}
	if (name === undefined) throw noOverlay(path);
	if (format !== "raw" && format !== "qcow2") {
		throw strangeBacking(path, name, format);
	}
	return { name, format };
}

async function replaceByEmpty(
	path: string,
	{ sizeBytes, clusterBits }: Qcow2Header,
	backing: Backing,
): Promise<void> {
	const fresh = `${path}.${process.pid}.new`;
	try {
		const { mode } = await stat(path);
		const file = await openFile(fresh, "wx+", mode & 0o777);
		const store = new FileStore(file, { sizeBytes: 0, readOnly: false });
		try {
			await createQcow2(store, { sizeBytes, clusterBits, backing });
		} finally {
			await store.close();
		}
		await moveIntoPlace(fresh, path);
	} catch (error) {
		await rm(fresh, { force: true });
		throw cannotCreate(path, error);
	}
}

function noOverlay(path: string): UsageError {
	return new UsageError(`${path} is no overlay: it is on top of no disk.`, {
		hint: "--disk FILE,overlay=PATH makes one.",
	});
}

/** Opens what is asked for; `close` of the disk closes and unlocks everything. Throws `UsageError`. */
export async function openDisk(request: DiskRequest): Promise<BlockBackend> {
	const { path, format, overlay = false } = request;
	const readOnly = (request.readOnly ?? false) || overlay !== false;
	if (typeof overlay === "string") return openOverlay(request, overlay);
	const disk = await openImage(path, format, readOnly, []);
	return overlay ? new OverlayDisk(disk) : disk;
}

async function openOverlay(
	{ path, format }: DiskRequest,
	overlay: string,
): Promise<BlockBackend> {
	const below = await openImage(path, format, true, []);
	await below.close?.();
	try {
		// Fails if it exists: then it is opened below, and has to fit.
		const file = await openFile(overlay, "wx+");
		const store = new FileStore(file, { sizeBytes: 0, readOnly: false });
		try {
			await createQcow2(store, {
				sizeBytes: below.sizeBytes,
				backing: {
					name: resolve(path),
					format: format ?? formatByName(path),
				},
			});
			await keepName(overlay);
		} catch (error) {
			await rm(overlay, { force: true });
			throw error;
		} finally {
			await store.close();
		}
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
			throw cannotCreate(overlay, error);
		}
		await checkOverlay(overlay, path);
	}
	return openImage(overlay, "qcow2", false, []);
}

function cannotCreate(path: string, error: unknown): UsageError {
	const reason = error instanceof Error ? error.message : String(error);
	return new UsageError(`The overlay ${path} cannot be made: ${reason}.`, {
		hint: "Give --disk FILE,overlay=PATH a path that can be written to.",
		cause: error,
	});
}

/** An overlay is of one disk; on top of another it is noise. */
async function checkOverlay(overlay: string, path: string): Promise<void> {
	const { store } = await openFileStore(overlay, true);
	try {
		const { backingName } = await named(overlay, () => readQcow2Header(store));
		const found =
			backingName === undefined
				? undefined
				: resolve(dirname(overlay), backingName);
		if (found !== resolve(path)) {
			throw new UsageError(
				`${overlay} is there already and is no overlay of ${path}.`,
				{ hint: "Give overlay= the path of a new file." },
			);
		}
	} finally {
		await store.close();
	}
}

async function openImage(
	path: string,
	wanted: DiskFormat | undefined,
	readOnly: boolean,
	above: readonly string[],
	isBelowReadOnly = true,
): Promise<BlockBackend> {
	const { store, status, lock } = await openLocked(path, readOnly, above);
	try {
		const identity = identityOf(status);
		const format = wanted ?? (await formatOf(path, store));
		const disk =
			format === "raw"
				? new RawDisk(store)
				: await openQcow2(path, store, [...above, identity], isBelowReadOnly);
		return lock === undefined ? disk : unlocking(disk, lock);
	} catch (error) {
		lock?.release();
		await store.close();
		throw error;
	}
}

/** Opens a file and locks it; a file that has lost its name meanwhile is not the image any more. */
async function openLocked(
	path: string,
	readOnly: boolean,
	above: readonly string[] = [],
): Promise<OpenedFile & { readonly lock: DiskLock | undefined }> {
	const opened = await openFileStore(path, readOnly);
	const { store, status } = opened;
	let lock: DiskLock | undefined;
	try {
		if (above.includes(identityOf(status)) || above.length >= MOST_LAYERS) {
			throw new UsageError(`The disk ${path} is on top of itself.`);
		}
		lock = await lockDisk(path, status, readOnly);
		if (identityOf(await stat(path)) !== identityOf(status)) {
			throw new UsageError(`The disk ${path} has just been replaced.`, {
				hint: "Try again.",
			});
		}
		return { ...opened, lock };
	} catch (error) {
		lock?.release();
		await store.close();
		throw error;
	}
}

function identityOf({ dev, ino }: Stats): string {
	return `${dev}:${ino}`;
}

function unlocking(disk: BlockBackend, lock: DiskLock): BlockBackend {
	const close = disk.close?.bind(disk);
	disk.close = async () => {
		await close?.();
		lock.release();
	};
	return disk;
}

async function openQcow2(
	path: string,
	store: FileStore,
	above: readonly string[],
	isBelowReadOnly: boolean,
): Promise<BlockBackend> {
	const header = await named(path, () => readQcow2Header(store));
	const backing =
		header.backingName === undefined
			? undefined
			: await openBacking(path, header, isBelowReadOnly, above);
	try {
		return await named(path, () =>
			Qcow2Disk.open(store, {
				...(backing !== undefined && { backing }),
				unpackers: nodeUnpackers,
			}),
		);
	} catch (error) {
		await backing?.close?.();
		throw error;
	}
}

async function openBacking(
	path: string,
	{ backingName: name = "", backingFormat: format }: Qcow2Header,
	readOnly: boolean,
	above: readonly string[],
): Promise<BlockBackend> {
	// "json:{...}", "nbd://...": QEMU's own ways to say what lies below.
	if (/^[a-z][a-z0-9+.-]*:/i.test(name) && !name.startsWith("file:")) {
		throw new UsageError(
			`The image ${path} is on top of "${name}", which lguest cannot open.`,
			{ hint: "A file is needed; qemu-img rebase changes what is below." },
		);
	}
	if (format !== "raw" && format !== "qcow2") {
		throw strangeBacking(path, name, format);
	}
	const file = name.replace(/^file:/, "");
	return openImage(resolve(dirname(path), file), format, readOnly, above);
}

function strangeBacking(
	path: string,
	name: string,
	format: string | undefined,
): UsageError {
	return new UsageError(
		format === undefined
			? `The image ${path} does not record the format of "${name}" below it.`
			: `The image ${path} is on top of "${name}" in format ${format}, which lguest cannot read.`,
		{
			hint: `qemu-img rebase -u -F raw|qcow2 -b "${name}" ${path} records it.`,
		},
	);
}

function formatByName(path: string): DiskFormat {
	return path.endsWith(".qcow2") ? "qcow2" : "raw";
}

/** See the top of the file for why this does not guess. */
async function formatOf(path: string, store: FileStore): Promise<DiskFormat> {
	const format = formatByName(path);
	const start = new Uint8Array(4);
	await store.read(0, start);
	if (format === "raw" && isQcow2(start)) {
		throw new UsageError(
			`The disk ${path} looks like qcow2, but is not called so.`,
			{
				hint: "Say --disk FILE,format=qcow2, or format=raw if a guest wrote that into a raw disk.",
			},
		);
	}
	return format;
}

/** Complaints about an image name its file. */
async function named<Result>(
	path: string,
	act: () => Promise<Result>,
): Promise<Result> {
	try {
		return await act();
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		const message = error.message.replace(/^The image /, `The image ${path} `);
		throw new UsageError(message, {
			...(error.hint !== undefined && { hint: error.hint }),
			cause: error,
		});
	}
}
