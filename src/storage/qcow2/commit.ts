/**
 * Writes what an overlay holds down into the disk below it, which then is by
 * itself what the two were together. The overlay keeps everything: wherever
 * this stops, it can be done again, and only somebody who has seen it succeed
 * throws the overlay away.
 *
 * Relies on an open image; embedders call it.
 *
 * @journey D:352 An overlay comes down
 */

import { UsageError } from "../../errors.ts";
import type { BlockBackend } from "../../virtio/backends.ts";
import type { OwnRange, Qcow2Disk } from "./disk.ts";

/**
 * The number of bytes written down, which are on stable storage then. Nobody
 * may write to either disk meanwhile. Throws `UsageError` if there is no disk
 * below, or none that can take it.
 */
export async function commitQcow2(overlay: Qcow2Disk): Promise<number> {
	const below = diskBelow(overlay);
	let bytes = 0;
	for await (const range of overlay.ownRanges()) {
		await writeDown(overlay, below, range);
		bytes += range.lengthBytes;
	}
	await below.flush();
	return bytes;
}

function diskBelow({ backing, sizeBytes }: Qcow2Disk): BlockBackend {
	if (backing === undefined) {
		throw new UsageError("The image is on top of no other.", {
			hint: "Only overlays can be committed.",
		});
	}
	if (backing.readOnly) {
		throw new UsageError("The disk below the image cannot be written to.");
	}
	if (backing.sizeBytes < sizeBytes) {
		throw new UsageError("The image is larger than the disk below it.", {
			hint: "qemu-img commit lets that disk grow.",
		});
	}
	return backing;
}

async function writeDown(
	overlay: Qcow2Disk,
	below: BlockBackend,
	{ offset, lengthBytes, isZero }: OwnRange,
): Promise<void> {
	if (isZero) return below.writeZeroes(offset, lengthBytes, true);
	const bytes = new Uint8Array(lengthBytes);
	await overlay.read(offset, bytes);
	await below.write(offset, bytes);
}
