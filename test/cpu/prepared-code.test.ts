/**
 * Programs under prepared code, which the sources do not have, and under the
 * same code made on demand.
 */
import { describe, expect, it, vi } from "vitest";
import type { CpuOptions, EngineKind } from "../../src/cpu/cpu-options.ts";
import { HOT_ARRIVALS } from "../../src/cpu/engine/engine-modules.ts";
import { Guest } from "../support/guest.ts";
import { runInLockstep } from "../support/lockstep.ts";
import { randomFrom } from "../support/random.ts";
import { prepareGuest, RandomProgram } from "../support/random-program.ts";

vi.mock("../../src/cpu/engine/prepared-text.ts", async () => {
	const { prepareCode } = await import("../../scripts/prepared-code.ts");
	return { PREPARED_TEXT: prepareCode() };
});

const SEEDS = [1, 2, 3, 4];
const TURNS = 3000;

/** Tests have code hot earlier than machines do. */
function usualGuest(engine: EngineKind, more: Partial<CpuOptions> = {}): Guest {
	return new Guest(engine, { hotArrivals: HOT_ARRIVALS[engine], ...more });
}

function makeGuest(seed: number, engine: EngineKind): Guest {
	const user = seed % 2 === 0;
	const guest = usualGuest(engine);
	const program = new RandomProgram(randomFrom(seed), user).build(TURNS);
	prepareGuest(guest, program, user);
	guest.run(program, { user, eflags: 0x202, budget: 0 });
	return guest;
}

describe("prepared code", () => {
	it("is there for the usual engine, and for no other", () => {
		const prepared = (engine: EngineKind) =>
			usualGuest(engine).cpu.statistics.formsPrepared;
		expect(prepared("auto")).toBeGreaterThan(500);
		expect(prepared("cold")).toBe(0);
		expect(prepared("compare")).toBe(0);
	});

	it("is not for a CPU that decodes other instructions", () => {
		const none = usualGuest("auto", {
			decodedFeatures: new Set(["base"]),
		});
		expect(none.cpu.statistics.formsPrepared).toBe(0);
	});

	it.each(SEEDS)("does as code made on demand, seed %i", (seed) => {
		const onDemand = makeGuest(seed, "cold");
		const prepared = makeGuest(seed, "auto");
		const { differences } = runInLockstep(onDemand, prepared, {
			random: randomFrom(seed + 1000),
			longest: 20_000,
			stops: 300,
		});
		expect(differences).toEqual([]);
		expect(prepared.cpu.retiredCount()).toBeGreaterThan(1000);
		// More than was prepared is made as ever.
		const { forms, formsPrepared } = prepared.cpu.statistics;
		expect(forms).toBeGreaterThan(formsPrepared);
	});
});
