/**
 * `npm run bench`: the same guest, the same kernel and the same workloads on
 * `lguest`, v86, QEMU's TCG and the machine itself, in rounds that visit every
 * engine. Prints a table, writes the report as JSON and as a chart. Relies on
 * `scripts/bench/` and on Debian's packages; the README's chart comes from it.
 */

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { CLI } from "../test/boot/engines.ts";
import { runsI386 } from "../test/boot/native-userland.ts";
import { BLOCK_WORKLOADS, buildBlockImage } from "./bench/block.ts";
import { drawChart } from "./bench/chart.ts";
import { buildBenchImage } from "./bench/guest-image.ts";
import { LGUEST_WORKLOADS, measureLguest } from "./bench/lguest-kernel.ts";
import {
	type BenchEngine,
	measureRound,
	type Plan,
	type Sample,
} from "./bench/measure.ts";
import { measureNetwork, NETWORK_WORKLOADS } from "./bench/network.ts";
import {
	isParseArgsError,
	type Options,
	parseOptions,
	USAGE,
	UsageError,
} from "./bench/options.ts";
import { benchQueues } from "./bench/queue.ts";
import {
	buildRows,
	describeMachine,
	formatReport,
	type Report,
} from "./bench/report.ts";
import { formatIdle, measureStart, START, type Start } from "./bench/start.ts";
import { benchWide, WIDE_LOOPS } from "./bench/wide.ts";
import { BOOT, RATE, WORKLOADS, type Workload } from "./bench/workloads.ts";
import { debianAsset, installTools } from "./debian.ts";

const GUEST_MIB = 256;

function say(line: string): void {
	process.stderr.write(`bench: ${line}\n`);
}

/** Engines that cannot run here are left out, aloud. */
async function availableEngines(
	wanted: readonly BenchEngine[],
): Promise<BenchEngine[]> {
	const obstacles: Partial<Record<BenchEngine, string>> = {};
	if (!existsSync(CLI)) {
		obstacles.ours = "the project is not built; run npm run build";
		obstacles["ours-cold"] = obstacles.ours;
	}
	if (!existsSync("/usr/bin/chromium")) {
		obstacles["ours-web"] = "chromium is not installed";
	}
	if (!existsSync("/usr/bin/qemu-system-i386")) {
		obstacles.qemu = "qemu-system-i386 is not installed";
	}
	if (!(await runsI386())) {
		obstacles.native =
			"this machine's kernel runs no i386 programs, and an emulator's times would not be the machine's";
	}
	for (const engine of wanted) {
		if (obstacles[engine]) say(`skipping ${engine}: ${obstacles[engine]}`);
	}
	return wanted.filter((engine) => obstacles[engine] === undefined);
}

async function makePlan(options: Options): Promise<Plan> {
	await installTools("bench");
	const kernel = await debianAsset("kernel-686");
	const block = options.mode === "block";
	const blockImage = block ? await buildBlockImage() : undefined;
	const image = block ? blockImage : await buildBenchImage();
	if (kernel === undefined || image === undefined) {
		throw new UsageError("the benchmark needs Debian's kernel and busybox");
	}
	const wanted = wantedBy(options);
	return {
		kernel,
		image,
		...(blockImage && { disk: blockImage.disk }),
		workloads: workloadsOf(options).filter(({ name }) => wanted(name)),
		scale: options.scale,
		boot: !block && wanted(BOOT.name),
		// Counting costs a boot of its own, so it is left to those who ask.
		rate:
			options.only?.includes(RATE.name) ??
			(!block && options.scale === "small"),
		memoryMiB: GUEST_MIB,
	};
}

const wantedBy =
	({ only }: Options) =>
	(name: string): boolean =>
		only === undefined || only.includes(name);

function workloadsOf({ mode }: Options): readonly Workload[] {
	return mode === "block" ? BLOCK_WORKLOADS : WORKLOADS;
}

async function run(options: Options): Promise<number> {
	const plan = await makePlan(options);
	const engines = await availableEngines(options.engines);
	const samples: Sample[] = [];
	const peakMiB: Partial<Record<BenchEngine, number>> = {};
	await eachRound(options.rounds, engines, async (engine) => {
		const result = await measureRound(engine, plan);
		samples.push(...result.samples);
		if (result.peakMiB === undefined) return;
		peakMiB[engine] = Math.max(peakMiB[engine] ?? 0, result.peakMiB);
	});
	const report = await makeReport(
		options,
		engines,
		samples,
		workloadsOf(options),
		peakMiB,
	);
	process.stdout.write(`${formatReport(report)}\n`);
	if (options.mode !== "block") await save(report, options.output);
	return report.failures.length === 0 ? 0 : 1;
}

