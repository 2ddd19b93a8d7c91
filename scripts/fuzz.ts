/**
 * `npm run fuzz`: hostile input, from seeds, for as long as you like. Every
 * target runs in a thread of its own that is watched from here: an exception, a
 * case that does not end and memory that keeps growing are findings, and each
 * is one line that repeats it. The targets are in `test/fuzz/targets.ts`.
 */

import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { FUZZ_TARGETS } from "../test/fuzz/targets.ts";
import type { FuzzAnswer, FuzzOrder } from "./fuzz/worker.ts";

const USAGE = `usage: npm run fuzz -- [options]
--seconds N     for each target (30)
--target A,B    these targets only
--seed N        this one case, which a finding named
--list          names the targets
`;

/** A case takes milliseconds; this long is for ever, also on a busy machine. */
const LONGEST_CASE_MS = 60_000;
const MOST_HEAP_MB = 512;
const MOST_GROWTH_BYTES = 1 << 30;

interface Options {
	readonly targets: readonly string[];
	readonly seconds: number;
	readonly seed: number | undefined;
}

function parseOptions(args: readonly string[]): Options | "list" | "help" {
	const { values } = parseArgs({
		args: [...args],
		options: {
			seconds: { type: "string", default: "30" },
			target: { type: "string" },
			seed: { type: "string" },
			list: { type: "boolean", default: false },
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) return "help";
	if (values.list) return "list";
	const known = FUZZ_TARGETS.map(({ name }) => name);
	const targets = values.target?.split(",") ?? known;
	const strange = targets.find((name) => !known.includes(name));
	const numbers = [values.seconds, values.seed ?? "0"];
	const bad = strange ?? numbers.find((text) => !/^\d+$/.test(text));
	if (bad !== undefined) throw new TypeError(`"${bad}" is not understood`);
	const seed = values.seed === undefined ? undefined : Number(values.seed);
	return { targets, seconds: Number(values.seconds), seed };
}

/** Runs one target to its end; the finding in words, if there is one. */
async function fuzz(target: string, options: Options): Promise<FuzzAnswer> {
	const progress = new SharedArrayBuffer(4);
	const order: FuzzOrder = {
		...{ target, progress },
		// Another run tries other cases.
		firstSeed: options.seed ?? Math.floor(Date.now() / 1000) * 1000,
		cases: options.seed === undefined ? Number.POSITIVE_INFINITY : 1,
		milliseconds: options.seconds * 1000,
	};
	const worker = new Worker(new URL("fuzz/worker.ts", import.meta.url), {
		workerData: order,
		resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB },
	});
	const watch = watchFor(progress);
	try {
		return await new Promise<FuzzAnswer>((resolve) => {
			const find = (error: string) => {
				const seed = (new Int32Array(progress)[0] ?? 0) >>> 0;
				resolve({ cases: 0, finding: { seed, error } });
			};
			worker.once("message", resolve);
			worker.once("error", (error) => find(String(error)));
			watch.onFinding = find;
		});
	} finally {
		watch.stop();
		await worker.terminate();
	}
}

/** Looks every second whether cases go by and memory does not. */
function watchFor(progress: SharedArrayBuffer) {
	const seen = new Int32Array(progress);
	const before = process.memoryUsage().rss;
	let last = { seed: seen[0], since: performance.now() };
	const watch = {
		onFinding: (_what: string) => {},
		stop: () => clearInterval(timer),
	};
	const timer = setInterval(() => {
		const now = performance.now();
		if (seen[0] !== last.seed) last = { seed: seen[0], since: now };
		if (now - last.since > LONGEST_CASE_MS) {
			watch.onFinding(`no end after ${LONGEST_CASE_MS / 1000} s`);
		}
		const grown = process.memoryUsage().rss - before;
		if (grown > MOST_GROWTH_BYTES) {
			watch.onFinding(`${grown >> 20} MiB more than at the start`);
		}
	}, 1000);
	return watch;
}

async function main(args: readonly string[]): Promise<number> {
	let options: ReturnType<typeof parseOptions>;
	try {
		options = parseOptions(args);
	} catch (error) {
		process.stderr.write(`fuzz: ${(error as Error).message}\n${USAGE}`);
		return 2;
	}
	if (options === "help") process.stdout.write(USAGE);
	if (options === "list") {
		for (const { name, about } of FUZZ_TARGETS) {
			process.stdout.write(`${name.padEnd(20)}${about}\n`);
		}
	}
	return typeof options === "string" ? 0 : await fuzzAll(options);
}

async function fuzzAll(options: Options): Promise<number> {
	let findings = 0;
	for (const target of options.targets) {
		const { cases, finding } = await fuzz(target, options);
		if (finding === undefined) {
			process.stdout.write(`${target}: ${cases} cases, no finding\n`);
			continue;
		}
		findings++;
		process.stdout.write(
			`${target}: FINDING, npm run fuzz -- --target ${target} --seed ${finding.seed}\n${finding.error}\n`,
		);
	}
	return findings === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
