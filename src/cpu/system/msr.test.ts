import { describe, expect, it } from "vitest";
import {
	faultOf,
	protectedSystem,
	type TestSystem,
} from "../../../test/support/system-context.ts";
import { STATUS_STOP } from "../engine/status.ts";
import {
	EFER,
	SYSENTER_ESP,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
} from "../state.ts";
import { readTimeStampCounter } from "./io.ts";
import { readMsr, writeMsr } from "./msr.ts";

const TIME_STAMP_COUNTER = 0x10;
const TSC_ADJUST = 0x3b;
const BIOS_SIGN_ID = 0x8b;
const SYSENTER_ESP_MSR = 0x175;
const PAT_MSR = 0x277;
const EFER_MSR = 0xc000_0080 | 0;

function write(cpu: TestSystem, msr: number, value: bigint): string {
	cpu.state.setBig(SYSTEM_ARGUMENT, value);
	return faultOf(() => writeMsr(cpu, msr));
}

function read(cpu: TestSystem, msr: number): bigint {
	readMsr(cpu, msr);
	return cpu.state.getBig(SYSTEM_RESULT);
}

describe("model-specific registers", () => {
	it("keep what is written to them", () => {
		const cpu = protectedSystem(0);
		expect(write(cpu, SYSENTER_ESP_MSR, 0xc000_1000n)).toBe("none");
		expect(read(cpu, SYSENTER_ESP_MSR)).toBe(0xc000_1000n);
		expect(cpu.state.getWide(SYSENTER_ESP)).toBe(0xc000_1000);
	});

	it("are #GP(0) when unknown or read-only, and for user code", () => {
		const cpu = protectedSystem(0);
		expect(faultOf(() => readMsr(cpu, 0x1234))).toBe("13(0)");
		expect(write(cpu, 0x17, 0n)).toBe("13(0)");
		expect(faultOf(() => readMsr(protectedSystem(3), 0x10))).toBe("13(0)");
	});

	it("set the time-stamp counter, which goes on from there", () => {
		const cpu = protectedSystem(0);
		write(cpu, TIME_STAMP_COUNTER, 5n);
		cpu.ticks += 100;
		readTimeStampCounter(cpu);
		expect(cpu.state.getBig(SYSTEM_RESULT)).toBe(105n);
		expect(read(cpu, TIME_STAMP_COUNTER)).toBe(105n);
	});

	it("say by how much the counter was moved, and move it", () => {
		const cpu = protectedSystem(0);
		const before = read(cpu, TIME_STAMP_COUNTER);
		write(cpu, TIME_STAMP_COUNTER, before + 50n);
		expect(read(cpu, TSC_ADJUST)).toBe(50n);
		write(cpu, TSC_ADJUST, 0n);
		expect(read(cpu, TIME_STAMP_COUNTER)).toBe(before);
	});

	it("take page attributes of known types only", () => {
		const cpu = protectedSystem(0);
		expect(write(cpu, PAT_MSR, 0x0407_0605_0104_0007n)).toBe("none");
		expect(write(cpu, PAT_MSR, 2n)).toBe("13(0)");
		expect(write(cpu, PAT_MSR, 0x0800_0000_0000_0000n)).toBe("13(0)");
	});

	it("offer NX in EFER, but neither SYSCALL nor long mode yet", () => {
		const cpu = protectedSystem(0);
		cpu.state.setBig(SYSTEM_ARGUMENT, 0x800n);
		expect(writeMsr(cpu, EFER_MSR)).toBe(STATUS_STOP);
		expect(cpu.state.getWide(EFER)).toBe(0x800);
		expect(cpu.mmu.calls).toEqual(["controlRegistersChanged"]);
		expect(write(cpu, EFER_MSR, 1n)).toBe("13(0)");
		expect(write(cpu, EFER_MSR, 0x100n)).toBe("13(0)");
	});

	it("report a microcode revision after it was cleared, as kernels ask for it", () => {
		const cpu = protectedSystem(0);
		expect(write(cpu, BIOS_SIGN_ID, 0n)).toBe("none");
		expect(read(cpu, BIOS_SIGN_ID) >> 32n).toBeGreaterThan(0n);
	});
});
