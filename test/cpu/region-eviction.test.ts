/**
 * Programs whose regions are more than may be: they go and come again, and
 * nothing else changes.
 */

import { afterAll, describe, expect, it, vi } from "vitest";
import type { StockedRegion } from "../../src/cpu/engine/region-stock.ts";
import { Guest } from "../support/guest.ts";
import { runInLockstep } from "../support/lockstep.ts";
import { randomFrom } from "../support/random.ts";
import { prepareGuest, RandomProgram } from "../support/random-program.ts";

/** Less than what the programs have in use. */
const BYTES = 30_000;

/** Regions that somebody was seen in again, after a sweep had let others go. */
const seen = vi.hoisted(() => ({ again: 0 }));

vi.mock("../../src/cpu/engine/region-stock.ts", async (original) => {
	const actual =
		await original<typeof import("../../src/cpu/engine/region-stock.ts")>();
	class RegionStock extends actual.RegionStock<StockedRegion> {
		#all: StockedRegion[] = [];
		#left: StockedRegion[] = [];

		constructor() {
			super(BYTES, 2 * BYTES);
		}

		override add(bytes: number, regions: readonly StockedRegion[]): void {
			super.add(bytes, regions);
			this.#all.push(...regions);
		}

		override sweep(drop: (region: StockedRegion) => void): void {
			seen.again += this.#left.filter(({ isSeen }) => isSeen).length;
			const before = this.evictions;
			super.sweep(drop);
			const isThere = ({ module }: StockedRegion) => module !== undefined;
			this.#all = this.#all.filter(isThere);
			if (this.evictions > before) this.#left = [...this.#all];
		}
	}
	return { ...actual, RegionStock };
});

const SEEDS = [1, 2, 3, 4, 5, 6];
const TURNS = 200;

function makeGuest(seed: number, engine: "cold" | "hot"): Guest {
	const user = seed % 2 === 0;
	const guest = new Guest(engine);
	const program = new RandomProgram(randomFrom(seed), user).build(TURNS);
	prepareGuest(guest, program, user);
	guest.run(program, { user, eflags: 0x202, budget: 0 });
	return guest;
}

describe("regions of which there are too many", () => {
	let evictions = 0;
	afterAll(() => {
		expect(evictions).toBeGreaterThan(10);
		expect(seen.again).toBeGreaterThan(0);
	});

	it.each(SEEDS)("go without a trace, seed %i", (seed) => {
		const cold = makeGuest(seed, "cold");
		const hot = makeGuest(seed, "hot");
		const { differences } = runInLockstep(cold, hot, {
			random: randomFrom(seed + 1000),
			longest: 1000,
			stops: 400,
		});
		expect(differences).toEqual([]);
		const { regionEvictions, regionWasmLiveBytes } = hot.cpu.statistics;
		evictions += regionEvictions;
		// One module more than may be, at most: sweeps come behind them.
		expect(regionWasmLiveBytes).toBeLessThan(3 * BYTES);
	});
});
