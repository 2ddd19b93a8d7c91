/** What the benchmark's statistics promise. */

import { describe, expect, it } from "vitest";
import { geometricMean, median, relativeSpread } from "./statistics.ts";

describe("benchmark statistics", () => {
	it("takes the middle of an odd number of values, in any order", () => {
		expect(median([9, 1, 5])).toBe(5);
	});

	it("takes the mean of the middle two of an even number", () => {
		expect(median([4, 1, 2, 100])).toBe(3);
	});

	it("gives no number for no values", () => {
		expect(median([])).toBeNaN();
	});

	it("relates the spread to the median", () => {
		expect(relativeSpread([9, 10, 12])).toBeCloseTo(0.3);
	});

	it("lets reciprocal ratios cancel in the geometric mean", () => {
		expect(geometricMean([2, 0.5, 4, 0.25])).toBeCloseTo(1);
		expect(geometricMean([1, 100])).toBeCloseTo(10);
	});
});
