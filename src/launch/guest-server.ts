/**
 * The guest's thread: makes a machine of the description that comes over the
 * wire, runs it, and does what the caller asks meanwhile. An embedder's worker
 * is this function and what it needs of its surroundings.
 *
 * Relies on the machine and the pipes; the embedders' workers rely on it.
 *
 * @journey L:240 The guest's own thread
 */

import type { Decompressors } from "../boot/compression.ts";
import { LguestError } from "../errors.ts";
import { type EndReason, Machine } from "../machine/machine.ts";
import type { ConsoleBackend } from "../machine/serial-console.ts";
import type { MachineStatistics } from "../machine/statistics.ts";
import type { DiskOptions } from "../machine/virtio-slots.ts";
import type { BlockBackend } from "../virtio/backends.ts";
import type { ConsolePortOptions } from "../virtio/devices/console.ts";
import type { Channel } from "./channel.ts";
import type {
	ByteSource,
	DiskDescription,
	GuestDescription,
	RemoteDiskDescription,
} from "./description.ts";
import { toPlain } from "./error-transfer.ts";
import { GuestPipe } from "./guest-pipe.ts";
import { kernelCommandLine, namingKernel } from "./kernel-words.ts";
import { PipeEnd } from "./pipe.ts";
import {
	type FromGuest,
	PIPE_AGENT,
	PIPE_CONSOLE,
	type ToGuest,
} from "./protocol.ts";
import { RemoteCaller, RemoteDisk } from "./remote-disk.ts";

/** The port by which the guest's agent is reached. */
export const AGENT_PORT_NAME = "lguest.agent";

const DEFAULT_MEMORY_BYTES = 256 << 20;

/** What the embedder does in the guest's thread. */
export interface GuestSurroundings {
	readonly decompressors: Decompressors;
	/** All of a kernel or initrd; throws `UsageError` with the source's name in it. */
	readBytes(
		source: ByteSource,
		role: "kernel" | "initrd",
		onProgress: (text: string) => void,
	): Promise<Uint8Array>;
	openDisk(disk: DiskDescription): Promise<BlockBackend>;
	/** Gives the thread's event loop a turn. */
	breathe(): Promise<void>;
	/** Adds to the counters what only the embedder knows. */
	addStatistics?(statistics: MachineStatistics): MachineStatistics;
}

/** Serves one guest over the wire; everything else follows from its messages. */
export function serveGuest(
	channel: Channel,
	surroundings: GuestSurroundings,
): void {
	const server = new GuestServer(channel, surroundings);
	channel.onMessage = (message) => server.receive(message as ToGuest);
}

class GuestServer {
	readonly #channel: Channel;
	readonly #surroundings: GuestSurroundings;
	readonly #remote: RemoteCaller;
	readonly #consoleEnd: PipeEnd;
	readonly #agentEnd: PipeEnd;
	#console: GuestPipe | undefined;
	#machine: Machine | undefined;
	#disks: BlockBackend[] = [];
	/** Asked to stop before there was a machine. */
	#stopped = false;

	constructor(channel: Channel, surroundings: GuestSurroundings) {
		this.#channel = channel;
		this.#surroundings = surroundings;
		this.#remote = new RemoteCaller(channel);
		this.#consoleEnd = new PipeEnd(channel, PIPE_CONSOLE);
		this.#agentEnd = new PipeEnd(channel, PIPE_AGENT);
	}

	receive(message: ToGuest): void {
		switch (message.kind) {
			case "create":
				void this.#live(message.description);
				break;
			case "pipe-bytes":
			case "pipe-credit":
			case "pipe-end":
				this.#pipe(message.pipe).receive(message);
				break;
			case "remote-answer":
				this.#remote.receive(message);
				break;
			case "stop":
				this.#stopped = true;
				this.#machine?.stop();
				break;
			case "pause":
				void this.#pause(message.request);
				break;
			case "resume":
				this.#machine?.resume();
				break;
			case "power-button":
				this.#machine?.pressPowerButton();
				break;
			case "terminal":
				this.#console?.resize(message.size);
				break;
			case "statistics":
				this.#sendStatistics(message.request);
				break;
		}
	}

