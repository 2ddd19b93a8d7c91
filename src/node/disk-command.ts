/**
 * `lguest disk`: what a disk image is, and what becomes of the changes in an
 * overlay: written down into the disk below, or thrown away.
 *
 * Relies on the images; `main.ts` relies on it.
 *
 * @journey L:151 What becomes of the changes
 */

import { stat } from "node:fs/promises";
import { Qcow2Disk } from "../index.ts";
import {
	commitOverlay,
	emptyOverlay,
	type ImageFile,
	openDisk,
} from "./disk-files.ts";

/** What can be done with images. */
export const DISK_ACTIONS = ["info", "commit", "discard"] as const;

/** One of `DISK_ACTIONS`. */
export type DiskAction = (typeof DISK_ACTIONS)[number];

/** Does it to each image, saying so; the value is the exit status. */
export async function diskCommand(
	action: DiskAction,
	images: readonly ImageFile[],
): Promise<number> {
	for (const image of images) {
		process.stdout.write(`${await ACTS[action](image)}\n`);
	}
	return 0;
}

const ACTS: Readonly<
	Record<DiskAction, (image: ImageFile) => Promise<string>>
> = {
	info: describe,
	commit: async (image) => {
		const bytes = await commitOverlay(image);
		return `${image.path}: ${mebibytes(bytes)} written to the disk below`;
	},
	discard: async (image) => {
		await emptyOverlay(image);
		return `${image.path}: changes thrown away`;
	},
};

/** Label and value in two columns, below the image's name. */
async function describe(image: ImageFile): Promise<string> {
	const disk = await openDisk({ ...image, readOnly: true });
	try {
		const { size } = await stat(image.path);
		const rows: [string, string][] = [
			["format", disk instanceof Qcow2Disk ? "qcow2" : "raw"],
			["disk", mebibytes(disk.sizeBytes)],
			["file", mebibytes(size)],
		];
		if (disk instanceof Qcow2Disk) {
			const { backingName, backingFormat } = disk.header;
			const isOverlay = backingName !== undefined;
			rows.push([
				isOverlay ? "changes" : "holds",
				mebibytes(await ownBytes(disk)),
			]);
			if (isOverlay) {
				rows.push(["on top of", `${backingName} (${backingFormat})`]);
			}
		}
		const lines = rows.map(([name, value]) => `  ${name.padEnd(14)} ${value}`);
		return [image.path, ...lines].join("\n");
	} finally {
		await disk.close?.();
	}
}

async function ownBytes(disk: Qcow2Disk): Promise<number> {
	let bytes = 0;
	for await (const { lengthBytes } of disk.ownRanges()) bytes += lengthBytes;
	return bytes;
}

function mebibytes(bytes: number): string {
	return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
