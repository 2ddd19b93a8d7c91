import { describe, expect, it } from "vitest";
import {
	ABSENT_DATA,
	CONFORMING,
	EXECUTE_ONLY,
	EXPAND_DOWN,
	faultOf,
	KERNEL_CODE,
	KERNEL_DATA,
	LDT_BASE,
	LDT_SELECTOR,
	protectedSystem,
	READ_ONLY,
	SMALL_DATA,
	STACK_16,
	TASK,
	TestSystem,
	USER_CODE,
	USER_DATA,
} from "../../../test/support/system-context.ts";
import { STATUS_NEXT } from "../engine/status.ts";
import {
	CR0,
	LDTR,
	LEAVE,
	SEGMENT_READ_SAFE,
	SEGMENT_WRITE_SAFE,
} from "../state.ts";
import { DS, ES, FS, GS, SS } from "./descriptors.ts";
import {
	isUsable,
	loadSegment,
	segmentAttributes,
	segmentBase,
	segmentLimit,
	setNullSegment,
} from "./segments.ts";

const readSafe = (cpu: TestSystem, index: number) =>
	cpu.state.view.getUint32(cpu.state.segmentAt(index, SEGMENT_READ_SAFE), true);
const writeSafe = (cpu: TestSystem, index: number) =>
	cpu.state.view.getUint32(
		cpu.state.segmentAt(index, SEGMENT_WRITE_SAFE),
		true,
	);

describe("loading a data segment register", () => {
	it("takes base, limit and rights from the descriptor and marks it accessed", () => {
		const cpu = protectedSystem(3);
		cpu.setAccessByte(SMALL_DATA, 0xf2);
		expect(loadSegment(cpu, FS, SMALL_DATA | 3)).toBe(STATUS_NEXT);
		expect(cpu.selector(FS)).toBe(SMALL_DATA | 3);
		expect(segmentBase(cpu.state, FS)).toBe(0x6000);
		expect(segmentLimit(cpu.state, FS)).toBe(0xff);
		expect(segmentAttributes(cpu.state, FS)).toBe(0x40f3);
		expect(cpu.accessByte(SMALL_DATA)).toBe(0xf3);
	});

	it("scales the limit by G", () => {
		const cpu = protectedSystem(0);
		loadSegment(cpu, FS, KERNEL_DATA);
		expect(segmentLimit(cpu.state, FS)).toBe(0xffff_ffff);
	});

	it("sets the safe bounds so that 16 bytes at any offset below fit", () => {
		const cpu = protectedSystem(3);
		loadSegment(cpu, FS, SMALL_DATA | 3);
		expect(readSafe(cpu, FS)).toBe(0xff - 14);
		expect(writeSafe(cpu, FS)).toBe(0xff - 14);
		loadSegment(cpu, FS, USER_DATA);
		expect(readSafe(cpu, FS)).toBe(0xffff_fff1);
	});

	it("has no safe bound for writing what is read-only or code", () => {
		const cpu = protectedSystem(3);
		loadSegment(cpu, FS, READ_ONLY | 3);
		loadSegment(cpu, GS, USER_CODE);
		expect([writeSafe(cpu, FS), writeSafe(cpu, GS)]).toEqual([0, 0]);
		expect(readSafe(cpu, FS)).toBeGreaterThan(0);
	});

	it("has no safe bound at all for expand-down and null segments", () => {
		const cpu = protectedSystem(3);
		loadSegment(cpu, FS, EXPAND_DOWN | 3);
		loadSegment(cpu, GS, 0);
		expect([readSafe(cpu, FS), readSafe(cpu, GS)]).toEqual([0, 0]);
	});

	it("accepts a null selector, which makes the register unusable and keeps its RPL", () => {
		const cpu = protectedSystem(3);
		loadSegment(cpu, ES, 3);
		expect(cpu.selector(ES)).toBe(3);
		expect(isUsable(segmentAttributes(cpu.state, ES))).toBe(false);
	});

	it.each([
		["a selector beyond the GDT", 0x1003, "13(1000)"],
		["a system descriptor", TASK | 3, "13(28)"],
		["execute-only code", EXECUTE_ONLY | 3, "13(70)"],
		["data of an inner level", KERNEL_DATA | 3, "13(10)"],
		["nonconforming code of an inner level", KERNEL_CODE, "13(8)"],
		["an absent segment", ABSENT_DATA | 3, "11(40)"],
		["an LDT selector without an LDT", 0x0f, "13(c)"],
	])("refuses %s", (_, selector, fault) => {
		const cpu = protectedSystem(3);
		setNullSegment(cpu.state, LDTR, 0);
		expect(faultOf(() => loadSegment(cpu, DS, selector))).toBe(fault);
		expect(cpu.selector(DS)).toBe(USER_DATA);
	});

	it("reads conforming code at any level", () => {
		const cpu = protectedSystem(3);
		expect(faultOf(() => loadSegment(cpu, DS, CONFORMING | 3))).toBe("none");
	});

	it("weighs RPL like CPL", () => {
		const cpu = protectedSystem(0);
		expect(faultOf(() => loadSegment(cpu, DS, KERNEL_DATA | 1))).toBe("13(10)");
	});

	it("finds descriptors in the LDT", () => {
		const cpu = protectedSystem(3);
		cpu.load(LDTR, LDT_SELECTOR);
		cpu.descriptor(LDT_BASE, 0x08, 0x1234_5678, 0xabc, 0x40f3);
		loadSegment(cpu, GS, 0x0f);
		expect(segmentBase(cpu.state, GS)).toBe(0x1234_5678);
		expect(faultOf(() => loadSegment(cpu, GS, 0x27))).toBe("13(24)");
	});

	it("leaves the register alone when marking the descriptor faults", () => {
		const cpu = protectedSystem(3);
		cpu.setAccessByte(SMALL_DATA, 0xf2);
		cpu.mmu.readOnly.add(1);
		expect(faultOf(() => loadSegment(cpu, DS, SMALL_DATA | 3))).toBe("14(3)");
		expect(cpu.selector(DS)).toBe(USER_DATA);
	});

	it("asks for the run loop when the CPU is no longer flat, but not for FS", () => {
		const cpu = protectedSystem(3);
		loadSegment(cpu, FS, SMALL_DATA | 3);
		expect(cpu.state.get32(LEAVE)).toBe(0);
		loadSegment(cpu, DS, SMALL_DATA | 3);
		expect(cpu.state.get32(LEAVE)).toBe(1);
	});
});

