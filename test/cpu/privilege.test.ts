/**
 * Rings, executed: call gates with parameters, conforming code, returns to an
 * outer level, expand-down and 16-bit segments, limits (Intel SDM vol. 3,
 * "Protection").
 *
 * @journey M:722 Through the gates
 */

import { beforeEach, describe, expect, it } from "vitest";
import { Assembler, EAX, EBP, EBX, EDX, ESP } from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	descriptor,
	FREE,
	Guest,
	gate,
	HANDLERS,
	KERNEL_CODE,
	KERNEL_STACK,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../support/guest.ts";

const GP = 13;
const SS_FAULT = 12;
const NP = 11;
const UD = 6;
const DS = 3;
const SS = 2;
const GATE = FREE | 3;
const SEGMENT_2 = FREE + 8;
const INNER = CODE + 0x1000;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

describe("call gates", () => {
	it("switch to the inner stack with the parameters copied", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0xec, 2));
		guest.load(new Assembler(INNER).hlt());
		const program = code().push(0xaaaa).push(0xbbbb).callFar(GATE).nop();
		const stop = guest.run(program, { user: true });
		expect(stop.reason).toBe("halt");
		expect(guest.cpl).toBe(0);
		expect(stop.stack.slice(0, 6)).toEqual([
			CODE + 17,
			USER_CODE,
			0xbbbb,
			0xaaaa,
			USER_STACK - 8,
			USER_DATA,
		]);
		expect(guest.esp).toBe(KERNEL_STACK - 24);
	});

	it("return with RET n, which releases the parameters on both stacks", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0xec, 2));
		guest.load(new Assembler(INNER).hex("ca0800"));
		const program = code()
			.push(1)
			.push(2)
			.callFar(GATE)
			.hex("89e0")
			.hex("0f0b");
		const stop = guest.run(program, { user: true });
		expect(stop.vector).toBe(UD);
		expect(guest.gpr(EAX)).toBe(USER_STACK);
		expect(stop.stack[1]).toBe(USER_CODE);
	});

	it("of 16 bits push 16-bit frames", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER & 0xffff, 0xe4, 1));
		guest.load(new Assembler(INNER & 0xffff).hlt());
		const stop = guest.run(code().push(0x1234_5678).callFar(GATE), {
			user: true,
		});
		expect(guest.esp).toBe(KERNEL_STACK - 10);
		const [a = 0, b = 0] = stop.stack;
		expect([a & 0xffff, a >>> 16, b & 0xffff]).toEqual([
			(CODE + 12) & 0xffff,
			USER_CODE,
			0x5678,
		]);
	});

	it("cannot be jumped through to an inner level", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0xec));
		const stop = guest.run(code().jumpFar(GATE, 0), { user: true });
		expect(stop.vector).toBe(GP);
		expect(stop.stack[0]).toBe(KERNEL_CODE);
	});

	it("below the caller's privilege are #GP with the gate's selector", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0x8c));
		const stop = guest.run(code().callFar(GATE), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([GP, FREE]);
	});

	it("that are absent are #NP", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0x6c));
		const stop = guest.run(code().callFar(GATE), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([NP, FREE]);
	});

	it("with a bad stack in the TSS are #TS with its selector", () => {
		guest.describe(GATE, gate(KERNEL_CODE, INNER, 0xec));
		const handlerInUser = code().callFar(GATE);
		guest.setWord(0x3008, USER_DATA);
		const stop = guest.run(handlerInUser, { user: true });
		// The handler needs the same stack, so #TS becomes #DF, and that a shutdown.
		expect(stop.reason).toBe("triple-fault");
	});
});

describe("conforming code", () => {
	it("runs at the caller's level", () => {
		guest.describe(FREE, descriptor(0, 0xf_ffff, 0x9f, 0xc));
		guest.load(new Assembler(INNER).hex("0f0b"));
		const stop = guest.run(code().jumpFar(FREE, INNER), { user: true });
		expect(stop.vector).toBe(UD);
		expect(stop.stack[1]).toBe(FREE | 3);
	});

	it("of an outer level cannot be called", () => {
		guest.describe(FREE, descriptor(0, 0xf_ffff, 0xff, 0xc));
		const stop = guest.run(code().callFar(FREE, INNER));
		expect([stop.vector, stop.stack[0]]).toEqual([GP, FREE]);
	});
});

