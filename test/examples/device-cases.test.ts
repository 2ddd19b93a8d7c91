/** The cases for authors catch what they are there to catch. */

import { describe, expect, it } from "vitest";
import type { DeviceModel, DevicePort } from "../../src/index.ts";
import { deviceCases } from "../../src/testing/index.ts";
import { Adder } from "./adder.ts";

/** Which cases a device fails, by their place in the list. */
function failures(make: () => DeviceModel): number[] {
	return deviceCases(make).flatMap(({ run }, index) => {
		try {
			run();
			return [];
		} catch {
			return [index];
		}
	});
}

function spoilt(change: (adder: Adder) => object): () => DeviceModel {
	return () => {
		const adder = new Adder();
		return Object.assign(adder, change(adder));
	};
}

describe("the cases for authors of devices", () => {
	it("pass a device that is right", () => {
		expect(failures(() => new Adder())).toEqual([]);
	});

	it("fail one with a feature that is not its own, or a crooked queue", () => {
		expect(failures(spoilt(() => ({ features: 1n << 28n })))).toContain(0);
		expect(failures(spoilt(() => ({ queueSizes: [12] })))).toContain(1);
	});

	it("fail one that complains about decent drivers", () => {
		const make = () => {
			let port: DevicePort | undefined;
			const adder = new Adder();
			return Object.assign(adder, {
				connect: (given: DevicePort) => {
					port = given;
				},
				kicked: () => port?.fail("nothing in particular"),
			});
		};
		expect(failures(make)).toContain(2);
	});

	it("fail one that keeps changes over a reset, and one that throws", () => {
		const keeps = spoilt((adder) => ({
			start: () => adder.config.fill(7),
			reset: () => {},
		}));
		expect(failures(keeps)).toContain(3);
		const throws = spoilt(() => ({
			writeConfig: () => {
				throw new Error("not me");
			},
		}));
		expect(failures(throws)).toContain(4);
	});
});
