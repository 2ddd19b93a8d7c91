import { describe, expect, it } from "vitest";
import {
	faultOf,
	GDT,
	HERE,
	KERNEL_DATA,
	NEXT,
	protectedSystem,
	type TestSystem,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP_JUMP } from "../engine/status.ts";
import { EFLAGS_NT } from "../flags.ts";
import { makeMode } from "../mode.ts";
import { EFER, GPR, MODE, RIP } from "../state.ts";
import { EFER_LMA } from "./control-bits.ts";
import { CS, DS, SS } from "./descriptors.ts";
import { callFar, jumpFar, returnFar } from "./far-transfers.ts";
import { interruptReturn } from "./interrupt-return.ts";
import { updateMode } from "./mode-control.ts";
import { selectorOf } from "./segments.ts";

/** Slots that the legacy tests use for something else. */
const USER_LONG = 0x73;
const KERNEL_LONG = 0x78;
const BOTH_SIZES = 0x8b;
const RSP = 4;
const FLAT = 0xffff_ffff;
const NOT_CANONICAL = 0x8000_0000_0000n;

/** In 64-bit mode at `level`. */
function longSystem(level: 0 | 3): TestSystem {
	const cpu = protectedSystem(level);
	cpu.descriptor(GDT, USER_LONG, 0, FLAT, 0x20fb);
	cpu.descriptor(GDT, KERNEL_LONG, 0, FLAT, 0x209b);
	cpu.descriptor(GDT, BOTH_SIZES, 0, FLAT, 0x60fb);
	cpu.state.set32(EFER, EFER_LMA);
	cpu.load(CS, level === 0 ? KERNEL_LONG : USER_LONG);
	updateMode(cpu.state);
	return cpu;
}

function push64(
	cpu: TestSystem,
	...values: readonly (bigint | number)[]
): void {
	for (const value of values) {
		cpu.esp -= 8;
		cpu.mmu.view.setBigUint64(cpu.esp, BigInt(value), true);
	}
}

describe("far transfers in long mode", () => {
	it("run under the mode of 64-bit code", () => {
		expect(longSystem(3).state.get32(MODE)).toBe(makeMode(64, 64, true));
	});

	it("return to compatibility mode, which ends generated code's assumptions", () => {
		const cpu = longSystem(3);
		push64(cpu, USER_CODE, 0x1234);
		expect(returnFar(cpu, 8, 0)).toBe(STATUS_STOP_JUMP);
		expect([cpu.selector(CS), cpu.rip]).toEqual([USER_CODE, 0x1234]);
		expect(cpu.esp).toBe(USER_STACK);
	});

	it("return to 64-bit code with 64 bits of offset", () => {
		const cpu = longSystem(3);
		push64(cpu, 0, USER_LONG, 0x7fff_1234_5678n);
		returnFar(cpu, 8, 8);
		expect(cpu.state.getBig(RIP)).toBe(0x7fff_1234_5678n);
		expect(cpu.esp).toBe(USER_STACK);
	});

	it("push a return address on the 64-bit stack", () => {
		const cpu = longSystem(3);
		callFar(cpu, USER_LONG, 0x1234, 4);
		expect(cpu.stack32(2)).toEqual([NEXT, USER_LONG]);
		expect(cpu.rip).toBe(0x1234);
	});

	it.each([
		["code that claims both sizes", BOTH_SIZES, "13(88)"],
		["data", USER_DATA, "13(20)"],
		["a null selector", 0, "13(0)"],
		["another level", KERNEL_LONG, "13(78)"],
	] as const)("refuse %s", (_, selector, fault) => {
		const cpu = longSystem(3);
		expect(faultOf(() => jumpFar(cpu, selector, 0))).toBe(fault);
		expect(cpu.rip).toBe(HERE);
	});

	it("refuse offsets that are not canonical, or beyond a limit", () => {
		const cpu = longSystem(3);
		push64(cpu, USER_LONG, NOT_CANONICAL);
		expect(faultOf(() => returnFar(cpu, 8, 0))).toBe("13(0)");
		push64(cpu, USER_CODE, 0x1_0000_0000);
		expect(faultOf(() => returnFar(cpu, 8, 0))).toBe("13(0)");
	});

	it("raise #SS for a stack that is not canonical", () => {
		const cpu = longSystem(3);
		cpu.state.setBig(GPR, NOT_CANONICAL - 4n, RSP);
		expect(faultOf(() => returnFar(cpu, 8, 0))).toBe("12(0)");
		cpu.state.setBig(GPR, NOT_CANONICAL + 4n, RSP);
		expect(faultOf(() => callFar(cpu, USER_LONG, 0, 4))).toBe("12(0)");
	});
});

describe("IRET in long mode", () => {
	it("of 64-bit code takes the stack along even within its level", () => {
		const cpu = longSystem(3);
		push64(cpu, USER_DATA, 0x1234_5678_9abcn, 2, USER_LONG, 0x1000);
		interruptReturn(cpu, 8);
		expect(cpu.state.getBig(GPR, RSP)).toBe(0x1234_5678_9abcn);
		expect([cpu.rip, cpu.selector(SS)]).toEqual([0x1000, USER_DATA]);
	});

	it("goes out to user mode and takes inner segments away", () => {
		const cpu = longSystem(0);
		push64(cpu, USER_DATA, USER_STACK, 2, USER_LONG, 0x1000);
		expect(interruptReturn(cpu, 8)).toBe(STATUS_STOP_JUMP);
		expect([cpu.cpl, cpu.esp]).toEqual([3, USER_STACK]);
		expect(selectorOf(cpu.state, DS)).toBe(0);
	});

	it("lets 64-bit code of an inner level have no stack segment", () => {
		const cpu = longSystem(0);
		push64(cpu, 0, 0x5000, 2, KERNEL_LONG, 0x1000);
		expect(faultOf(() => interruptReturn(cpu, 8))).toBe("none");
		expect([cpu.selector(SS), cpu.cpl, cpu.esp]).toEqual([0, 0, 0x5000]);
	});

	it.each([
		["no stack segment", 0, "13(0)"],
		["another level's stack", KERNEL_DATA, "13(10)"],
	] as const)("refuses user code with %s", (_, stack, fault) => {
		const cpu = longSystem(3);
		push64(cpu, stack, USER_STACK, 2, USER_LONG, 0x1000);
		expect(faultOf(() => interruptReturn(cpu, 8))).toBe(fault);
	});

	it("knows no tasks", () => {
		const cpu = longSystem(3);
		cpu.eflags = EFLAGS_NT;
		expect(faultOf(() => interruptReturn(cpu, 8))).toBe("13(0)");
	});

	it("of compatibility mode pops no stack within its level", () => {
		const cpu = longSystem(3);
		cpu.load(CS, USER_CODE);
		updateMode(cpu.state);
		cpu.pushAll(0x1000, USER_CODE, 2);
		interruptReturn(cpu, 4);
		expect([cpu.rip, cpu.esp]).toEqual([0x1000, USER_STACK]);
	});
});