describe("RET FAR to an outer level", () => {
	it("takes inner data segments away", () => {
		guest.load(new Assembler(INNER).hex("8cd8 8cc3 0f0b"));
		const program = code()
			.push(USER_DATA)
			.push(USER_STACK)
			.push(USER_CODE)
			.push(INNER)
			.mov(EBX, USER_DATA)
			.toSegment(0, EBX)
			.retFar();
		const stop = guest.run(program);
		expect(stop.vector).toBe(UD);
		expect(guest.gpr(EAX)).toBe(0);
		expect(guest.gpr(EBX)).toBe(USER_DATA);
		expect(stop.stack.slice(3, 5)).toEqual([USER_STACK, USER_DATA]);
	});

	it("to an inner level is #GP", () => {
		const stop = guest.run(code().push(KERNEL_CODE).push(INNER).retFar(), {
			user: true,
		});
		expect([stop.vector, stop.stack[0]]).toEqual([GP, KERNEL_CODE]);
	});

	it("with a null stack selector is #GP(0) and moves nothing", () => {
		const program = code()
			.push(0)
			.push(USER_STACK)
			.push(USER_CODE)
			.push(INNER)
			.label("return")
			.retFar();
		const stop = guest.run(program);
		expect([stop.vector, stop.stack[0]]).toEqual([GP, 0]);
		expect(stop.stack[1]).toBe(program.addressOf("return"));
		expect(guest.esp).toBe(KERNEL_STACK - 16 - 16);
	});
});

describe("segment types and limits", () => {
	/** Loads DS from a descriptor and runs one access. */
	function access(
		d: readonly [number, number],
		build: (c: Assembler) => Assembler,
	) {
		guest.describe(FREE, d);
		const start = code().mov(EDX, FREE).toSegment(DS, EDX);
		return guest.run(build(start).hlt());
	}

	it("an expand-down segment begins above its limit", () => {
		const d = descriptor(0, 0xfff, 0x97, 4);
		expect(access(d, (c) => c.load(EAX, 0xfff)).vector).toBe(GP);
		expect(access(d, (c) => c.load(EAX, 0x1000)).vector).toBeUndefined();
		expect(access(d, (c) => c.load(EAX, DATA)).vector).toBeUndefined();
	});

	it("a 16-bit expand-down segment ends at 64 KiB", () => {
		const d = descriptor(0, 0xfff, 0x97, 0);
		expect(access(d, (c) => c.load(EAX, 0xfffc)).vector).toBeUndefined();
		expect(access(d, (c) => c.load(EAX, 0xfffd)).vector).toBe(GP);
		expect(access(d, (c) => c.load(EAX, 0x1_0000)).vector).toBe(GP);
	});

	it("an access may touch the last byte and not the next", () => {
		const d = descriptor(DATA, 7, 0x93, 4);
		expect(access(d, (c) => c.load(EAX, 4)).vector).toBeUndefined();
		expect(access(d, (c) => c.load(EAX, 5)).vector).toBe(GP);
		expect(access(d, (c) => c.store(5, EAX)).vector).toBe(GP);
	});

	it("code cannot be written, nor execute-only code read", () => {
		const readable = descriptor(0, 0xf_ffff, 0x9b, 0xc);
		expect(access(readable, (c) => c.load(EAX, DATA)).vector).toBeUndefined();
		expect(access(readable, (c) => c.store(DATA, EAX)).vector).toBe(GP);
		const executeOnly = descriptor(0, 0xf_ffff, 0x99, 0xc);
		expect(access(executeOnly, (c) => c).vector).toBe(GP);
	});

	it("a null selector loads, and faults on use", () => {
		const program = code()
			.mov(EDX, 3)
			.toSegment(DS, EDX)
			.label("use")
			.load(EAX, DATA);
		const stop = guest.run(program);
		expect(stop.vector).toBe(GP);
		expect(stop.stack.slice(0, 2)).toEqual([0, program.addressOf("use")]);
	});

	it("absent segments are #NP, and #SS for the stack", () => {
		guest.describe(FREE, descriptor(0, 0xf_ffff, 0x13, 0xc));
		const load = (segment: number) =>
			guest.run(code().mov(EDX, FREE).toSegment(segment, EDX).hlt());
		expect(load(DS).vector).toBe(NP);
		expect(load(SS).vector).toBe(SS_FAULT);
	});

	it("loading a segment marks its descriptor accessed", () => {
		access(descriptor(0, 0xf_ffff, 0x92, 0xc), (c) => c);
		expect((guest.word(0x1000 + FREE + 4) >>> 8) & 0xff).toBe(0x93);
	});

	it("a push below a stack's limit is #SS(0) with ESP unmoved", () => {
		guest.describe(FREE, descriptor(0, 0x7f, 0x97, 4));
		const program = code()
			.mov(EDX, FREE)
			.toSegment(SS, EDX)
			.mov(4, 0x80)
			.label("push")
			.pushRegister(EAX);
		// The handler has no stack either: through a task it would have one.
		const stop = guest.run(program);
		expect(stop.reason).toBe("triple-fault");
		expect(guest.esp).toBe(0x80);
		expect(guest.eip).toBe(program.addressOf("push"));
	});
});