	#post(message: FromGuest): void {
		this.#channel.post(message);
	}

	#pipe(pipe: number): PipeEnd {
		return pipe === PIPE_AGENT ? this.#agentEnd : this.#consoleEnd;
	}

	/** From the description to the end; the last message is the last thing done. */
	async #live(description: GuestDescription): Promise<void> {
		let last: FromGuest;
		try {
			const reason = await this.#run(description);
			last = { kind: "ended", reason };
		} catch (error) {
			last = { kind: "failed", error: toPlain(error) };
		}
		await Promise.allSettled(this.#disks.map((disk) => disk.close?.()));
		this.#post(last);
	}

	async #run(description: GuestDescription): Promise<EndReason> {
		const machine = await this.#create(description);
		this.#machine = machine;
		this.#post({ kind: "created" });
		if (this.#stopped) machine.stop();
		return machine.run();
	}

	async #create(description: GuestDescription): Promise<Machine> {
		const surroundings = this.#surroundings;
		const onProgress = (text: string) => this.#post({ kind: "progress", text });
		const kernel = await surroundings.readBytes(
			description.kernel,
			"kernel",
			onProgress,
		);
		const initrd =
			description.initrd &&
			(await surroundings.readBytes(description.initrd, "initrd", onProgress));
		const disks = await this.#openDisks(description.disks ?? []);
		const { clock, engine, transport, debugExitPort } = description;
		const kernelName = nameOf(description.kernel);
		try {
			return await Machine.create({
				memoryBytes: description.memoryBytes ?? DEFAULT_MEMORY_BYTES,
				kernel,
				kernelName,
				commandLine: kernelCommandLine(
					kernel,
					description.kernelArguments ?? [],
					description.console === "virtio" ? "hvc0" : "ttyS0",
				),
				...this.#consoles(description),
				disks,
				entropy: description.entropy ?? false,
				breathe: () => surroundings.breathe(),
				onDevice: (event) => this.#post({ kind: "device", event }),
				...(initrd && { initrd }),
				...(clock !== undefined && { clock }),
				...(engine !== undefined && { engine }),
				...(transport !== undefined && { transport }),
				...(debugExitPort !== undefined && { debugExitPort }),
				...((description.unpack ?? true) && {
					unpack: surroundings.decompressors,
				}),
			});
		} catch (error) {
			const { decompressors } = surroundings;
			throw await namingKernel(error, kernelName, kernel, decompressors);
		}
	}

	/** The console wherever it was asked for, and the agent's port beside it. */
	#consoles(description: GuestDescription): {
		readonly console: ConsoleBackend;
		readonly consolePorts?: readonly ConsolePortOptions[];
	} {
		const pipe = new GuestPipe(this.#consoleEnd, description.terminal);
		this.#console = pipe;
		const ports: ConsolePortOptions[] = [];
		if (description.console === "virtio") ports.push({ backend: pipe });
		if (description.agent) ports.push(this.#agentPort());
		return {
			console: description.console === "virtio" ? NOBODY : pipe,
			...(ports.length > 0 && { consolePorts: ports }),
		};
	}

	#agentPort(): ConsolePortOptions {
		const backend = new GuestPipe(this.#agentEnd);
		backend.onGuestOpen = (open) => this.#post({ kind: "agent-open", open });
		return { backend, name: AGENT_PORT_NAME, console: false };
	}

	async #openDisks(
		disks: readonly (DiskDescription | RemoteDiskDescription)[],
	): Promise<DiskOptions[]> {
		const opened: DiskOptions[] = [];
		for (const disk of disks) {
			const backend =
				"remote" in disk
					? new RemoteDisk(disk, this.#remote)
					: await this.#surroundings.openDisk(disk);
			this.#disks.push(backend);
			const { serial } = disk;
			opened.push({ backend, ...(serial !== undefined && { serial }) });
		}
		return opened;
	}

	async #pause(request: number): Promise<void> {
		await this.#machine?.pause();
		this.#post({ kind: "paused", request });
	}

	#sendStatistics(request: number): void {
		const statistics = this.#machine?.statistics();
		if (statistics === undefined) return;
		this.#post({
			kind: "statistics",
			request,
			statistics: this.#surroundings.addStatistics?.(statistics) ?? statistics,
		});
	}
}

/** A serial port with nobody at the other end. */
const NOBODY: ConsoleBackend = {
	write: () => undefined,
	read: () => new Uint8Array(0),
	inputOpen: false,
	onInput: () => {},
};

/** What to call the kernel in messages. */
function nameOf(source: ByteSource): string {
	if (typeof source === "string") return source;
	if ("name" in source && typeof source.name === "string") return source.name;
	if (source instanceof Uint8Array) return "the kernel";
	if ("href" in source) return source.href;
	throw new LguestError("A kernel has to be bytes, or a place to get them.");
}
