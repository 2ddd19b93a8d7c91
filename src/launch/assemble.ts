/**
 * From a description to a machine: reads, opens, and puts together. The guest's
 * thread does it for a caller elsewhere, the command line for itself.
 *
 * Relies on the machine and on the embedder's `GuestSurroundings`; the guest's
 * thread and the command line rely on it.
 *
 * @journey L:239 Some assembly required
 */

import type { Decompressors } from "../boot/compression.ts";
import { recogniseKernel } from "../boot/kernel-image.ts";
import type { RegionService } from "../cpu/index.ts";
import { LguestError, UsageError } from "../errors.ts";
import {
	type BootBytes,
	Machine,
	type MachineOptions,
} from "../machine/machine.ts";
import type { ConsoleBackend } from "../machine/serial-console.ts";
import type { MachineStatistics } from "../machine/statistics.ts";
import type {
	DeviceEvent,
	DiskOptions,
	VirtioOptions,
} from "../machine/virtio-slots.ts";
import type {
	BlockBackend,
	Completion,
	ConsolePortBackend,
} from "../virtio/backends.ts";
import type { ConsolePortOptions } from "../virtio/devices/console.ts";
import { MemoryDisk } from "../virtio/memory-disk.ts";
import type {
	ByteSource,
	DiskDescription,
	GuestDescription,
	RemoteDiskDescription,
} from "./description.ts";
import { watchedDisk } from "./disk-watch.ts";
import { kernelCommandLine } from "./kernel-words.ts";

/** The port by which the guest's agent is reached. */
export const AGENT_PORT_NAME = "lguest.agent";

const DEFAULT_MEMORY_BYTES = 256 << 20;

/** Told what takes so long; without a total, just the activity. */
export type OnProgress = (
	activity: string,
	doneBytes?: number,
	totalBytes?: number,
) => void;

/** What a file is to the guest. */
export type FileRole = "kernel" | "initrd";

/** Opened backends and the machine's options for them. */
export interface OpenDevices {
	readonly virtio: VirtioOptions;
	/** The guest is gone. */
	close(): Promise<void>;
}

/** What the embedder does in the guest's thread. */
export interface GuestSurroundings {
	readonly decompressors: Decompressors;
	/**
	 * All of a kernel or initrd at an address: in Node a path or URL, in a browser a
	 * URL. Throws `UsageError` with the address in it.
	 */
	readBytes(
		address: string,
		role: FileRole,
		onProgress: OnProgress,
		/** More need not be read: it will be refused. */
		mostBytes?: number,
	): Promise<Uint8Array>;
	/** Whether what is at an address can be had at any time, so that nobody need keep it. */
	canReadAgain?(address: string): boolean;
	/** Any but one of bytes that is to be forgotten. */
	openDisk(disk: DiskDescription): Promise<BlockBackend>;
	/** Opens what `GuestOptions.devices` asks for. */
	openDevices?(devices: object): Promise<OpenDevices>;
	/** A thread that compiles the guest's hot code. */
	regionService?(): RegionService;
	/** Gives the thread's event loop a turn. */
	breathe(): Promise<void>;
	/** Gives back what the guest's first life has left, before the next begins. */
	tidy?(): void;
	/** Adds to the counters what only the embedder knows. */
	addStatistics?(statistics: MachineStatistics): MachineStatistics;
}

/** What the assembled machine is connected to. */
export interface Connections {
	readonly console: ConsoleBackend & ConsolePortBackend;
	/** Where the agent speaks, if there is to be one. */
	readonly agent?: ConsolePortBackend;
	readonly onProgress: OnProgress;
	readonly onDevice?: (event: DeviceEvent) => void;
	/** A disk has refused something; told once for each spell of it. */
	readonly onTrouble?: (error: unknown) => void;
	/** A disk of the caller's. */
	openRemote?(disk: RemoteDiskDescription): BlockBackend;
}

/** A machine and what was opened for it. */
export interface Assembly {
	readonly machine: Machine;
	/** Closes disks and all other backends. */
	close(): Promise<void>;
}

/** Rejects with `UsageError` for whatever is wrong; then nothing stays open. */
export async function assemble(
	description: GuestDescription,
	surroundings: GuestSurroundings,
	connections: Connections,
): Promise<Assembly> {
	const opened: { close?(): Completion }[] = [];
	const close = async () => {
		await Promise.allSettled(opened.map((one) => one.close?.()));
	};
	try {
		const { onProgress } = connections;
		const { unpack = true } = description;
		const files = await readBootFiles(description, surroundings, onProgress);
		// Before anything is opened, for an overlay, say, may be made by that.
		const recognised = recogniseKernel(files.kernel, {
			kernelName: nameOf(description.kernel),
			...(unpack && { unpack: surroundings.decompressors }),
		});
		const disks = await openDisks(
			description.disks ?? [],
			surroundings,
			connections,
			opened,
		);
		const devices = await surroundings.openDevices?.(description.devices ?? {});
		if (devices !== undefined) opened.push(devices);
		onProgress("making the machine");
		const machine = await createMachine(description, surroundings, {
			...consoles(description, connections),
			...devices?.virtio,
			...files,
			...readingAgain(description, surroundings),
			commandLine: kernelCommandLine(
				recognised,
				description.kernelArguments ?? [],
				description.console === "virtio" ? "hvc0" : "ttyS0",
			),
			disks,
			...(connections.onDevice && { onDevice: connections.onDevice }),
		});
		return { machine, close };
	} catch (error) {
		await close();
		throw error;
	}
}

