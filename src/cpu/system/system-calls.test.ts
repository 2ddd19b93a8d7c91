import { describe, expect, it } from "vitest";
import {
	faultOf,
	protectedSystem,
	TestSystem,
	USER_STACK,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP_JUMP } from "../engine/status.ts";
import {
	EFLAGS_CF,
	EFLAGS_FIXED,
	EFLAGS_IF,
	EFLAGS_RF,
	EFLAGS_ZF,
} from "../flags.ts";
import { MODE_FLAT } from "../mode.ts";
import { MODE, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from "../state.ts";
import { CS, SS } from "./descriptors.ts";
import { updateMode } from "./mode-control.ts";
import { segmentAttributes, segmentLimit } from "./segments.ts";
import { syscall, sysenter, sysexit, sysret } from "./system-calls.ts";

function prepared(level: 0 | 3, selector = 0x60): TestSystem {
	const cpu = protectedSystem(level);
	cpu.state.setWide(SYSENTER_CS, selector);
	cpu.state.setWide(SYSENTER_ESP, 0xc100_0000);
	cpu.state.setWide(SYSENTER_EIP, 0xc020_0000);
	return cpu;
}

describe("SYSENTER", () => {
	it("enters level 0 flat, by MSRs alone", () => {
		const cpu = prepared(3);
		cpu.eflags = EFLAGS_IF | EFLAGS_RF | EFLAGS_CF | EFLAGS_ZF;
		expect(sysenter(cpu)).toBe(STATUS_STOP_JUMP);
		expect([cpu.rip, cpu.esp, cpu.cpl]).toEqual([0xc020_0000, 0xc100_0000, 0]);
		expect([cpu.selector(CS), cpu.selector(SS)]).toEqual([0x60, 0x68]);
		expect(segmentAttributes(cpu.state, CS)).toBe(0xc09b);
		expect(segmentAttributes(cpu.state, SS)).toBe(0xc093);
		expect(segmentLimit(cpu.state, CS)).toBe(0xffff_ffff);
		expect(cpu.eflags).toBe(EFLAGS_CF | EFLAGS_ZF | EFLAGS_FIXED);
	});

	it("ignores the selector's RPL and refuses a null one", () => {
		const cpu = prepared(3, 0x63);
		sysenter(cpu);
		expect(cpu.selector(CS)).toBe(0x60);
		expect(faultOf(() => sysenter(prepared(3, 3)))).toBe("13(0)");
	});

	it("is #GP(0) in real mode", () => {
		const cpu = new TestSystem();
		cpu.state.setWide(SYSENTER_CS, 0x60);
		expect(faultOf(() => sysenter(cpu))).toBe("13(0)");
	});
});

describe("SYSEXIT", () => {
	it("goes to level 3 at EDX with the stack at ECX, still flat", () => {
		const cpu = prepared(0);
		cpu.state.setGpr32(1, USER_STACK);
		cpu.state.setGpr32(2, 0xb7ff_0000);
		expect(sysexit(cpu, 32)).toBe(STATUS_STOP_JUMP);
		expect([cpu.rip, cpu.esp, cpu.cpl]).toEqual([0xb7ff_0000, USER_STACK, 3]);
		expect([cpu.selector(CS), cpu.selector(SS)]).toEqual([0x73, 0x7b]);
		updateMode(cpu.state);
		expect(cpu.cpl).toBe(3);
		expect(cpu.state.get32(MODE) & MODE_FLAT).toBe(MODE_FLAT);
	});

	it("is privileged", () => {
		expect(faultOf(() => sysexit(prepared(3), 32))).toBe("13(0)");
		expect(faultOf(() => sysexit(prepared(0, 0), 32))).toBe("13(0)");
	});
});

describe("SYSCALL and SYSRET", () => {
	it("do not exist in legacy mode", () => {
		expect(faultOf(syscall)).toBe("6");
		expect(faultOf(() => sysret(prepared(3)))).toBe("6");
	});
});
