/**
 * A guest as a description: plain data that can be sent to the worker which
 * makes the guest of it. Where the embedder opens something (a kernel, a disk)
 * the description holds what to open, and opening is done over there.
 *
 * Relies on the machine's vocabulary; `launch`, the embedders and the command
 * line rely on it.
 *
 * @journey L:205 A guest on paper
 */

import type { EngineKind } from "../cpu/index.ts";
import type { ClockKind } from "../machine/clock.ts";
import type { TransportName } from "../machine/sockets.ts";
import type { ConsoleSize } from "../virtio/backends.ts";

/** A `Blob` or `File`, as far as it matters here. */
export interface BlobSource {
	readonly size: number;
	arrayBuffer(): Promise<ArrayBuffer>;
	slice(start: number, end: number): BlobSource;
}

/** Bytes, or where they are: in Node a path or URL, in a browser a URL or a file. */
export type ByteSource = string | URL | Uint8Array | BlobSource;

/** A disk that the worker opens. */
export interface DiskDescription {
	readonly source: ByteSource;
	/** The guest may not write. */
	readonly readOnly?: boolean;
	/**
	 * The guest writes elsewhere: `true` = to memory, until the end; a path = to a
	 * qcow2 image there, made if it does not exist.
	 */
	readonly overlay?: boolean | string;
	/** By default a file called `.qcow2` is qcow2 and everything else raw. */
	readonly format?: "raw" | "qcow2";
	/** How the guest knows it again, up to 20 ASCII characters; default `diskN`. */
	readonly serial?: string;
}

/** A disk whose backend lives in the caller's thread. */
export interface RemoteDiskDescription {
	/** The caller's number for it. */
	readonly remote: number;
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly serial?: string;
}

/** What all guests are made from, however they are started. */
export interface GuestOptions {
	/** Default: 256 MiB. */
	readonly memoryBytes?: number;
	/** Words for the kernel; a console is added where none is named. */
	readonly kernelArguments?: readonly string[];
	readonly initrd?: ByteSource;
	/**
	 * How the initrd is packed, if it is to be unpacked before the start, which
	 * takes a tenth of the guest's time for it and more of its memory.
	 */
	readonly initrdPacking?: "gzip";
	/** Default: wall. */
	readonly clock?: ClockKind;
	readonly engine?: EngineKind;
	/** How drivers reach the devices; the machine has a default. */
	readonly transport?: TransportName;
	/** Whether a packed kernel is unpacked before the start. Default: yes. */
	readonly unpack?: boolean;
	/** Port by which a test image ends the machine. */
	readonly debugExitPort?: number;
	/** A source of entropy. */
	readonly entropy?: boolean;
	/**
	 * The guest's console: its first serial port (default), or a virtio console,
	 * which is faster and knows the size of the window.
	 */
	readonly console?: "serial" | "virtio";
	/** The console's window, at first. */
	readonly terminal?: ConsoleSize;
	/** What only the embedder's thread knows how to open; it can be sent. */
	readonly devices?: object;
	/** Whether the guest runs lguest's agent, which `exec` and files need. */
	readonly agent?: boolean;
}

/** All that the worker needs to know. */
export interface GuestDescription extends GuestOptions {
	readonly kernel: ByteSource;
	readonly disks?: readonly (DiskDescription | RemoteDiskDescription)[];
}
