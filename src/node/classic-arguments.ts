/**
 * The command line that lguest had: `lguest [options] MIB KERNEL [arguments]`.
 * Options may stand anywhere, as GNU's getopt lets them; the memory size is the
 * first word that is none, and a number there is how we tell this form from
 * `lguest run`.
 *
 * Relies on nothing; `main.ts` relies on it.
 *
 * @journey L:430 lguest 64 vmlinux
 */

import { ENGINE_KINDS, type EngineKind, UsageError } from "../index.ts";

/** A classic command line, understood. */
export interface ClassicOptions {
	readonly memoryMib: number;
	readonly kernelPath: string;
	/** The Guest's command line. */
	readonly kernelArguments: string;
	readonly verbose: boolean;
	readonly initrdPath: string | undefined;
	readonly engine: EngineKind;
	/** In the order of the command line, which is that of the Guest's devices. */
	readonly devices: readonly ClassicDevice[];
}

/** A device in front of the console. */
export type ClassicDevice =
	| { readonly kind: "block"; readonly path: string }
	| { readonly kind: "rng" }
	| {
			readonly kind: "net";
			/** The Host's, four bytes. */
			readonly ip: Uint8Array;
			/** The Guest's, six bytes; otherwise a random one. */
			readonly mac: Uint8Array | undefined;
	  };

type Draft = {
	-readonly [Key in keyof ClassicOptions]: ClassicOptions[Key];
} & { devices: ClassicDevice[] };

/** What an option does; `value` is what stands behind its `=`. */
type Action = (draft: Draft, value: string) => void;

const WITH_VALUE: Readonly<Record<string, Action>> = {
	"--block": (draft, path) => {
		draft.devices.push({ kind: "block", path });
	},
	"--tunnet": (draft, spec) => {
		draft.devices.push(parseTunnet(spec));
	},
	"--initrd": (draft, path) => {
		draft.initrdPath = path;
	},
	"--engine": (draft, name) => {
		const kind = ENGINE_KINDS.find((known) => known === name);
		if (kind === undefined) {
			throw usage(`--engine=${name}: there are ${ENGINE_KINDS.join(", ")}.`);
		}
		draft.engine = kind;
	},
};

const WITHOUT_VALUE: Readonly<Record<string, Action>> = {
	"--verbose": (draft) => {
		draft.verbose = true;
	},
	"-v": (draft) => {
		draft.verbose = true;
	},
	"--rng": (draft) => {
		draft.devices.push({ kind: "rng" });
	},
};

/** They gave up privileges that this Launcher never has. */
const PRIVILEGES = ["--username", "--chroot"];

/** Whether the first word behind classic options, if any, is a number. */
export function isClassic(args: readonly string[]): boolean {
	const first = args.find((argument) => !isClassicOption(argument));
	return first !== undefined && /^\d+$/.test(first);
}

function isClassicOption(argument: string): boolean {
	const [name = "", value] = splitOption(argument);
	return value === undefined
		? name in WITHOUT_VALUE
		: name in WITH_VALUE || PRIVILEGES.includes(name);
}

/** Throws `UsageError` for whatever is wrong with it. */
export function parseClassic(args: readonly string[]): ClassicOptions {
	const draft: Draft = {
		memoryMib: 0,
		kernelPath: "",
		kernelArguments: "",
		verbose: false,
		initrdPath: undefined,
		engine: "auto",
		devices: [],
	};
	const words: string[] = [];
	const end = args.indexOf("--");
	const ours = end < 0 ? args : args.slice(0, end);
	for (const argument of ours) {
		if (argument.startsWith("-")) takeOption(draft, argument);
		else words.push(argument);
	}
	const rest = end < 0 ? [] : args.slice(end + 1);
	const [memory, kernel, ...kernelArguments] = [...words, ...rest];
	if (memory === undefined || kernel === undefined) {
		throw usage("The memory size in MiB and a kernel are needed.");
	}
	draft.memoryMib = Number(memory);
	draft.kernelPath = kernel;
	draft.kernelArguments = kernelArguments.join(" ");
	return draft;
}

function takeOption(draft: Draft, argument: string): void {
	const [name = "", value] = splitOption(argument);
	if (PRIVILEGES.includes(name)) {
		throw usage(`${name} gives up privileges, and this lguest has none.`);
	}
	const table = value === undefined ? WITHOUT_VALUE : WITH_VALUE;
	const action = Object.hasOwn(table, name) ? table[name] : undefined;
	if (action === undefined) throw usage(`There is no option ${argument}.`);
	action(draft, value ?? "");
}

/** `IP` or `IP:MAC`; there are no bridges without privileges. */
function parseTunnet(spec: string): ClassicDevice {
	if (spec.startsWith("bridge:")) {
		throw usage(
			`--tunnet=${spec}: joining a bridge needs privileges, and this lguest has none.`,
		);
	}
	const colon = spec.indexOf(":");
	const ipText = colon < 0 ? spec : spec.slice(0, colon);
	const ip = ipText.split(".").map(Number);
	const macText = colon < 0 ? undefined : spec.slice(colon + 1);
	const goodIp =
		/^\d+(\.\d+){3}$/.test(ipText) && ip.every((byte) => byte <= 255);
	const goodMac =
		macText === undefined || /^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(macText);
	if (!goodIp || !goodMac) throw usage(`--tunnet=${spec} is not IP or IP:MAC.`);
	const mac = macText?.split(":").map((byte) => Number.parseInt(byte, 16));
	return {
		kind: "net",
		ip: Uint8Array.from(ip),
		mac: mac && Uint8Array.from(mac),
	};
}

function splitOption(argument: string): [string, string?] {
	const at = argument.indexOf("=");
	return at < 0 ? [argument] : [argument.slice(0, at), argument.slice(at + 1)];
}

/** The original ended with status 1 for these, so ours does. */
class ClassicUsageError extends UsageError {
	override readonly exitStatus = 1 as 2;
}

function usage(message: string): UsageError {
	return new ClassicUsageError(message, {
		hint: "Usage: lguest [--verbose] [--block=FILE]... [--tunnet=IP[:MAC]] [--initrd=FILE] [--rng] MIB KERNEL [KERNEL ARGUMENTS...]",
	});
}
