import { describe, expect, it } from "vitest";
import {
	faultOf,
	HERE,
	KERNEL_CODE,
	KERNEL_DATA,
	LDT_SELECTOR,
	NEXT,
	protectedSystem,
	TASK,
	TASK_2,
	TASK_286,
	TASK_GATE_3,
	type TestSystem,
	TSS,
	TSS_2,
	TSS_286,
	USER_CODE,
	USER_DATA,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP_JUMP } from "../engine/status.ts";
import { EFLAGS_CF, EFLAGS_FIXED, EFLAGS_NT, EFLAGS_VM } from "../flags.ts";
import { CR0, CR3, CR4, DR, GPR, LDTR, TR } from "../state.ts";
import { CR0_PG, CR0_TS, CR4_PAE } from "./control-bits.ts";
import { DR6_BT } from "./debug-status.ts";
import { CS, DS, ES, SS } from "./descriptors.ts";
import { callFar, jumpFar } from "./far-transfers.ts";
import { interruptReturn } from "./interrupt-return.ts";
import { deliverInterrupt, KIND_EXCEPTION } from "./interrupts.ts";
import { OPERATIONS } from "./operations.ts";
import { isUsable, segmentAttributes, segmentBase } from "./segments.ts";
import { FaultInNewTask } from "./tasks.ts";

interface TaskOptions {
	readonly eflags?: number;
	readonly cs?: number;
	readonly ss?: number;
	readonly ds?: number;
	readonly ldt?: number;
	readonly cr3?: number;
	readonly trap?: boolean;
}

/** Running in TASK, with a second task ready: user level unless told otherwise. */
function twoTasks(options: TaskOptions = {}): TestSystem {
	const cpu = protectedSystem(0);
	cpu.setAccessByte(TASK, 0x8b);
	const { view } = cpu.mmu;
	const put = (at: number, value: number) =>
		view.setUint32(TSS_2 + at, value, true);
	put(0x1c, options.cr3 ?? 0);
	put(0x20, 0x7000);
	put(0x24, options.eflags ?? EFLAGS_CF);
	for (let i = 0; i < 8; i++) put(0x28 + i * 4, 0x1000 + i);
	const data = options.ds ?? USER_DATA;
	const { cs = USER_CODE, ss = USER_DATA } = options;
	for (const [i, value] of [data, cs, ss, data, data, data].entries()) {
		put(0x48 + i * 4, value);
	}
	put(0x60, options.ldt ?? 0);
	put(0x64, options.trap === true ? 1 : 0);
	return cpu;
}

