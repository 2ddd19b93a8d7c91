/**
 * From region to region and back to the cold loop: wherever a run stops, all is
 * as if there were no regions, and what is counted is what was done.
 */
import { describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { GPR, RIP } from "../../src/cpu/state.ts";
import { Assembler } from "../support/assembler.ts";
import { CODE, DATA, Guest } from "../support/guest.ts";

const ECX = 1;
const EDX = 2;
const EBX = 3;
const ESI = 6;
const EDI = 7;
const HERE = CODE;
/** Pages away, and reached by a register: it is a region of its own. */
const THERE = CODE + 0x8000;
/** No region yet. */
const ASIDE = CODE + 0x8800;
/** Instructions. */
const TURN = 5;

/** inc ebx; jmp edi, and there: inc esi; add [DATA], ebx; jmp edx. */
function pingPong(engine: EngineKind): Guest {
	const guest = new Guest(engine);
	const { state } = guest.cpu;
	guest.load(new Assembler(HERE).hex("43 ffe7"));
	guest.load(new Assembler(THERE).hex("46 011d 00000200 ffe2"));
	state.set32(GPR, HERE, EDX);
	state.set32(GPR, THERE, EDI);
	state.set32(GPR, 0, EBX);
	state.set32(GPR, 0, ESI);
	state.setWide(RIP, HERE);
	return guest;
}

const snapshot = ({ cpu }: Guest) => ({
	rip: cpu.state.getWide(RIP),
	registers: Array.from({ length: 8 }, (_, i) => cpu.state.get32(GPR, i)),
	sum: cpu.memory.readU32(DATA),
	retired: cpu.retiredCount(),
});

describe("from region to region", () => {
	it("stops with any budget where the cold engine does", () => {
		const hot = pingPong("auto");
		const cold = pingPong("cold");
		for (let length = 1; hot.cpu.retiredCount() < 400_000; length += 7) {
			const ends = [hot, cold].map(({ cpu }) => cpu.run(length));
			expect(ends).toEqual(["budget", "budget"]);
			expect(snapshot(hot)).toEqual(snapshot(cold));
		}
		const { hotRetired, regionsLive } = hot.cpu.statistics;
		expect(hotRetired).toBeGreaterThan(200_000);
		expect(regionsLive).toBeGreaterThan(1);
	});

	it("counts a region's entry each time control comes to it", () => {
		const { cpu } = pingPong("auto");
		while (cpu.statistics.regionsLive < 2) cpu.run(1000);
		// So that the next run is in regions from its first instruction.
		cpu.run(10 * TURN - (cpu.retiredCount() % TURN));
		const before = cpu.statistics;
		cpu.run(1000 * TURN);
		const { hotRetired, regionEntries } = cpu.statistics;
		expect(hotRetired - before.hotRetired).toBe(1000 * TURN);
		// The last one finds nothing left of the budget.
		expect(regionEntries - before.regionEntries).toBe(2001);
	});

	it("goes back to the cold loop when the way leads to no region", () => {
		const guest = pingPong("auto");
		const { cpu } = guest;
		while (cpu.statistics.regionsLive < 2) cpu.run(1000);
		cpu.run(TURN - (cpu.retiredCount() % TURN));
		expect(cpu.state.getWide(RIP)).toBe(HERE);
		// inc ecx; jmp to itself
		guest.load(new Assembler(ASIDE).hex("41 ebfe"));
		cpu.state.set32(GPR, ASIDE, EDX);
		cpu.state.set32(GPR, 5, ECX);
		const { hotRetired } = cpu.statistics;
		cpu.run(TURN + 3);
		expect(cpu.state.get32(GPR, ECX)).toBe(6);
		expect(cpu.state.getWide(RIP)).toBe(ASIDE + 1);
		expect(cpu.statistics.hotRetired - hotRetired).toBe(TURN);
	});
});
