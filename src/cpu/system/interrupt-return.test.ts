import { describe, expect, it } from "vitest";
import {
	faultOf,
	HERE,
	KERNEL_CODE,
	KERNEL_DATA,
	KERNEL_STACK,
	NEXT,
	protectedSystem,
	STACK_16,
	TestSystem,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../../../test/support/system-context.ts";
import { STATUS_JUMP, STATUS_STOP_JUMP } from "../engine/status.ts";
import {
	EFLAGS_AC,
	EFLAGS_CF,
	EFLAGS_DF,
	EFLAGS_FIXED,
	EFLAGS_ID,
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_NT,
	EFLAGS_RF,
	EFLAGS_TF,
	EFLAGS_VM,
} from "../flags.ts";
import { DR, IDTR_LIMIT, INTERRUPT_PENDING } from "../state.ts";
import { CS, DS, ES, FS, GS, SS } from "./descriptors.ts";
import { interruptReturn, softwareInterrupt } from "./interrupt-return.ts";
import { segmentBase } from "./segments.ts";

const EVERYTHING =
	EFLAGS_CF |
	EFLAGS_TF |
	EFLAGS_IF |
	EFLAGS_DF |
	EFLAGS_IOPL |
	EFLAGS_NT |
	EFLAGS_AC |
	EFLAGS_ID;

describe("IRET within a level", () => {
	it("goes on in the loop when nothing asks for the run loop", () => {
		const cpu = protectedSystem(0);
		cpu.pushAll(0x1234, KERNEL_CODE, EFLAGS_IF | EFLAGS_CF);
		expect(interruptReturn(cpu, 4)).toBe(STATUS_JUMP);
		expect([cpu.rip, cpu.esp]).toEqual([0x1234, KERNEL_STACK]);
		expect(cpu.eflags).toBe(EFLAGS_IF | EFLAGS_CF | EFLAGS_FIXED);
	});

	it.each([
		["an interrupt waits and IF becomes set", EFLAGS_IF, 1, STATUS_STOP_JUMP],
		["an interrupt waits and IF stays clear", 0, 1, STATUS_JUMP],
		["TF becomes set", EFLAGS_TF, 0, STATUS_STOP_JUMP],
		["AC changes", EFLAGS_AC, 0, STATUS_STOP_JUMP],
	])("when %s, ends with status of that", (_, image, pending, status) => {
		const cpu = protectedSystem(0);
		cpu.state.set32(INTERRUPT_PENDING, pending);
		cpu.pushAll(0x1234, KERNEL_CODE, image);
		expect(interruptReturn(cpu, 4)).toBe(status);
	});

	it("changes every flag at CPL 0 but VM", () => {
		const cpu = protectedSystem(0);
		cpu.pushAll(0x1234, KERNEL_CODE, EVERYTHING);
		interruptReturn(cpu, 4);
		expect(cpu.eflags).toBe(EVERYTHING | EFLAGS_FIXED);
	});

	it("keeps IOPL and IF at CPL 3 with IOPL 0", () => {
		const cpu = protectedSystem(3);
		cpu.pushAll(0x1234, USER_CODE, EVERYTHING | EFLAGS_VM);
		interruptReturn(cpu, 4);
		const kept = EFLAGS_IF | EFLAGS_IOPL;
		expect(cpu.eflags).toBe((EVERYTHING & ~kept) | EFLAGS_FIXED);
	});

	it("changes the low word only at 16-bit operand size", () => {
		const cpu = protectedSystem(0);
		cpu.eflags = EFLAGS_ID;
		cpu.pushAll((KERNEL_CODE << 16) | 0x1234, EFLAGS_CF);
		interruptReturn(cpu, 2);
		expect(cpu.eflags).toBe(EFLAGS_ID | EFLAGS_CF | EFLAGS_FIXED);
		expect(cpu.esp).toBe(KERNEL_STACK - 2);
	});

	it("takes RF only while a breakpoint is armed", () => {
		const rf = (dr7: number) => {
			const cpu = protectedSystem(0);
			cpu.state.setWide(DR, dr7, 7);
			cpu.pushAll(0x1234, KERNEL_CODE, EFLAGS_RF);
			interruptReturn(cpu, 4);
			return cpu.eflags & EFLAGS_RF;
		};
		expect([rf(0x400), rf(0x401)]).toEqual([0, EFLAGS_RF]);
	});
});

describe("IRET outwards", () => {
	it("loads SS:ESP and the level, and takes inner data away", () => {
		const cpu = protectedSystem(0);
		cpu.load(ES, USER_DATA);
		cpu.pushAll(0x1234, USER_CODE, EFLAGS_IF, 0x9abc, USER_DATA);
		expect(interruptReturn(cpu, 4)).toBe(STATUS_STOP_JUMP);
		expect([cpu.cpl, cpu.rip, cpu.esp]).toEqual([3, 0x1234, 0x9abc]);
		expect([ES, CS, SS, DS].map((index) => cpu.selector(index))).toEqual([
			USER_DATA,
			USER_CODE,
			USER_DATA,
			0,
		]);
	});

	it("leaves the upper half of ESP when the outer stack is 16-bit", () => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(STACK_16, 0xf3);
		cpu.esp = 0x1_8000;
		cpu.pushAll(0x1234, USER_CODE, 0, 0x7777_9abc, STACK_16 | 3);
		interruptReturn(cpu, 4);
		expect(cpu.esp).toBe(0x1_9abc);
	});

	it.each([
		["a null CS", [0, 0, 0], "13(0)"],
		["a CS beyond the table", [0, 0x2003, 0], "13(2000)"],
		["data as CS", [0, USER_DATA, 0], "13(20)"],
		["RPL 3 with code of level 0", [0, KERNEL_CODE | 3, 0], "13(8)"],
		["an SS of level 0", [0, USER_CODE, 0, 0, KERNEL_DATA], "13(10)"],
		["a null SS", [0, USER_CODE, 0, 0, 0], "13(0)"],
		["an absent SS", [0, USER_CODE, 0, 0, STACK_16 | 3], "12(90)"],
	])("changes nothing for %s", (_, frame, fault) => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(STACK_16, 0x73);
		cpu.pushAll(...frame);
		const { esp } = cpu;
		expect(faultOf(() => interruptReturn(cpu, 4))).toBe(fault);
		expect([cpu.esp, cpu.rip, cpu.selector(CS)]).toEqual([
			esp,
			HERE,
			KERNEL_CODE,
		]);
	});

	it("raises #SS when the frame is not within the stack", () => {
		const cpu = protectedSystem(0);
		cpu.load(SS, STACK_16);
		cpu.esp = 0xfffe;
		expect(faultOf(() => interruptReturn(cpu, 4))).toBe("12(0)");
	});
});

