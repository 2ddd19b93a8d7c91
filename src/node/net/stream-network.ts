/**
 * A network behind a Unix socket on which somebody listens: passt, which gives
 * the guest your own network without privileges, or QEMU's `-netdev stream`.
 * When the other end goes, the cable is out, until somebody listens again.
 *
 * Relies on frame streams; `device-backends.ts` relies on it.
 *
 * @journey L:171 A cable to another program
 */

import { connect, type Socket } from "node:net";
import { type NetBackend, UsageError } from "../../index.ts";
import { FrameStream } from "./frame-stream.ts";

const RETRY_MS = 1000;

/** Connects to `path`; rejects while nobody listens there. */
export function connectTo(path: string): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const socket = connect({ path });
		socket.once("error", reject);
		socket.once("connect", () => {
			socket.off("error", reject);
			resolve(socket);
		});
	});
}

/** The backend of a network card. */
export class StreamNetwork implements NetBackend {
	onFrame: (frame: Uint8Array) => void = () => {};
	onLinkChange: () => void = () => {};
	linkUp = false;
	readonly #path: string;
	#stream: FrameStream | undefined;
	#retry: NodeJS.Timeout | undefined;
	#isClosed = false;

	/** Throws `UsageError` when nobody listens. */
	static async open(path: string): Promise<StreamNetwork> {
		const network = new StreamNetwork(path);
		try {
			network.#attach(await connectTo(path));
		} catch (cause) {
			throw new UsageError(`Nobody listens on the network socket ${path}.`, {
				hint: "Start the other end first, such as: passt --socket PATH.",
				cause,
			});
		}
		return network;
	}

	private constructor(path: string) {
		this.#path = path;
	}

	send(frame: Uint8Array): void {
		this.#stream?.send(frame);
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		clearTimeout(this.#retry);
		this.#stream?.close();
	}

	#attach(socket: Socket): void {
		const stream = new FrameStream(socket, { hasHeaders: false });
		stream.onFrame = (frame) => this.onFrame(frame);
		this.#stream = stream;
		this.#setLink(true);
		socket.once("close", () => {
			this.#stream = undefined;
			this.#setLink(false);
			this.#tryLater();
		});
	}

	#setLink(up: boolean): void {
		this.linkUp = up;
		if (!this.#isClosed) this.onLinkChange();
	}

	#tryLater(): void {
		if (this.#isClosed) return;
		this.#retry = setTimeout(() => {
			connectTo(this.#path).then(
				(socket) => this.#attach(socket),
				() => this.#tryLater(),
			);
		}, RETRY_MS);
		this.#retry.unref();
	}
}
