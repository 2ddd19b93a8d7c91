import { describe, expect, it } from "vitest";
import { compareResults } from "./compare.ts";
import { runSilicon } from "./harness.ts";
import { keptCases } from "./kept.ts";
import { oracleUnavailable, runOnSilicon } from "./oracle.ts";
import { missedRows, neverCompletedRows, writeCoverage } from "./report.ts";
import { SUBJECTS } from "./subjects.ts";

const long = process.env.LGUEST_LONG === "1";
/** Per mode: about a minute on a quiet machine. No time box: a run is its seed. */
const INSTANCES = long ? 2_000_000 : 250_000;
/** Silicon against itself only has to show that the oracle is deterministic. */
const NATIVE_INSTANCES = 50_000;
const SEED = 1;
const TIMEOUT_MS = long ? 7_200_000 : 1_200_000;

describe.skipIf(oracleUnavailable() !== undefined)("silicon", () => {
	for (const [name, make] of Object.entries(SUBJECTS)) {
		it(
			`finds no difference to ${name} in random user-mode cases`,
			async () => {
				const subject = await make();
				const summaries = subject.modes.map((mode) =>
					runSilicon(subject, {
						mode,
						seed: SEED,
						instances: name === "native" ? NATIVE_INSTANCES : INSTANCES,
					}),
				);
				if (name !== "native") writeCoverage(summaries);
				for (const summary of summaries) {
					expect(summary.failures.map((f) => f.report).join("\n\n")).toBe("");
					expect(summary.suppressed).toBe(0);
					expect(missedRows(summary)).toEqual([]);
					expect(neverCompletedRows(summary)).toEqual([]);
				}
			},
			TIMEOUT_MS,
		);

		it(`finds no difference to ${name} in the kept cases`, async () => {
			const subject = await make();
			const kept = keptCases().filter(({ test }) =>
				subject.modes.includes(test.mode),
			);
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
	}
});
