/**
 * The command line of `npm run bench`, understood: what to measure, with which
 * engines, how often. An option that would change nothing is refused.
 *
 * `scripts/bench.ts` relies on it.
 */

import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../sources.ts";
import { BLOCK_WORKLOADS } from "./block.ts";
import { type BenchEngine, ENGINES } from "./measure.ts";
import { NETWORK_WORKLOADS } from "./network.ts";
import { WIDE_LOOPS } from "./wide.ts";
import { BOOT, RATE, type Scale, WORKLOADS } from "./workloads.ts";

export const USAGE = `usage: npm run bench -- [options]
--list             names the workloads
--block            disks: their workloads instead of those of the processor
--network          two guests, one sending to the other
--start            from the command to the default guest's prompt, and idling there
--queue            virtqueues: what each buffer costs
--lguest KERNEL    a kernel made for lguest: until its init, and turns of a shell
--wide             64-bit loops beside the same as 32-bit code, on a bare processor
--only A,B         these workloads only; --start, --queue and --lguest have no choice
--engines A,B      of ${ENGINES.join(", ")}
--rounds N         rounds to run (3)
--scale SCALE      full, or small for interpreters; chosen by the engines
--output DIR       where bench.json and bench.svg go (.cache/bench)
--publish          write them to docs/, where the README shows them
`;

/** What a run is to be. */
export interface Options {
	readonly mode: Mode;
	/** Path of the kernel to measure, in mode "lguest". */
	readonly kernel: string | undefined;
	/** Names of the mode's workloads; undefined: all. */
	readonly only: readonly string[] | undefined;
	readonly engines: readonly BenchEngine[];
	readonly rounds: number;
	readonly scale: Scale;
	readonly output: string;
}

/** Wrong usage is the caller's mistake, told in one line. */
export class UsageError extends Error {}

/** Understands the command line. Throws `UsageError`, or what `parseArgs` throws. */
export function parseOptions(
	args: readonly string[],
): Options | "list" | "help" {
	const { values } = parseArgs({
		args: [...args],
		options: {
			block: { type: "boolean", default: false },
			start: { type: "boolean", default: false },
			network: { type: "boolean", default: false },
			queue: { type: "boolean", default: false },
			wide: { type: "boolean", default: false },
			lguest: { type: "string" },
			list: { type: "boolean", default: false },
			help: { type: "boolean", default: false },
			only: { type: "string" },
			engines: { type: "string" },
			rounds: { type: "string", default: "3" },
			scale: { type: "string" },
			output: { type: "string", default: join(projectRoot, ".cache/bench") },
			publish: { type: "boolean", default: false },
		},
	});
	if (values.help) return "help";
	if (values.list) return "list";
	const mode = modeOf(values);
	const possible = possibleEngines(mode);
	const engines =
		values.engines?.split(",").map((name) => oneOf("engine", name, possible)) ??
		USUAL.filter((engine) => possible.includes(engine));
	const rounds = Number(values.rounds);
	if (!Number.isInteger(rounds) || rounds < 1) {
		throw new UsageError(
			`--rounds takes a number from 1, not ${values.rounds}`,
		);
	}
	const scale = values.scale ?? defaultScale(engines);
	return {
		mode,
		kernel: values.lguest,
		only: chosenWorkloads(mode, values.only),
		engines,
		rounds,
		scale: oneOf("scale", scale, ["full", "small"] as const),
		output: values.publish ? join(projectRoot, "docs") : resolve(values.output),
	};
}

/** What is measured: the processor unless something else is asked for. */
export type Mode =
	| "processor"
	| "block"
	| "start"
	| "network"
	| "queue"
	| "lguest"
	| "wide";

function modeOf(values: Readonly<Record<string, unknown>>): Mode {
	const all = [
		...(["block", "start", "network", "queue", "lguest", "wide"] as const),
	];
	const modes = all.filter((mode) => Boolean(values[mode]));
	const [mode = "processor", another] = modes;
	if (another === undefined) return mode;
	throw new UsageError(`--${mode} or --${another}, one at a time`);
}

/** By mode; what has just one thing to do has no list. */
const WORKLOAD_NAMES: Readonly<Record<Mode, readonly string[] | undefined>> = {
	processor: [BOOT, RATE, ...WORKLOADS].map(({ name }) => name),
	block: BLOCK_WORKLOADS.map(({ name }) => name),
	network: NETWORK_WORKLOADS.map(({ name }) => name),
	start: undefined,
	queue: undefined,
	lguest: undefined,
	wide: WIDE_LOOPS.map(({ name }) => name),
};

function chosenWorkloads(
	mode: Mode,
	only: string | undefined,
): readonly string[] | undefined {
	const known = WORKLOAD_NAMES[mode];
	if (only === undefined) return undefined;
	if (known === undefined) {
		throw new UsageError(`--${mode} is all there is to it, without --only`);
	}
	return only.split(",").map((name) => oneOf("workload", name, known));
}

/** The machine itself has no disk of ours, and does not start; what has no disk has no overlay; v86 has no virtio network, and no 64-bit code. */
function possibleEngines(mode: Mode): BenchEngine[] {
	if (mode === "wide") return ["ours"];
	if (mode === "lguest") return ["ours", "qemu"];
	const guestsOnly = ["block", "start", "network"].includes(mode);
	return ENGINES.filter(
		(engine) =>
			!(guestsOnly && ["native", "ours-web"].includes(engine)) &&
			!(mode !== "block" && engine === "ours-overlay") &&
			!(mode === "network" && engine.startsWith("v86")),
	);
}

const USUAL: readonly BenchEngine[] = [
	...(["ours", "ours-overlay", "v86", "qemu", "native"] as const),
];

function defaultScale(engines: readonly BenchEngine[]): Scale {
	const interpreters: readonly BenchEngine[] = ["ours-cold", "v86-interpreter"];
	return engines.some((e) => interpreters.includes(e)) ? "small" : "full";
}

function oneOf<T extends string>(
	what: string,
	name: string,
	known: readonly T[],
): T {
	const found = known.find((candidate) => candidate === name);
	if (found !== undefined) return found;
	throw new UsageError(`no ${what} "${name}"; there are: ${known.join(", ")}`);
}

/** Whether `parseArgs` has thrown it. */
export function isParseArgsError(error: unknown): boolean {
	const code = (error as { code?: unknown }).code;
	return String(code).startsWith("ERR_PARSE_ARGS");
}
