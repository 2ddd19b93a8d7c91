/**
 * Turns samples into the benchmark's report: medians, spread, ratios, what
 * failed, and on which machine with which versions it was measured. The report
 * is the JSON file; the printed table and the chart are views of it.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { debianAssetOrigin } from "../debian.ts";
import type { BenchEngine, Sample } from "./measure.ts";
import { geometricMean, median, relativeSpread } from "./statistics.ts";
import {
	BOOT,
	RATE,
	type Scale,
	WORKLOADS,
	type Workload,
} from "./workloads.ts";

/** One engine's result for one workload over all rounds. */
export interface Cell {
	readonly median: number;
	/** Largest minus smallest, relative to the median. */
	readonly spread: number;
	readonly values: readonly number[];
}

/** One workload over all engines. */
export interface Row {
	readonly workload: string;
	readonly about: string;
	readonly unit: "seconds" | "instructions per second";
	readonly cells: Partial<Record<BenchEngine, Cell>>;
	/** Every engine that ran it printed the same. */
	readonly agreed: boolean;
}

/** Everything a run found out; what `--json` writes. */
export interface Report {
	readonly date: string;
	readonly scale: Scale;
	readonly rounds: number;
	readonly machine: Readonly<Record<string, string>>;
	readonly engines: readonly BenchEngine[];
	readonly rows: readonly Row[];
	readonly peakMiB: Partial<Record<BenchEngine, number>>;
	readonly guestMiB: number;
	readonly failures: readonly Sample[];
}

/** Collects samples into rows, judging each result against the others. */
export function buildRows(
	samples: readonly Sample[],
	engines: readonly BenchEngine[],
	workloads: readonly Workload[] = WORKLOADS,
): { rows: Row[]; failures: Sample[] } {
	const failures = samples.filter((sample) => sample.failure !== undefined);
	const rows: Row[] = [];
	for (const { name, about } of [BOOT, RATE, ...workloads]) {
		const good = samples.filter(
			(sample) => sample.workload === name && sample.value !== undefined,
		);
		if (good.length === 0) continue;
		const expected = expectedOutput(good);
		const wrong = good.filter((sample) => sample.output !== expected);
		for (const sample of wrong) {
			const failure = `wrong result: ${JSON.stringify(sample.output)} instead of ${JSON.stringify(expected)}`;
			failures.push({ engine: sample.engine, workload: name, failure });
		}
		const right = good.filter((sample) => sample.output === expected);
		rows.push({
			workload: name,
			about,
			unit: name === RATE.name ? "instructions per second" : "seconds",
			cells: cellsOf(right, engines),
			agreed: wrong.length === 0,
		});
	}
	return { rows, failures };
}

/** The machine itself is right; without it, the first engine sets the mark. */
function expectedOutput(samples: readonly Sample[]): string | undefined {
	const native = samples.find((sample) => sample.engine === "native");
	return (native ?? samples[0])?.output;
}

function cellsOf(
	samples: readonly Sample[],
	engines: readonly BenchEngine[],
): Partial<Record<BenchEngine, Cell>> {
	const cells: Partial<Record<BenchEngine, Cell>> = {};
	for (const engine of engines) {
		const values = samples
			.filter((sample) => sample.engine === engine)
			.map((sample) => sample.value ?? Number.NaN);
		if (values.length === 0) continue;
		cells[engine] = {
			median: median(values),
			spread: relativeSpread(values),
			values,
		};
	}
	return cells;
}

/**
 * How many times faster `engine` is than `other` on a row; `undefined` where
 * one of them has no result.
 */
export function speedRatio(
	row: Row,
	engine: BenchEngine,
	other: BenchEngine,
): number | undefined {
	const a = row.cells[engine]?.median;
	const b = row.cells[other]?.median;
	if (a === undefined || b === undefined) return undefined;
	return row.unit === "seconds" ? b / a : a / b;
}

/** Geometric mean of `speedRatio` over the timed rows that have both. */
export function meanSpeedRatio(
	rows: readonly Row[],
	engine: BenchEngine,
	other: BenchEngine,
): number | undefined {
	const ratios = rows
		.filter((row) => row.unit === "seconds")
		.map((row) => speedRatio(row, engine, other))
		.filter((ratio) => ratio !== undefined);
	return ratios.length === 0 ? undefined : geometricMean(ratios);
}

