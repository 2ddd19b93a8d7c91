import { describe, expect, it } from "vitest";
import type { Mode } from "./case.ts";
import { compareResults } from "./compare.ts";
import { type RunSummary, runSilicon } from "./harness.ts";
import { keptCases } from "./kept.ts";
import { modeUnavailable, runOnSilicon } from "./oracle.ts";
import { missedRows, neverCompletedRows, writeCoverage } from "./report.ts";
import { SUBJECTS } from "./subjects.ts";

const long = process.env.LGUEST_LONG === "1";
/** Per mode: about a minute on a quiet machine. No time box: a run is its seed. */
const INSTANCES = long ? 2_000_000 : 250_000;
/** Silicon against itself only has to show that the oracle is deterministic; compiling regions takes its time. */
const FEWER: Readonly<Record<string, number>> = {
	native: 50_000,
	hot: long ? 200_000 : 8_000,
};
const SEED = 1;
const TIMEOUT_MS = long ? 7_200_000 : 1_200_000;

/** Both modes are in the report; one that this machine cannot run is skipped there, with the reason. */
function inEachMode(title: string, check: (mode: Mode) => void): void {
	for (const mode of [32, 64] as const) {
		const why = modeUnavailable(mode);
		it.skipIf(why !== undefined)(
			`${title} in ${mode}-bit mode${why === undefined ? "" : ` (${why})`}`,
			() => check(mode),
			TIMEOUT_MS,
		);
	}
}

for (const [name, make] of Object.entries(SUBJECTS)) {
	describe(`silicon and ${name}`, async () => {
		const subject = await make();
		const covered: RunSummary[] = [];

		inEachMode("agree about random user-mode cases", (mode) => {
			const summary = runSilicon(subject, {
				mode,
				seed: SEED,
				instances: FEWER[name] ?? INSTANCES,
			});
			covered.push(summary);
			if (name === "cold") writeCoverage(covered);
			expect(summary.failures.map((f) => f.report).join("\n\n")).toBe("");
			expect(summary.suppressed).toBe(0);
			if (name === "hot") return; // too few for every row
			expect(missedRows(summary)).toEqual([]);
			expect(neverCompletedRows(summary)).toEqual([]);
		});

		inEachMode("agree about the kept cases", (mode) => {
			const kept = keptCases().filter(({ test }) => test.mode === mode);
			const results = runOnSilicon(kept.map(({ test }) => test));
			const wrong = kept.flatMap(({ line, test }, i) => {
				const result = results[i] as (typeof results)[number];
				const differences = compareResults(test, result, subject.run(test));
				return differences.map(
					(d) =>
						`kept.txt:${line} ${d.field}: silicon ${d.silicon}, ${name} ${d.subject}`,
				);
			});
			expect(wrong).toEqual([]);
		});
	});
}
