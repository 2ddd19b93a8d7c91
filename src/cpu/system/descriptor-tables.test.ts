import { describe, expect, it } from "vitest";
import {
	CALL_GATE,
	CONFORMING,
	EXECUTE_ONLY,
	faultOf,
	KERNEL_CODE,
	KERNEL_DATA,
	LDT_SELECTOR,
	protectedSystem,
	READ_ONLY,
	SMALL_DATA,
	TASK,
	TASK_2,
	TASK_GATE_3,
	type TestSystem,
	TSS_2,
	USER_CODE,
	USER_DATA,
} from "../../../test/support/system-context.ts";
import {
	GDTR_BASE,
	GDTR_LIMIT,
	IDTR_BASE,
	IDTR_LIMIT,
	LDTR,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
	TR,
} from "../state.ts";
import {
	loadAccessRights,
	loadGdt,
	loadIdt,
	loadLdt,
	loadSegmentLimit,
	loadTaskRegister,
	verifyReadable,
	verifyWritable,
} from "./descriptor-tables.ts";
import { isUsable, segmentAttributes, segmentBase } from "./segments.ts";

describe("LGDT and LIDT", () => {
	it("load base and limit", () => {
		const cpu = protectedSystem(0);
		cpu.argument(0xc123_4567);
		loadGdt(cpu, 0x1_ffff);
		loadIdt(cpu, 0x7ff);
		expect(cpu.state.getWide(GDTR_BASE)).toBe(0xc123_4567);
		expect(cpu.state.get32(GDTR_LIMIT)).toBe(0xffff);
		expect(cpu.state.getWide(IDTR_BASE)).toBe(0xc123_4567);
		expect(cpu.state.get32(IDTR_LIMIT)).toBe(0x7ff);
	});

	it("are privileged", () => {
		expect(faultOf(() => loadGdt(protectedSystem(3), 0))).toBe("13(0)");
		expect(faultOf(() => loadIdt(protectedSystem(3), 0))).toBe("13(0)");
	});
});

describe("LLDT", () => {
	it("loads the hidden part, or none for a null selector", () => {
		const cpu = protectedSystem(0);
		loadLdt(cpu, LDT_SELECTOR);
		expect(cpu.selector(LDTR)).toBe(LDT_SELECTOR);
		expect(segmentBase(cpu.state, LDTR)).toBe(0x2800);
		loadLdt(cpu, 0);
		expect(isUsable(segmentAttributes(cpu.state, LDTR))).toBe(false);
	});

	it.each([
		["a selector into the LDT", LDT_SELECTOR | 4, "13(54)"],
		["what is no LDT", KERNEL_DATA, "13(10)"],
		["a selector beyond the table", 0x1000, "13(1000)"],
	])("refuses %s", (_, selector, fault) => {
		expect(faultOf(() => loadLdt(protectedSystem(0), selector))).toBe(fault);
	});

	it("raises #NP when absent, #GP outside level 0", () => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(LDT_SELECTOR, 0x02);
		expect(faultOf(() => loadLdt(cpu, LDT_SELECTOR))).toBe("11(50)");
		expect(faultOf(() => loadLdt(protectedSystem(3), 0))).toBe("13(0)");
	});
});

describe("LTR", () => {
	it("marks the TSS busy, in memory and in the register", () => {
		const cpu = protectedSystem(0);
		loadTaskRegister(cpu, TASK_2);
		expect(cpu.accessByte(TASK_2)).toBe(0x8b);
		expect(segmentAttributes(cpu.state, TR)).toBe(0x8b);
		expect(segmentBase(cpu.state, TR)).toBe(TSS_2);
	});

	it.each([
		["null", 0, "13(0)"],
		["busy", TASK, "13(28)"],
		["no TSS", LDT_SELECTOR, "13(50)"],
		["in the LDT", TASK_2 | 4, "13(5c)"],
	])("refuses a TSS that is %s", (_, selector, fault) => {
		const cpu = protectedSystem(0);
		cpu.setAccessByte(TASK, 0x8b);
		expect(faultOf(() => loadTaskRegister(cpu, selector))).toBe(fault);
	});
});

type Inspection = (cpu: TestSystem, selector: number) => unknown;

/** The result, or undefined when the descriptor is not visible. */
function seen(
	operation: Inspection,
	selector: number,
	level: 0 | 3,
): number | undefined {
	const cpu = protectedSystem(level);
	operation(cpu, selector);
	return cpu.state.get32(SYSTEM_ARGUMENT, 1)
		? cpu.state.getWide(SYSTEM_RESULT)
		: undefined;
}

describe("LAR and LSL", () => {
	it("show code and data", () => {
		expect(seen(loadAccessRights, USER_DATA, 3)).toBe(0x00cf_f300);
		expect(seen(loadSegmentLimit, USER_DATA, 3)).toBe(0xffff_ffff);
		expect(seen(loadSegmentLimit, SMALL_DATA | 3, 3)).toBe(0xff);
	});

	it("hide inner levels and weigh RPL", () => {
		expect(seen(loadAccessRights, KERNEL_DATA, 3)).toBeUndefined();
		expect(seen(loadAccessRights, KERNEL_DATA | 1, 0)).toBeUndefined();
		expect(seen(loadAccessRights, CONFORMING | 3, 3)).toBeDefined();
	});

	it("differ about gates", () => {
		expect(seen(loadAccessRights, CALL_GATE, 3)).toBe(0xec00);
		expect(seen(loadAccessRights, TASK_GATE_3, 3)).toBeDefined();
		expect(seen(loadSegmentLimit, CALL_GATE, 3)).toBeUndefined();
		expect(seen(loadSegmentLimit, TASK, 0)).toBe(0x67);
	});

	it("show nothing for null, out of range and reserved types", () => {
		expect(seen(loadAccessRights, 3, 3)).toBeUndefined();
		expect(seen(loadSegmentLimit, 0x2000, 0)).toBeUndefined();
		const cpu = protectedSystem(0);
		cpu.setAccessByte(TASK, 0x80);
		loadAccessRights(cpu, TASK);
		expect(cpu.state.get32(SYSTEM_ARGUMENT, 1)).toBe(0);
	});
});

describe("VERR and VERW", () => {
	const verdict = (operation: Inspection, selector: number) => {
		const cpu = protectedSystem(3);
		operation(cpu, selector);
		return cpu.state.get32(SYSTEM_RESULT);
	};

	it.each([
		["data", USER_DATA, 1, 1],
		["read-only data", READ_ONLY | 3, 1, 0],
		["readable code", USER_CODE, 1, 0],
		["execute-only code", EXECUTE_ONLY | 3, 0, 0],
		["conforming code of level 0", CONFORMING | 3, 1, 0],
		["code of level 0", KERNEL_CODE, 0, 0],
		["data of level 0", KERNEL_DATA, 0, 0],
		["a system segment", TASK, 0, 0],
		["null", 0, 0, 0],
	])("judge %s", (_, selector, readable, writable) => {
		expect(verdict(verifyReadable, selector)).toBe(readable);
		expect(verdict(verifyWritable, selector)).toBe(writable);
	});
});
