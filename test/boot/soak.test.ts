/**
 * A soak of a few rounds: the process's memory stays flat. Speed is left to
 * `npm run soak`, which has the time to tell a trend from noise.
 */
import { describe, expect, it } from "vitest";
import { judge, soak } from "../../scripts/soak.ts";

const ROUNDS = 4;
const MOST_GROWTH = 1.1;

describe("a long run", () => {
	it("does not grow", { timeout: 1_200_000 }, async ({ skip }) => {
		const samples = await soak("auto", (rounds) => rounds >= ROUNDS);
		if (samples === undefined) return skip();
		expect(samples).toHaveLength(ROUNDS);
		expect(judge(samples).memoryGrowth).toBeLessThan(MOST_GROWTH);
	});
});
