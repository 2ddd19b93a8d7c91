/**
 * `lguest run`: has the machine assembled, lends it the terminal, and
 * translates its end into an exit status and, if need be, a few words.
 *
 * Relies on the core's public face and the files beside it; `main.ts` relies
 * on it.
 *
 * @journey L:120 From a command line to a running guest
 */

import { writeFileSync } from "node:fs";
import {
	type Assembly,
	assemble,
	type Decompressors,
	type EndReason,
	formatCode,
	GuestFailure,
	type Machine,
	UsageError,
} from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { nodeDecompressors } from "./decompress.ts";
import { tidyWhenIdle } from "./heap.ts";
import { Progress } from "./progress.ts";
import { descriptionOf } from "./run-options.ts";
import { StandardStreams } from "./standard-streams.ts";
import { processStatistics } from "./statistics.ts";
import { nodeSurroundings } from "./surroundings.ts";

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
		const { machine, close } = await this.#load();
		this.#machine = machine;
		// An exit handler, because that is what every way out has in common.
		if (statsPath !== undefined) {
			process.once("exit", () => writeCounters(statsPath, machine));
		}
		this.#streams.start();
		tidyWhenIdle(() => machine.cpu.retiredCount());
		try {
			const reason = await machine.run();
			return this.#stopStatus ?? statusOf(reason);
		} finally {
			this.#streams.stop();
			await close();
		}
	}

	async #load(): Promise<Assembly> {
		const progress = this.#progress;
		const decompressors = announced(nodeDecompressors, progress);
		try {
			return await assemble(
				descriptionOf(this.#options),
				{ ...nodeSurroundings, decompressors },
				{
					console: this.#streams,
					onProgress: progress.show,
				},
			);
		} finally {
			progress.clear();
		}
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

function writeCounters(path: string, machine: Machine): void {
	const statistics = processStatistics(machine.statistics());
	writeStatistics(path, `${JSON.stringify(statistics, undefined, "\t")}\n`);
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
