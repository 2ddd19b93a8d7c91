import { describe, expect, it } from "vitest";
import { addTally, failuresOfReport, tallyOfReport } from "./tally.ts";

const report = (passed: number, failed: number, pending = 0, todo = 0) =>
	JSON.stringify({
		numPassedTests: passed,
		numFailedTests: failed,
		numPendingTests: pending,
		numTodoTests: todo,
	});

describe("tallyOfReport", () => {
	it("counts what the runner counted, skipped and to do together", () => {
		expect(tallyOfReport(report(5, 2, 3, 1), false)).toEqual({
			passed: 5,
			failed: 2,
			skipped: 4,
		});
	});

	it("counts a failed run without a failed test as one failure", () => {
		expect(tallyOfReport(report(5, 0), false).failed).toBe(1);
		expect(tallyOfReport(report(5, 0), true).failed).toBe(0);
	});

	it.each([undefined, "", "{}", '{"numPassedTests": 1'])(
		"counts a missing or broken report (%j) as one failure",
		(text) => {
			expect(tallyOfReport(text, true)).toEqual({
				passed: 0,
				failed: 1,
				skipped: 0,
			});
		},
	);
});

describe("addTally", () => {
	it("adds each number", () => {
		expect(
			addTally(
				{ passed: 1, failed: 2, skipped: 3 },
				{ passed: 10, failed: 20, skipped: 30 },
			),
		).toEqual({ passed: 11, failed: 22, skipped: 33 });
	});
});

describe("failuresOfReport", () => {
	it("names each failed test and each file that could not run", () => {
		const failed = {
			...{ fullName: "a thing works", status: "failed" },
			failureMessages: ["AssertionError: 1 is not 2\n    at a.test.ts"],
		};
		const passed = { fullName: "another works", status: "passed" };
		const text = JSON.stringify({
			...JSON.parse(report(1, 1)),
			testResults: [
				{
					...{ name: "a.test.ts", status: "failed" },
					assertionResults: [failed, passed],
				},
				{
					...{ name: "b.test.ts", status: "failed", message: "no such module" },
					assertionResults: [],
				},
				{ name: "c.test.ts", status: "passed", assertionResults: [passed] },
			],
		});
		expect(failuresOfReport(text)).toEqual([
			"a.test.ts: a thing works: AssertionError: 1 is not 2",
			"b.test.ts: no such module",
		]);
	});

	it("says so when there is no report", () => {
		expect(failuresOfReport("{")).toEqual(["the runner left no report"]);
	});
});
