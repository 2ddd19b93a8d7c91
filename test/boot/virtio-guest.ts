/**
 * A guest with every virtio device, as a program: what the command line cannot
 * ask for yet (console ports, transports, kinds of rings) is asked for in JSON.
 * The serial port is on standard input and output; the virtio console prints
 * on standard error, and its second port answers in upper case.
 *
 *     node test/boot/virtio-guest.ts '{"kernel":"...","initrd":"...",...}'
 */

import { readFileSync } from "node:fs";
import {
	type ConsoleBackend,
	type ConsolePortBackend,
	Machine,
	MemoryBalloon,
	NetSwitch,
	type TransportName,
	VsockHub,
	type VsockStream,
} from "../../src/index.ts";
import { DirectoryShare } from "../../src/node/directory-share.ts";
import { openDisk } from "../../src/node/disk-files.ts";
import { StandardStreams } from "../../src/node/standard-streams.ts";
import { VsockSockets } from "../../src/node/vsock-sockets.ts";
import { EchoHost } from "../support/echo-host.ts";

const ECHO_PORT = 5000;
const BALLOON_PORT = 5002;
const HINTS_PORT = 5003;

/** The program's one argument. */
export interface VirtioGuestOptions {
	readonly kernel: string;
	readonly initrd: string;
	readonly arguments: readonly string[];
	readonly disks: readonly {
		readonly path: string;
		readonly mode: "rw" | "ro" | "overlay";
	}[];
	readonly transport: TransportName;
	readonly packedRings: boolean;
	/** Default: 128. */
	readonly memoryMib?: number;
	/**
	 * Where the guest's vsock is reached; on port 5000 it hears an echo, on 5002
	 * it says how large its balloon shall be, on 5003 it hears what it has hinted.
	 */
	readonly vsockPath?: string;
	/** Where the session is; default: on the serial port. */
	readonly console?: "hvc0";
	/** Whom the network card leads to; default: a switch. */
	readonly network?: "echo";
	/** Directories to share, by tag; what is called `ro` is read-only. */
	readonly shares?: Readonly<Record<string, string>>;
	/**
	 * A second guest with these kernel arguments, and two switches between the
	 * guests; on the second one it has no offloads.
	 */
	readonly peerArguments?: readonly string[];
}

class ErrorPort implements ConsolePortBackend {
	onInput = () => {};
	readonly size = { columns: 132, rows: 43 };

	write(bytes: Uint8Array): undefined {
		process.stderr.write(bytes);
	}

	read(): Uint8Array {
		return new Uint8Array(0);
	}
}

class ShoutingPort implements ConsolePortBackend {
	onInput = () => {};
	#answer = new Uint8Array(0);

	write(bytes: Uint8Array): undefined {
		const said = new TextDecoder().decode(bytes).toUpperCase();
		this.#answer = Buffer.concat([this.#answer, Buffer.from(said)]);
		this.onInput();
	}

	read(maxBytes: number): Uint8Array {
		const part = this.#answer.slice(0, maxBytes);
		this.#answer = this.#answer.slice(maxBytes);
		return part;
	}
}

async function diskOf({ path, mode }: VirtioGuestOptions["disks"][number]) {
	const how = { readOnly: mode === "ro", overlay: mode === "overlay" };
	return { backend: await openDisk({ path, ...how }) };
}

const breathe = (): Promise<void> =>
	new Promise((resolve) => setImmediate(resolve));

/** Lives as long as the process; what it prints goes to standard error. */
async function startPeer(
	options: VirtioGuestOptions,
	nets: readonly NetSwitch[],
): Promise<void> {
	const peer = await Machine.create({
		memoryBytes: 128 << 20,
		kernel: readFileSync(options.kernel),
		initrd: readFileSync(options.initrd),
		commandLine: ["console=ttyS0", ...(options.peerArguments ?? [])].join(" "),
		console: Object.assign(new ErrorPort(), { inputOpen: false }),
		breathe,
		networks: nets.map((net, index) => ({
			...{
				backend: net.port(),
				mac: Uint8Array.of(2, 0, 0, 0, index, 2),
			},
			offloads: index === 0,
		})),
		transport: options.transport,
		packedRings: options.packedRings,
	});
	peer.run().then(({ kind }) => process.stderr.write(`peer: ${kind}\n`));
}

