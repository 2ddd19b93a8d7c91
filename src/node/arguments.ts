/**
 * The command line as data: what the user asked for, or a `UsageError` that
 * says what was not understood. `util.parseArgs` does the splitting; it comes
 * with every Node we support.
 *
 * Relies on nothing of the project but its errors; `cli.ts` relies on it.
 *
 * @journey L:110 What do you want?
 */

import { parseArgs } from "node:util";
import type { ClockKind, EngineKind, TransportName } from "../index.ts";
import { TRANSPORT_NAMES, UsageError } from "../index.ts";

/** One `--disk`. */
export interface DiskArgument {
	readonly path: string;
	readonly readOnly: boolean;
	/** Writes stay in memory and are gone with the guest. */
	readonly overlay: boolean;
}

/** `lguest run`, understood. */
export interface RunOptions {
	readonly kernelPath: string;
	readonly initrdPath: string | undefined;
	readonly memoryBytes: number;
	readonly clock: ClockKind;
	readonly engine: EngineKind;
	readonly statsPath: string | undefined;
	readonly debugExitPort: number | undefined;
	readonly unpack: boolean;
	readonly disks: readonly DiskArgument[];
	/** A source of entropy. */
	readonly rng: boolean;
	/** How the guest reaches its devices; the machine has a default. */
	readonly transport: TransportName | undefined;
	/** What came behind `--`. */
	readonly kernelArguments: readonly string[];
}

/** What a command line can ask for. */
export type Command =
	| { readonly kind: "help" }
	| { readonly kind: "version" }
	| { readonly kind: "run"; readonly options: RunOptions };

const OPTIONS = {
	memory: { type: "string", default: "256M" },
	initrd: { type: "string" },
	clock: { type: "string", default: "wall" },
	engine: { type: "string", default: "cold" },
	stats: { type: "string" },
	"debug-exit": { type: "string" },
	unpack: { type: "string", default: "yes" },
	disk: { type: "string", multiple: true },
	rng: { type: "boolean", default: false },
	transport: { type: "string" },
	help: { type: "boolean", short: "h" },
	version: { type: "boolean", short: "V" },
} as const;

/** Understands everything behind the program's name. */
export function parseCommandLine(args: readonly string[]): Command {
	const end = args.indexOf("--");
	const ours = end < 0 ? args : args.slice(0, end);
	const kernelArguments = end < 0 ? [] : args.slice(end + 1);
	const { values, positionals } = split(ours);
	if (values.help || ours[0] === "help") return { kind: "help" };
	if (values.version) return { kind: "version" };
	const [command, ...files] = positionals;
	if (command !== "run") throw unknownCommand(command);
	return {
		kind: "run",
		options: {
			kernelPath: onlyKernel(files),
			initrdPath: values.initrd,
			memoryBytes: parseMemory(values.memory),
			clock: choose("--clock", values.clock, ["wall", "virtual"]),
			engine: choose("--engine", values.engine, ["cold", "auto"]),
			statsPath: values.stats,
			debugExitPort: parsePort(values["debug-exit"]),
			unpack: choose("--unpack", values.unpack, ["yes", "no"]) === "yes",
			disks: (values.disk ?? []).map(parseDisk),
			rng: values.rng,
			transport: parseTransport(values.transport),
			kernelArguments,
		},
	};
}

function split(args: readonly string[]) {
	try {
		return parseArgs({
			args: [...args],
			options: OPTIONS,
			allowPositionals: true,
		});
	} catch (error) {
		// Its messages are one sentence about the option, then advice about `--`
		// that would mislead here.
		const message = error instanceof Error ? error.message : String(error);
		const sentence = message.split(/\.\s|\n/, 1)[0] ?? message;
		throw usage(`${sentence.replace(/\.$/, "")}.`);
	}
}

function unknownCommand(command: string | undefined): UsageError {
	return command === undefined
		? usage("There is no command.", "Try: lguest run KERNEL")
		: usage(`There is no command "${command}".`, "Try: lguest run KERNEL");
}

function onlyKernel(files: readonly string[]): string {
	const [kernel, second] = files;
	if (kernel === undefined || kernel === "") {
		throw usage("No kernel is given.", "Try: lguest run KERNEL");
	}
	if (second !== undefined) {
		throw usage(
			`"${second}" is one argument too many: one kernel runs at a time.`,
			"Arguments for the kernel go behind --.",
		);
	}
	return kernel;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
	K: 1024,
	M: 1024 ** 2,
	G: 1024 ** 3,
};

/** `256M`, `1.5G`, `65536K`; a bare number counts MiB, as lguest always did. */
function parseMemory(text: string): number {
	const match = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text);
	const unit = (match?.[2] ?? "").toUpperCase() || "M";
	const bytes = Number(match?.[1]) * (UNIT_BYTES[unit] ?? 0);
	if (!Number.isSafeInteger(bytes) || bytes <= 0) {
		throw usage(
			`"${text}" is no amount of memory.`,
			"Try --memory 256M; K, M and G are understood.",
		);
	}
	return bytes;
}

/** Decimal or 0x-hexadecimal. */
function parsePort(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	const port = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : -1;
	if (port < 0 || port > 0xffff) {
		throw usage(
			`"${text}" is no I/O port for --debug-exit.`,
			"Ports go from 0 to 0xffff; 0xf4 is a common choice.",
		);
	}
	return port;
}

function parseTransport(text: string | undefined): TransportName | undefined {
	return text === undefined
		? undefined
		: choose("--transport", text, TRANSPORT_NAMES);
}

const DISK_FLAGS = ["ro", "overlay"];

/** `FILE`, `FILE,ro`, `FILE,overlay`; only known words at the end are taken off. */
function parseDisk(text: string): DiskArgument {
	const parts = text.split(",");
	const flags: string[] = [];
	while (parts.length > 1 && DISK_FLAGS.includes(parts.at(-1) ?? "")) {
		flags.push(parts.pop() ?? "");
	}
	const path = parts.join(",");
	if (path === "" || flags.length > 1) {
		throw usage(
			path === ""
				? `--disk "${text}" names no file.`
				: `--disk "${text}" is either ro or overlay.`,
			"Try --disk disk.img, --disk disk.img,ro or --disk disk.img,overlay.",
		);
	}
	return {
		path,
		readOnly: flags.includes("ro"),
		overlay: flags.includes("overlay"),
	};
}

function choose<const Choice extends string>(
	option: string,
	text: string,
	choices: readonly Choice[],
): Choice {
	const found = choices.find((choice) => choice === text);
	if (found !== undefined) return found;
	throw usage(
		`${option} cannot be "${text}".`,
		`It can be: ${choices.join(", ")}.`,
	);
}

function usage(message: string, hint?: string): UsageError {
	return new UsageError(message, {
		hint: hint ?? "lguest --help lists the options.",
	});
}
