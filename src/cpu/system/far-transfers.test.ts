import { describe, expect, it } from "vitest";
import {
	CALL_GATE,
	CODE_16,
	CONFORMING,
	faultOf,
	GATE_16,
	GDT,
	KERNEL_CODE,
	KERNEL_DATA,
	KERNEL_STACK,
	NEXT,
	protectedSystem,
	STACK_16,
	TestSystem,
	TSS,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../../../test/support/system-context.ts";
import { STATUS_JUMP, STATUS_STOP_JUMP } from "../engine/status.ts";
import { CR0 } from "../state.ts";
import { CS, DS, ES, FS, SS } from "./descriptors.ts";
import { callFar, jumpFar, returnFar } from "./far-transfers.ts";
import { segmentBase } from "./segments.ts";

describe("JMP FAR in protected mode", () => {
	it("loads CS with RPL = CPL and goes on in the loop when the mode stays", () => {
		const cpu = protectedSystem(3);
		expect(jumpFar(cpu, USER_CODE & ~3, 0x1234)).toBe(STATUS_JUMP);
		expect([cpu.selector(CS), cpu.rip]).toEqual([USER_CODE, 0x1234]);
	});

	it("leaves the loop when the code size changes", () => {
		const cpu = protectedSystem(0);
		expect(jumpFar(cpu, CODE_16, 0x1234)).toBe(STATUS_STOP_JUMP);
	});

	it("runs conforming code of an inner level at the outer one", () => {
		const cpu = protectedSystem(3);
		jumpFar(cpu, CONFORMING, 0x10);
		expect([cpu.selector(CS), cpu.cpl]).toEqual([CONFORMING | 3, 3]);
	});

	it.each([
		["a null selector", 0, 3, "13(0)"],
		["another level's code", KERNEL_CODE, 3, "13(8)"],
		["an RPL above CPL", USER_CODE, 0, "13(18)"],
		["data", USER_DATA, 3, "13(20)"],
		["a selector beyond the table", 0x2000, 3, "13(2000)"],
		["an inner level through a call gate", CALL_GATE, 3, "13(8)"],
	] as const)("refuses %s", (_, selector, level, fault) => {
		const cpu = protectedSystem(level);
		expect(faultOf(() => jumpFar(cpu, selector, 0))).toBe(fault);
	});

	it("checks the offset against the new limit", () => {
		const cpu = protectedSystem(0);
		expect(faultOf(() => jumpFar(cpu, CODE_16, 0x1_0000))).toBe("13(0)");
		expect(cpu.selector(CS)).toBe(KERNEL_CODE);
	});

	it("raises #NP for absent code", () => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(CODE_16, 0x1b);
		expect(faultOf(() => jumpFar(cpu, CODE_16, 0))).toBe("11(80)");
	});

	it("follows a call gate within its level, ignoring the offset given", () => {
		const cpu = protectedSystem(0);
		jumpFar(cpu, CALL_GATE & ~3, 0xdead);
		expect([cpu.selector(CS), cpu.rip]).toEqual([KERNEL_CODE, 0x5000]);
		expect(cpu.esp).toBe(KERNEL_STACK);
	});
});

describe("CALL FAR in protected mode", () => {
	it("pushes CS and the next instruction's offset", () => {
		const cpu = protectedSystem(0);
		callFar(cpu, KERNEL_CODE, 0x1234, 4);
		expect(cpu.stack32(2)).toEqual([NEXT, KERNEL_CODE]);
		expect(cpu.esp).toBe(KERNEL_STACK - 8);
	});

	it("pushes words at 16-bit operand size", () => {
		const cpu = protectedSystem(0);
		callFar(cpu, KERNEL_CODE, 0x1234, 2);
		expect(cpu.stack32(1)).toEqual([(KERNEL_CODE << 16) | NEXT]);
	});

	it("moves SP only on a 16-bit stack", () => {
		const cpu = protectedSystem(0);
		cpu.load(SS, STACK_16);
		cpu.esp = 0x1234_0002;
		expect(faultOf(() => callFar(cpu, KERNEL_CODE, 0x10, 2))).toBe("none");
		expect(cpu.esp).toBe(0x1234_fffe);
		expect(cpu.mmu.view.getUint16(0xfffe, true)).toBe(NEXT);
	});

	it("changes nothing when the stack faults", () => {
		const cpu = protectedSystem(3);
		cpu.mmu.absent.add((USER_STACK - 8) >> 12);
		expect(faultOf(() => callFar(cpu, USER_CODE, 0x10, 4))).toBe("14(6)");
		expect([cpu.esp, cpu.rip]).toEqual([USER_STACK, 0x4000]);
	});

	it("goes inwards through a gate: stack from the TSS, parameters copied", () => {
		const cpu = protectedSystem(3);
		cpu.pushAll(0x1111, 0x2222);
		const outer = cpu.esp;
		expect(callFar(cpu, CALL_GATE, 0, 4)).toBe(STATUS_STOP_JUMP);
		expect(cpu.stack32(6)).toEqual([
			NEXT,
			USER_CODE,
			0x1111,
			0x2222,
			outer,
			USER_DATA,
		]);
		expect(cpu.esp).toBe(KERNEL_STACK - 24);
		expect([cpu.cpl, cpu.selector(SS), cpu.selector(CS)]).toEqual([
			0,
			KERNEL_DATA,
			KERNEL_CODE,
		]);
		expect(cpu.rip).toBe(0x5000);
	});

	it("uses words through a 16-bit gate", () => {
		const cpu = protectedSystem(3);
		cpu.pushAll(0xaaaa_1111);
		callFar(cpu, GATE_16, 0, 4);
		expect(cpu.esp).toBe(KERNEL_STACK - 10);
		const words = [0, 2, 4, 6, 8].map((at) =>
			cpu.mmu.view.getUint16(cpu.esp + at, true),
		);
		expect(words).toEqual([NEXT, USER_CODE, 0x1111, USER_STACK - 4, USER_DATA]);
	});

	it.each([
		["null", 0, "10(0)"],
		["of another level", USER_DATA, "10(20)"],
		["code", KERNEL_CODE, "10(8)"],
		["beyond the table", 0x2000, "10(2000)"],
	])("raises #TS when the TSS's stack segment is %s", (_, selector, fault) => {
		const cpu = protectedSystem(3);
		cpu.mmu.view.setUint16(TSS + 8, selector, true);
		expect(faultOf(() => callFar(cpu, CALL_GATE, 0, 4))).toBe(fault);
		expect([cpu.cpl, cpu.esp]).toEqual([3, USER_STACK]);
	});

	it("raises #SS with the selector when the inner stack is absent or full", () => {
		const absent = protectedSystem(3);
		absent.mmu.view.setUint16(TSS + 8, STACK_16, true);
		absent.setAccessByte(STACK_16, 0x13);
		expect(faultOf(() => callFar(absent, CALL_GATE, 0, 4))).toBe("12(90)");
		const full = protectedSystem(3);
		full.descriptor(GDT, STACK_16, 0, 0xff, 0x4093);
		full.mmu.view.setUint16(TSS + 8, STACK_16, true);
		expect(faultOf(() => callFar(full, CALL_GATE, 0, 4))).toBe("12(90)");
	});

	it.each([
		["is absent", 0x6c, "11(30)"],
		["is for inner levels", 0x8c, "13(30)"],
	])("refuses a gate that %s", (_, rights, fault) => {
		const cpu = protectedSystem(3);
		cpu.setAccessByte(CALL_GATE, rights);
		expect(faultOf(() => callFar(cpu, CALL_GATE, 0, 4))).toBe(fault);
	});
});

