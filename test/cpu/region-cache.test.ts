/**
 * Two regions that always lead to each other, too far apart to become one: what
 * they know of each other must go with the mapping it was learnt under.
 */
import { describe, expect, it } from "vitest";
import { RIP } from "../../src/cpu/state.ts";
import { updateMode } from "../../src/cpu/system/mode-control.ts";
import {
	Assembler,
	EAX,
	EBP,
	EBX,
	ECX,
	EDI,
	ESI,
} from "../support/assembler.ts";
import { CODE, Guest, PAGE_TABLES } from "../support/guest.ts";

const P_RW_US = 7;
const P_RW = 3;
const GLOBAL = 0x100;
const CR4_PGE = 1 << 7;
const PF = 14;
const TABLE = PAGE_TABLES + 0x1000;
const FAR_TABLE = PAGE_TABLES + 0x2000;
/** More than a region reaches. */
const FAR = 0x0400_0000;
const FRAMES = [0x2_0000, 0x3_0000] as const;
const TURNS = 100_000;

interface Setting {
	readonly far: number;
	readonly user?: boolean;
}

/** inc ebx; jmp eax | inc esi (or edi, in the other frame); jmp ecx. */
function mapped({ far, user = false }: Setting): Guest {
	const guest = new Guest("auto");
	guest.setWord(PAGE_TABLES, TABLE | P_RW_US);
	for (let page = 0; page < 1024; page++) {
		guest.setWord(TABLE + page * 4, (page << 12) | P_RW_US);
	}
	guest.setWord(PAGE_TABLES + (FAR >>> 22) * 4, FAR_TABLE | P_RW_US);
	guest.setWord(FAR_TABLE, FRAMES[0] | far);
	guest.load(new Assembler(CODE).hex("43 ffe0"));
	guest.load(new Assembler(FRAMES[0]).hex("46 ffe1"));
	guest.load(new Assembler(FRAMES[1]).hex("47 ffe1"));
	guest.page(PAGE_TABLES, far & GLOBAL ? CR4_PGE : 0);
	guest.enter(user);
	const { state } = guest.cpu;
	for (const register of [EBX, ESI, EDI, EBP]) state.setGpr32(register, 0);
	state.setGpr32(EAX, FAR);
	state.setGpr32(ECX, CODE);
	state.setWide(RIP, CODE);
	return guest;
}

function run(guest: Guest): void {
	for (let left = TURNS; left > 0; left -= 1000) guest.cpu.run(1000);
}

/** Shows the other frame at the far address, and says so in one of a kernel's ways. */
function remap(guest: Guest, far: number, flush: (guest: Guest) => void): void {
	guest.setWord(FAR_TABLE, FRAMES[1] | far);
	flush(guest);
}

const counters = ({ cpu: { state } }: Guest) =>
	[ESI, EDI].map((register) => state.gpr32(register));

const WAYS = {
	"a write of CR3": (guest: Guest) => guest.cpu.mmu.flushLocal(),
	"a flush of everything": (guest: Guest) => guest.cpu.mmu.flushAll(),
	INVLPG: (guest: Guest) => guest.cpu.mmu.invalidatePage(FAR),
} as const;

describe("regions that know each other", () => {
	it("are two, and hot", () => {
		const guest = mapped({ far: P_RW_US });
		run(guest);
		const { hotRetired, regionEntries, regions } = guest.cpu.statistics;
		expect(regions).toBeGreaterThanOrEqual(2);
		expect(hotRetired).toBeGreaterThan(TURNS / 2);
		expect(regionEntries).toBeGreaterThan(TURNS / 10);
		const [esi, edi] = counters(guest);
		expect(esi).toBeGreaterThan(TURNS / 5);
		expect(edi).toBe(0);
	});

	for (const [name, flush] of Object.entries(WAYS)) {
		it(`do not outlive ${name}`, () => {
			const guest = mapped({ far: P_RW_US });
			run(guest);
			remap(guest, P_RW_US, flush);
			const [before] = counters(guest);
			run(guest);
			const [esi, edi] = counters(guest);
			expect(esi).toBe(before);
			expect(edi).toBeGreaterThan(TURNS / 5);
		});
	}

	it("outlive a write of CR3 where the mapping is global, and not INVLPG", () => {
		const far = P_RW_US | GLOBAL;
		const guest = mapped({ far });
		run(guest);
		remap(guest, far, WAYS["a write of CR3"]);
		run(guest);
		expect(counters(guest)[1]).toBe(0);
		WAYS.INVLPG(guest);
		run(guest);
		expect(counters(guest)[1]).toBeGreaterThan(TURNS / 5);
	});

	it("do not let user code into a page that has become the kernel's", () => {
		const guest = mapped({ far: P_RW_US, user: true });
		run(guest);
		expect(guest.cpu.statistics.regions).toBeGreaterThanOrEqual(2);
		guest.setWord(FAR_TABLE, FRAMES[0] | P_RW);
		guest.cpu.mmu.invalidatePage(FAR);
		expect(guest.resume().vector).toBe(PF);
		expect(guest.cr2).toBe(FAR);
	});

	it("do not let user code into a page that the kernel has just run", () => {
		const guest = mapped({ far: P_RW });
		run(guest);
		const [esi] = counters(guest);
		guest.enter(true);
		// As SYSEXIT does it: the level changes, and no mapping.
		updateMode(guest.cpu.state);
		guest.cpu.state.setWide(RIP, CODE);
		expect(guest.cpu.run(10_000)).toBe("halt");
		expect(guest.cr2).toBe(FAR);
		expect(counters(guest)[0]).toBe(esi);
	});
});
