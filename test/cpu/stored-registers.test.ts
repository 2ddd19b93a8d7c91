/**
 * SGDT, SIDT, SLDT, STR and SMSW, and INT1: rows that the silicon oracle cannot
 * ask this machine about, since Linux traps them (UMIP), or only in part.
 *
 * @journey M:728 Registers that user mode may look at
 */

import { beforeEach, describe, expect, it } from "vitest";
import { EAX } from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	GDT,
	Guest,
	gate,
	HANDLERS,
	IDT,
	KERNEL_CODE,
	TASK,
} from "../support/guest.ts";

const DB = 1;
const GP = 13;
const DATA_32 = "0000 0200";

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
	for (const at of [0, 4]) guest.setWord(DATA + at, 0xaaaa_aaaa);
});

for (const user of [false, true]) {
	describe(`without UMIP, at CPL ${user ? 3 : 0}`, () => {
		const run = (hex: string) => {
			const program = code().hex(`31 c0 48 ${hex}`).label("end").hex("0f 0b");
			expect(guest.run(program, { user }).vector).toBe(6);
		};

		it("SGDT stores limit and base, six bytes", () => {
			run(`0f 01 05 ${DATA_32}`);
			expect(guest.memory.getUint16(DATA, true)).toBe(0x1ff);
			expect(guest.memory.getUint32(DATA + 2, true)).toBe(GDT);
			expect(guest.memory.getUint16(DATA + 6, true)).toBe(0xaaaa);
		});

		it("SIDT stores limit and base, six bytes", () => {
			run(`0f 01 0d ${DATA_32}`);
			expect(guest.memory.getUint16(DATA, true)).toBe(0x7ff);
			expect(guest.memory.getUint32(DATA + 2, true)).toBe(IDT);
			expect(guest.memory.getUint16(DATA + 6, true)).toBe(0xaaaa);
		});

		it("SLDT and STR zero-extend the selector into a register", () => {
			run("0f 00 c0");
			expect(guest.cpu.state.gpr32(EAX)).toBe(0);
			run("0f 00 c8");
			expect(guest.cpu.state.gpr32(EAX)).toBe(TASK);
		});

		it("STR writes two bytes of memory whatever the operand size", () => {
			run(`0f 00 0d ${DATA_32}`);
			expect(guest.memory.getUint16(DATA, true)).toBe(TASK);
			expect(guest.memory.getUint16(DATA + 2, true)).toBe(0xaaaa);
		});

		it("SMSW stores CR0", () => {
			run("0f 01 e0");
			expect(guest.cpu.state.gpr32(EAX)).toBe(0x31);
			run(`0f 01 25 ${DATA_32}`);
			expect(guest.memory.getUint16(DATA, true)).toBe(0x31);
		});
	});
}

describe("INT1", () => {
	/** Gates that user mode may not name. */
	beforeEach(() => {
		guest.handle(DB, gate(KERNEL_CODE, HANDLERS + DB * 16, 0x8e));
	});

	it("is a trap behind itself that asks no gate for permission", () => {
		const stop = guest.run(code().nop().hex("f1 90"), { user: true });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 2);
	});

	it("unlike INT 1, which is #GP with the gate's number", () => {
		const stop = guest.run(code().nop().hex("cd 01"), { user: true });
		expect(stop.vector).toBe(GP);
		expect(stop.stack[0]).toBe(DB * 8 + 2);
		expect(stop.stack[1]).toBe(CODE + 1);
	});
});
