/**
 * A disk that survives the page's reload: a qcow2 image in OPFS on top of the
 * disk that it belongs to, which nobody writes to.
 *
 * Relies on the images of the core; the surroundings rely on it.
 *
 * @journey L:294 Still there after the reload
 */

import {
	type BlockBackend,
	createQcow2,
	type Qcow2Creation,
	Qcow2Disk,
	readQcow2Header,
	UsageError,
} from "../index.ts";
import { OpfsStore } from "./opfs-store.ts";

/** What an overlay called `name` is the overlay of. */
export interface OverlayBase {
	readonly disk: BlockBackend;
	/** As the image records it: a URL, or a file's name. */
	readonly source: string;
}

/**
 * Opens the overlay called `name`, made if there is none. Throws `UsageError`
 * where it belongs to another disk or somebody has it, `StorageFullError`.
 */
export async function openOpfsOverlay(
	name: string,
	{ disk, source }: OverlayBase,
): Promise<BlockBackend> {
	const store = await OpfsStore.open(name);
	try {
		const { sizeBytes } = disk;
		if (!(await isMade(store))) {
			const backing = { name: source, format: "raw" } as const;
			await createOverlay(store, { sizeBytes, backing });
		}
		const header = await readQcow2Header(store);
		if (header.backingName !== source || header.sizeBytes !== sizeBytes) {
			throw new UsageError(
				`The kept disk "${name}" belongs to another disk: ${header.backingName ?? "none"}, of ${header.sizeBytes} bytes.`,
				{ hint: "Give it another name, or remove it." },
			);
		}
		return await Qcow2Disk.open(store, { backing: disk });
	} catch (error) {
		await store.close();
		throw error;
	}
}

/** A tab may have been closed while it made one: then it begins with zeroes. */
async function isMade(store: OpfsStore): Promise<boolean> {
	const head = new Uint8Array(4);
	await store.read(0, head);
	return head.some((byte) => byte !== 0);
}

/** Whole or not at all. */
async function createOverlay(
	store: OpfsStore,
	creation: Qcow2Creation,
): Promise<void> {
	try {
		await createQcow2(store, creation);
	} catch (error) {
		store.clear();
		throw error;
	}
}
