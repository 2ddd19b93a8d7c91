import { describe, expect, it } from "vitest";
import { ratesBetween } from "./rates.ts";

const device = { deviceId: 2, kicks: 10, interrupts: 5 };
const before = {
	instructionsRetired: 1000,
	hotRetired: 100,
	devices: [device],
};

describe("Rates between two readings", () => {
	it("are differences over the time between", () => {
		const after = {
			instructionsRetired: 5000,
			hotRetired: 3100,
			devices: [{ ...device, kicks: 30, interrupts: 25 }],
		};
		expect(ratesBetween(before, after, 2)).toEqual({
			instructionsPerSecond: 2000,
			hotShare: 0.75,
			deviceEventsPerSecond: 20,
		});
	});

	it("are zero for a guest that stands still, and for no time at all", () => {
		const still = {
			instructionsPerSecond: 0,
			hotShare: 0,
			deviceEventsPerSecond: 0,
		};
		expect(ratesBetween(before, before, 1)).toEqual(still);
		expect(ratesBetween(before, before, 0)).toEqual(still);
	});
});
