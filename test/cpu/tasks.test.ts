/**
 * Hardware task switches and what comes after exceptions within exceptions,
 * executed (Intel SDM vol. 3, "Task Management" and "Interrupt 8—Double Fault
 * Exception (#DF)").
 *
 * @journey M:723 Somebody else's registers
 */

import { beforeEach, describe, expect, it } from "vitest";
import { CR0, IDTR_LIMIT } from "../../src/cpu/state.ts";
import { Assembler, EAX, EBX } from "../support/assembler.ts";
import {
	CODE,
	code,
	DOUBLE_FAULT_TASK,
	DOUBLE_FAULT_TSS,
	descriptor,
	FREE,
	Guest,
	gate,
	KERNEL_DATA,
	TASK,
	TASK_2,
	TASK_286,
	TASK_STACK,
	TSS,
	TSS_2,
	TSS_286,
	USER_CODE,
	USER_DATA,
} from "../support/guest.ts";

const NT = 1 << 14;
const IF = 0x200;
const TS_BIT = 8;
const UD = 6;
const DF = 8;
const TS = 10;
const NP = 11;
const GP = 13;
const TASK_GATE = 0x85;
const OTHER = CODE + 0x1000;
const GDT = 0x1000;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
	guest.prepareTask(TSS_2, OTHER);
	guest.prepareTask(DOUBLE_FAULT_TSS, OTHER);
});

/** Type of a TSS descriptor. */
const typeOf = (selector: number): number =>
	(guest.word(GDT + (selector & ~7) + 4) >>> 8) & 15;

describe("task switches", () => {
	it("CALL nests: back link, NT, both busy, state saved", () => {
		guest.load(new Assembler(OTHER).hlt());
		const program = code().mov(EAX, 0x1234).callFar(TASK_2).label("after");
		guest.run(program.hlt(), { eflags: IF });
		expect(guest.eip).toBe(OTHER + 1);
		expect(guest.esp).toBe(TASK_STACK);
		expect(guest.eflags & NT).toBe(NT);
		expect(guest.word(TSS_2) & 0xffff).toBe(TASK);
		expect(guest.word(TSS + 0x20)).toBe(program.addressOf("after"));
		expect(guest.word(TSS + 0x24)).toBe(IF | 2);
		expect(guest.word(TSS + 0x28)).toBe(0x1234);
		expect([typeOf(TASK), typeOf(TASK_2)]).toEqual([11, 11]);
		expect(guest.cpu.state.get32(CR0) & TS_BIT).toBe(TS_BIT);
	});

	it("IRET with NT goes back, and the task goes on behind its IRET next time", () => {
		guest.load(new Assembler(OTHER).mov(EBX, 1).iret().mov(EBX, 2).iret());
		const program = code().callFar(TASK_2).callFar(TASK_2).label("end").hlt();
		guest.run(program);
		expect(guest.eip).toBe(program.addressOf("end") + 1);
		expect(guest.word(TSS_2 + 0x34)).toBe(2);
		expect([typeOf(TASK), typeOf(TASK_2)]).toEqual([11, 9]);
		expect(guest.eflags & NT).toBe(0);
	});

	it("JMP frees the old task", () => {
		guest.load(new Assembler(OTHER).hlt());
		guest.run(code().jumpFar(TASK_2, 0));
		expect([typeOf(TASK), typeOf(TASK_2)]).toEqual([9, 11]);
		expect(guest.eflags & NT).toBe(0);
	});

	it("to a busy task are #GP with its selector", () => {
		guest.describe(TASK_2, descriptor(TSS_2, 0x67, 0x8b));
		const stop = guest.run(code().callFar(TASK_2));
		expect([stop.vector, stop.stack[0]]).toEqual([GP, TASK_2]);
		expect(stop.stack[1]).toBe(CODE);
	});

	it("to a TSS that is too small are #TS", () => {
		guest.describe(TASK_2, descriptor(TSS_2, 0x66, 0x89));
		const stop = guest.run(code().callFar(TASK_2));
		expect([stop.vector, stop.stack[0]]).toEqual([TS, TASK_2]);
		expect(typeOf(TASK_2)).toBe(9);
	});

	it("to an absent TSS are #NP", () => {
		guest.describe(TASK_2, descriptor(TSS_2, 0x67, 0x09));
		const stop = guest.run(code().callFar(TASK_2));
		expect([stop.vector, stop.stack[0]]).toEqual([NP, TASK_2]);
	});

	it("with a bad code segment are #TS in the new task", () => {
		guest.setWord(TSS_2 + 0x4c, KERNEL_DATA);
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect([stop.vector, stop.stack[0]]).toEqual([TS, KERNEL_DATA]);
		expect(stop.stack[1]).toBe(OTHER);
		expect(stop.stack[2]).toBe(KERNEL_DATA);
		expect(typeOf(TASK)).toBe(9);
	});

	it("with a bad data segment are #TS with code and stack loaded", () => {
		guest.setWord(TSS_2 + 0x54, TASK);
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect([stop.vector, stop.stack[0]]).toEqual([TS, TASK]);
		expect(stop.stack[1]).toBe(OTHER);
	});

	it("with EIP outside the code segment are #GP(0) in the new task", () => {
		guest.describe(FREE, descriptor(0, 0xfff, 0x9b, 4));
		guest.setWord(TSS_2 + 0x4c, FREE);
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect([stop.vector, stop.stack[0]]).toEqual([GP, 0]);
		expect(stop.stack.slice(1, 3)).toEqual([OTHER, FREE]);
	});

	it("to user mode take everything from the TSS", () => {
		for (const at of [0x48, 0x50, 0x54, 0x58, 0x5c]) {
			guest.setWord(TSS_2 + at, USER_DATA);
		}
		guest.setWord(TSS_2 + 0x4c, USER_CODE);
		guest.setWord(TSS_2 + 4, TASK_STACK);
		guest.setWord(TSS_2 + 8, KERNEL_DATA);
		guest.load(new Assembler(OTHER).hex("0f0b"));
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect(stop.vector).toBe(UD);
		expect(stop.stack.slice(0, 2)).toEqual([OTHER, USER_CODE]);
		expect(guest.esp).toBe(TASK_STACK - 20);
	});

	it("by a 16-bit TSS exchange 16-bit registers", () => {
		const put = (at: number, value: number) =>
			guest.memory.setUint16(TSS_286 + at, value, true);
		guest.load(new Assembler(0x7000).hlt());
		put(0x0e, 0x7000);
		put(0x10, 2);
		put(0x12, 0xbeef);
		put(0x1a, TASK_STACK);
		put(0x24, 8);
		for (const at of [0x22, 0x26, 0x28]) put(at, KERNEL_DATA);
		guest.run(code().jumpFar(TASK_286, 0));
		expect(guest.eip).toBe(0x7001);
		expect(guest.gpr(EAX) & 0xffff).toBe(0xbeef);
	});

	it("IRET with NT to a task that is not busy is #TS", () => {
		guest.memory.setUint16(TSS, TASK_2, true);
		const stop = guest.run(code().iret(), { eflags: NT });
		expect([stop.vector, stop.stack[0]]).toEqual([TS, TASK_2]);
	});
});

