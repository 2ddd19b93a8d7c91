/**
 * `lguest run`: reads the files, makes the machine, lends it the terminal, and
 * translates its end into an exit status and, if need be, a few words.
 *
 * Relies on the core's public face and the files beside it; `cli.ts` relies
 * on it.
 *
 * @journey L:120 From a command line to a running guest
 */

import { writeFileSync } from "node:fs";
import {
	type Decompressors,
	type DiskOptions,
	type EndReason,
	formatCode,
	GuestFailure,
	kernelCommandLine,
	Machine,
	namingKernel,
	UsageError,
} from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { nodeDecompressors } from "./decompress.ts";
import { DeviceBackends } from "./device-backends.ts";
import { openDisk } from "./disk-files.ts";
import { readInputFile } from "./input-file.ts";
import type { DiskArgument } from "./options/disk.ts";
import { Progress } from "./progress.ts";
import { StandardStreams } from "./standard-streams.ts";
import { processStatistics } from "./statistics.ts";
import { breathe } from "./surroundings.ts";

/** What a shell reports for a process that a signal ended is 128 plus this. */
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };
const STATUS_INTERRUPTED = 128 + SIGNAL_NUMBERS.SIGINT;
const STATUS_OUTPUT_LOST = 128 + 13;
/** How long a guest that is told to stop may take; a full pipe could hold it for ever. */
const STOP_WITHIN_MS = 500;

/** Runs a guest to its end; the value is the process's exit status. */
export async function runCommand(options: RunOptions): Promise<number> {
	const session = new Session(options);
	session.listenToSignals();
	return session.run();
}

/** One guest and everything of the process that it uses. */
class Session {
	readonly #options: RunOptions;
	readonly #progress = new Progress(process.stderr);
	readonly #streams = new StandardStreams();
	#machine: Machine | undefined;
	#disks: readonly DiskOptions[] = [];
	#backends: DeviceBackends | undefined;
	/** Set by whoever stops the guest from outside. */
	#stopStatus: number | undefined;

	constructor(options: RunOptions) {
		this.#options = options;
		this.#streams.onInterrupt = () => {
			this.#stop(STATUS_INTERRUPTED);
		};
		this.#streams.onOutputLost = () => this.#stop(STATUS_OUTPUT_LOST);
	}

	/** Before the guest runs there is nothing to tidy up, so a signal ends all at once. */
	listenToSignals(): void {
		for (const [name, number] of Object.entries(SIGNAL_NUMBERS)) {
			process.on(name, () => this.#stop(128 + number));
		}
	}

	async run(): Promise<number> {
		const { statsPath } = this.#options;
		if (statsPath !== undefined) writeStatistics(statsPath, "");
		const machine = await this.#load();
		this.#machine = machine;
		// An exit handler, because that is what every way out has in common.
		if (statsPath !== undefined) {
			process.once("exit", () => writeCounters(statsPath, machine));
		}
		this.#streams.start();
		try {
			const reason = await machine.run();
			return this.#stopStatus ?? statusOf(reason);
		} finally {
			this.#streams.stop();
			await this.#closeBackends();
		}
	}

	async #load(): Promise<Machine> {
		const options = this.#options;
		const progress = this.#progress;
		try {
			const kernelPath = kernelPathOf(options);
			const kernel = await readInputFile(kernelPath, "kernel", progress);
			const initrd =
				options.initrdPath === undefined
					? undefined
					: await readInputFile(options.initrdPath, "initrd", progress);
			this.#disks = await openDisks(options.disks);
			this.#backends = await DeviceBackends.open(options);
			return await makeMachine(
				options,
				kernelPath,
				kernel,
				initrd,
				this.#streams,
				this.#disks,
				this.#backends,
				progress,
			);
		} catch (error) {
			// An open socket would keep the process.
			await this.#closeBackends();
			throw error;
		} finally {
			progress.clear();
		}
	}

	async #closeBackends(): Promise<void> {
		for (const { backend } of this.#disks) await backend.close?.();
		await this.#backends?.close();
	}

	#stop(status: number): void {
		this.#stopStatus ??= status;
		if (this.#machine === undefined) {
			this.#progress.clear();
			process.exit(status);
		}
		this.#machine.stop();
		setTimeout(() => process.exit(status), STOP_WITHIN_MS).unref();
	}
}

function kernelPathOf({ kernelPath }: RunOptions): string {
	if (kernelPath !== undefined) return kernelPath;
	throw new UsageError("No kernel is given.", {
		hint: "Try: lguest run KERNEL",
	});
}

function writeCounters(path: string, machine: Machine): void {
	const statistics = processStatistics(machine.statistics());
	writeStatistics(path, `${JSON.stringify(statistics, undefined, "\t")}\n`);
}

/** Throws `UsageError` for the first that cannot be opened. */
async function openDisks(
	disks: readonly DiskArgument[],
): Promise<DiskOptions[]> {
	const opened: DiskOptions[] = [];
	for (const disk of disks) {
		const backend = await openDisk(disk);
		const { serial } = disk;
		opened.push({ backend, ...(serial !== undefined && { serial }) });
	}
	return opened;
}

async function makeMachine(
	options: RunOptions,
	kernelPath: string,
	kernel: Uint8Array,
	initrd: Uint8Array | undefined,
	console: StandardStreams,
	disks: readonly DiskOptions[],
	backends: DeviceBackends,
	progress: Progress,
): Promise<Machine> {
	const { memoryBytes, clock, engine } = options;
	const { debugExitPort, transport } = options;
	const decompressors = announced(nodeDecompressors, progress);
	try {
		return await Machine.create({
			memoryBytes,
			kernel,
			kernelName: kernelPath,
			commandLine: kernelCommandLine(kernel, options.rest, "ttyS0"),
			clock,
			engine,
			console,
			breathe,
			disks,
			entropy: options.rng,
			...backends.virtio,
			...(initrd !== undefined && { initrd }),
			...(debugExitPort !== undefined && { debugExitPort }),
			...(transport !== undefined && { transport }),
			...(options.unpack && { unpack: decompressors }),
		});
	} catch (error) {
		throw await namingKernel(error, kernelPath, kernel, nodeDecompressors);
	}
}

/** Decompressors block for up to a second, so the line must be there before. */
function announced(
	decompressors: Decompressors,
	progress: Progress,
): Decompressors {
	return Object.fromEntries(
		Object.entries(decompressors).map(([format, decompress]) => [
			format,
			async (bytes: Uint8Array, unpackedBytes?: number) => {
				progress.announce(`unpacking the kernel (${format})`);
				try {
					return await decompress(bytes, unpackedBytes);
				} finally {
					progress.clear();
				}
			},
		]),
	);
}

function statusOf(reason: EndReason): number {
	switch (reason.kind) {
		case "debug-exit":
			return reason.value & 0xff;
		case "triple-fault": {
			const { rip, mode, code, registers } = reason.report;
			throw new GuestFailure(
				[
					`The guest crashed: triple fault at RIP 0x${rip.toString(16)} in ${mode}.`,
					`code: ${formatCode(code)}`,
					registers,
				].join("\n"),
			);
		}
		case "halted-forever":
			process.stderr.write(
				"lguest: The guest halted with interrupts off; nothing can wake it.\n",
			);
			return 0;
		default:
			return 0;
	}
}

/** Also called before the guest starts: a wrong path should not cost a whole run. */
function writeStatistics(path: string, text: string): void {
	try {
		writeFileSync(path, text);
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw new UsageError(`The statistics cannot be written: ${reason}.`, {
			hint: "Give --stats a path that can be written to.",
			cause: error,
		});
	}
}
