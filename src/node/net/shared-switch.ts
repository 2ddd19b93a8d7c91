/**
 * A switch by name, on which all your guests meet, whichever process they are
 * in. The first to come has the switch in its process and listens on a Unix
 * socket; the others connect to it. When that process ends one of the others
 * takes over: cables are out for a moment, and nobody has to be told.
 *
 * Who listens is decided by a lock that vanishes with its process: an abstract
 * socket on Linux. Elsewhere two that come at the same moment might not meet.
 *
 * Relies on the switch of the core and frame streams; `device-backends.ts`
 * relies on it.
 *
 * @journey L:172 A switch that everybody can find
 */

import { lstat, mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	type FrameOffload,
	type NetBackend,
	NetSwitch,
	UsageError,
} from "../../index.ts";
import { holdName } from "../disk-lock.ts";
import { FrameStream } from "./frame-stream.ts";
import { connectTo } from "./stream-network.ts";

const RETRY_MS = 50;
const MOST_TRIES = 100;

/** The backend of a network card. */
export class SharedSwitch implements NetBackend {
	readonly takesOffloads = true;
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};
	onLinkChange: () => void = () => {};
	linkUp = false;
	readonly #name: string;
	readonly #path: string;
	/** Where our own frames go: our switch, or the one we are connected to. */
	#out: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};
	#leave: () => void = () => {};
	#isClosed = false;

	/** Throws `UsageError` where there can be no socket. */
	static async open(name: string): Promise<SharedSwitch> {
		const shared = new SharedSwitch(name, await privateFolder());
		await shared.#join();
		return shared;
	}

	private constructor(name: string, folder: string) {
		this.#name = `lguest-switch-${process.getuid?.() ?? 0}-${name}`;
		this.#path = join(folder, `switch-${name}`);
	}

	send(frame: Uint8Array, offload?: FrameOffload): void {
		this.#out(frame, offload);
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		this.#leave();
	}

	/** Connects, or becomes the one to connect to; whichever works first. */
	async #join(): Promise<void> {
		for (let tries = 0; tries < MOST_TRIES && !this.#isClosed; tries++) {
			const lock = await holdName(this.#name);
			if (lock !== undefined) {
				await this.#host(lock);
				return;
			}
			try {
				this.#connect(await connectTo(this.#path));
				return;
			} catch {
				// Its host has just begun, or just ended.
				await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
			}
		}
		if (this.#isClosed) return;
		throw new UsageError(`The switch ${this.#path} does not answer.`, {
			hint: "A guest that stands still may have it. End it, or choose another name.",
		});
	}

	async #host(lock: Server): Promise<void> {
		const hub = new NetSwitch();
		const sockets = new Set<Socket>();
		const server = createServer((socket) => {
			sockets.add(socket);
			const port = hub.port();
			const stream = new FrameStream(socket, { hasHeaders: true });
			stream.onFrame = port.send;
			port.onFrame = (frame, offload) => stream.send(frame, offload);
			socket.once("close", () => {
				sockets.delete(socket);
				hub.remove(port);
			});
		});
		const own = hub.port();
		own.onFrame = (frame, offload) => this.onFrame(frame, offload);
		// Nobody else has the lock: what is there was left behind.
		await rm(this.#path, { force: true });
		await listenAt(server, this.#path);
		server.unref();
		this.#out = own.send;
		this.#leave = () => {
			server.close();
			for (const socket of sockets) socket.destroy();
			lock.close();
		};
		this.#setLink(true);
	}

	#connect(socket: Socket): void {
		const stream = new FrameStream(socket, { hasHeaders: true });
		stream.onFrame = (frame, offload) => this.onFrame(frame, offload);
		this.#out = (frame, offload) => stream.send(frame, offload);
		this.#leave = () => stream.close();
		this.#setLink(true);
		socket.once("close", () => {
			this.#out = () => {};
			if (this.#isClosed) return;
			this.#setLink(false);
			this.#join().catch(() => {});
		});
	}

	#setLink(up: boolean): void {
		this.linkUp = up;
		this.onLinkChange();
	}
}

function listenAt(server: Server, path: string): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once("error", (cause) => {
			reject(
				new UsageError(`The switch cannot be made: ${cause.message}.`, {
					hint: "Its socket's path must be shorter than 108 bytes.",
					cause,
				}),
			);
		});
		server.listen(path, resolve);
	});
}

/** Where sockets of this user are, and nobody else's. */
async function privateFolder(): Promise<string> {
	const uid = process.getuid?.() ?? 0;
	const runtime = process.env.XDG_RUNTIME_DIR;
	const folder = runtime
		? join(runtime, "lguest")
		: join(tmpdir(), `lguest-${uid}`);
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const status = await lstat(folder);
	const isOurs = status.isDirectory() && status.uid === uid;
	if (!isOurs || (status.mode & 0o077) !== 0) {
		throw new UsageError(`Others can get at ${folder}.`, {
			hint: "It has to be a directory of yours that only you may enter: chmod 700.",
		});
	}
	return folder;
}
