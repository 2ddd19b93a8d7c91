import { describe, expect, it } from "vitest";
import { judge, type Sample } from "./soak.ts";

const steady = (n: number): Sample[] =>
	Array.from({ length: n }, () => ({ ownMiB: 200, guestMiB: 50, speed: 100 }));

describe("the verdict on a soak", () => {
	it("finds nothing in rounds that are all alike, whatever the first was", () => {
		const samples = [{ ownMiB: 90, guestMiB: 20, speed: 10 }, ...steady(9)];
		expect(judge(samples)).toEqual({ memoryGrowth: 1, speedRatio: 1 });
	});

	it("sees memory that grows and speed that falls", () => {
		const samples = steady(10).map(({ ownMiB, guestMiB, speed }, i) => ({
			ownMiB: ownMiB + 10 * i,
			guestMiB,
			speed: speed - 5 * i,
		}));
		const { memoryGrowth, speedRatio } = judge(samples);
		expect(memoryGrowth).toBeGreaterThan(1.2);
		expect(speedRatio).toBeLessThan(0.8);
	});

	it("lets the guest go on to all of its memory", () => {
		const samples = steady(10).map((sample, i) => ({
			...sample,
			guestMiB: 50 + 10 * i,
		}));
		expect(judge(samples).memoryGrowth).toBe(1);
	});
});