/** The default guest from `npm start` to its prompt, and at rest. */
async function runStart(options: Options): Promise<number> {
	const starts: Start[] = [];
	const status = await runOf(
		"the default guest",
		options,
		[START],
		async (engine) => {
			const start = await measureStart(engine, GUEST_MIB);
			starts.push(start);
			return [start.sample];
		},
	);
	process.stdout.write(`${formatIdle(starts).join("\n")}\n`);
	return status;
}

function runNetwork(options: Options): Promise<number> {
	const wanted = wantedBy(options);
	const workloads = NETWORK_WORKLOADS.filter(({ name }) => wanted(name));
	return runOf("the default guest", options, workloads, (engine) =>
		measureNetwork(engine, workloads),
	);
}

function runLguest(options: Options): Promise<number> {
	const { kernel = "" } = options;
	return runOf(basename(kernel), options, LGUEST_WORKLOADS, (engine) =>
		measureLguest(engine, kernel),
	);
}

/** No guest system at all: loops on a bare processor. */
async function runWide({ rounds, only }: Options): Promise<void> {
	const table = await benchWide(rounds, only, say);
	const { machine, lguest, node } = await describeMachine();
	process.stdout.write(`${table}\n${machine}; ${lguest}; ${node}\n`);
}

/** Of a guest that needs nothing but what it has; nothing is written. */
async function runOf(
	guest: string,
	options: Options,
	workloads: readonly Workload[],
	measure: (engine: BenchEngine) => Promise<readonly Sample[]>,
): Promise<number> {
	await installTools("bench");
	const engines = await availableEngines(options.engines);
	const samples: Sample[] = [];
	await eachRound(options.rounds, engines, async (engine) => {
		samples.push(...(await measure(engine)));
	});
	const report = await makeReport(options, engines, samples, workloads, {});
	const machine = { ...report.machine, guest };
	process.stdout.write(`${formatReport({ ...report, machine })}\n`);
	return report.failures.length === 0 ? 0 : 1;
}

/** Rotated, so that no engine always follows the same neighbour. */
async function eachRound(
	rounds: number,
	engines: readonly BenchEngine[],
	measure: (engine: BenchEngine) => Promise<void>,
): Promise<void> {
	for (let round = 1; round <= rounds; round++) {
		const first = (round - 1) % Math.max(1, engines.length);
		const order = [...engines.slice(first), ...engines.slice(0, first)];
		for (const engine of order) {
			say(`round ${round} of ${rounds}: ${engine}`);
			await measure(engine);
		}
	}
}

async function makeReport(
	options: Options,
	engines: readonly BenchEngine[],
	samples: readonly Sample[],
	workloads: readonly Workload[],
	peakMiB: Report["peakMiB"],
): Promise<Report> {
	const { rows, failures } = buildRows(samples, engines, workloads);
	return {
		date: new Date().toISOString(),
		scale: options.scale,
		rounds: options.rounds,
		machine: await describeMachine(),
		engines,
		rows,
		peakMiB,
		guestMiB: GUEST_MIB,
		failures,
	};
}

async function save(report: Report, directory: string): Promise<void> {
	await mkdir(directory, { recursive: true });
	const json = join(directory, "bench.json");
	await writeFile(json, `${JSON.stringify(report, null, "\t")}\n`);
	say(`wrote ${relative(process.cwd(), json)}`);
	const chart = drawChart(report);
	if (chart === undefined) return;
	const svg = join(directory, "bench.svg");
	await writeFile(svg, chart);
	say(`wrote ${relative(process.cwd(), svg)}`);
}

function list(): void {
	for (const { name, about } of [
		...[BOOT, RATE, ...WORKLOADS, ...BLOCK_WORKLOADS],
		...[...NETWORK_WORKLOADS, ...LGUEST_WORKLOADS, ...WIDE_LOOPS],
	]) {
		process.stdout.write(`${name.padEnd(20)}${about}\n`);
	}
}

async function main(args: readonly string[]): Promise<number> {
	try {
		const options = parseOptions(args);
		if (options === "help") process.stdout.write(USAGE);
		else if (options === "list") list();
		else if (options.mode === "queue") {
			process.stdout.write(`${benchQueues(options.rounds)}\n`);
		} else if (options.mode === "wide") await runWide(options);
		else if (options.mode === "start") return await runStart(options);
		else if (options.mode === "network") return await runNetwork(options);
		else if (options.mode === "lguest") return await runLguest(options);
		else return await run(options);
		return 0;
	} catch (error) {
		const usage = error instanceof UsageError || isParseArgsError(error);
		if (!usage) throw error;
		say((error as Error).message);
		process.stderr.write(USAGE);
		return 2;
	}
}

process.exitCode = await main(process.argv.slice(2));