describe("task gates in the IDT", () => {
	it("take an exception to its task with the error code on its stack", () => {
		guest.handle(GP, gate(TASK_2, 0, TASK_GATE));
		guest.load(new Assembler(OTHER).hlt());
		const program = code().mov(EAX, FREE).label("fault").toSegment(3, EAX);
		const stop = guest.run(program);
		expect(guest.eip).toBe(OTHER + 1);
		expect(stop.stack[0]).toBe(FREE);
		expect(guest.esp).toBe(TASK_STACK - 4);
		expect(guest.word(TSS + 0x20)).toBe(program.addressOf("fault"));
	});

	it("take hardware interrupts", () => {
		guest.handle(0x30, gate(TASK_2, 0, TASK_GATE));
		guest.load(new Assembler(OTHER).iret());
		guest.cpu.setInterruptLine(true);
		const program = code().hex("fb").nop().nop().label("end").hlt();
		guest.run(program);
		expect(guest.eip).toBe(program.addressOf("end") + 1);
		expect(guest.word(TSS_2 + 0x20)).toBe(OTHER + 1);
	});

	it("are how a kernel survives a broken stack: #DF in a task of its own", () => {
		guest.handle(DF, gate(DOUBLE_FAULT_TASK, 0, TASK_GATE));
		guest.describe(FREE, descriptor(0, 0x7f, 0x97, 4));
		guest.load(new Assembler(OTHER).hlt());
		const program = code()
			.mov(EAX, FREE)
			.toSegment(2, EAX)
			.mov(4, 0x80)
			.label("push")
			.pushRegister(EAX);
		const stop = guest.run(program);
		expect(guest.eip).toBe(OTHER + 1);
		expect(stop.stack[0]).toBe(0);
		expect(guest.word(TSS + 0x20)).toBe(program.addressOf("push"));
		expect(guest.word(TSS + 0x38)).toBe(0x80);
	});
});

describe("faults while delivering", () => {
	it("a contributory one after a contributory one is #DF(0)", () => {
		// #GP whose gate is absent: #NP while delivering #GP.
		guest.handle(GP, gate(8, 0x2000, 0x0e));
		const stop = guest.run(code().mov(EAX, FREE).toSegment(3, EAX));
		expect([stop.vector, stop.stack[0]]).toEqual([DF, 0]);
		expect(stop.stack[1]).toBe(CODE + 5);
	});

	it("one after a benign exception is delivered by itself, with EXT", () => {
		guest.handle(UD, gate(8, 0x2000, 0x0e));
		const stop = guest.run(code().hex("0f0b"));
		expect([stop.vector, stop.stack[0]]).toEqual([NP, UD * 8 + 3]);
	});

	it("one of INT n names the vector without EXT", () => {
		guest.handle(0x60, gate(8, 0x2000, 0x6e));
		const stop = guest.run(code().int(0x60));
		expect([stop.vector, stop.stack[0]]).toEqual([NP, 0x60 * 8 + 2]);
		expect(stop.stack[1]).toBe(CODE);
	});

	it("one while delivering #DF shuts the processor down", () => {
		guest.cpu.state.set32(IDTR_LIMIT, 0);
		const stop = guest.run(code().int(3));
		expect(stop.reason).toBe("triple-fault");
		expect(guest.eip).toBe(CODE);
	});

	it("one in a new task that cannot be delivered shuts down, interrupts or not", () => {
		guest.setWord(TSS_2 + 0x4c, KERNEL_DATA);
		guest.setWord(TSS_2 + 0x24, IF | 2);
		guest.cpu.state.set32(IDTR_LIMIT, 0);
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect(stop.reason).toBe("triple-fault");
		guest.cpu.setInterruptLine(true);
		expect(guest.cpu.run(100)).toBe("triple-fault");
	});
});
