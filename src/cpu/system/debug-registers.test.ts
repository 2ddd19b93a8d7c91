import { describe, expect, it } from "vitest";
import {
	faultOf,
	KERNEL_CODE,
	protectedSystem,
	type TestSystem,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP } from "../engine/status.ts";
import { GuestFault } from "../exceptions.ts";
import { CR4, DR, SYSTEM_RESULT } from "../state.ts";
import { CR4_DE } from "./control-bits.ts";
import { moveFromDebug, moveToDebug } from "./debug-registers.ts";
import { DR6_BD } from "./debug-status.ts";
import { deliverException } from "./exception-delivery.ts";

function write(cpu: TestSystem, register: number, value: number): string {
	cpu.argument(value);
	return faultOf(() => moveToDebug(cpu, register));
}

function read(cpu: TestSystem, register: number): number {
	moveFromDebug(cpu, register);
	return cpu.state.getWide(SYSTEM_RESULT);
}

describe("debug registers", () => {
	it("keep addresses as they are", () => {
		const cpu = protectedSystem(0);
		write(cpu, 2, 0xc000_1234);
		expect(read(cpu, 2)).toBe(0xc000_1234);
	});

	it("have bits in DR6 and DR7 that do not change", () => {
		const cpu = protectedSystem(0);
		write(cpu, 6, 0);
		write(cpu, 7, 0);
		expect([read(cpu, 6), read(cpu, 7)]).toEqual([0xffff_0ff0, 0x400]);
		write(cpu, 6, 0xffff_ffff);
		expect(read(cpu, 6)).toBe(0xffff_efff);
	});

	it("let the run loop look when DR7 changes", () => {
		const cpu = protectedSystem(0);
		cpu.argument(1);
		expect(moveToDebug(cpu, 7)).toBe(STATUS_STOP);
	});

	it("are DR6 and DR7 at 4 and 5, unless CR4.DE", () => {
		const cpu = protectedSystem(0);
		write(cpu, 5, 3);
		expect(read(cpu, 7)).toBe(0x403);
		cpu.state.set32(CR4, CR4_DE);
		expect(write(cpu, 5, 3)).toBe("6");
		expect(faultOf(() => moveFromDebug(cpu, 4))).toBe("6");
	});

	it("are #DB when DR7.GD is set, until its handler is entered", () => {
		const cpu = protectedSystem(0);
		write(cpu, 7, 0x2000);
		expect(faultOf(() => moveFromDebug(cpu, 0))).toBe("1");
		expect(cpu.state.get32(DR, 6) & DR6_BD).toBe(DR6_BD);
		cpu.idtGate(1, KERNEL_CODE, 0x100);
		deliverException(cpu, new GuestFault(1, undefined));
		expect([cpu.rip, read(cpu, 7)]).toEqual([0x100, 0x400]);
	});

	it("are privileged", () => {
		expect(write(protectedSystem(3), 0, 0)).toBe("13(0)");
	});
});
