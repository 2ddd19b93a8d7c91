/**
 * `launch`: from options to a running guest, on any platform. What can be sent
 * to the guest's thread is; backends that cannot stay here and are asked over
 * the wire.
 *
 * Relies on the `Guest`; the embedders' own `launch` relies on it.
 *
 * @journey L:270 Launch
 */

import { UsageError } from "../errors.ts";
import type { BlockBackend } from "../virtio/backends.ts";
import type { Platform } from "./channel.ts";
import type {
	ByteSource,
	DiskDescription,
	GuestDescription,
	GuestOptions,
	RemoteDiskDescription,
} from "./description.ts";
import { Guest, type LaunchListeners } from "./guest.ts";

/** A disk whose backend is an object of the caller's. */
export interface BackendDisk {
	readonly backend: BlockBackend;
	/** How the guest knows it again, up to 20 ASCII characters; default `diskN`. */
	readonly serial?: string;
}

/** What a guest is made of. */
export interface LaunchOptions extends GuestOptions, LaunchListeners {
	/** bzImage, vmlinux or multiboot image. */
	readonly kernel: ByteSource;
	/** `/dev/vda`, `/dev/vdb` and so on. */
	readonly disks?: readonly (DiskDescription | BackendDisk)[];
}

/** Rejects with `UsageError` for wrong options, or with the signal's reason. */
export async function launchOn(
	platform: Platform,
	options: LaunchOptions,
): Promise<Guest> {
	const { signal, onProgress, disks = [], kernel, initrd, ...plain } = options;
	signal?.throwIfAborted();
	if (kernel === undefined) {
		throw new UsageError("A guest needs a kernel.", {
			hint: "Give launch a kernel: a path, a URL or bytes.",
		});
	}
	const backends: BlockBackend[] = [];
	const description: GuestDescription = {
		...plain,
		kernel: sendable(kernel),
		...(initrd !== undefined && { initrd: sendable(initrd) }),
		disks: disks.map((disk) => describe(disk, backends)),
	};
	return Guest.start(platform.startWorker(), description, backends, {
		...(signal !== undefined && { signal }),
		...(onProgress !== undefined && { onProgress }),
	});
}

/** A URL cannot be sent, its text can. */
function sendable(source: ByteSource): ByteSource {
	return typeof source === "object" && "href" in source ? source.href : source;
}

function describe(
	disk: DiskDescription | BackendDisk,
	backends: BlockBackend[],
): DiskDescription | RemoteDiskDescription {
	if ("source" in disk) return { ...disk, source: sendable(disk.source) };
	const { backend, serial } = disk;
	const remote = backends.push(backend) - 1;
	return {
		remote,
		sizeBytes: backend.sizeBytes,
		readOnly: backend.readOnly,
		...(serial !== undefined && { serial }),
	};
}
