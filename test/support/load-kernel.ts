/**
 * Kernels loaded in one go, for tests of the loaders; the machine does other
 * things between opening a file and placing it.
 */

import {
	type OpenOptions,
	openKernel,
	placeKernel,
} from "../../src/boot/kernel-image.ts";
import { openLinux, placeLinux } from "../../src/boot/linux-loader.ts";
import type {
	BootOptions,
	LoadedKernel,
} from "../../src/boot/loaded-kernel.ts";
import type { GuestMemory } from "../../src/memory/guest-memory.ts";

/** Whatever the file is. */
export async function loadKernel(
	memory: GuestMemory,
	bytes: Uint8Array,
	options: BootOptions & OpenOptions,
): Promise<LoadedKernel> {
	return placeKernel(memory, await openKernel(bytes, options), options);
}

/** A bzImage or a `vmlinux`. */
export async function loadLinux(
	memory: GuestMemory,
	bytes: Uint8Array,
	options: BootOptions,
): Promise<LoadedKernel> {
	return placeLinux(memory, await openLinux(bytes, options), options);
}
