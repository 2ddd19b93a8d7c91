/**
 * Single step and the debug registers, executed: which instruction traps, what
 * DR6 and the pushed EFLAGS say (Intel SDM vol. 3, "Debug, Branch Profile, TSC,
 * and Intel Resource Director Technology Features").
 *
 * @journey M:720 A debugger inside the guest
 */

import { beforeEach, describe, expect, it } from "vitest";
import { CR4, DR } from "../../src/cpu/state.ts";
import { EAX, ECX, EDI, EDX, ESI } from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	descriptor,
	FREE,
	Guest,
	HANDLERS,
	KERNEL_DATA,
	TASK_2,
	TSS_2,
} from "../support/guest.ts";

const TF = 0x100;
const RF = 0x1_0000;
const DB = 1;
const BS = 0x4000;
const BD = 0x2000;
const BT = 0x8000;
const SS = 2;
const CR4_DE = 8;
const G0 = 2;
const GD = 0x2000;
/** DR7's condition and length for DR0. */
const EXECUTE = 0;
const WRITE = 1;
const IO = 2;
const ACCESS = 3;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

/** Arms DR0. */
function watch(address: number, condition: number, bytes = 1): void {
	const length = { 1: 0, 2: 1, 4: 3 }[bytes] ?? 0;
	guest.cpu.state.setWide(DR, address, 0);
	const control = 0x400 | G0 | (condition << 16) | (length << 18);
	guest.cpu.state.setWide(DR, control, 7);
	guest.cpu.controlChanged();
}