async function readBootFiles(
	description: GuestDescription,
	surroundings: GuestSurroundings,
	onProgress: OnProgress,
): Promise<BootBytes> {
	const { kernel: source, initrd: initrdSource } = description;
	const { memoryBytes = DEFAULT_MEMORY_BYTES } = description;
	const [kernel, initrd] = await Promise.all([
		readSource(source, "kernel", surroundings, onProgress),
		initrdSource &&
			readSource(initrdSource, "initrd", surroundings, onProgress, memoryBytes),
	]);
	return { kernel, ...(initrd && { initrd }) };
}

/** For a restart, where all that was read can be read again. */
function readingAgain(
	description: GuestDescription,
	surroundings: GuestSurroundings,
): Pick<MachineOptions, "readBootFiles"> {
	const { kernel, initrd = kernel } = description;
	const isThere = (source: ByteSource) => {
		if (source instanceof Uint8Array) return false;
		if (typeof source === "object" && "arrayBuffer" in source) return true;
		const address = typeof source === "object" ? source.href : source;
		return surroundings.canReadAgain?.(address) ?? false;
	};
	if (!isThere(kernel) || !isThere(initrd)) return {};
	return {
		readBootFiles: () => {
			// What is about to be unpacked is large, and so is what has been left.
			surroundings.tidy?.();
			return readBootFiles(description, surroundings, () => {});
		},
	};
}

/** Bytes are bytes everywhere; only what addresses mean is the embedder's. */
async function readSource(
	source: ByteSource,
	role: FileRole,
	surroundings: GuestSurroundings,
	onProgress: OnProgress,
	mostBytes?: number,
): Promise<Uint8Array> {
	if (source instanceof Uint8Array) return source;
	if (typeof source === "object" && "arrayBuffer" in source) {
		return new Uint8Array(await source.arrayBuffer());
	}
	const address = typeof source === "object" ? source.href : source;
	if (typeof address === "string") {
		return surroundings.readBytes(address, role, onProgress, mostBytes);
	}
	throw new UsageError(`A ${role} is an address, a file or bytes.`);
}

async function openDisks(
	disks: readonly (DiskDescription | RemoteDiskDescription)[],
	surroundings: GuestSurroundings,
	connections: Connections,
	opened: { close?(): Completion }[],
): Promise<DiskOptions[]> {
	const options: DiskOptions[] = [];
	for (const disk of disks) {
		const backend =
			"remote" in disk
				? connections.openRemote?.(disk)
				: (diskOfBytes(disk) ?? (await surroundings.openDisk(disk)));
		if (backend === undefined) throw new LguestError("Nobody has that disk.");
		opened.push(backend);
		const { serial } = disk;
		options.push({
			backend: watchedDisk(backend, connections.onTrouble),
			...(serial !== undefined && { serial }),
		});
	}
	return options;
}

/** In memory everywhere, unless what is written to it is to be kept. */
function diskOfBytes({
	source,
	readOnly = false,
	overlay = false,
}: DiskDescription): BlockBackend | undefined {
	const isKept = typeof overlay === "string";
	if (!(source instanceof Uint8Array) || isKept) return undefined;
	return MemoryDisk.from(source, { readOnly: readOnly && !overlay });
}

/** Everything that was opened goes in as it is; the rest is the description's. */
async function createMachine(
	description: GuestDescription,
	{ decompressors, breathe, regionService }: GuestSurroundings,
	parts: Omit<MachineOptions, "memoryBytes">,
): Promise<Machine> {
	const { memoryBytes = DEFAULT_MEMORY_BYTES, unpack = true } = description;
	const { clock, engine, transport, debugExitPort, initrdPacking } =
		description;
	return Machine.create({
		...parts,
		memoryBytes,
		kernelName: nameOf(description.kernel),
		entropy: description.entropy ?? false,
		breathe: () => breathe(),
		...(regionService !== undefined && { regionService: regionService() }),
		...(clock !== undefined && { clock }),
		...(engine !== undefined && { engine }),
		...(transport !== undefined && { transport }),
		...(debugExitPort !== undefined && { debugExitPort }),
		...(initrdPacking !== undefined && { initrdPacking }),
		...(unpack && { unpack: decompressors }),
	});
}

/** The console where it was asked for, and the agent's port beside it. */
function consoles(
	description: GuestDescription,
	{ console, agent }: Connections,
): Pick<MachineOptions, "console" | "consolePorts"> {
	const ports: ConsolePortOptions[] = [];
	const isVirtio = description.console === "virtio";
	if (isVirtio) ports.push({ backend: console });
	// With a second port the console's size comes in a message, which Linux heeds
	// from the start; of a lone console's it learns only when it changes.
	if (description.agent) {
		const backend = agent ?? nobody();
		ports.push({ backend, name: AGENT_PORT_NAME, console: false });
	}
	return {
		console: isVirtio ? outputOnly(console) : console,
		...(ports.length > 0 && { consolePorts: ports }),
	};
}

/** An end that listens politely and says nothing. */
function nobody(): ConsolePortBackend {
	return {
		write: () => undefined,
		read: () => new Uint8Array(0),
		onInput: () => {},
	};
}

/** Early messages still come by the serial port; keys go to the virtio console. */
function outputOnly(console: ConsoleBackend): ConsoleBackend {
	return {
		write: (bytes) => console.write(bytes),
		read: () => new Uint8Array(0),
		get inputOpen() {
			return console.inputOpen;
		},
		onInput: () => {},
	};
}

/** What to call the kernel in messages. */
function nameOf(source: ByteSource): string {
	if (typeof source === "string") return source;
	if (source instanceof Uint8Array) return "the kernel";
	if ("name" in source && typeof source.name === "string") return source.name;
	if ("href" in source) return source.href;
	return "the kernel";
}