async function vsockOf(path: string, balloon: MemoryBalloon) {
	const hub = new VsockHub({ otherwise: await VsockSockets.open(path) });
	hub.listen(ECHO_PORT, ({ readable, writable }) => {
		readable.pipeTo(writable).catch(() => {});
	});
	hub.listen(BALLOON_PORT, (stream) => {
		tellOfBalloon(stream, balloon);
	});
	hub.listen(HINTS_PORT, async ({ writable }) => {
		const figures = [await balloon.requestHints(), balloon.reportedBytes];
		await say(writable, figures);
	});
	return { backend: hub, guestCid: 42 };
}

/** Takes a number of MiB, blows the balloon up to that, and says how it went. */
async function tellOfBalloon(
	{ readable, writable }: VsockStream,
	balloon: MemoryBalloon,
): Promise<void> {
	let asked = "";
	for await (const chunk of readable) asked += new TextDecoder().decode(chunk);
	const targetBytes = Number(asked) << 20;
	const reached = new Promise<void>((resolve) => {
		balloon.onChange = () => {
			if (balloon.actualBytes === targetBytes) resolve();
		};
	});
	balloon.targetBytes = targetBytes;
	await reached;
	const { returnedBytes, actualBytes } = balloon;
	const { totalBytes = 0, freeBytes = 0 } = await balloon.statistics();
	await say(writable, [returnedBytes, actualBytes, totalBytes, freeBytes]);
}

async function say(
	writable: VsockStream["writable"],
	figures: readonly number[],
): Promise<void> {
	const writer = writable.getWriter();
	await writer.write(new TextEncoder().encode(`${figures.join(" ")}\n`));
	await writer.close();
}

async function sharesOf(shares: Readonly<Record<string, string>>) {
	const entries = Object.entries(shares).map(async ([tag, path]) => {
		const readOnly = tag === "ro";
		return { tag, backend: await DirectoryShare.open(path, { readOnly }) };
	});
	return Promise.all(entries);
}

/** A serial port with nothing at its end. */
const UNPLUGGED: ConsoleBackend = {
	write: () => undefined,
	read: () => new Uint8Array(0),
	inputOpen: true,
	onInput: () => {},
};

const cardOf = (net: NetSwitch, { network }: VirtioGuestOptions) =>
	network === "echo" ? new EchoHost() : net.port();

async function main(options: VirtioGuestOptions): Promise<void> {
	const streams = new StandardStreams();
	const isOnSerial = options.console === undefined;
	const balloon = new MemoryBalloon();
	const nets = [new NetSwitch()];
	if (options.peerArguments !== undefined) {
		nets.push(new NetSwitch());
		await startPeer(options, nets);
	}
	const machine = await Machine.create({
		memoryBytes: (options.memoryMib ?? 128) << 20,
		kernel: readFileSync(options.kernel),
		initrd: readFileSync(options.initrd),
		commandLine: [
			isOnSerial ? "console=ttyS0" : "console=hvc0",
			...options.arguments,
		].join(" "),
		console: isOnSerial ? streams : UNPLUGGED,
		breathe,
		disks: await Promise.all(options.disks.map(diskOf)),
		entropy: true,
		consolePorts: [
			{ backend: isOnSerial ? new ErrorPort() : streams },
			{ backend: new ShoutingPort(), name: "lguest.shout", console: false },
		],
		transport: options.transport,
		packedRings: options.packedRings,
		networks: nets.map((net, index) => ({
			...{
				backend: cardOf(net, options),
				mac: Uint8Array.of(2, 0, 0, 0, index, 1),
			},
		})),
		balloon,
		shares: await sharesOf(options.shares ?? {}),
		...(options.vsockPath !== undefined && {
			vsock: await vsockOf(options.vsockPath, balloon),
		}),
	});
	streams.start();
	const { kind } = await machine.run();
	streams.stop();
	process.exitCode = kind === "poweroff" ? 0 : 1;
	process.stdout.write("", () => process.exit());
}

await main(JSON.parse(process.argv[2] ?? "{}"));
