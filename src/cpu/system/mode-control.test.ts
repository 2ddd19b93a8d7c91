import { describe, expect, it } from "vitest";
import {
	CODE_16,
	protectedSystem,
	SMALL_DATA,
	STACK_16,
	TestSystem,
} from "../../../test/support/system-context.ts";
import { EFLAGS_AC, EFLAGS_TF } from "../flags.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_NEVER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import { MODE_FLAT, makeMode } from "../mode.ts";
import {
	CPL,
	CR0,
	DR,
	LEAVE,
	MODE,
	REP_LIMIT,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import { CR0_AM } from "./control-bits.ts";
import { CS, DS, FS, SS } from "./descriptors.ts";
import { updateMode } from "./mode-control.ts";
import { setNullSegment } from "./segments.ts";

function modeOf(cpu: TestSystem): number {
	updateMode(cpu.state);
	return cpu.state.get32(MODE);
}

describe("updateMode", () => {
	it("calls a CPU with four 4 GiB segments flat, at any level", () => {
		expect(modeOf(protectedSystem(0))).toBe(makeMode(32, 32, true));
		expect(modeOf(protectedSystem(3))).toBe(makeMode(32, 32, true));
	});

	it("does not care about FS, but about DS", () => {
		const cpu = protectedSystem(3);
		cpu.load(FS, SMALL_DATA | 3);
		expect(modeOf(cpu) & MODE_FLAT).toBe(MODE_FLAT);
		setNullSegment(cpu.state, DS, 0);
		expect(modeOf(cpu)).toBe(makeMode(32, 32, false));
	});

	it("takes sizes from CS.D and SS.B", () => {
		const cpu = protectedSystem(0);
		cpu.load(CS, CODE_16);
		expect(modeOf(cpu)).toBe(makeMode(16, 32, false));
		cpu.load(SS, STACK_16);
		expect(modeOf(cpu)).toBe(makeMode(16, 16, false));
	});

	it("is 16-bit and not flat in real mode, whatever the hidden limits are", () => {
		expect(modeOf(new TestSystem())).toBe(makeMode(16, 16, false));
		const cpu = protectedSystem(0);
		cpu.state.setWide(CR0, 0x10);
		expect(modeOf(cpu)).toBe(makeMode(32, 32, false));
	});

	it("finds the level in SS, 3 in virtual-8086 mode and 0 in real mode", () => {
		const levels = [protectedSystem(0), protectedSystem(3), new TestSystem()];
		const virtual = protectedSystem(0);
		virtual.enterVirtual8086(0);
		const found = [...levels, virtual].map((cpu) => {
			updateMode(cpu.state);
			return cpu.state.get32(CPL);
		});
		expect(found).toEqual([0, 3, 0, 3]);
	});

	it("sets the TLB masks of the level", () => {
		const masks = (cpu: TestSystem) =>
			[TLB_READ_MASK, TLB_WRITE_MASK, TLB_EXECUTE_MASK].map((field) =>
				cpu.state.get32(field),
			);
		expect(masks(protectedSystem(0))).toEqual([
			TLB_READ_SUPERVISOR,
			TLB_WRITE_SUPERVISOR,
			TLB_EXECUTE_SUPERVISOR,
		]);
		expect(masks(protectedSystem(3))).toEqual([
			TLB_READ_USER,
			TLB_WRITE_USER,
			TLB_EXECUTE_USER,
		]);
	});

	it("sends data accesses the slow way for alignment checks, at CPL 3 only", () => {
		const always = (level: 0 | 3) => {
			const cpu = protectedSystem(level);
			cpu.state.setWide(CR0, 0x11 | CR0_AM);
			cpu.eflags = EFLAGS_AC;
			updateMode(cpu.state);
			return cpu.state.get32(TLB_WRITE_MASK) & TLB_NEVER;
		};
		expect([always(0), always(3)]).toEqual([0, TLB_NEVER]);
	});

	it.each([
		["a write breakpoint", 0x0001_0001, TLB_NEVER, 1],
		["an instruction breakpoint", 0x0000_0002, 0, 1],
		["a condition that is not enabled", 0x0003_0000, 0, 0x7fff_ffff],
	])("reacts to %s in DR7", (_, dr7, always, limit) => {
		const cpu = protectedSystem(0);
		cpu.state.setWide(DR, dr7, 7);
		updateMode(cpu.state);
		expect(cpu.state.get32(TLB_READ_MASK) & TLB_NEVER).toBe(always);
		expect(cpu.state.get32(REP_LIMIT)).toBe(limit);
	});

	it("lets REP do one iteration at a time under single-step", () => {
		const cpu = protectedSystem(0);
		cpu.eflags = EFLAGS_TF;
		updateMode(cpu.state);
		expect(cpu.state.get32(REP_LIMIT)).toBe(1);
	});

	it("clears LEAVE", () => {
		const cpu = protectedSystem(0);
		cpu.state.set32(LEAVE, 1);
		updateMode(cpu.state);
		expect(cpu.state.get32(LEAVE)).toBe(0);
	});
});