describe("RET FAR in protected mode", () => {
	it("stays at its level and releases parameters", () => {
		const cpu = protectedSystem(0);
		cpu.pushAll(0x1234, KERNEL_CODE, 7, 8);
		expect(returnFar(cpu, 4, 8)).toBe(STATUS_JUMP);
		expect([cpu.rip, cpu.esp]).toEqual([0x1234, KERNEL_STACK]);
	});

	it("returns outwards, releases on both stacks, and takes inner data away", () => {
		const cpu = protectedSystem(0);
		cpu.load(ES, USER_DATA);
		cpu.load(FS, CONFORMING);
		cpu.pushAll(0x1234, USER_CODE, 1, 2, 0x9000, USER_DATA);
		expect(returnFar(cpu, 4, 8)).toBe(STATUS_STOP_JUMP);
		expect([cpu.cpl, cpu.rip, cpu.esp]).toEqual([3, 0x1234, 0x9008]);
		expect([cpu.selector(CS), cpu.selector(SS)]).toEqual([
			USER_CODE,
			USER_DATA,
		]);
		expect([cpu.selector(DS), cpu.selector(ES), cpu.selector(FS)]).toEqual([
			0,
			USER_DATA,
			CONFORMING,
		]);
	});

	it.each([
		["a null CS", [0, 0], "13(0)", 0],
		["an inner level", [0, KERNEL_CODE], "13(8)", 3],
		["data", [0, USER_DATA], "13(20)", 3],
		["a null SS", [0, USER_CODE, 0, 0], "13(0)", 0],
		["an SS of another level", [0, USER_CODE, 0, KERNEL_DATA], "13(10)", 0],
	] as const)("refuses to return to %s", (_, frame, fault, level) => {
		const cpu = protectedSystem(level);
		cpu.pushAll(...frame);
		const { esp } = cpu;
		expect(faultOf(() => returnFar(cpu, 4, 0))).toBe(fault);
		expect([cpu.esp, cpu.rip, cpu.cpl]).toEqual([esp, 0x4000, level]);
	});

	it("undoes a call through a gate", () => {
		const cpu = protectedSystem(3);
		cpu.pushAll(1, 2);
		callFar(cpu, CALL_GATE, 0, 4);
		returnFar(cpu, 4, 8);
		expect([cpu.cpl, cpu.rip, cpu.esp]).toEqual([3, NEXT, USER_STACK]);
	});
});

describe("far transfers in real mode", () => {
	it("jump by paragraph", () => {
		const cpu = new TestSystem();
		jumpFar(cpu, 0x1000, 0x20);
		expect([segmentBase(cpu.state, CS), cpu.rip]).toEqual([0x1_0000, 0x20]);
	});

	it("call and return", () => {
		const cpu = new TestSystem();
		jumpFar(cpu, 0x400, 0);
		callFar(cpu, 0x1000, 0x20, 2);
		expect(cpu.esp).toBe(KERNEL_STACK - 4);
		returnFar(cpu, 2, 6);
		expect([cpu.selector(CS), cpu.rip, cpu.esp]).toEqual([
			0x400,
			NEXT,
			KERNEL_STACK + 6,
		]);
	});

	it("keep CS's size when protected mode was just left", () => {
		const cpu = protectedSystem(0);
		cpu.state.setWide(CR0, 0x10);
		jumpFar(cpu, 0x123, 0x1_0000);
		expect([cpu.selector(CS), cpu.rip]).toEqual([0x123, 0x1_0000]);
	});

	it("refuse an offset beyond the limit", () => {
		const cpu = new TestSystem();
		expect(faultOf(() => jumpFar(cpu, 0, 0x1_0000))).toBe("13(0)");
	});
});
