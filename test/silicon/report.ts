/**
 * Writes what a run covered: a table of every row of the opcode table with
 * its hits per mode, and the rows that were left out with the reason.
 *
 * Relies on rows.ts and harness.ts; the command line and tests rely on it.
 *
 * @journey M:648 What was covered
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import type { Mode } from "./case.ts";
import type { RunSummary } from "./harness.ts";
import { CACHE } from "./oracle.ts";
import { eligibleRows, isObservable, rowKey, whyExcluded } from "./rows.ts";

/** Rows of the run's pattern that should have been hit but were not. */
export function missedRows(summary: RunSummary): string[] {
	return eligibleRows(summary.mode, summary.rows)
		.filter((row) => summary.hits[row.id] === 0)
		.map(rowKey);
}

/** Rows that cannot do anything but raise an exception or leave the sequence. */
const NEVER_COMPLETES = /^(UD[012]|INT1|INT3)$/;

/** Rows that were hit but only ever faulted although they need not. */
export function neverCompletedRows(summary: RunSummary): string[] {
	return eligibleRows(summary.mode, summary.rows)
		.filter(
			(row) =>
				isObservable(row, summary.mode) &&
				!NEVER_COMPLETES.test(row.mnemonic) &&
				summary.completed[row.id] === 0,
		)
		.map(rowKey);
}

function cell(summary: RunSummary | undefined, mode: Mode, id: number): string {
	const row = OPCODE_TABLE[id] as (typeof OPCODE_TABLE)[number];
	const why = whyExcluded(row, mode);
	if (why !== undefined) return why;
	if (summary === undefined) return "";
	const faults = isObservable(row, mode) ? "" : " (faults)";
	return faults === ""
		? `${summary.hits[id]} (${summary.completed[id]})`
		: `${summary.hits[id]}${faults}`;
}

/** The table in Markdown. */
export function coverageTable(summaries: readonly RunSummary[]): string {
	const of = (mode: Mode) => summaries.find((s) => s.mode === mode);
	const lines = [
		"# Silicon coverage",
		"",
		"Instances that started, and in brackets those that surely completed.",
		"",
	];
	for (const s of summaries)
		lines.push(
			`* ${s.mode}-bit: seed ${s.seed}, ${s.cases} cases, ${s.instances} instances, ` +
				`${s.failures.length + s.suppressed} differences, ${s.unstable} unstable, ` +
				`${s.endless} endless, ${missedRows(s).length} rows missed`,
		);
	lines.push(
		"",
		"| row | operands | 32-bit | 64-bit |",
		"| --- | --- | --- | --- |",
	);
	for (const row of OPCODE_TABLE) {
		const cells = [32, 64].map((m) => cell(of(m as Mode), m as Mode, row.id));
		lines.push(
			`| ${rowKey(row)} | ${row.operands.join(",")} | ${cells.join(" | ")} |`,
		);
	}
	return `${lines.join("\n")}\n`;
}

/** Writes the table into the ignored cache folder; returns the file's name. */
export function writeCoverage(summaries: readonly RunSummary[]): string {
	mkdirSync(CACHE, { recursive: true });
	const file = `${CACHE}silicon-coverage.md`;
	writeFileSync(file, coverageTable(summaries));
	return file;
}
