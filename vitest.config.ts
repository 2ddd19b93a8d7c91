/**
 * How the tests run: few workers, because the machine and the guests inside
 * the tests want the cores too, each in a process of its own.
 *
 * Long runs are opt-in: `LGUEST_LONG=1` lifts the time budgets of the
 * differential and boot tests (see docs/testing.md).
 */
import { defineConfig } from "vitest/config";

const long = process.env.LGUEST_LONG === "1";

export default defineConfig({
	test: {
		include: ["src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts"],
		globalSetup: "test/support/program.ts",
		pool: "forks",
		maxWorkers: 2,
		testTimeout: long ? 3_600_000 : 30_000,
		hookTimeout: long ? 3_600_000 : 120_000,
		teardownTimeout: 10_000,
	},
});