describe("JMP to a TSS", () => {
	it("loads everything the TSS holds", () => {
		const cpu = twoTasks({ ldt: LDT_SELECTOR });
		expect(jumpFar(cpu, TASK_2, 0)).toBe(STATUS_STOP_JUMP);
		expect([cpu.rip, cpu.cpl]).toEqual([0x7000, 3]);
		expect(cpu.eflags).toBe(EFLAGS_CF | EFLAGS_FIXED);
		expect([0, 1, 2, 3, 4, 5, 6, 7].map((i) => cpu.gpr(i))).toEqual([
			0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007,
		]);
		expect([CS, SS, DS, TR, LDTR].map((i) => cpu.selector(i))).toEqual([
			USER_CODE,
			USER_DATA,
			USER_DATA,
			TASK_2,
			LDT_SELECTOR,
		]);
		expect(cpu.state.get32(CR0) & CR0_TS).toBe(CR0_TS);
	});

	it("saves the old task with the next instruction's offset", () => {
		const cpu = twoTasks();
		cpu.state.setGpr32(3, 0xb0b0);
		cpu.eflags = EFLAGS_CF;
		jumpFar(cpu, TASK_2, 0);
		const saved = (at: number) => cpu.mmu.view.getUint32(TSS + at, true);
		expect(saved(0x20)).toBe(NEXT);
		expect(saved(0x24)).toBe(EFLAGS_CF | EFLAGS_FIXED);
		expect(saved(0x28 + 12)).toBe(0xb0b0);
		expect([saved(0x4c), saved(0x50)]).toEqual([KERNEL_CODE, KERNEL_DATA]);
	});

	it("passes the busy bit on", () => {
		const cpu = twoTasks();
		jumpFar(cpu, TASK_2, 0);
		expect(cpu.accessByte(TASK)).toBe(0x89);
		expect(cpu.accessByte(TASK_2)).toBe(0x8b);
		expect(cpu.eflags & EFLAGS_NT).toBe(0);
	});

	it("clears the local breakpoints", () => {
		const cpu = twoTasks();
		cpu.state.setWide(DR, 0x7ff, 7);
		jumpFar(cpu, TASK_2, 0);
		expect(cpu.state.get32(DR, 7)).toBe(0x6aa);
	});

	it.each([
		["busy", 0x8b, "13(58)"],
		["absent", 0x09, "11(58)"],
	])("refuses a TSS that is %s", (_, access, fault) => {
		const cpu = twoTasks();
		cpu.setAccessByte(TASK_2, access);
		expect(faultOf(() => jumpFar(cpu, TASK_2, 0))).toBe(fault);
	});

	it("refuses a TSS that is too small, in the old task", () => {
		const cpu = twoTasks();
		cpu.descriptor(0x1000, TASK_2, TSS_2, 0x66, 0x0089);
		expect(faultOf(() => jumpFar(cpu, TASK_2, 0))).toBe("10(58)");
		expect([cpu.rip, cpu.selector(TR)]).toEqual([HERE, TASK]);
	});

	it("refuses to leave when the old TSS cannot be written, without a trace", () => {
		const cpu = twoTasks();
		cpu.state.view.setUint32(cpu.state.segmentAt(TR, 8), 0xf000, true);
		cpu.mmu.readOnly.add(0xf);
		expect(faultOf(() => jumpFar(cpu, TASK_2, 0))).toBe("14(3)");
		expect([cpu.rip, cpu.selector(TR)]).toEqual([HERE, TASK]);
	});

	it("loads CR3 under paging only", () => {
		const off = twoTasks({ cr3: 0x5000 });
		jumpFar(off, TASK_2, 0);
		expect(off.state.getWide(CR3)).toBe(0);
		const on = twoTasks({ cr3: 0x5000 });
		on.state.set32(CR0, on.state.get32(CR0) | CR0_PG);
		jumpFar(on, TASK_2, 0);
		expect(on.state.getWide(CR3)).toBe(0x5000);
		expect(on.mmu.calls).toEqual(["flushLocal"]);
	});

	it("loads the page-directory pointers under PAE", () => {
		const cpu = twoTasks({ cr3: 0x5000 });
		cpu.state.set32(CR0, cpu.state.get32(CR0) | CR0_PG);
		cpu.state.set32(CR4, CR4_PAE);
		jumpFar(cpu, TASK_2, 0);
		expect(cpu.mmu.calls).toEqual(["loadPdptes 5000", "flushLocal"]);
	});

	it("enters virtual-8086 mode", () => {
		const cpu = twoTasks({ eflags: EFLAGS_VM, cs: 0x1000 });
		jumpFar(cpu, TASK_2, 0);
		expect([cpu.cpl, segmentBase(cpu.state, CS)]).toEqual([3, 0x1_0000]);
	});
});

describe("CALL to a TSS and IRET from it", () => {
	it("links back, nests, and leaves both busy", () => {
		const cpu = twoTasks({ cs: KERNEL_CODE, ss: KERNEL_DATA });
		callFar(cpu, TASK_2, 0, 4);
		expect(cpu.mmu.view.getUint16(TSS_2, true)).toBe(TASK);
		expect(cpu.eflags & EFLAGS_NT).toBe(EFLAGS_NT);
		expect([cpu.accessByte(TASK), cpu.accessByte(TASK_2)]).toEqual([
			0x8b, 0x8b,
		]);
	});

	it("returns to where the caller was", () => {
		const cpu = twoTasks({ cs: KERNEL_CODE, ss: KERNEL_DATA });
		cpu.state.setGpr32(6, 0x5151);
		const { esp } = cpu;
		callFar(cpu, TASK_2, 0, 4);
		expect(interruptReturn(cpu, 4)).toBe(STATUS_STOP_JUMP);
		expect([cpu.rip, cpu.esp, cpu.gpr(6)]).toEqual([NEXT, esp, 0x5151]);
		expect(cpu.accessByte(TASK_2)).toBe(0x89);
		expect(cpu.eflags & EFLAGS_NT).toBe(0);
		expect(cpu.mmu.view.getUint32(TSS_2 + 0x24, true) & EFLAGS_NT).toBe(0);
	});

	it("refuses to return to a task that is not busy", () => {
		const cpu = twoTasks({ cs: KERNEL_CODE, ss: KERNEL_DATA });
		callFar(cpu, TASK_2, 0, 4);
		cpu.setAccessByte(TASK, 0x89);
		expect(faultOf(() => interruptReturn(cpu, 4))).toBe("10(28)");
	});

	it("goes through a task gate, whose own DPL counts", () => {
		const cpu = twoTasks();
		cpu.enterLevel(3);
		expect(faultOf(() => callFar(cpu, TASK_2, 0, 4))).toBe("13(58)");
		callFar(cpu, TASK_GATE_3, 0, 4);
		expect(cpu.selector(TR)).toBe(TASK_2);
	});
});