describe("IRET to and in virtual-8086 mode", () => {
	it("takes all segments from the frame of level 0", () => {
		const cpu = protectedSystem(0);
		const image = EFLAGS_VM | EFLAGS_IF | EFLAGS_IOPL;
		const garbage = 0x8000_8028;
		cpu.pushAll(0x100, 0x1000, image | garbage, 0xfff0, 0x2000, 1, 2, 3, 4);
		expect(interruptReturn(cpu, 4)).toBe(STATUS_STOP_JUMP);
		expect([cpu.cpl, cpu.rip, cpu.esp]).toEqual([3, 0x100, 0xfff0]);
		const selectors = [ES, CS, SS, DS, FS, GS].map((i) => cpu.selector(i));
		expect(selectors).toEqual([1, 0x1000, 0x2000, 2, 3, 4]);
		expect(segmentBase(cpu.state, SS)).toBe(0x2_0000);
		expect(cpu.eflags).toBe(image | EFLAGS_FIXED);
	});

	it("needs IOPL 3 inside", () => {
		const cpu = protectedSystem(0);
		cpu.enterVirtual8086(2);
		expect(faultOf(() => interruptReturn(cpu, 2))).toBe("13(0)");
	});

	it("keeps VM and IOPL inside", () => {
		const cpu = protectedSystem(0);
		cpu.enterVirtual8086(3);
		const at = segmentBase(cpu.state, SS) + cpu.esp;
		cpu.mmu.view.setUint16(at, 0x333, true);
		cpu.mmu.view.setUint16(at + 2, 0x444, true);
		cpu.mmu.view.setUint16(at + 4, EFLAGS_IF, true);
		interruptReturn(cpu, 2);
		expect([cpu.rip, cpu.selector(CS), cpu.esp]).toEqual([0x333, 0x444, 0xff6]);
		const kept = EFLAGS_VM | EFLAGS_IOPL | EFLAGS_IF;
		expect(cpu.eflags & kept).toBe(kept);
	});
});

