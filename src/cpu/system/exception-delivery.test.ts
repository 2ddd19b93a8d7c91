import { describe, expect, it } from "vitest";
import {
	HERE,
	KERNEL_CODE,
	KERNEL_STACK,
	protectedSystem,
	TestSystem,
} from "../../../test/support/system-context.ts";
import { GuestFault } from "../exceptions.ts";
import { HALTED, IDTR_LIMIT } from "../state.ts";
import {
	deliverException,
	deliverHardwareInterrupt,
	HALTED_SHUTDOWN,
	HALTED_WAITING,
} from "./exception-delivery.ts";

/** Handlers for `good` vectors at 0x100 * vector; gates of `absent` are not present. */
function systemWith(
	good: readonly number[],
	absent: readonly number[] = [],
): TestSystem {
	const cpu = protectedSystem(0);
	for (const vector of good) cpu.idtGate(vector, KERNEL_CODE, vector * 0x100);
	for (const vector of absent) cpu.idtGate(vector, KERNEL_CODE, 0, 0x0e);
	return cpu;
}

describe("deliverException", () => {
	it("enters the handler with RIP of the faulting instruction", () => {
		const cpu = systemWith([14]);
		expect(deliverException(cpu, new GuestFault(14, 2))).toBe("ok");
		expect([cpu.rip, ...cpu.stack32(2)]).toEqual([0xe00, 2, HERE]);
	});

	it("delivers a second exception instead of a benign first one", () => {
		const cpu = systemWith([11, 8], [6]);
		deliverException(cpu, new GuestFault(6, undefined));
		expect([cpu.rip, cpu.stack32(1)[0]]).toEqual([0xb00, 6 * 8 + 3]);
	});

	it("delivers a page fault that hits a contributory exception", () => {
		const cpu = systemWith([14, 8]);
		cpu.idtGate(13, KERNEL_CODE, 0xd00);
		cpu.mmu.absent.add(2);
		// The IDT is gone for #GP's gate, and with it for #PF's.
		expect(deliverException(cpu, new GuestFault(13, 0))).toBe("shutdown");
		expect(cpu.halted).toBe(HALTED_SHUTDOWN);
	});

	it("makes a double fault, error code 0, of two contributory exceptions", () => {
		const cpu = systemWith([8], [13]);
		expect(deliverException(cpu, new GuestFault(13, 0x10))).toBe("ok");
		expect([cpu.rip, ...cpu.stack32(2)]).toEqual([0x800, 0, HERE]);
	});

	it("makes a double fault of an exception during a page fault", () => {
		const cpu = systemWith([8], [14]);
		deliverException(cpu, new GuestFault(14, 0));
		expect(cpu.rip).toBe(0x800);
	});

	it("shuts down when the double fault cannot be delivered either", () => {
		const cpu = systemWith([], [13, 8]);
		expect(deliverException(cpu, new GuestFault(13, 0))).toBe("shutdown");
		expect(cpu.halted).toBe(HALTED_SHUTDOWN);
		expect([cpu.rip, cpu.esp]).toEqual([HERE, KERNEL_STACK]);
	});

	it("shuts down without an IDT", () => {
		const cpu = protectedSystem(3);
		cpu.state.set32(IDTR_LIMIT, 0);
		expect(deliverException(cpu, new GuestFault(3, undefined))).toBe(
			"shutdown",
		);
	});

	it("falls back to a good handler in real mode", () => {
		const cpu = new TestSystem();
		cpu.state.set32(IDTR_LIMIT, 0x3f);
		cpu.mmu.view.setUint32(13 * 4, 0x0010_0020, true);
		expect(deliverException(cpu, new GuestFault(0x20, undefined))).toBe("ok");
		expect(cpu.rip).toBe(0x20);
	});
});

describe("deliverHardwareInterrupt", () => {
	it("wakes a halted processor", () => {
		const cpu = systemWith([0x30]);
		cpu.state.set32(HALTED, HALTED_WAITING);
		expect(deliverHardwareInterrupt(cpu, 0x30)).toBe("ok");
		expect([cpu.halted, cpu.rip]).toEqual([0, 0x3000]);
	});

	it("is benign: a fault on the way is delivered as itself", () => {
		const cpu = systemWith([11, 8], [0x30]);
		expect(deliverHardwareInterrupt(cpu, 0x30)).toBe("ok");
		expect([cpu.rip, cpu.stack32(1)[0]]).toEqual([0xb00, 0x30 * 8 + 3]);
	});
});
