/**
 * When interrupts are taken: shadows, devices that answer at once, HLT (Intel
 * SDM vol. 3, "Maskable Hardware Interrupts" and "Masking Exceptions and
 * Interrupts When Switching Stacks").
 *
 * @journey M:726 Not now
 */

import { beforeEach, describe, expect, it } from "vitest";
import { Assembler, EAX, ECX, EDI, EDX } from "../support/assembler.ts";
import { CODE, code, Guest, HANDLERS, KERNEL_DATA } from "../support/guest.ts";

const IF = 0x200;
const IRQ = 0x30;
const DEVICE = 0x1000_0000;
const SS = 2;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

describe("maskable interrupts", () => {
	it("come before the next instruction once IF is set", () => {
		guest.cpu.setInterruptLine(true);
		const program = code().nop().push(IF).popf().label("then").nop().hlt();
		const stop = guest.run(program);
		expect(stop.vector).toBe(IRQ);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
		expect(guest.eflags & IF).toBe(0);
	});

	it("wait for the instruction behind STI", () => {
		guest.cpu.setInterruptLine(true);
		const program = code().hex("fb").nop().label("then").nop().hlt();
		expect(guest.run(program).stack[0]).toBe(program.addressOf("then"));
	});

	it("find STI; CLI closed", () => {
		guest.cpu.setInterruptLine(true);
		const program = code().hex("fb fa").nop().label("end").hlt();
		guest.run(program);
		expect(guest.eip).toBe(program.addressOf("end") + 1);
	});

	it("do not wait behind an STI that changes nothing", () => {
		const program = code().hex("fb").label("then").nop().hlt();
		guest.load(program);
		guest.cpu.setInterruptLine(true);
		expect(guest.run(program, { eflags: IF }).stack[0]).toBe(CODE);
	});

	it("wait for the instruction behind MOV SS", () => {
		guest.onDevice = () => guest.cpu.setInterruptLine(true);
		const program = code().mov(EDX, KERNEL_DATA).load(EAX, DEVICE).hlt();
		expect(guest.run(program, { eflags: IF }).vector).toBe(IRQ);
		guest.onDevice = () => {};
		guest.cpu.setInterruptLine(true);
		const shadowed = code()
			.mov(EDX, KERNEL_DATA)
			.hex("9c 810c24")
			.dword(IF)
			.popRegister(EAX)
			.pushRegister(EAX)
			.toSegment(SS, EDX)
			.popf()
			.label("then")
			.nop()
			.hlt();
		expect(guest.run(shadowed).stack[0]).toBe(shadowed.addressOf("then"));
	});

	it("wake HLT, which returns behind itself", () => {
		const program = code().hex("fb").hlt().label("then").nop();
		expect(guest.run(program).reason).toBe("halt");
		guest.cpu.setInterruptLine(true);
		guest.cpu.run(100);
		expect(guest.word(guest.esp)).toBe(program.addressOf("then"));
	});

	it("of a device that answers a memory access come behind that instruction", () => {
		guest.onDevice = () => guest.cpu.setInterruptLine(true);
		const program = code().store(DEVICE, EAX).label("then").jump("then");
		const stop = guest.run(program, { eflags: IF });
		expect(stop.vector).toBe(IRQ);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
	});

	it("come between the iterations of REP", () => {
		let writes = 0;
		guest.onDevice = () => {
			writes++;
			if (writes === 3) guest.cpu.setInterruptLine(true);
		};
		const program = code()
			.mov(ECX, 8)
			.mov(EDI, DEVICE)
			.label("rep")
			.hex("f3ab")
			.hlt();
		const stop = guest.run(program, { eflags: IF });
		expect(stop.vector).toBe(IRQ);
		expect(stop.stack[0]).toBe(program.addressOf("rep"));
		expect(guest.gpr(ECX)).toBe(5);
	});
});

describe("non-maskable interrupts", () => {
	const NMI = 2;
	const nmiHandler = () => new Assembler(HANDLERS + NMI * 16);

	it("come whatever IF says, and before others", () => {
		guest.cpu.raiseNmi();
		expect(guest.run(code().nop().hlt()).vector).toBe(NMI);
		guest = new Guest();
		guest.cpu.raiseNmi();
		guest.cpu.setInterruptLine(true);
		expect(guest.run(code().nop(), { eflags: IF }).vector).toBe(NMI);
	});

	it("come once, and not again before IRET", () => {
		const stacks: number[] = [];
		guest.load(nmiHandler().store(DEVICE, EAX).hex("cf"));
		guest.onDevice = () => {
			stacks.push(guest.esp);
			// Two while one is handled are one.
			if (stacks.length === 1) guest.cpu.raiseNmi();
			if (stacks.length === 1) guest.cpu.raiseNmi();
		};
		guest.cpu.raiseNmi();
		const program = code().nop().nop().label("end").hlt();
		guest.run(program);
		expect(stacks).toHaveLength(2);
		expect(stacks[1]).toBe(stacks[0]);
		expect(guest.eip).toBe(program.addressOf("end") + 1);
	});

	it("of a device come behind the instruction that touched it", () => {
		guest.onDevice = () => guest.cpu.raiseNmi();
		const program = code().store(DEVICE, EAX).label("then").jump("then");
		const stop = guest.run(program);
		expect(stop.vector).toBe(NMI);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
	});

	it("wake HLT with interrupts off", () => {
		const program = code().hlt().label("then").nop();
		expect(guest.run(program).reason).toBe("halt");
		guest.cpu.setInterruptLine(true);
		expect(guest.cpu.interruptPending()).toBe(false);
		guest.cpu.raiseNmi();
		expect(guest.cpu.interruptPending()).toBe(true);
		guest.cpu.run(100);
		expect(guest.word(guest.esp)).toBe(program.addressOf("then"));
		// One that comes while this is handled has to wait.
		guest.cpu.raiseNmi();
		expect(guest.cpu.interruptPending()).toBe(false);
	});

	it("leave the interrupt line as it was", () => {
		guest.load(nmiHandler().hex("cf"));
		guest.cpu.setInterruptLine(true);
		guest.cpu.raiseNmi();
		const stop = guest.run(code().nop().hlt(), { eflags: IF });
		expect(stop.vector).toBe(IRQ);
	});
});

describe("exceptions without end", () => {
	it("give the machine its turn although no instruction retires", () => {
		// The handler of #UD is undefined itself, on a stack that never ends.
		guest.load(new Assembler(HANDLERS + 6 * 16).hex("0f0b"));
		const stop = guest.run(code().hex("0f0b"));
		expect(stop.reason).toBe("budget");
		expect(guest.cpu.retiredCount()).toBe(0);
		expect(guest.cpu.run(100)).toBe("budget");
	});
});
