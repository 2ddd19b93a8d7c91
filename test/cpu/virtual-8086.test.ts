/**
 * Virtual-8086 mode, executed: the way in by IRET, what traps to the monitor
 * and with which frame, the I/O permission map (Intel SDM vol. 3, "8086
 * Emulation").
 *
 * @journey M:721 A PC inside a page
 */

import { beforeEach, describe, expect, it } from "vitest";
import { TR } from "../../src/cpu/state.ts";
import { Assembler, EAX } from "../support/assembler.ts";
import {
	CODE,
	code,
	descriptor,
	Guest,
	gate,
	HANDLERS,
	KERNEL_CODE,
	KERNEL_DATA,
	KERNEL_STACK,
	type Stop,
	TASK,
	TSS,
} from "../support/guest.ts";

const VM = 1 << 17;
const IOPL_3 = 3 << 12;
const IF = 0x200;
const GP = 13;
/** The 8086 program: segment and where that is. */
const SEGMENT = 0x5000;
const PROGRAM = SEGMENT * 16;
const STACK_SEGMENT = 0x6000;
const STACK_TOP = 0x100;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

/** Runs 16-bit code as a virtual-8086 task of the kernel's. */
function runVirtual(hex: string, eflags = 0): Stop {
	guest.load(new Assembler(PROGRAM).hex(hex));
	return guest.run(
		code()
			.push(0x4444)
			.push(0x3333)
			.push(0x2222)
			.push(0x1111)
			.push(STACK_SEGMENT)
			.push(STACK_TOP)
			.push(VM | eflags | 2)
			.push(SEGMENT)
			.push(0)
			.iret(),
	);
}

describe("virtual-8086 mode", () => {
	it("executes 16-bit code with paragraph segments at CPL 3", () => {
		guest.memory.setUint16(0x2_2220, 0xbeef, true);
		// mov ax, ds; mov ds, ax; mov ax, [0]; push ax; hlt
		const stop = runVirtual("8cd8 b82222 8ed8 a10000 50 f4");
		expect(stop.vector).toBe(GP);
		expect(stop.stack[0]).toBe(0);
		expect(guest.gpr(EAX) & 0xffff).toBe(0xbeef);
		expect(guest.word(STACK_SEGMENT * 16 + STACK_TOP - 2) & 0xffff).toBe(
			0xbeef,
		);
	});

	it("gives the monitor a frame with all segments, and null data segments", () => {
		const stop = runVirtual("f4");
		const [error, eip, cs, eflags, esp, ss, es, ds, fs, gs] = stop.stack;
		expect(stop.vector).toBe(GP);
		expect([error, eip, cs]).toEqual([0, 0, SEGMENT]);
		expect((eflags as number) & VM).toBe(VM);
		expect([esp, ss]).toEqual([STACK_TOP, STACK_SEGMENT]);
		expect([es, ds, fs, gs]).toEqual([0x1111, 0x2222, 0x3333, 0x4444]);
		expect(guest.esp).toBe(KERNEL_STACK - 40);
		expect([0, 3, 4, 5].map((i) => guest.selector(i))).toEqual([0, 0, 0, 0]);
		expect([guest.cs, guest.ss, guest.cpl]).toEqual([
			KERNEL_CODE,
			KERNEL_DATA,
			0,
		]);
		expect(guest.eflags & VM).toBe(0);
	});

	it.each([
		["CLI", "fa"],
		["STI", "fb"],
		["PUSHF", "9c"],
		["POPF", "9d"],
		["INT n", "cd21"],
		["IRET", "cf"],
	])("%s needs IOPL 3", (_, hex) => {
		expect(runVirtual(hex).vector).toBe(GP);
	});

	it("CLI and STI change IF with IOPL 3", () => {
		const stop = runVirtual("fb 90 0f0b", IOPL_3);
		expect(stop.vector).toBe(6);
		expect((stop.stack[2] as number) & IF).toBe(IF);
	});

	it("INT n with IOPL 3 goes through a gate of DPL 3 to level 0", () => {
		const stop = runVirtual("cd21", IOPL_3);
		expect(stop.vector).toBe(0x21);
		expect(stop.stack.slice(0, 2)).toEqual([2, SEGMENT]);
	});

	it("INT3 is not sensitive to IOPL", () => {
		expect(runVirtual("cc").vector).toBe(3);
	});

	it("refuses handlers that are not at level 0", () => {
		const conforming = 0x48;
		guest.describe(conforming, descriptor(0, 0xf_ffff, 0x9f, 0xc));
		guest.handle(0x21, gate(conforming, HANDLERS + 0x21 * 16, 0xee));
		const stop = runVirtual("cd21", IOPL_3);
		expect(stop.vector).toBe(GP);
		expect(stop.stack[0]).toBe(conforming);
	});

	it.each([
		["SLDT", "0f00c0"],
		["LAR", "0f02c0"],
		["ARPL", "63c0"],
		["VERR", "0f00e0"],
	])("does not know %s", (_, hex) => {
		expect(runVirtual(hex).vector).toBe(6);
	});

	it.each([
		["LGDT", "0f0116 0000"],
		["MOV CR0", "0f20c0"],
		["HLT", "f4"],
		["WBINVD", "0f09"],
	])("leaves %s to the monitor even with IOPL 3", (_, hex) => {
		expect(runVirtual(hex, IOPL_3).vector).toBe(GP);
	});

	it("faults where an offset leaves its 64 KiB", () => {
		// mov ax, [ffff]
		expect(runVirtual("a1ffff").vector).toBe(GP);
	});

	it("takes interrupts to the monitor and comes back", () => {
		const handler = HANDLERS + 0x30 * 16;
		guest.memory.setUint8(handler, 0xcf);
		guest.cpu.setInterruptLine(true);
		// sti would need IOPL 3
		const stop = runVirtual("90 90 0f0b", IF);
		expect(stop.vector).toBe(6);
		expect(stop.stack.slice(0, 2)).toEqual([2, SEGMENT]);
	});

	it("IRET from the monitor restores every segment register", () => {
		const handler = HANDLERS + GP * 16;
		// add esp, 4; inc dword [esp]; iret: skips the HLT
		guest.cpu.memory.write(
			handler,
			Uint8Array.of(0x83, 0xc4, 4, 0xff, 0x04, 0x24, 0xcf),
		);
		// hlt; mov ax, gs; mov bx, es; ud2
		const stop = runVirtual("f4 8ce8 8cc3 0f0b");
		expect(stop.vector).toBe(6);
		expect(guest.gpr(EAX) & 0xffff).toBe(0x4444);
		expect(guest.gpr(3) & 0xffff).toBe(0x1111);
	});
});

