/**
 * Compiled code whose pages have moved apart, as those of a program and of the
 * kernel's vDSO do with every new process: it may not stay in the way of what
 * is there now.
 */
import { describe, expect, it } from "vitest";
import { RIP } from "../../src/cpu/state.ts";
import { Assembler } from "../support/assembler.ts";
import { CODE, Guest, PAGE_TABLES } from "../support/guest.ts";

const P_RW_US = 7;
const TABLE = PAGE_TABLES + 0x1000;
/** The first of two pages of linear memory, with a loop over their border. */
const FIRST = 0x40_0000;
const START = FIRST + 0xfff;
const FRAME_OF_FIRST = CODE;
const FRAMES_OF_SECOND = [0x2_0000, 0x3_0000] as const;
const TURNS = 200_000;

/** Maps memory onto itself, and the two pages. */
function mapped(): Guest {
	const guest = new Guest("auto");
	guest.setWord(PAGE_TABLES, TABLE | P_RW_US);
	for (let page = 0; page < 1024; page++) {
		guest.setWord(TABLE + page * 4, (page << 12) | P_RW_US);
	}
	guest.setWord(PAGE_TABLES + 4, (TABLE + 0x1000) | P_RW_US);
	guest.setWord(TABLE + 0x1000, FRAME_OF_FIRST | P_RW_US);
	// inc ebx | inc esi; rdtsc; jmp START: two of four can be hot, and a region
	// that begins in the second page has one.
	guest.load(new Assembler(FRAME_OF_FIRST + START - FIRST).hex("43"));
	for (const frame of FRAMES_OF_SECOND) {
		guest.load(new Assembler(frame).hex("46 0f31 ebfa"));
	}
	return guest;
}

/** Shows a frame as the second page; the share of what runs hot from then on. */
function hotShare(guest: Guest, frame: number): number {
	const { cpu } = guest;
	guest.setWord(TABLE + 0x1004, frame | P_RW_US);
	cpu.mmu.flushLocal();
	const before = cpu.statistics.hotRetired;
	for (let left = TURNS; left > 0; left -= 1000) cpu.run(1000);
	return (cpu.statistics.hotRetired - before) / TURNS;
}

describe("a region of two pages", () => {
	it("goes when one of them stays elsewhere, and the code becomes hot again", () => {
		const guest = mapped();
		const [one, other] = FRAMES_OF_SECOND;
		guest.page(PAGE_TABLES);
		guest.cpu.state.setWide(RIP, START);
		expect(hotShare(guest, one)).toBeGreaterThan(0.4);
		expect(hotShare(guest, other)).toBeGreaterThan(0.4);
	});

	it("stays when it is moved for a moment only", () => {
		const guest = mapped();
		const [one, other] = FRAMES_OF_SECOND;
		guest.page(PAGE_TABLES);
		guest.cpu.state.setWide(RIP, START);
		hotShare(guest, one);
		const { regions } = guest.cpu.statistics;
		guest.setWord(TABLE + 0x1004, other | P_RW_US);
		guest.cpu.mmu.flushLocal();
		guest.cpu.run(100);
		expect(hotShare(guest, one)).toBeGreaterThan(0.4);
		expect(guest.cpu.statistics.regions).toBe(regions);
	});
});