describe("IRET in real mode", () => {
	it("pops three words and changes IOPL too", () => {
		const cpu = new TestSystem();
		cpu.pushAll(0x0100_0020, EFLAGS_IOPL | EFLAGS_IF);
		interruptReturn(cpu, 2);
		expect([cpu.rip, cpu.selector(CS)]).toEqual([0x20, 0x100]);
		expect(cpu.eflags & EFLAGS_IOPL).toBe(EFLAGS_IOPL);
	});
});

describe("INT", () => {
	it("pushes the next instruction's offset", () => {
		const cpu = protectedSystem(3);
		cpu.idtGate(0x80, KERNEL_CODE, 0x5000, 0xef);
		cpu.eflags = EFLAGS_IF;
		expect(softwareInterrupt(cpu, 0x80, 0)).toBe(STATUS_STOP_JUMP);
		expect(cpu.stack32(4)).toEqual([
			NEXT,
			USER_CODE,
			EFLAGS_IF | EFLAGS_FIXED,
			USER_STACK,
		]);
		expect(cpu.eflags & EFLAGS_IF).toBe(EFLAGS_IF);
	});

	it("is undone by IRET", () => {
		const cpu = protectedSystem(3);
		cpu.idtGate(0x80, KERNEL_CODE, 0x5000, 0xee);
		softwareInterrupt(cpu, 0x80, 0);
		interruptReturn(cpu, 4);
		expect([cpu.rip, cpu.esp, cpu.cpl]).toEqual([NEXT, USER_STACK, 3]);
	});

	it("checks the gate's DPL for INT n, INT3 and INTO, not for INT1", () => {
		const fault = (vector: number, kind: number) => {
			const cpu = protectedSystem(3);
			cpu.idtGate(vector, KERNEL_CODE, 0);
			return faultOf(() => softwareInterrupt(cpu, vector, kind));
		};
		expect(fault(0x80, 0)).toBe("13(402)");
		expect(fault(3, 1)).toBe("13(1a)");
		expect(fault(4, 2)).toBe("13(22)");
		expect(fault(1, 3)).toBe("none");
	});

	it("needs IOPL 3 for INT n in virtual-8086 mode, but not for INT3", () => {
		const fault = (kind: number) => {
			const cpu = protectedSystem(0);
			cpu.idtGate(3, KERNEL_CODE, 0, 0xee);
			cpu.enterVirtual8086(0);
			return faultOf(() => softwareInterrupt(cpu, 3, kind));
		};
		expect([fault(0), fault(1)]).toEqual(["13(0)", "none"]);
	});

	it("works in real mode", () => {
		const cpu = new TestSystem();
		cpu.state.set32(IDTR_LIMIT, 0x3ff);
		cpu.mmu.view.setUint32(0x40, 0x0010_0020, true);
		softwareInterrupt(cpu, 0x10, 0);
		expect(cpu.rip).toBe(0x20);
		interruptReturn(cpu, 2);
		expect(cpu.rip).toBe(NEXT);
	});
});
