import { describe, expect, it } from "vitest";
import { nsOfTick, ticksAt } from "./clock-ticks.ts";

describe("clock ticks", () => {
	it("finds for every tick the first nanosecond that has reached it", () => {
		for (const hz of [32768, 1193182, 3579545]) {
			for (const tick of [0, 1, 2, 17, hz - 1, hz, hz + 1, hz * 86400 + 5]) {
				const ns = nsOfTick(tick, hz);
				expect(ticksAt(ns, hz)).toBe(tick);
				if (ns > 0) expect(ticksAt(ns - 1, hz)).toBe(tick - 1);
			}
		}
	});

	it("counts exactly a year of PIT ticks in a year", () => {
		const year = 365 * 86400;
		expect(ticksAt(year * 1e9, 1193182)).toBe(year * 1193182);
	});
});
