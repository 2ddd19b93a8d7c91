/**
 * A network card on a network of this machine's, by a macvtap interface that
 * somebody has made: its device file can be read and written as it is. (A plain
 * tap interface cannot: one has to be asked for by `ioctl`, which Node does not
 * have.) Frames come with a virtio header and may have something left to do.
 *
 * A read of that file blocks, and a thread that is blocked cannot be ended. So a
 * small process of its own reads, and passes on what it gets in a pipe.
 *
 * Relies on Linux; `device-backends.ts` relies on it.
 *
 * @journey L:173 A cable to this machine's own network
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { type FileHandle, open, readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import {
	type FrameOffload,
	NET_SHORT_HEADER_BYTES,
	type NetBackend,
	UsageError,
	writeNetHeader,
} from "../../index.ts";
import { FrameStream } from "./frame-stream.ts";

/** The end of standard input is the end of our process, and of this one. */
const READER = `
const { Worker } = require("node:worker_threads");
process.stdin.on("close", () => process.kill(process.pid, "SIGKILL")).resume();
new Worker(process.argv[1], { eval: true });
`;
/** Its thread that blocks: from descriptor 3, the device, to standard output. */
const READER_THREAD = `
const { readSync, writeSync } = require("node:fs");
const message = Buffer.alloc(4 + 70000);
for (;;) {
	const length = readSync(3, message, 4, 70000);
	message.writeUInt32BE(length);
	for (let at = 0; at < 4 + length; ) {
		at += writeSync(1, message, at, 4 + length - at);
	}
}
`;

/** The backend of a network card. */
export class TapNetwork implements NetBackend {
	readonly takesOffloads = true;
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};
	readonly mtuBytes: number;
	/** The interface's own: it passes no others on. */
	readonly mac: Uint8Array;
	readonly #file: FileHandle;
	readonly #reader: ChildProcess;

	/** Throws `UsageError` where there is no such interface, or it is no macvtap. */
	static async open(name: string): Promise<TapNetwork> {
		const attributes = `/sys/class/net/${name}`;
		const attribute = async (file: string) =>
			(await readFile(`${attributes}/${file}`, "utf8")).trim();
		if (!existsSync(attributes)) {
			throw new UsageError(`There is no network interface ${name}.`, {
				hint: `As root: ip link add link eth0 name ${name} type macvtap mode bridge; ip link set ${name} up.`,
			});
		}
		const device = `/dev/tap${await attribute("ifindex")}`;
		if (!existsSync(device)) throw notMacvtap(name);
		try {
			const mac = Buffer.from(
				(await attribute("address")).replaceAll(":", ""),
				"hex",
			);
			const mtu = Number(await attribute("mtu"));
			return new TapNetwork(await open(device, "r+"), mac, mtu);
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			throw new UsageError(`The network ${name} cannot be opened: ${reason}.`, {
				hint: `You need the right to read and write ${device}, and nobody else may have it open.`,
				cause: error,
			});
		}
	}

	private constructor(file: FileHandle, mac: Uint8Array, mtuBytes: number) {
		this.mac = mac;
		this.mtuBytes = mtuBytes;
		this.#file = file;
		this.#reader = spawn(process.execPath, ["-e", READER, READER_THREAD], {
			stdio: ["pipe", "pipe", "inherit", file.fd],
		});
		// A pipe of a child's is a socket in all that matters here.
		const pipe = this.#reader.stdout as unknown as Socket;
		const stream = new FrameStream(pipe, { hasHeaders: true });
		stream.onFrame = (frame, offload) => this.onFrame(frame, offload);
		this.#reader.on("error", () => {});
	}

	/** What the system does not take is lost, as on any cable. */
	send(frame: Uint8Array, offload?: FrameOffload): void {
		const header = writeNetHeader(NET_SHORT_HEADER_BYTES, offload, frame);
		this.#file.writev([header, frame]).catch(() => {});
	}

	async close(): Promise<void> {
		this.#reader.kill("SIGKILL");
		await this.#file.close();
	}
}

function notMacvtap(name: string): UsageError {
	return new UsageError(
		`The network interface ${name} is no macvtap, and Node can open no other tap.`,
		{
			hint: "Make one on top of it (ip link add link IFACE name NAME type macvtap mode bridge), or run passt and use --net socket:PATH.",
		},
	);
}
