/**
 * A guest's vsock on Unix sockets, for programs that are not this one, by the
 * convention of Firecracker: who connects to PATH and says `CONNECT 1234\n` is
 * put through to port 1234 in the guest, and told `OK` with the port on our
 * side; a guest that connects to port 1234 gets whoever listens on PATH_1234.
 *
 * Relies on Node's sockets and the vsock backend contract; the run command and
 * Node programs rely on it.
 *
 * @journey L:150 A guest among your sockets
 */

import { lstat, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { UsageError } from "../index.ts";
import type {
	Completion,
	VsockBackend,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "../virtio/backends.ts";

/** `CONNECT`, a space, a port and the line's end are shorter. */
const LONGEST_REQUEST = 32;
const NEWLINE = 10;
const HIGHEST_PORT = 0xffff_ffff;

/** Open one, and give it to a machine as the backend of its vsock. */
export class VsockSockets implements VsockBackend {
	readonly path: string;
	readonly #server: Server;
	readonly #sockets = new Set<Socket>();
	#device: VsockPort | undefined;

	/** Listens at `path`; throws `UsageError` where that cannot be. */
	static async open(path: string): Promise<VsockSockets> {
		const sockets = new VsockSockets(path);
		try {
			await removeStale(path);
			await sockets.#listen();
		} catch (error) {
			throw openError(error, path);
		}
		return sockets;
	}

	private constructor(path: string) {
		this.path = path;
		this.#server = createServer({ allowHalfOpen: true }, (socket) => {
			this.#adopt(socket);
			this.#greet(socket);
		});
	}

	attach(device: VsockPort): void {
		this.#device = device;
	}

	async accept(connection: VsockConnection): Promise<VsockReceiver> {
		const path = `${this.path}_${connection.port}`;
		const socket = connect({ path, allowHalfOpen: true });
		this.#adopt(socket);
		// A failure refuses the connection, which is what it means.
		await connected(socket);
		forward(socket, connection);
		return receiverFor(socket);
	}

	/** Everybody is cut off, and the path is free again. */
	async close(): Promise<void> {
		for (const socket of this.#sockets) socket.destroy();
		await new Promise((resolve) => this.#server.close(resolve));
	}

	#listen(): Promise<void> {
		return new Promise((resolve, reject) => {
			// Old Nodes cut the path and listen somewhere else.
			if (Buffer.byteLength(this.path) > MOST_PATH_BYTES) {
				throw new Error("its path is too long");
			}
			this.#server.once("error", reject);
			this.#server.listen(this.path, () => {
				this.#server.off("error", reject);
				resolve();
			});
		});
	}

	#adopt(socket: Socket): void {
		this.#sockets.add(socket);
		socket.on("close", () => this.#sockets.delete(socket));
		// Whoever has to know learns it by "close".
		socket.on("error", () => {});
	}

	/** Reads the request line; what follows is data, and is put back. */
	#greet(socket: Socket): void {
		let line = Buffer.alloc(0);
		const hangUp = () => socket.destroy();
		const read = (chunk: Buffer) => {
			line = Buffer.concat([line, chunk]);
			const end = line.indexOf(NEWLINE);
			if (end < 0 && line.length <= LONGEST_REQUEST) return;
			socket.off("data", read).off("end", hangUp).pause();
			if (end + 1 < line.length) socket.unshift(line.subarray(end + 1));
			this.#connect(socket, line.toString("latin1", 0, end)).catch(hangUp);
		};
		socket.on("data", read).on("end", hangUp);
	}

	async #connect(socket: Socket, line: string): Promise<void> {
		const port = portOf(line);
		if (port === undefined || this.#device === undefined) {
			throw new Error("not understood");
		}
		await this.#device.connect(port, {
			...receiverFor(socket),
			// Before anything the guest may say.
			opened: (connection) => {
				socket.write(`OK ${connection.port}\n`);
				forward(socket, connection);
			},
		});
	}
}

/** Undefined for anything but the one request there is. */
function portOf(line: string): number | undefined {
	const port = Number(/^CONNECT (\d+)\r?$/.exec(line)?.[1] ?? Number.NaN);
	return port <= HIGHEST_PORT ? port : undefined;
}

function connected(socket: Socket): Promise<void> {
	return new Promise((resolve, reject) => {
		socket.once("connect", resolve);
		socket.once("close", () => reject(new Error("nobody listens there")));
	});
}

/** From the guest to the socket, no faster than the socket takes it. */
function receiverFor(socket: Socket): VsockReceiver {
	let hasEnded = false;
	return {
		receive: (bytes): Completion => {
			if (socket.destroyed) throw new Error("the socket is closed");
			if (socket.write(bytes)) return undefined;
			return new Promise((resolve, reject) => {
				socket.once("drain", resolve);
				socket.once("close", () => reject(new Error("the socket is closed")));
			});
		},
		ended: () => {
			hasEnded = true;
			socket.end();
		},
		closed: () => {
			if (hasEnded) socket.destroySoon();
			else socket.destroy();
		},
	};
}

/** From the socket to the guest, no faster than the guest takes it. */
function forward(socket: Socket, connection: VsockConnection): void {
	let hasEnded = false;
	socket.on("data", (chunk) => {
		const done = connection.write(chunk);
		if (done === undefined) return;
		socket.pause();
		// What the guest does not want is thrown away: it may still be speaking.
		const goOn = () => {
			socket.resume();
		};
		done.then(goOn, goOn);
	});
	socket.on("end", () => {
		hasEnded = true;
		connection.end();
	});
	socket.on("close", (hadError) => {
		// A socket that closes after its end was used as it should be.
		if (hadError || !hasEnded) connection.reset();
	});
	socket.resume();
}

/** A socket on which nobody listens is what a killed process leaves behind. */
async function removeStale(path: string): Promise<void> {
	const status = await lstat(path).catch(() => undefined);
	if (!status?.isSocket()) return;
	const probe = connect({ path });
	probe.on("error", () => {});
	const answered = await connected(probe).then(
		() => true,
		() => false,
	);
	probe.destroy();
	if (!answered) await rm(path, { force: true });
}

/** Of a Unix socket's address on Linux; a zero ends it. */
const MOST_PATH_BYTES = 107;

function openError(error: unknown, path: string): UsageError {
	const code = error instanceof Error && "code" in error ? error.code : "";
	if (code === "EADDRINUSE") {
		return new UsageError(`There is something at the vsock path ${path}.`, {
			hint: "Give --vsock a path that does not exist; a socket is made there.",
			cause: error,
		});
	}
	const reason = error instanceof Error ? error.message : String(error);
	return new UsageError(`The vsock socket cannot be made: ${reason}.`, {
		hint: "The directory must exist, and the whole path be shorter than 108 bytes.",
		cause: error,
	});
}
