/**
 * Code that changes under the processor: by itself, through another mapping,
 * by strings and stack pushes, across pages (Intel SDM vol. 3, "Handling Self-
 * and Cross-Modifying Code"). Everything takes effect at once, as processors
 * since the Pentium do it.
 *
 * @journey M:725 Sawing at the branch
 */

import { beforeEach, describe, expect, it } from "vitest";
import {
	Assembler,
	EAX,
	EBX,
	ECX,
	EDI,
	EDX,
	ESI,
	ESP,
} from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	Guest,
	gate,
	KERNEL_CODE,
	PAGE_TABLES,
} from "../support/guest.ts";

const UD = 6;
const P_RW_US = 7;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

describe("self-modifying code", () => {
	it("changes the very next instruction", () => {
		const program = code();
		const target = CODE + 7;
		// mov byte [target + 1], 7
		program
			.hex("c605")
			.dword(target + 1)
			.byte(7)
			.mov(EAX, 1)
			.hlt();
		guest.run(program);
		expect(guest.gpr(EAX)).toBe(7);
	});

	it("changes an instruction that has run before, in a loop", () => {
		// The immediate of ADD EBX, 1 is incremented each time round.
		const again = code()
			.mov(ECX, 3)
			.mov(EBX, 0)
			.hex("83c301")
			.hex("fe05")
			.dword(CODE + 12)
			.hex("49")
			.hex("75f4")
			.hlt();
		guest.run(again);
		expect(guest.gpr(EBX)).toBe(1 + 2 + 3);
	});

	it("turns an instruction into two", () => {
		const target = CODE + 9;
		// mov word [target], 0x9040 (inc eax; nop) over a two-byte jump to itself
		const program = code()
			.hex("66c705")
			.dword(target)
			.word(0x9040)
			.hex("ebfe")
			.hlt();
		expect(guest.run(program).reason).toBe("halt");
		expect(guest.gpr(EAX)).toBe(1);
	});

	it("by a string instruction that overwrites itself does all its iterations", () => {
		// rep stosb over its own code: the count was fixed when it began
		const program = code()
			.mov(EAX, 0x90)
			.mov(ECX, 8)
			.mov(EDI, "rep")
			.label("rep")
			.hex("f3aa")
			.hex("0f0b0f0b0f0b")
			.hlt();
		const stop = guest.run(program);
		expect(stop.reason).toBe("halt");
		expect(guest.eip).toBe(program.addressOf("rep") + 9);
	});

	it("by pushes", () => {
		const at = CODE + 0x40;
		const pushing = new Assembler(CODE)
			.mov(EAX, 0)
			.mov(ESP, at + 4)
			.push(0x4040_4040)
			.padTo(at)
			.hex("0f0b0f0b")
			.hlt();
		expect(guest.run(pushing).reason).toBe("halt");
		expect(guest.gpr(EAX)).toBe(4);
	});

	it("by the frame of an interrupt, whose EIP becomes the handler's operand", () => {
		const handler = 0x7000;
		guest.handle(0x40, gate(KERNEL_CODE, handler, 0xee));
		// CS and EFLAGS overwrite what follows; as code they do no harm.
		guest.load(new Assembler(handler).mov(EAX, 0).hex("9090909090909090 f4"));
		const interrupt = (origin: number) => {
			guest.run(new Assembler(origin).mov(ESP, handler + 13).int(0x40));
			return guest.gpr(EAX) >>> 8;
		};
		expect(interrupt(CODE)).toBe(CODE >>> 8);
		expect(interrupt(CODE + 0x2000)).toBe((CODE + 0x2000) >>> 8);
	});

	it("across a page boundary", () => {
		const at = CODE + 0xffe;
		guest.load(new Assembler(at).mov(EAX, 0x1111_1111).hlt());
		const program = new Assembler(CODE + 0x2000)
			.mov(EDX, at)
			.mov(ESI, "second")
			.hex("bf")
			.dword(at)
			.jump("go")
			.label("go")
			.hex("ffe2")
			.label("second")
			.hlt();
		guest.run(program);
		expect(guest.gpr(EAX)).toBe(0x1111_1111);
		// Byte 3 of the instruction lies in the second page.
		const change = new Assembler(CODE + 0x3000)
			.hex("c605")
			.dword(at + 3)
			.byte(0x22)
			.mov(EDX, at)
			.hex("ffe2");
		guest.run(change);
		expect(guest.gpr(EAX)).toBe(0x1122_1111);
		const first = new Assembler(CODE + 0x3000)
			.hex("c605")
			.dword(at + 1)
			.byte(0x33)
			.mov(EDX, at)
			.hex("ffe2");
		guest.run(first);
		expect(guest.gpr(EAX)).toBe(0x1122_1133);
	});

	it("by one store over two pages of code", () => {
		const at = CODE + 0xffe;
		guest.load(new Assembler(at).hex("40404040 f4"));
		const before = new Assembler(CODE + 0x2000)
			.mov(EAX, 0)
			.mov(EDX, at)
			.hex("ffe2");
		guest.run(before);
		expect(guest.gpr(EAX)).toBe(4);
		const change = new Assembler(CODE + 0x2000)
			.mov(EAX, 0)
			.mov(EDX, at)
			.storeImmediate(at, 0x4848_4848)
			.hex("ffe2");
		guest.run(change);
		expect(guest.gpr(EAX)).toBe(0xffff_fffc);
	});

	it("makes bytes that are no instruction one, at a page's end too", () => {
		const at = CODE + 0xfff;
		guest.load(new Assembler(at).hex("0f0b"));
		const jump = (c: Assembler) => c.mov(EDX, at).hex("ffe2");
		expect(guest.run(jump(new Assembler(CODE + 0x2000))).vector).toBe(UD);
		const store = new Assembler(CODE + 0x3000)
			.hex("c605")
			.dword(at + 1)
			.byte(0xa2);
		// 0f a2 = CPUID, then HLT
		guest.load(new Assembler(at + 2).hlt());
		const stop = guest.run(jump(store));
		expect(stop.reason).toBe("halt");
		expect(guest.eip).toBe(at + 3);
	});

	it("mends an undefined instruction by its second byte", () => {
		// Whatever the granularity of bookkeeping, some boundary lies between.
		for (const at of [CODE + 0x3f, CODE + 0x40, CODE + 0xff, CODE + 0x7ff]) {
			guest.load(new Assembler(at).hex("0f04 f4"));
			const jump = new Assembler(CODE + 0x2000).mov(EDX, at).hex("ffe2");
			expect(guest.run(jump).vector).toBe(UD);
			const mend = new Assembler(CODE + 0x3000)
				.hex("c605")
				.dword(at + 1)
				.byte(0xa2)
				.mov(EDX, at)
				.hex("ffe2");
			const stop = guest.run(mend);
			expect([stop.vector, guest.eip]).toEqual([undefined, at + 3]);
		}
	});

	it("loops over an undefined instruction at a page's end until it is one", () => {
		const at = CODE + 0xfff;
		// A direct branch, which may be linked to what it found.
		const branch = new Assembler(at - 8).hex("eb06").padTo(at).hex("0f04");
		expect(guest.run(branch).vector).toBe(UD);
		const again = new Assembler(CODE + 0x2000)
			.hex("c605")
			.dword(at + 1)
			.byte(0xa2)
			.mov(EDX, at - 8)
			.hex("ffe2");
		guest.load(new Assembler(at + 2).hlt());
		const stop = guest.run(again);
		expect([stop.vector, guest.eip]).toEqual([undefined, at + 3]);
	});
});