/** Pairs worth a column: each translator and interpreter with its rival. */
const PAIRS: readonly (readonly [BenchEngine, BenchEngine])[] = [
	["ours", "v86"],
	["ours-overlay", "v86"],
	["ours", "qemu"],
	["ours", "native"],
	["ours-web", "ours"],
	["ours-cold", "v86-interpreter"],
	["ours", "ours-cold"],
	["qemu", "v86"],
];

/** The report for a terminal. */
export function formatReport(report: Report): string {
	const { engines, rows } = report;
	const pairs = PAIRS.filter((pair) => pair.every((e) => engines.includes(e)));
	const head = [
		"workload",
		...engines.map((engine) => engine),
		...pairs.map(([a, b]) => `${a} : ${b}`),
	];
	const body = rows.map((row) => [
		row.agreed ? row.workload : `${row.workload} (!)`,
		...engines.map((engine) => formatCell(row, engine)),
		...pairs.map(([a, b]) => formatRatio(speedRatio(row, a, b))),
	]);
	const mean = [
		"geometric mean",
		...engines.map(() => ""),
		...pairs.map(([a, b]) => formatRatio(meanSpeedRatio(rows, a, b))),
	];
	return [
		...Object.entries(report.machine).map(([key, value]) => `${key}: ${value}`),
		`${report.rounds} round(s), ${report.scale} scale; seconds (spread), or million instructions per second; a ratio above 1 means the first is faster`,
		"",
		alignColumns([head, ...body, mean]),
		"",
		...formatMemory(report),
		...report.failures.map(
			({ engine, workload, failure }) =>
				`FAILED ${engine} ${workload}: ${failure ?? ""}`,
		),
	].join("\n");
}

function formatMemory(report: Report): string[] {
	return Object.entries(report.peakMiB).map(
		([engine, peak]) =>
			`peak memory of ${engine}: ${Math.round(peak)} MiB with a guest of ${report.guestMiB} MiB`,
	);
}

function formatCell(row: Row, engine: BenchEngine): string {
	const cell = row.cells[engine];
	if (cell === undefined) return "-";
	const spread = `±${Math.round((cell.spread / 2) * 100)}%`;
	return row.unit === "seconds"
		? `${cell.median.toFixed(3)} ${spread}`
		: `${(cell.median / 1e6).toFixed(1)}M ${spread}`;
}

function formatRatio(ratio: number | undefined): string {
	return ratio === undefined ? "-" : ratio.toFixed(2);
}

function alignColumns(table: readonly (readonly string[])[]): string {
	const widths = (table[0] ?? []).map((_, column) =>
		Math.max(...table.map((row) => (row[column] ?? "").length)),
	);
	const lines = table.map((row) =>
		row
			.map((text, column) =>
				column === 0
					? text.padEnd(widths[column] ?? 0)
					: text.padStart(widths[column] ?? 0),
			)
			.join("  "),
	);
	return lines.join("\n");
}

/** What a reader needs in order to repeat or to doubt the numbers. */
export async function describeMachine(): Promise<Record<string, string>> {
	const [cpu] = cpus();
	const kernel = await debianAssetOrigin("kernel-686");
	return {
		machine: `${cpu?.model.trim() ?? "unknown"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
		lguest: `${packageVersion("../../package.json")} ${commit()}`.trim(),
		node: `${process.version} (V8 ${process.versions.v8})`,
		v86: packageVersion("../../node_modules/v86/package.json"),
		qemu: firstLineOf("qemu-system-i386", ["--version"]),
		guest: kernel ?? "unknown kernel",
	};
}

function packageVersion(path: string): string {
	try {
		const text = readFileSync(new URL(path, import.meta.url), "utf8");
		return String(JSON.parse(text).version);
	} catch {
		return "not installed";
	}
}

function commit(): string {
	const hash = firstLineOf("git", ["rev-parse", "--short", "HEAD"]);
	return hash === "not installed" ? "" : `(${hash})`;
}

function firstLineOf(program: string, args: readonly string[]): string {
	try {
		const options = { encoding: "utf8", stdio: "pipe" } as const;
		return execFileSync(program, args, options).split("\n")[0] ?? "";
	} catch {
		return "not installed";
	}
}