describe("a task gate in the IDT", () => {
	it("saves the faulting offset and pushes the error code in the new task", () => {
		const cpu = twoTasks({ cs: KERNEL_CODE, ss: KERNEL_DATA });
		cpu.mmu.view.setUint32(TSS_2 + 0x38, 0x8000, true);
		cpu.idtGate(8, TASK_2, 0, 0x85);
		deliverInterrupt(cpu, 8, KIND_EXCEPTION, 0);
		expect([cpu.rip, cpu.esp]).toEqual([0x7000, 0x7ffc]);
		expect(cpu.stack32(1)).toEqual([0]);
		expect(cpu.mmu.view.getUint32(TSS + 0x20, true)).toBe(HERE);
	});
});

describe("a 16-bit TSS", () => {
	it("has no CR3: loads and saves 16-bit state", () => {
		const cpu = twoTasks();
		const words = [0x7000, EFLAGS_CF, 1, 2, 3, 4, 0x8000, 6, 7, 8];
		for (const [i, word] of words.entries()) {
			cpu.mmu.view.setUint16(TSS_286 + 0x0e + i * 2, word, true);
		}
		const segments = [KERNEL_DATA, KERNEL_CODE, KERNEL_DATA, KERNEL_DATA, 0];
		for (const [i, word] of segments.entries()) {
			cpu.mmu.view.setUint16(TSS_286 + 0x22 + i * 2, word, true);
		}
		jumpFar(cpu, TASK_286, 0);
		expect([cpu.rip, cpu.selector(CS)]).toEqual([0x7000, KERNEL_CODE]);
		expect(cpu.state.getU32(GPR, 4)).toBe(0xffff_8000);
		jumpFar(cpu, TASK, 0);
		expect(cpu.mmu.view.getUint16(TSS_286 + 0x0e, true)).toBe(NEXT);
		expect(cpu.mmu.view.getUint16(TSS_286 + 0x1a, true)).toBe(0x8000);
	});
});

describe("what is wrong with a new task", () => {
	it.each([
		["LDT selector", { ldt: 0x2000 }, "10(2000)"],
		["LDT that is none", { ldt: KERNEL_DATA }, "10(10)"],
		["null CS", { cs: 0, ss: KERNEL_DATA }, "10(0)"],
		["data as CS", { cs: USER_DATA }, "10(20)"],
		["SS of another level", { ss: KERNEL_DATA }, "10(10)"],
		["DS of an inner level", { ds: KERNEL_DATA }, "10(10)"],
	])("is raised in its context: %s", (_, options, expected) => {
		const cpu = twoTasks(options);
		let fault: unknown;
		try {
			jumpFar(cpu, TASK_2, 0);
		} catch (thrown) {
			fault = thrown;
		}
		expect(fault).toBeInstanceOf(FaultInNewTask);
		expect(faultOf(() => throwIt(fault))).toBe(expected);
		expect([cpu.rip, cpu.selector(TR)]).toEqual([0x7000, TASK_2]);
	});

	it("leaves no old segment usable", () => {
		const cpu = twoTasks({ cs: 0 });
		expect(() => jumpFar(cpu, TASK_2, 0)).toThrow();
		expect(isUsable(segmentAttributes(cpu.state, ES))).toBe(false);
		expect(cpu.selector(ES)).toBe(USER_DATA);
	});

	it("is delivered by the operation itself, for RIP is the new task's", () => {
		const cpu = twoTasks({ cs: KERNEL_CODE, ss: KERNEL_DATA, ldt: 0x2000 });
		cpu.idtGate(10, TASK_286, 0, 0x85);
		cpu.idtGate(8, TASK_286, 0, 0x85);
		cpu.argument(0);
		expect(OPERATIONS.JMP_FAR(cpu, TASK_2, 32, 0)).toBe(STATUS_STOP_JUMP);
		expect(cpu.mmu.view.getUint32(TSS_2 + 0x20, true)).toBe(0x7000);
	});

	it("is #DB with BT when its T bit is set", () => {
		const cpu = twoTasks({ trap: true });
		expect(faultOf(() => jumpFar(cpu, TASK_2, 0))).toBe("1");
		expect(cpu.state.get32(DR, 6) & DR6_BT).toBe(DR6_BT);
		expect(cpu.rip).toBe(0x7000);
	});
});

function throwIt(fault: unknown): never {
	throw fault;
}
