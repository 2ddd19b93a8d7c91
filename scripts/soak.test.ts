import { describe, expect, it } from "vitest";
import { judge, type Sample } from "./soak.ts";

const steady = (n: number): Sample[] =>
	Array.from({ length: n }, () => ({ rssMiB: 200, speed: 100 }));

describe("the verdict on a soak", () => {
	it("finds nothing in rounds that are all alike, whatever the first was", () => {
		const samples = [{ rssMiB: 90, speed: 10 }, ...steady(9)];
		expect(judge(samples)).toEqual({ memoryGrowth: 1, speedRatio: 1 });
	});

	it("sees memory that grows and speed that falls", () => {
		const samples = steady(10).map(({ rssMiB, speed }, i) => ({
			rssMiB: rssMiB + 10 * i,
			speed: speed - 5 * i,
		}));
		const { memoryGrowth, speedRatio } = judge(samples);
		expect(memoryGrowth).toBeGreaterThan(1.2);
		expect(speedRatio).toBeLessThan(0.8);
	});
});
