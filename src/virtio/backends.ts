/**
 * What devices need from the embedder. Each interface is the narrowest that
 * its device can live with, so that a file, a memory buffer, a web stream or a
 * test can stand behind it.
 *
 * Whatever may take time returns a promise; whatever is done at once returns
 * `undefined`, which saves the guest a wait. A rejected promise, or a throw,
 * becomes an error status for the guest, never more.
 *
 * Relies on frame offloads; devices and embedders rely on it.
 *
 * @journey D:140 What stands behind a device
 */

import type { FrameOffload } from "./frame-offload.ts";

/** Done at once, or later. */
export type Completion = Promise<void> | undefined;

/**
 * Storage for a block device. Offsets and lengths are multiples of 512 and lie
 * within `sizeBytes`. Several calls may be under way at a time; those that
 * overlap may happen in either order.
 */
export interface BlockBackend {
	/** A multiple of 512. */
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	/** What it likes to be asked for, a power of two; default 4096. */
	readonly preferredBytes?: number;
	/** Fills all of `target`, or fails. */
	read(offset: number, target: Uint8Array): Completion;
	/** Stores all of `source`, or fails. */
	write(offset: number, source: Uint8Array): Completion;
	/**
	 * As `read`, where nothing has to be waited for, into one target after the
	 * other; false, and nothing was done, where something has. The targets may be
	 * the guest's memory itself.
	 */
	readNow?(offset: number, targets: readonly Uint8Array[]): boolean;
	/** As `write`, likewise. */
	writeNow?(offset: number, sources: readonly Uint8Array[]): boolean;
	/** Everything written and completed before survives whatever comes. */
	flush(): Completion;
	/** Whether `writeZeroes` can give storage back. */
	readonly unmaps?: boolean;
	/** Makes the range zero; storage may be given back if `mayUnmap`. */
	writeZeroes(
		offset: number,
		lengthBytes: number,
		mayUnmap: boolean,
	): Completion;
	/** The range's contents do not matter any more; absent where that is no help. */
	discard?(offset: number, lengthBytes: number): Completion;
	/** The guest is gone. */
	close?(): Completion;
}

/** Randomness, good enough for keys. */
export interface EntropySource {
	fill(target: Uint8Array): void;
}

/** The far end of a console port: a terminal, a pipe, a stream. */
export interface ConsolePortBackend {
	/** Takes what the guest printed; a promise holds the guest back. */
	write(bytes: Uint8Array): Completion;
	/** Removes and returns up to `maxBytes` of input; empty = nothing now. */
	read(maxBytes: number): Uint8Array;
	/** The device sets it; to be called when `read` has something new. */
	onInput: () => void;
	/** In characters; undefined where that means nothing. */
	readonly size?: ConsoleSize | undefined;
	/** Something in the guest has opened the port, or closed it. */
	onGuestOpen?(open: boolean): void;
	/** The device sets it; to be called when `size` has changed. */
	onResize?: () => void;
}

/** How large a terminal is. */
export interface ConsoleSize {
	readonly columns: number;
	readonly rows: number;
}

/** A cable for Ethernet frames, which may lose some. */
export interface NetBackend {
	/** Whether `send` gets frames with something left to do; otherwise they are finished. */
	readonly takesOffloads?: boolean;
	/**
	 * Takes a frame without its check sequence; the array is the callee's to keep.
	 * `offload` says what the sender has left to others.
	 */
	send(frame: Uint8Array, offload?: FrameOffload): void;
	/**
	 * The device sets it; to be called with each frame that comes in. The array
	 * is the device's then. Devices finish what is left to do if the driver cannot.
	 */
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void;
	/** Whether there is a carrier; undefined = always. */
	readonly linkUp?: boolean;
	/** The device sets it; to be called when `linkUp` has changed. */
	onLinkChange?: () => void;
	/** The longest payload of a frame on this cable; undefined = 1500, as ever. */
	readonly mtuBytes?: number;
}

/** Whom a guest can reach by its vsock, and who can reach the guest. */
export interface VsockBackend {
	/**
	 * The guest connects to a port of ours, which is in `connection`. The value
	 * gets what the guest sends; undefined refuses, and so does a failure.
	 */
	accept(
		connection: VsockConnection,
	): VsockReceiver | undefined | Promise<VsockReceiver | undefined>;
	/** What the backend may ask of the device; again after a machine reset. */
	attach(device: VsockPort): void;
	/** The guest is gone. */
	close?(): Completion;
}

/** The device, as its backend sees it. */
export interface VsockPort {
	/**
	 * Connects to a port in the guest; rejects when nobody listens there, when
	 * the guest has no driver, and when there are too many connections.
	 */
	connect(guestPort: number, receiver: VsockReceiver): Promise<VsockConnection>;
	/**
	 * Tells the guest that all its connections are lost and that it may have
	 * another context id, as after the restoration of a snapshot.
	 */
	resetTransport(guestCid?: number): void;
}

/** Our end of a connection, to be written to. */
export interface VsockConnection {
	/** Our port. */
	readonly port: number;
	readonly guestPort: number;
	/**
	 * Sends bytes, which stay untouched until the promise resolves: the guest
	 * then has them all. Rejects when it will not take them any more.
	 */
	write(bytes: Uint8Array): Completion;
	/** Nothing more will be written. */
	end(): void;
	/** Nothing more will be read: what still comes is thrown away. */
	ignore(): void;
	/** Ends it at once, both ways. */
	reset(): void;
}

/** Takes what comes out of a connection. Calls come one at a time. */
export interface VsockReceiver {
	/** The guest has accepted a connection that we asked for; the first call. */
	opened?(connection: VsockConnection): void;
	/** A promise holds the guest back, and a failure ends the connection. */
	receive(bytes: Uint8Array): Completion;
	/** The guest will send nothing more. */
	ended(): void;
	/** The connection is no more; without a reason when both sides had ended it. */
	closed(reason: string | undefined): void;
}
