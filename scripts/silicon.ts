/**
 * `npm run silicon`: the long run of the silicon oracle, and the way to
 * repeat one failing case. test/silicon/README.md explains what it does.
 *
 * Relies on test/silicon.
 *
 * @journey M:652 The silicon command
 */
import { parseArgs } from "node:util";
import { parseCase } from "../test/silicon/case.ts";
import {
	checkCase,
	type RunSummary,
	runSilicon,
} from "../test/silicon/harness.ts";
import { modeUnavailable, oracleUnavailable } from "../test/silicon/oracle.ts";
import { missedRows, writeCoverage } from "../test/silicon/report.ts";
import type { Subject } from "../test/silicon/subject.ts";
import { SUBJECTS } from "../test/silicon/subjects.ts";

const USAGE = `npm run silicon -- [options]
  --engine NAME     ${Object.keys(SUBJECTS).join(", ")}
  --mode 32|64      both if not given
  --instances N     executed instructions per mode (2000000)
  --seconds N       time limit per mode
  --seed N          1
  --rows GLOB       mnemonics or row keys, * allowed, joined by commas
  --length N        most instructions per case (8)
  --failures N      different failures to shrink before stopping (10)
  --case LINE       run one line of a report or of kept.txt instead`;

function number(text: string | undefined, otherwise: number): number {
	const value = text === undefined ? otherwise : Number(text);
	if (!Number.isInteger(value) || value < 0) fail(`not a number: ${text}`);
	return value;
}

function fail(message: string): never {
	console.error(`${message}\n${USAGE}`);
	process.exit(2);
}

function progress(summary: RunSummary): void {
	if (!process.stderr.isTTY) return;
	process.stderr.write(
		`\r${summary.mode}-bit: ${summary.instances} instances, ${summary.failures.length} failures `,
	);
}

function conclude(summary: RunSummary): void {
	if (process.stderr.isTTY) process.stderr.write("\n");
	for (const failure of summary.failures) console.log(`${failure.report}\n`);
	const missed = missedRows(summary);
	console.log(
		`${summary.mode}-bit, seed ${summary.seed}: ${summary.cases} cases, ${summary.instances} instances; ` +
			`${summary.failures.length} failures, ${summary.suppressed} more like them, ` +
			`${summary.unstable} unstable, ${summary.endless} endless; ${missed.length} rows not hit`,
	);
	if (missed.length > 0 && missed.length < 30) console.log(missed.join(" "));
}

function runOneCase(line: string, subject: Subject): number {
	const differences = checkCase(parseCase(line), subject);
	for (const { field, silicon, subject: ours } of differences)
		console.log(`${field}: silicon ${silicon}, ${subject.name} ${ours}`);
	if (differences.length === 0) console.log("silicon and subject agree");
	return differences.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
	const { values } = parseArgs({
		options: {
			engine: { type: "string", default: "cold" },
			mode: { type: "string" },
			instances: { type: "string" },
			seconds: { type: "string" },
			seed: { type: "string" },
			rows: { type: "string" },
			length: { type: "string" },
			failures: { type: "string" },
			case: { type: "string" },
			help: { type: "boolean" },
		},
	});
	if (values.help) {
		console.log(USAGE);
		return 0;
	}
	const why = oracleUnavailable();
	if (why !== undefined) fail(why);
	const make = SUBJECTS[values.engine];
	if (make === undefined) fail(`no engine ${values.engine}`);
	const subject = await make();
	if (values.case !== undefined) return runOneCase(values.case, subject);
	const modes = values.mode === undefined ? [32, 64] : [Number(values.mode)];
	const summaries: RunSummary[] = [];
	for (const mode of modes) {
		if (mode !== 32 && mode !== 64) fail(`no mode ${mode}`);
		const missing = modeUnavailable(mode);
		if (missing !== undefined) {
			if (values.mode !== undefined) fail(missing);
			console.log(`${mode}-bit: skipped, ${missing}`);
			continue;
		}
		const summary = runSilicon(subject, {
			mode,
			seed: number(values.seed, 1),
			instances: number(values.instances, 2_000_000),
			seconds: number(values.seconds, 86_400),
			maxInstructions: number(values.length, 8),
			maxFailures: number(values.failures, 10),
			onProgress: progress,
			...(values.rows === undefined ? {} : { rows: values.rows }),
		});
		conclude(summary);
		summaries.push(summary);
	}
	console.log(`rows and hits: ${writeCoverage(summaries)}`);
	return summaries.every((s) => s.failures.length === 0) ? 0 : 1;
}

process.exitCode = await main();
