/**
 * What the tests of virtio in a real guest share: Debian's kernel with its own
 * modules for every device, an initramfs with a program for vsock, and the
 * program that runs such a guest. Each part is undefined where Debian's packages
 * or a compiler are not to be had.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { debianAsset, debianModules } from "../../scripts/debian.ts";
import { guestProgram } from "../../scripts/guest-program.ts";
import {
	type ExtraFile,
	initramfs,
	moduleFiles,
} from "../../scripts/initramfs.ts";

export const TEN_MINUTES = 600_000;
/** `virtio-guest.ts`, which takes its options in JSON. */
export const PROGRAM = fileURLToPath(
	new URL("virtio-guest.ts", import.meta.url),
);

const MODULES = [
	...["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_rng"],
	...["virtio_console", "virtio_net", "ext4", "crc32c_generic"],
	...["vmw_vsock_virtio_transport", "9pnet_virtio", "9p"],
	...["virtio_balloon"],
];

/** A guest's kernel and what it starts with. */
export interface VirtioBoot {
	readonly kernel: string;
	/** `sh /lib/modules/load` in it loads the drivers. */
	readonly initrd: string;
}

/** With these files besides; undefined where it cannot be had. */
export async function virtioBoot(
	files: readonly ExtraFile[] = [],
): Promise<VirtioBoot | undefined> {
	const kernel = await debianAsset("kernel-686");
	const modules = await debianModules("kernel-686", MODULES);
	const vsock = await guestProgram("vsock/vsock.c");
	if (kernel === undefined || modules === undefined || vsock === undefined) {
		return undefined;
	}
	const data = await readFile(vsock);
	const initrd = await initramfs([
		...(await moduleFiles(modules)),
		...files,
		{ path: "bin/vsock", data, executable: true },
	]);
	return initrd === undefined ? undefined : { kernel, initrd };
}

export const sha256 = (bytes: Uint8Array): string =>
	createHash("sha256").update(bytes).digest("hex");
