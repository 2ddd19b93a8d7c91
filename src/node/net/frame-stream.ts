/**
 * Ethernet frames over a stream socket: before each its length, 32 bits,
 * big-endian, as QEMU's `-netdev stream` and passt have it. Among ourselves a
 * virtio header stands between the two, so that frames may have something left
 * to do.
 *
 * Relies on Node's sockets; the networks beside it rely on it.
 *
 * @journey L:170 Frames in a stream
 */

import type { Socket } from "node:net";
import {
	type FrameOffload,
	NET_SHORT_HEADER_BYTES,
	readNetHeader,
	writeNetHeader,
} from "../../index.ts";

const LENGTH_BYTES = 4;
/** More than any frame with its header; whoever says more speaks something else. */
const LONGEST_MESSAGE = 70_000;
/** What a slow reader may have waiting; more is lost, as on any cable. */
const MOST_QUEUED_BYTES = 4 << 20;

/** Both directions of one socket, which is ended when it makes no sense. */
export class FrameStream {
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};
	readonly #socket: Socket;
	/** Length of the virtio header before each frame; 0 = none. */
	readonly #headerBytes: number;
	/** What has come of the next message. */
	#chunks: Buffer[] = [];
	#bufferedBytes = 0;

	constructor(socket: Socket, options: { readonly hasHeaders: boolean }) {
		this.#socket = socket;
		this.#headerBytes = options.hasHeaders ? NET_SHORT_HEADER_BYTES : 0;
		socket.on("data", (chunk: Buffer) => this.#received(chunk));
		// Whoever has to know learns it by "close".
		socket.on("error", () => {});
	}

	send(frame: Uint8Array, offload?: FrameOffload): void {
		const socket = this.#socket;
		if (socket.destroyed || socket.writableLength > MOST_QUEUED_BYTES) return;
		const headerBytes = this.#headerBytes;
		const message = Buffer.allocUnsafe(
			LENGTH_BYTES + headerBytes + frame.length,
		);
		message.writeUInt32BE(headerBytes + frame.length);
		if (headerBytes > 0) {
			message.set(writeNetHeader(headerBytes, offload, frame), LENGTH_BYTES);
		}
		message.set(frame, LENGTH_BYTES + headerBytes);
		socket.write(message);
	}

	close(): void {
		this.#socket.destroy();
	}

	#received(chunk: Buffer): void {
		this.#chunks.push(chunk);
		this.#bufferedBytes += chunk.length;
		if (this.#bufferedBytes < LENGTH_BYTES) return;
		let rest = Buffer.concat(this.#chunks);
		while (rest.length >= LENGTH_BYTES) {
			const length = rest.readUInt32BE();
			if (length > LONGEST_MESSAGE || length < this.#headerBytes) {
				this.#socket.destroy();
				return;
			}
			if (rest.length < LENGTH_BYTES + length) break;
			this.#deliver(rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
			rest = rest.subarray(LENGTH_BYTES + length);
		}
		this.#chunks = [rest];
		this.#bufferedBytes = rest.length;
	}

	/** A copy: the frame is the receiver's to keep. */
	#deliver(message: Buffer): void {
		const frame = Uint8Array.from(message.subarray(this.#headerBytes));
		if (this.#headerBytes === 0) {
			this.onFrame(frame);
			return;
		}
		const offload = readNetHeader(message);
		if (offload !== "bad") this.onFrame(frame, offload);
	}
}