describe("single step", () => {
	it("traps behind the instruction, with TF clear in the handler", () => {
		const stop = guest.run(code().nop().label("then").hlt(), { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 1);
		expect((stop.stack[2] as number) & (TF | RF)).toBe(TF);
		expect(guest.eflags & TF).toBe(0);
		expect(guest.dr6).toBe(BS);
	});

	it("starts one instruction after the POPF that sets TF", () => {
		const program = code().push(TF).popf().nop().label("then").nop();
		const stop = guest.run(program);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
	});

	it("still traps behind the POPF that clears TF", () => {
		const program = code().popf().label("then").nop();
		guest.setWord(0x8000, 2);
		const stop = guest.run(program, { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
		expect((stop.stack[2] as number) & TF).toBe(0);
	});

	it("lets INT n run its handler, for delivery clears TF", () => {
		const stop = guest.run(code().int(0x80).nop(), { eflags: TF });
		expect(stop.vector).toBe(0x80);
		expect((stop.stack[2] as number) & TF).toBe(TF);
		expect(guest.dr6).toBe(0);
	});

	it("traps after the instruction behind the IRET that brings TF back", () => {
		const handler = HANDLERS + 0x80 * 16;
		guest.memory.setUint8(handler, 0xcf);
		const program = code().int(0x80).nop().label("then").nop();
		const stop = guest.run(program, { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
	});

	it("traps behind HLT instead of waiting", () => {
		const stop = guest.run(code().hlt().label("then").nop(), { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 1);
	});

	it("traps after each iteration of REP, on the instruction itself", () => {
		const program = code().hex("f3a4").nop();
		guest.cpu.state.setGpr32(ECX, 3);
		guest.cpu.state.setGpr32(ESI, DATA);
		guest.cpu.state.setGpr32(EDI, DATA + 16);
		const stop = guest.run(program, { eflags: TF });
		expect(stop.stack[0]).toBe(CODE);
		expect(guest.gpr(ECX)).toBe(2);
	});

	it("passes over MOV SS and traps behind the instruction after it", () => {
		const program = code().toSegment(SS, EDX).nop().label("then").nop();
		guest.cpu.state.setGpr32(EDX, KERNEL_DATA);
		const stop = guest.run(program, { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
	});

	it("is not held back by STI", () => {
		const stop = guest.run(code().hex("fb").nop(), { eflags: TF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 1);
	});

	it("takes a fault of the instruction first, which is pushed with RF", () => {
		const stop = guest.run(code().hex("0f0b"), { eflags: TF });
		expect(stop.vector).toBe(6);
		expect(stop.stack[0]).toBe(CODE);
		expect((stop.stack[2] as number) & (RF | TF)).toBe(RF | TF);
	});
});

describe("instruction breakpoints", () => {
	it("fault before the instruction, with RF clear in the frame", () => {
		watch(CODE + 5, EXECUTE);
		const stop = guest.run(code().mov(EAX, 1).mov(EAX, 2).hlt());
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 5);
		expect((stop.stack[2] as number) & RF).toBe(0);
		expect(guest.gpr(EAX)).toBe(1);
		expect(guest.dr6).toBe(1);
	});

	it("are passed once when the handler returns with RF set", () => {
		const handler = HANDLERS + DB * 16;
		// or dword [esp+8], RF; iret
		guest.cpu.memory.write(
			handler,
			Uint8Array.of(0x81, 0x4c, 0x24, 8, 0, 0, 1, 0, 0xcf),
		);
		watch(CODE + 5, EXECUTE);
		const program = code().mov(EAX, 1).hex("40").label("end").hlt();
		const stop = guest.run(program);
		expect(stop.reason).toBe("halt");
		expect(guest.eip).toBe(program.addressOf("end") + 1);
		expect(guest.gpr(EAX)).toBe(2);
		expect(guest.eflags & RF).toBe(0);
	});

	it("come again when the loop comes round", () => {
		watch(CODE, EXECUTE);
		const stop = guest.run(code().label("again").jump("again"), { eflags: RF });
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE);
	});

	it("are suppressed right behind MOV SS", () => {
		watch(CODE + 2, EXECUTE);
		const program = code().toSegment(SS, EDX).nop().label("end").hlt();
		guest.cpu.state.setGpr32(EDX, KERNEL_DATA);
		guest.run(program);
		expect(guest.eip).toBe(program.addressOf("end") + 1);
		expect(guest.dr6).toBe(0);
	});

	it("do not hide the end of the code segment", () => {
		guest.describe(FREE, descriptor(0, CODE, 0x9b, 4));
		watch(CODE + 3, EXECUTE);
		const stop = guest.run(code().nop().hlt(), { selector: FREE });
		expect(stop.vector).toBe(13);
		expect(stop.stack[1]).toBe(CODE + 1);
	});
});

describe("data breakpoints", () => {
	it("trap behind a write that touches one byte of them", () => {
		watch(DATA + 4, WRITE, 4);
		const program = code()
			.store(DATA + 1, EAX)
			.nop()
			.hlt();
		const stop = guest.run(program);
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 6);
		expect(guest.dr6).toBe(1);
	});

	it("let reads pass where only writes are watched", () => {
		watch(DATA, WRITE, 4);
		const stop = guest.run(code().load(EAX, DATA).hlt());
		expect(stop.vector).toBeUndefined();
		expect(guest.dr6).toBe(0);
	});

	it("see reads where both are watched", () => {
		watch(DATA, ACCESS, 2);
		const stop = guest.run(
			code()
				.load(EAX, DATA - 2)
				.hlt(),
		);
		expect(stop.vector).toBe(DB);
	});

	it("stop REP after the iteration that hit", () => {
		watch(DATA + 0x12, WRITE);
		guest.cpu.state.setGpr32(ECX, 8);
		guest.cpu.state.setGpr32(ESI, DATA);
		guest.cpu.state.setGpr32(EDI, DATA + 0x10);
		const stop = guest.run(code().hex("f3a4").hlt());
		expect(stop.vector).toBe(DB);
		expect(guest.gpr(ECX)).toBe(5);
	});

	it("wait for the instruction behind MOV SS", () => {
		watch(DATA, ACCESS, 2);
		guest.memory.setUint16(DATA, KERNEL_DATA, true);
		const program = code().hex("8e15").dword(DATA).nop().label("then").nop();
		const stop = guest.run(program);
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(program.addressOf("then"));
		expect(guest.dr6).toBe(1);
	});

	it("watch ports under CR4.DE, for IN and OUT", () => {
		guest.cpu.state.setWide(CR4, CR4_DE);
		watch(0x80, IO);
		const stop = guest.run(code().hex("e680").nop().hlt());
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 2);
		expect(guest.dr6).toBe(1);
		expect(guest.bus).toEqual(["out 80/1=0"]);
	});
});

describe("guards", () => {
	it("DR7.GD faults on the access and opens for the handler", () => {
		guest.cpu.state.setWide(DR, 0x400 | GD, 7);
		const stop = guest.run(code().hex("0f21f0").hlt());
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE);
		expect(guest.dr6).toBe(BD);
		expect(guest.cpu.state.get32(DR, 7) & GD).toBe(0);
	});

	it("a TSS with T set traps before the task's first instruction", () => {
		guest.prepareTask(TSS_2, CODE + 0x100);
		guest.memory.setUint16(TSS_2 + 0x64, 1, true);
		const stop = guest.run(code().jumpFar(TASK_2, 0));
		expect(stop.vector).toBe(DB);
		expect(stop.stack[0]).toBe(CODE + 0x100);
		expect(guest.dr6).toBe(BT);
	});
});
