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
		if (store.sizeBytes === 0) {
			const backing = { name: source, format: "raw" } as const;
			await createQcow2(store, { sizeBytes, backing });
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
