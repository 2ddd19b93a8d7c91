/**
 * Seeded random programs on the cold engine and on another in lockstep, with
 * interrupts at random stops. `LGUEST_LONG=1` tries many more seeds;
 * `LGUEST_SEED` begins with another.
 */
import { afterAll, describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { Guest } from "../support/guest.ts";
import { OTHER_ENGINES, runInLockstep } from "../support/lockstep.ts";
import { randomFrom } from "../support/random.ts";
import {
	DEVICE_VECTOR,
	prepareGuest,
	RandomProgram,
} from "../support/random-program.ts";

const LONG = process.env.LGUEST_LONG === "1";
const FIRST = Number(process.env.LGUEST_SEED ?? 1);
/** "hot" has no threshold, so that a few turns will do, and many programs. */
const PROGRAMS = {
	auto: LONG ? 50 : 3,
	hot: LONG ? 500 : 12,
	compare: LONG ? 50 : 3,
} as const;
const TURNS = { auto: 5000, hot: 60, compare: 1000 } as const;
const LONGEST = { auto: 20_000, hot: 400, compare: 4000 } as const;
const TIMEOUT_MS = 600_000;

function makeGuest(seed: number, engine: EngineKind, turns: number) {
	const user = seed % 2 === 0;
	const guest = new Guest(engine);
	guest.interruptVector = DEVICE_VECTOR;
	const program = new RandomProgram(randomFrom(seed), user).build(turns);
	prepareGuest(guest, program, user);
	guest.run(program, { user, eflags: 0x202, budget: 0 });
	return guest;
}

for (const engine of OTHER_ENGINES) {
	describe(`random programs under the engine "${engine}"`, () => {
		let regions = 0;
		let retired = 0;
		// Some programs may fault too much to become hot, or to come far; not all of them.
		afterAll(() => {
			expect(regions).toBeGreaterThan(0);
			expect(retired).toBeGreaterThan(1000 * PROGRAMS[engine]);
		});

		for (let seed = FIRST; seed < FIRST + PROGRAMS[engine]; seed++) {
			it(`do as under the cold one, seed ${seed}`, {
				timeout: TIMEOUT_MS,
			}, () => {
				const turns = TURNS[engine];
				const cold = makeGuest(seed, "cold", turns);
				const other = makeGuest(seed, engine, turns);
				const verdict = runInLockstep(cold, other, {
					random: randomFrom(seed + 1000),
					longest: LONGEST[engine],
					stops: 300,
					between: ({ cpu }, stop) => {
						if (stop % 5 === 0) cpu.setInterruptLine(true);
					},
				});
				expect(verdict.differences).toEqual([]);
				regions += other.cpu.statistics.regions;
				retired += other.cpu.retiredCount();
			});
		}
	});
}
