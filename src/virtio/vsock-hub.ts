/**
 * Where a guest's vsock connections meet the program that runs the guest: it
 * listens on ports, or connects to ports in the guest, and gets a pair of web
 * streams for each connection. Backpressure goes all the way through: who does
 * not read holds back who writes, on the other side of the wall.
 *
 *     const hub = new VsockHub();
 *     hub.listen(1234, ({ readable, writable }) => readable.pipeTo(writable));
 *     const { readable, writable } = await hub.connect(5678);
 *
 * Relies on the vsock backend contract; embedders make one for each guest.
 *
 * @journey D:215 A switchboard
 */

import { UsageError } from "../errors.ts";
import type {
	Completion,
	VsockBackend,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "./backends.ts";

/** What is read ahead for a reader, besides what the device holds. */
const READ_AHEAD_BYTES = 64 * 1024;

/** One connection. */
export interface VsockStream {
	/** Our port. */
	readonly port: number;
	readonly guestPort: number;
	/** Ends when the guest does; fails when the connection is lost. */
	readonly readable: ReadableStream<Uint8Array>;
	/** Closing it tells the guest that there is no more; reading goes on. */
	readonly writable: WritableStream<Uint8Array>;
	/** Resolves when the connection is no more, with the reason if it was lost. */
	readonly closed: Promise<string | undefined>;
	/** Ends it at once, both ways. */
	reset(): void;
}

/** Make one, give it to a guest, and use it whenever the guest runs. */
export class VsockHub implements VsockBackend {
	readonly #otherwise: VsockBackend | undefined;
	readonly #listeners = new Map<number, (stream: VsockStream) => void>();
	#device: VsockPort | undefined;

	/** `otherwise` is asked about ports on which nobody listens here. */
	constructor(options: { readonly otherwise?: VsockBackend } = {}) {
		this.#otherwise = options.otherwise;
	}

	/** Takes the guest's connections to the port, until the returned function is called. */
	listen(
		port: number,
		onConnection: (stream: VsockStream) => void,
	): () => void {
		if (this.#listeners.has(port)) {
			throw new UsageError(`Somebody listens on vsock port ${port} already.`);
		}
		this.#listeners.set(port, onConnection);
		return () => {
			this.#listeners.delete(port);
		};
	}

	/** Rejects with an `LguestError` when nobody in the guest listens on the port. */
	async connect(guestPort: number): Promise<VsockStream> {
		if (this.#device === undefined) {
			throw new UsageError("The vsock hub belongs to no guest.", {
				hint: "Give it to the machine as its vsock backend.",
			});
		}
		const ends = new StreamEnds();
		const connection = await this.#device.connect(guestPort, ends.receiver);
		return ends.join(connection);
	}

	/**
	 * Tells the guest that all its connections are lost, and that it may have
	 * another context id.
	 */
	resetTransport(guestCid?: number): void {
		this.#device?.resetTransport(guestCid);
	}

	accept(connection: VsockConnection): ReturnType<VsockBackend["accept"]> {
		const listener = this.#listeners.get(connection.port);
		if (listener === undefined) return this.#otherwise?.accept(connection);
		const ends = new StreamEnds();
		listener(ends.join(connection));
		return ends.receiver;
	}

	attach(device: VsockPort): void {
		this.#device = device;
		this.#otherwise?.attach(device);
	}

	close(): Completion {
		return this.#otherwise?.close?.();
	}
}

/** The two streams of a connection, and what connects them to it. */
class StreamEnds {
	readonly receiver: VsockReceiver;
	readonly #readable: ReadableStream<Uint8Array>;
	readonly #writable: WritableStream<Uint8Array>;
	readonly #closed: Promise<string | undefined>;
	#connection: VsockConnection | undefined;
	#reader!: ReadableStreamDefaultController<Uint8Array>;
	#writer!: WritableStreamDefaultController;
	#onClosed!: (reason: string | undefined) => void;
	/** The guest waits until the reader has read what it has. */
	#onRead: (() => void) | undefined;
	#readingIsOver = false;
	#writingIsOver = false;

	constructor() {
		this.#closed = new Promise((resolve) => {
			this.#onClosed = resolve;
		});
		this.#readable = this.#makeReadable();
		this.#writable = this.#makeWritable();
		this.receiver = {
			receive: (bytes) => this.#receive(bytes),
			ended: () => this.#ended(),
			closed: (reason) => this.#lost(reason),
		};
	}

	join(connection: VsockConnection): VsockStream {
		this.#connection = connection;
		return {
			port: connection.port,
			guestPort: connection.guestPort,
			readable: this.#readable,
			writable: this.#writable,
			closed: this.#closed,
			reset: () => connection.reset(),
		};
	}

	#makeReadable(): ReadableStream<Uint8Array> {
		return new ReadableStream<Uint8Array>(
			{
				start: (controller) => {
					this.#reader = controller;
				},
				pull: () => this.#wantsMore(),
				cancel: () => {
					this.#readingIsOver = true;
					this.#connection?.ignore();
					this.#wantsMore();
				},
			},
			{ highWaterMark: READ_AHEAD_BYTES, size: (chunk) => chunk.length },
		);
	}

	#makeWritable(): WritableStream<Uint8Array> {
		return new WritableStream<Uint8Array>({
			start: (controller) => {
				this.#writer = controller;
			},
			write: (chunk) => this.#connection?.write(chunk),
			close: () => {
				this.#writingIsOver = true;
				this.#connection?.end();
			},
			abort: () => {
				this.#writingIsOver = true;
				this.#connection?.reset();
			},
		});
	}

	#receive(bytes: Uint8Array): Completion {
		if (this.#readingIsOver) return undefined;
		this.#reader.enqueue(bytes);
		if ((this.#reader.desiredSize ?? 0) > 0) return undefined;
		return new Promise((resolve) => {
			this.#onRead = resolve;
		});
	}

	#wantsMore(): void {
		this.#onRead?.();
		this.#onRead = undefined;
	}

	#ended(): void {
		if (this.#readingIsOver) return;
		this.#readingIsOver = true;
		this.#reader.close();
	}

	#lost(reason: string | undefined): void {
		const error = new Error(`the connection is lost: ${reason}`);
		if (!this.#readingIsOver) this.#reader.error(error);
		if (!this.#writingIsOver) this.#writer.error(error);
		this.#readingIsOver = true;
		this.#writingIsOver = true;
		this.#onClosed(reason);
	}
}
