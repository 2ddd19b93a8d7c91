/**
 * Turns the test runner's own report into the three numbers of the last line,
 * and trusts neither side alone: a runner that died, or that failed without a
 * failing test, is a failure too.
 */

/** How many checks went which way. */
export interface Tally {
	readonly passed: number;
	readonly failed: number;
	readonly skipped: number;
}

export function addTally(a: Tally, b: Tally): Tally {
	return {
		passed: a.passed + b.passed,
		failed: a.failed + b.failed,
		skipped: a.skipped + b.skipped,
	};
}

const KEYS = [
	"numPassedTests",
	"numFailedTests",
	"numPendingTests",
	"numTodoTests",
] as const;

/** The counts of a vitest JSON report; `exitedWell` is the runner's own verdict. */
export function tallyOfReport(
	report: string | undefined,
	exitedWell: boolean,
): Tally {
	const counts = readCounts(report);
	if (counts === undefined) return { passed: 0, failed: 1, skipped: 0 };
	const [passed = 0, failed = 0, pending = 0, todo = 0] = counts;
	const unexplained = !exitedWell && failed === 0 ? 1 : 0;
	return { passed, failed: failed + unexplained, skipped: pending + todo };
}

/** The four counts, or nothing when the text is no whole report. */
function readCounts(report: string | undefined): number[] | undefined {
	if (report === undefined) return undefined;
	try {
		const data = JSON.parse(report) as Record<string, unknown>;
		const counts = KEYS.map((key) => data[key]);
		return counts.every((count) => typeof count === "number")
			? counts
			: undefined;
	} catch {
		return undefined;
	}
}

/** What of a vitest JSON report is read for the failures. */
interface Report {
	readonly testResults?: readonly {
		readonly name: string;
		readonly status: string;
		readonly message?: string;
		readonly assertionResults: readonly {
			readonly fullName: string;
			readonly status: string;
			readonly failureMessages?: readonly string[];
		}[];
	}[];
}

/** A line for each failed test and each file that could not run: where, which, and the first line of why. */
export function failuresOfReport(report: string | undefined): string[] {
	if (readCounts(report) === undefined) return ["the runner left no report"];
	const { testResults = [] } = JSON.parse(report as string) as Report;
	return testResults.flatMap(({ name, status, message, assertionResults }) => {
		const failed = assertionResults.filter((one) => one.status === "failed");
		if (failed.length === 0 && status === "failed") {
			return [`${name}: ${firstLine(message)}`];
		}
		return failed.map(
			({ fullName, failureMessages }) =>
				`${name}: ${fullName}: ${firstLine(failureMessages?.[0])}`,
		);
	});
}

function firstLine(text = ""): string {
	return text.split("\n", 1)[0] as string;
}