describe("loading SS", () => {
	it.each([
		["a null selector", 0, "13(0)"],
		["another level's stack", USER_DATA, "13(20)"],
		["an RPL that is not CPL", KERNEL_DATA | 3, "13(10)"],
		["read-only data", READ_ONLY, "13(78)"],
		["code", KERNEL_CODE, "13(8)"],
	])("refuses %s", (_, selector, fault) => {
		const cpu = protectedSystem(0);
		expect(faultOf(() => loadSegment(cpu, SS, selector))).toBe(fault);
	});

	it("raises #SS when the segment is absent", () => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(STACK_16, 0x13);
		expect(faultOf(() => loadSegment(cpu, SS, STACK_16))).toBe("12(90)");
	});

	it("asks for the run loop when the stack's size changes", () => {
		const cpu = protectedSystem(0);
		loadSegment(cpu, SS, STACK_16);
		expect(cpu.state.get32(LEAVE)).toBe(1);
	});
});

describe("loading without descriptors", () => {
	it("shifts the selector in real mode and keeps the limit of unreal mode", () => {
		const cpu = protectedSystem(0);
		cpu.state.setWide(CR0, 0x10);
		loadSegment(cpu, DS, 0x1234);
		expect(segmentBase(cpu.state, DS)).toBe(0x1_2340);
		expect(segmentLimit(cpu.state, DS)).toBe(0xffff_ffff);
	});

	it("gives 64 KiB after RESET", () => {
		const cpu = new TestSystem();
		loadSegment(cpu, ES, 0xb800);
		expect(segmentLimit(cpu.state, ES)).toBe(0xffff);
		expect(writeSafe(cpu, ES)).toBe(0xffff - 14);
	});

	it("always gives 64 KiB at DPL 3 in virtual-8086 mode", () => {
		const cpu = protectedSystem(3);
		cpu.enterVirtual8086(3);
		loadSegment(cpu, SS, 0x2000);
		expect(segmentBase(cpu.state, SS)).toBe(0x2_0000);
		expect(segmentAttributes(cpu.state, SS)).toBe(0xf3);
	});
});
