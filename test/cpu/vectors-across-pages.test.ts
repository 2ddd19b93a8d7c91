/**
 * Reading 16 bytes that lie in two pages, which regions do by themselves: pages
 * that are no neighbours in memory, and a second one that is not there.
 */
import { describe, expect, it } from "vitest";
import { ECX } from "../support/assembler.ts";
import { code, Guest, PAGE_TABLES } from "../support/guest.ts";

const P_RW_US = 7;
const TABLE = PAGE_TABLES + 0x1000;
const FIRST = 0x40_0000;
const FRAMES = [0x2_0000, 0x3_5000] as const;
/** Where the read is: 5 bytes in the first page, 11 in the second. */
const OFFSET = 0xffb;
const RESULT = 0x2_8000;
const CR4_OSFXSR = 1 << 9;
const PF = 14;

/** movdqu xmm0, [FIRST + OFFSET]; movdqu [RESULT], xmm0; loop; hlt. */
const READ = "f30f6f05 fb0f4000 f30f7f05 00800200 e2ee f4";

function mapped(engine: "cold" | "auto"): Guest {
	const guest = new Guest(engine);
	guest.setWord(PAGE_TABLES, TABLE | P_RW_US);
	for (let page = 0; page < 1024; page++) {
		guest.setWord(TABLE + page * 4, (page << 12) | P_RW_US);
	}
	guest.setWord(PAGE_TABLES + 4, (TABLE + 0x1000) | P_RW_US);
	for (const [i, frame] of FRAMES.entries()) {
		guest.setWord(TABLE + 0x1000 + i * 4, frame | P_RW_US);
		for (let at = 0; at < 0x1000; at++) {
			guest.cpu.memory.writeU8(frame + at, (at * 7 + i * 101) & 0xff);
		}
	}
	guest.page(PAGE_TABLES, CR4_OSFXSR);
	return guest;
}

/** The bytes that the pages hold there. */
const expected = Array.from({ length: 16 }, (_, i) => {
	const offset = OFFSET + i;
	return ((offset % 0x1000) * 7 + (offset >> 12) * 101) & 0xff;
});

for (const engine of ["cold", "auto"] as const) {
	describe(`16 bytes in two pages, ${engine} engine`, () => {
		it("are read, and nearly always where the loop is hot", () => {
			const guest = mapped(engine);
			const { cpu } = guest;
			cpu.state.setGpr32(ECX, 20_000);
			guest.run(code().hex(READ), { budget: 1 });
			while (cpu.run(1000) === "budget");
			const result = cpu.memory.read(RESULT, 16);
			expect([...result]).toEqual(expected);
			const share = cpu.statistics.hotRetired / cpu.retiredCount();
			if (engine === "auto") expect(share).toBeGreaterThan(0.5);
			expect(cpu.statistics.tlbMisses).toBeLessThan(100);
		});

		it("fault when the second page is gone, at its start", () => {
			const guest = mapped(engine);
			const { cpu } = guest;
			cpu.state.setGpr32(ECX, 20_000);
			guest.run(code().hex(READ), { budget: 1 });
			for (let i = 0; i < 10; i++) cpu.run(1000);
			guest.setWord(TABLE + 0x1004, 0);
			cpu.mmu.flushAll();
			expect(guest.resume().vector).toBe(PF);
			expect(guest.cr2).toBe(FIRST + 0x1000);
		});
	});
}