describe("the I/O permission map", () => {
	/** Gives the TSS a map for 256 ports, with these bits set. */
	function map(...denied: number[]): void {
		const bytes = 33;
		guest.memory.setUint16(TSS + 0x66, 0x68, true);
		for (let i = 0; i < bytes; i++) guest.memory.setUint8(TSS + 0x68 + i, 0);
		guest.memory.setUint8(TSS + 0x68 + 32, 0xff);
		for (const port of denied) {
			const at = TSS + 0x68 + (port >> 3);
			const old = guest.memory.getUint8(at);
			guest.memory.setUint8(at, old | (1 << (port & 7)));
		}
		guest.describe(TASK, descriptor(TSS, 0x67 + bytes, 0x8b));
		guest.loadFrom(TR, TASK);
	}

	it("decides in virtual-8086 mode even with IOPL 3", () => {
		map(0x60);
		expect(runVirtual("e460", IOPL_3).vector).toBe(GP);
		expect(guest.bus).toEqual([]);
	});

	it("lets a port through whose bits are clear", () => {
		map(0x60);
		expect(runVirtual("e461 0f0b").vector).toBe(6);
		expect(guest.bus).toEqual(["in 61/1"]);
	});

	it("looks at every byte of a wide port, across bytes of the map", () => {
		map(0x68);
		// in eax, 0x66 reaches 0x69; in ax, 0x66 ends at 0x67
		expect(runVirtual("66 e566").vector).toBe(GP);
		expect(runVirtual("e566 0f0b").vector).toBe(6);
	});

	it("denies what lies behind the TSS's limit", () => {
		map();
		// mov dx, 0x100 + 8; in al, dx
		expect(runVirtual("ba0801 ec").vector).toBe(GP);
	});

	it("is asked in protected mode only above IOPL", () => {
		map();
		expect(guest.run(code().hex("e460 0f0b"), { user: true }).vector).toBe(6);
		map(0x60);
		expect(guest.run(code().hex("e460 0f0b"), { user: true }).vector).toBe(GP);
		const allowed = { user: true, eflags: IOPL_3 };
		expect(guest.run(code().hex("e460 0f0b"), allowed).vector).toBe(6);
	});

	it("checks OUTS before it reads memory", () => {
		map(0x60);
		// mov edx, 0x60; mov esi, -1; outsb
		const program = code().mov(2, 0x60).mov(6, 0xffff_ffff).hex("6e");
		const stop = guest.run(program, { user: true });
		expect(stop.vector).toBe(GP);
		expect(stop.stack[1]).toBe(CODE + 10);
	});
});
