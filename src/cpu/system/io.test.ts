import { describe, expect, it } from "vitest";
import {
	faultOf,
	protectedSystem,
	TestSystem,
	TSS,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP } from "../engine/status.ts";
import { EFLAGS_IF } from "../flags.ts";
import {
	CR4,
	INTERRUPT_PENDING,
	LEAVE,
	SYSTEM_RESULT,
	TR,
	TSC_OFFSET,
} from "../state.ts";
import { CR4_TSD } from "./control-bits.ts";
import { HALTED_WAITING } from "./exception-delivery.ts";
import {
	checkPort,
	halt,
	hypercall,
	input,
	output,
	random,
	readPerformanceCounter,
	readTimeStampCounter,
} from "./io.ts";

const IOPL_3 = 3 << 12;
const MAP = 0x68;

/** User code with a bit map that reaches up to `lastPort`, all of it open. */
function withMap(lastPort: number): TestSystem {
	const cpu = protectedSystem(3);
	cpu.setAccessByte(0x28, 0x8b);
	const limit = MAP + (lastPort >> 3) + 1;
	cpu.descriptor(0x1000, 0x28, TSS, limit, 0x008b);
	cpu.load(TR, 0x28);
	cpu.mmu.view.setUint16(TSS + 0x66, MAP, true);
	return cpu;
}

const check = (cpu: TestSystem, port: number, bytes: number) =>
	faultOf(() => checkPort(cpu, port, bytes));

describe("who may use a port", () => {
	it("is everybody in real mode, and levels up to IOPL", () => {
		expect(check(new TestSystem(), 0x60, 1)).toBe("none");
		expect(check(protectedSystem(0), 0x60, 1)).toBe("none");
		const user = protectedSystem(3);
		expect(check(user, 0x60, 1)).toBe("13(0)");
		user.eflags = IOPL_3;
		expect(check(user, 0x60, 1)).toBe("none");
	});

	it("is who the TSS's bit map lets, every byte of the range", () => {
		const cpu = withMap(0xff);
		cpu.mmu.view.setUint8(TSS + MAP + 0x68 / 8, 0x01);
		expect(check(cpu, 0x67, 1)).toBe("none");
		expect(check(cpu, 0x68, 1)).toBe("13(0)");
		expect(check(cpu, 0x65, 4)).toBe("13(0)");
		expect(check(cpu, 0x64, 4)).toBe("none");
	});

	it("ends where the TSS ends", () => {
		const cpu = withMap(0x7f);
		expect(check(cpu, 0x7f, 1)).toBe("none");
		expect(check(cpu, 0x80, 1)).toBe("13(0)");
	});

	it("is the bit map's business in virtual-8086 mode, whatever IOPL says", () => {
		const cpu = withMap(0x7f);
		cpu.enterVirtual8086(3);
		expect(check(cpu, 0x60, 1)).toBe("none");
		expect(check(cpu, 0x80, 1)).toBe("13(0)");
	});
});

describe("IN and OUT", () => {
	it("deliver zero-extended and send only the bytes asked for", () => {
		const cpu = protectedSystem(0);
		cpu.portValue = 0xffff_ffff;
		input(cpu, 0x60, 4);
		expect(cpu.state.getWide(SYSTEM_RESULT)).toBe(0xffff_ffff);
		output(cpu, 0x80, 1, 0x1234_5678);
		output(cpu, 0xcf8, 4, -1);
		expect(cpu.written).toEqual(["80/1=120", "cf8/4=4294967295"]);
	});

	it("reach no device without permission", () => {
		const cpu = protectedSystem(3);
		expect(faultOf(() => output(cpu, 0x80, 1, 0))).toBe("13(0)");
		expect(cpu.written).toEqual([]);
	});

	it("ask for the run loop when an interrupt can be taken now", () => {
		const cpu = protectedSystem(0);
		cpu.state.set32(INTERRUPT_PENDING, 1);
		output(cpu, 0x80, 1, 0);
		expect(cpu.state.get32(LEAVE)).toBe(0);
		cpu.eflags = EFLAGS_IF;
		output(cpu, 0x80, 1, 0);
		expect(cpu.state.get32(LEAVE)).toBe(1);
	});
});

describe("the other pins", () => {
	it("HLT stops at level 0 only", () => {
		const cpu = protectedSystem(0);
		expect(halt(cpu)).toBe(STATUS_STOP);
		expect(cpu.halted).toBe(HALTED_WAITING);
		expect(faultOf(() => halt(protectedSystem(3)))).toBe("13(0)");
	});

	it("RDTSC counts, and obeys CR4.TSD in user mode", () => {
		const cpu = protectedSystem(3);
		readTimeStampCounter(cpu);
		expect(cpu.state.getBig(SYSTEM_RESULT)).toBe(1000n);
		cpu.state.set32(CR4, CR4_TSD);
		expect(faultOf(() => readTimeStampCounter(cpu))).toBe("13(0)");
	});

	it.each([
		[1000, 0xffff_ffff_ffff_fe70n, 600n],
		[2 ** 40 + 5, 0xffff_ffffn, 2n ** 40n + 0x1_0000_0004n],
		[2 ** 52 + 0xffff_ffff, 0x8000_0000_0000_0001n, 0x8010_0001_0000_0000n],
	])(
		"RDTSC adds to %d what the guest has moved it by",
		(ticks, offset, sum) => {
			const cpu = protectedSystem(0);
			cpu.ticks = ticks;
			cpu.state.setBig(TSC_OFFSET, offset);
			readTimeStampCounter(cpu);
			expect(cpu.state.getBig(SYSTEM_RESULT)).toBe(sum);
		},
	);

	it("RDPMC knows no counter", () => {
		expect(faultOf(readPerformanceCounter)).toBe("13(0)");
	});

	it("RDRAND gives as many bits as asked for", () => {
		const cpu = protectedSystem(3);
		const bits = (size: number) => {
			random(cpu, size);
			return cpu.state.getBig(SYSTEM_RESULT);
		};
		expect([bits(16), bits(32), bits(64)]).toEqual([
			0xbeefn,
			0xdead_beefn,
			0xdead_beef_dead_beefn,
		]);
	});

	it("a hypercall is #UD where nobody answers", () => {
		const cpu = protectedSystem(0);
		expect(faultOf(() => hypercall(cpu))).toBe("6");
		cpu.hypercall = () => true;
		expect(faultOf(() => hypercall(cpu))).toBe("none");
	});
});