describe("cross-modified code", () => {
	/** Linear 0x400000 shows the same frame as CODE. */
	const ALIAS = 0x40_0000;

	beforeEach(() => {
		for (let i = 0; i < 1024; i++) {
			guest.setWord(PAGE_TABLES + 0x1000 + i * 4, (i << 12) | P_RW_US);
		}
		guest.setWord(PAGE_TABLES, (PAGE_TABLES + 0x1000) | P_RW_US);
		guest.setWord(PAGE_TABLES + 4, (PAGE_TABLES + 0x2000) | P_RW_US);
		guest.setWord(PAGE_TABLES + 0x2000, CODE | P_RW_US);
		guest.page(PAGE_TABLES);
	});

	it("is seen through every mapping of the frame", () => {
		const target = CODE + 0x80;
		const program = code()
			.hex("c605")
			.dword(ALIAS + 0x80)
			.byte(0x90)
			.call("function")
			.hex("c605")
			.dword(ALIAS + 0x80)
			.byte(0x40)
			.call("function")
			.hlt()
			.padTo(target)
			.label("function")
			.hex("40 c3");
		guest.run(program);
		expect(guest.gpr(EAX)).toBe(1);
	});

	it("runs the alias's own copy of a changed instruction", () => {
		const program = code()
			.mov(EDX, ALIAS + 0x80)
			.hex("ffd2")
			.hex("fe05")
			.dword(CODE + 0x81)
			.hex("ffd2")
			.hlt()
			.padTo(CODE + 0x80)
			.mov(EBX, 5)
			.hex("c3");
		guest.run(program);
		expect(guest.gpr(EBX)).toBe(6);
	});

	it("that another processor or a device wrote is decoded anew", () => {
		const program = code().mov(EAX, 1).hlt();
		guest.run(program);
		guest.cpu.memory.write(CODE + 1, Uint8Array.of(2));
		guest.resume();
		guest.cpu.state.setGpr32(EAX, 0);
		guest.run(new Assembler(DATA).mov(EDX, CODE).hex("ffe2"));
		expect(guest.gpr(EAX)).toBe(2);
	});

	it("that was remapped is the new frame's", () => {
		guest.load(new Assembler(DATA).mov(EAX, 2).hex("c3"));
		const program = code()
			.mov(EDX, ALIAS + 0x80)
			.hex("ffd2")
			.copy(EBX, EAX)
			.storeImmediate(PAGE_TABLES + 0x2000, (DATA - 0x1000) | P_RW_US)
			.hex("0f013d")
			.dword(ALIAS)
			.mov(EDX, ALIAS)
			.storeImmediate(PAGE_TABLES + 0x2000, DATA | P_RW_US)
			.hex("0f013d")
			.dword(ALIAS)
			.hex("ffd2")
			.hlt()
			.padTo(CODE + 0x80)
			.mov(EAX, 1)
			.hex("c3");
		guest.run(program);
		expect([guest.gpr(EBX), guest.gpr(EAX)]).toEqual([1, 2]);
	});
});