describe("16-bit protected mode", () => {
	it("pushes 16 bits, wraps SP and keeps ESP's upper half", () => {
		guest.describe(FREE, descriptor(CODE, 0xffff, 0x9b));
		guest.describe(SEGMENT_2, descriptor(DATA, 0xffff, 0x93));
		guest.load(new Assembler(CODE + 0x100).hex("b84523 50 6656 f4"));
		const program = code()
			.mov(EDX, SEGMENT_2)
			.toSegment(SS, EDX)
			.mov(4, 0x7777_0002)
			.mov(6, 0x89ab_cdef)
			.jumpFar(FREE, 0x100);
		guest.run(program);
		expect(guest.esp).toBe(0x7777_fffc);
		expect(guest.memory.getUint16(DATA, true)).toBe(0x2345);
		expect(guest.word(DATA + 0xfffc)).toBe(0x89ab_cdef);
	});

	it("lets a 32-bit ENTER copy all of ESP, though only SP moves", () => {
		guest.describe(FREE, descriptor(CODE, 0xffff, 0x9b));
		guest.describe(SEGMENT_2, descriptor(DATA, 0xffff, 0x93));
		// o32 enter 4, 1; hlt
		guest.load(new Assembler(CODE + 0x100).hex("66c8040001 f4"));
		const program = code()
			.mov(EDX, SEGMENT_2)
			.toSegment(SS, EDX)
			.mov(ESP, 0x7777_1000)
			.mov(EBP, 0x1234_5678)
			.jumpFar(FREE, 0x100);
		guest.run(program);
		expect(guest.gpr(EBP)).toBe(0x7777_0ffc);
		expect(guest.esp).toBe(0x7777_0ff4);
		expect(guest.word(DATA + 0xffc)).toBe(0x1234_5678);
		expect(guest.word(DATA + 0xff8)).toBe(0x7777_0ffc);
	});

	it("faults at the end of the code segment instead of wrapping IP", () => {
		guest.describe(FREE, descriptor(CODE, 0xffff, 0x9b));
		guest.load(new Assembler(CODE + 0xfffe).hex("9090 f4"));
		const stop = guest.run(code().jumpFar(FREE, 0xfffe));
		expect(stop.vector).toBe(GP);
		expect(stop.stack[1]).toBe(0x1_0000);
	});

	it("near jumps cut the target to 16 bits", () => {
		guest.describe(FREE, descriptor(CODE, 0xffff, 0x9b));
		// at fff0: jmp +0x20 → 0x0013
		guest.load(new Assembler(CODE + 0xfff0).hex("e92000"));
		guest.load(new Assembler(CODE + 0x13).hex("f4"));
		guest.run(new Assembler(CODE + 0x400).jumpFar(FREE, 0xfff0));
		expect(guest.eip).toBe(0x14);
	});

	it("handlers of 16-bit gates get 16-bit frames", () => {
		guest.handle(0x40, gate(KERNEL_CODE, HANDLERS + 0x40 * 16, 0xe6));
		const stop = guest.run(code().int(0x40));
		expect(stop.vector).toBe(0x40);
		expect(guest.esp).toBe(KERNEL_STACK - 6);
		expect((stop.stack[0] as number) & 0xffff).toBe((CODE + 2) & 0xffff);
	});
});

describe("privileged instructions", () => {
	it.each([
		["HLT", "f4"],
		["CLI", "fa"],
		["STI", "fb"],
		["MOV CR0", "0f20c0"],
		["MOV DR0", "0f21c0"],
		["CLTS", "0f06"],
		["LGDT", "0f0115 00000200"],
		["LIDT", "0f011d 00000200"],
		["LLDT", "0f00d0"],
		["LTR", "0f00d8"],
		["LMSW", "0f01f0"],
		["INVLPG", "0f013d 00000200"],
		["INVD", "0f08"],
		["WBINVD", "0f09"],
		["RDMSR", "0f32"],
		["WRMSR", "0f30"],
		["IN", "e460"],
		["OUT", "e660"],
	])("%s is #GP(0) in user mode", (_, hex) => {
		const stop = guest.run(code().hex(hex), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([GP, 0]);
		expect(stop.stack[1]).toBe(CODE);
	});

	it("POPF in user mode leaves IF and IOPL alone without a fault", () => {
		const stop = guest.run(code().push(0x3202).popf().hex("0f0b"), {
			user: true,
		});
		expect(stop.vector).toBe(UD);
		expect((stop.stack[2] as number) & 0x3200).toBe(0);
	});

	it("INT n through a gate of DPL 0 is #GP with the vector's error code", () => {
		guest.handle(0x50, gate(KERNEL_CODE, HANDLERS, 0x8e));
		const stop = guest.run(code().int(0x50), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([GP, 0x50 * 8 + 2]);
	});
});
