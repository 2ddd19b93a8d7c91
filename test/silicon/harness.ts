/**
 * One run of the silicon oracle: random cases in batches, first on the CPU,
 * then on the subject; every disagreement is checked for being repeatable,
 * shrunk and described.
 *
 * Relies on cases.ts, compare.ts, oracle.ts and shrink.ts; the command line
 * and the tests rely on it.
 *
 * @journey M:644 One run of the silicon oracle
 */
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import {
	formatCase,
	type Mode,
	type SiliconCase,
	type SiliconResult,
} from "./case.ts";
import { CaseGenerator } from "./cases.ts";
import {
	compareResults,
	type Difference,
	describeDifferences,
} from "./compare.ts";
import { endingIndex } from "./differences.ts";
import { followFlags } from "./flow.ts";
import { runOnSilicon } from "./oracle.ts";
import { rowKey, rowOfId } from "./rows.ts";
import { shrinkCase } from "./shrink.ts";
import type { Subject } from "./subject.ts";

export interface RunOptions {
	readonly mode: Mode;
	readonly seed: number;
	/** Stop after this many executed instruction instances … */
	readonly instances: number;
	/** … or after this time. */
	readonly seconds?: number;
	readonly rows?: string;
	readonly maxInstructions?: number;
	/** Different failures to shrink and report before stopping. */
	readonly maxFailures?: number;
	readonly onProgress?: (summary: RunSummary) => void;
}

export interface Failure {
	/** Groups failures that look alike. */
	readonly signature: string;
	/** The shrunk case as a line for kept.txt. */
	readonly line: string;
	readonly report: string;
}

export interface RunSummary {
	readonly mode: Mode;
	readonly seed: number;
	/** What the rows were restricted to. */
	readonly rows: string;
	cases: number;
	/** Instructions that surely started to execute. */
	instances: number;
	/** By row id: instances, and those of them that an instruction behind them proves to have completed. */
	readonly hits: Uint32Array;
	readonly completed: Uint32Array;
	readonly failures: Failure[];
	/** Disagreements beyond the reported ones. */
	suppressed: number;
	/** Cases for which silicon itself gave two different answers. */
	unstable: number;
	/** Cases that never ended. */
	endless: number;
}

const BATCH = 2048;
const REPEATS = 3;

/** Counts the instructions of a case that were certainly reached. */
function countHits(
	summary: RunSummary,
	test: SiliconCase,
	result: SiliconResult,
): void {
	const { certain } = followFlags(test);
	const ending = endingIndex(test, result);
	const last = ending < 0 ? test.instructions.length - 1 : ending;
	test.instructions.forEach(({ row }, i) => {
		if (i > last || (certain[i] !== true && i !== ending)) return;
		summary.hits[row] = (summary.hits[row] as number) + 1;
		if (i < ending)
			summary.completed[row] = (summary.completed[row] as number) + 1;
		summary.instances++;
	});
}

function signatureOf(
	test: SiliconCase,
	silicon: SiliconResult,
	differences: readonly Difference[],
): string {
	const { instructions } = test;
	const ending = endingIndex(test, silicon);
	const culprit = instructions[ending] ?? instructions[instructions.length - 1];
	const name = culprit === undefined ? "" : rowKey(rowOfId(culprit.row));
	const fields = differences.map(({ field }) =>
		field.replace(/^(data).*|^(st|xmm)\d+|^[er][a-ds][xip]$|^r\d+$/, "$1$2"),
	);
	return `${name} ${[...new Set(fields)].join(" ")}`;
}

/** True if silicon gives the same answer again, alone and repeatedly. */
function isRepeatable(test: SiliconCase, result: SiliconResult): boolean {
	const again = runOnSilicon(new Array(REPEATS).fill(test));
	return again.every(
		(other) => compareResults(test, result, other).length === 0,
	);
}

function failsOn(subject: Subject) {
	return (candidates: readonly SiliconCase[]): boolean[] => {
		const results = runOnSilicon(candidates);
		subject.prepare?.(candidates);
		return results.map((result, i) => {
			const test = candidates[i] as SiliconCase;
			return compareResults(test, result, subject.run(test)).length > 0;
		});
	};
}

/** The shrunk failure, ready to be printed and kept. */
export function explainFailure(test: SiliconCase, subject: Subject): Failure {
	const small = shrinkCase(test, failsOn(subject));
	const [silicon] = runOnSilicon([small]) as [SiliconResult];
	const differences = compareResults(small, silicon, subject.run(small));
	const line = formatCase(small);
	return {
		signature: signatureOf(small, silicon, differences),
		line,
		report: describeDifferences(small, silicon, differences, line),
	};
}

function judge(
	summary: RunSummary,
	test: SiliconCase,
	silicon: SiliconResult,
	subject: Subject,
	known: Set<string>,
	maxFailures: number,
): void {
	const differences = compareResults(test, silicon, subject.run(test));
	if (differences.length === 0) return;
	const signature = signatureOf(test, silicon, differences);
	if (known.has(signature) || summary.failures.length >= maxFailures) {
		summary.suppressed++;
		return;
	}
	if (!isRepeatable(test, silicon)) {
		summary.unstable++;
		return;
	}
	known.add(signature);
	const failure = explainFailure(test, subject);
	if (summary.failures.some((f) => f.signature === failure.signature))
		summary.suppressed++;
	else summary.failures.push(failure);
}

/** Runs until enough instances, the time is over, or too much has failed. */
export function runSilicon(subject: Subject, options: RunOptions): RunSummary {
	const { mode, seed, maxFailures = 10 } = options;
	const generator = new CaseGenerator(options);
	const summary: RunSummary = {
		mode,
		seed,
		rows: options.rows ?? "*",
		cases: 0,
		instances: 0,
		hits: new Uint32Array(OPCODE_TABLE.length),
		completed: new Uint32Array(OPCODE_TABLE.length),
		failures: [],
		suppressed: 0,
		unstable: 0,
		endless: 0,
	};
	const known = new Set<string>();
	const end = performance.now() + 1000 * (options.seconds ?? Infinity);
	while (
		summary.instances < options.instances &&
		performance.now() < end &&
		summary.failures.length < maxFailures
	) {
		const batch = Array.from({ length: BATCH }, () => generator.next());
		const results = runOnSilicon(batch);
		subject.prepare?.(batch);
		results.forEach((silicon, i) => {
			const test = batch[i] as SiliconCase;
			summary.cases++;
			if (!silicon.ended) summary.endless++;
			countHits(summary, test, silicon);
			judge(summary, test, silicon, subject, known, maxFailures);
		});
		options.onProgress?.(summary);
	}
	return summary;
}

/** Runs one case on both sides; for kept lines. */
export function checkCase(test: SiliconCase, subject: Subject): Difference[] {
	const [silicon] = runOnSilicon([test]) as [SiliconResult];
	return compareResults(test, silicon, subject.run(test));
}
