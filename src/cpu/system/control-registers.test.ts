import { describe, expect, it } from "vitest";
import {
	faultOf,
	protectedSystem,
	TestSystem,
} from "../../../test/support/system-context.ts";
import { STATUS_NEXT, STATUS_STOP } from "../engine/status.ts";
import {
	CR0,
	CR2,
	CR3,
	CR4,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
} from "../state.ts";
import {
	CR0_CD,
	CR0_EM,
	CR0_ET,
	CR0_MP,
	CR0_NW,
	CR0_PE,
	CR0_PG,
	CR0_TS,
	CR0_WP,
	CR4_PAE,
	CR4_PGE,
	CR4_PSE,
} from "./control-bits.ts";
import {
	clearTaskSwitched,
	invalidatePage,
	loadMachineStatusWord,
	moveFromControl,
	moveToControl,
} from "./control-registers.ts";

function write(cpu: TestSystem, register: number, value: number): string {
	cpu.argument(value);
	return faultOf(() => moveToControl(cpu, register));
}

const cr0 = (cpu: TestSystem) => cpu.state.get32(CR0);

describe("CR0", () => {
	it("keeps the bits that exist, ET set", () => {
		const cpu = new TestSystem();
		expect(write(cpu, 0, 0x7fff_ffef)).toBe("none");
		expect(cr0(cpu)).toBe(0x6005_003f);
	});

	it.each([
		["paging without protection", CR0_PG],
		["NW without CD", CR0_PE | CR0_NW],
	])("refuses %s", (_, value) => {
		const cpu = new TestSystem();
		const before = cr0(cpu);
		expect(write(cpu, 0, value)).toBe("13(0)");
		expect(cr0(cpu)).toBe(before);
	});

	it("tells the MMU about PE, PG and WP, not about TS", () => {
		const cpu = protectedSystem(0);
		write(cpu, 0, CR0_PE | CR0_TS | CR0_CD);
		expect(cpu.mmu.calls).toEqual([]);
		write(cpu, 0, CR0_PE | CR0_WP);
		write(cpu, 0, CR0_PE | CR0_WP | CR0_PG);
		expect(cpu.mmu.calls).toEqual([
			"controlRegistersChanged",
			"controlRegistersChanged",
		]);
	});

	it("loads PAE's top level when paging starts, and stays off if that is bad", () => {
		const cpu = protectedSystem(0);
		cpu.state.set32(CR4, CR4_PAE);
		cpu.state.setWide(CR3, 0x3000);
		cpu.mmu.pdptesAreBad = true;
		expect(write(cpu, 0, CR0_PE | CR0_PG)).toBe("13(0)");
		expect(cr0(cpu) & CR0_PG).toBe(0);
		cpu.mmu.pdptesAreBad = false;
		write(cpu, 0, CR0_PE | CR0_PG);
		expect(cpu.mmu.calls[0]).toBe("loadPdptes 3000");
	});

	it("is written by LMSW, which cannot leave protected mode", () => {
		const cpu = protectedSystem(0);
		expect(loadMachineStatusWord(cpu, 0xffff_fff6)).toBe(STATUS_STOP);
		const low = CR0_PE | CR0_MP | CR0_EM | CR0_ET;
		expect(cr0(cpu) & 0xffff).toBe(low);
	});

	it("loses TS by CLTS", () => {
		const cpu = protectedSystem(0);
		write(cpu, 0, CR0_PE | CR0_TS);
		expect(clearTaskSwitched(cpu)).toBe(STATUS_NEXT);
		expect(cr0(cpu) & CR0_TS).toBe(0);
	});
});

describe("the other control registers", () => {
	it("CR3: flushes what is not global", () => {
		const cpu = protectedSystem(0);
		write(cpu, 3, 0x1234_5000);
		expect(cpu.mmu.calls).toEqual(["flushLocal"]);
		expect(cpu.state.getWide(CR3)).toBe(0x1234_5000);
	});

	it("CR3: refuses bad page-directory pointers under PAE", () => {
		const cpu = protectedSystem(0);
		write(cpu, 4, CR4_PAE);
		write(cpu, 0, CR0_PE | CR0_PG);
		cpu.mmu.pdptesAreBad = true;
		expect(write(cpu, 3, 0x5000)).toBe("13(0)");
		expect(cpu.state.getWide(CR3)).toBe(0);
	});

	it("CR4: refuses bits of features that CPUID does not offer", () => {
		const cpu = protectedSystem(0);
		for (const bit of [0, 1, 6, 11, 13, 16, 18, 20, 21]) {
			expect(write(cpu, 4, 1 << bit)).toBe("13(0)");
		}
		expect(write(cpu, 4, CR4_PSE | CR4_PAE | CR4_PGE | 0x70c)).toBe("none");
	});

	it("CR4: forgets translations when PSE, PAE or PGE change", () => {
		const cpu = protectedSystem(0);
		write(cpu, 4, 0x600);
		expect(cpu.mmu.calls).toEqual([]);
		write(cpu, 4, 0x600 | CR4_PGE);
		expect(cpu.mmu.calls).toEqual(["controlRegistersChanged"]);
	});

	it("CR2 holds anything and reads zero-extended", () => {
		const cpu = protectedSystem(0);
		write(cpu, 2, 0xdead_beef);
		moveFromControl(cpu, 2);
		expect(cpu.state.getWide(SYSTEM_RESULT)).toBe(0xdead_beef);
		expect(cpu.state.getWide(CR2)).toBe(0xdead_beef);
	});

	it("CR8 takes four bits", () => {
		const cpu = protectedSystem(0);
		expect(write(cpu, 8, 15)).toBe("none");
		expect(write(cpu, 8, 16)).toBe("13(0)");
	});

	it("do not exist at other numbers, which comes before privilege", () => {
		const cpu = protectedSystem(3);
		expect(write(cpu, 1, 0)).toBe("6");
		expect(faultOf(() => moveFromControl(cpu, 7))).toBe("6");
		expect(write(cpu, 0, 0)).toBe("13(0)");
		expect(faultOf(() => moveFromControl(cpu, 3))).toBe("13(0)");
	});
});

describe("INVLPG", () => {
	it("drops the page and leaves the loop only for the code's own page", () => {
		const cpu = protectedSystem(0);
		cpu.state.setWide(SYSTEM_ARGUMENT, 0xc000_0123);
		expect(invalidatePage(cpu)).toBe(STATUS_NEXT);
		cpu.state.setWide(SYSTEM_ARGUMENT, 0x4800);
		expect(invalidatePage(cpu)).toBe(STATUS_STOP);
		expect(cpu.mmu.calls).toEqual([
			"invalidatePage c0000123",
			"invalidatePage 4800",
		]);
	});

	it("drops the page of an address that a double cannot hold", () => {
		const cpu = protectedSystem(0);
		cpu.state.setBig(SYSTEM_ARGUMENT, 0xffff_ffff_8140_0fffn);
		invalidatePage(cpu);
		expect(cpu.mmu.calls).toEqual(["invalidatePage ffff81400fff"]);
	});

	it("is privileged", () => {
		expect(faultOf(() => invalidatePage(protectedSystem(3)))).toBe("13(0)");
	});
});
