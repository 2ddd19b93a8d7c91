import { describe, expect, it } from "vitest";
import {
	EXECUTE_ONLY,
	EXPAND_DOWN,
	faultOf,
	protectedSystem,
	READ_ONLY,
	SMALL_DATA,
	TestSystem,
	USER_DATA,
} from "../../../test/support/system-context.ts";
import { segmentOffset } from "../state.ts";
import { CS, DS, SS } from "./descriptors.ts";
import {
	checkSegmentAccess,
	INTENT_READ,
	INTENT_WRITE,
} from "./segment-access.ts";
import { setNullSegment } from "./segments.ts";

function access(
	cpu: TestSystem,
	index: number,
	offset: number,
	bytes: number,
	intent = INTENT_READ,
): string {
	return faultOf(() =>
		checkSegmentAccess(
			cpu.state,
			segmentOffset(index),
			offset | 0,
			bytes,
			intent,
		),
	);
}

function withData(selector: number): TestSystem {
	const cpu = protectedSystem(3);
	cpu.load(DS, selector);
	return cpu;
}

describe("checkSegmentAccess", () => {
	it("lets the last byte inside the limit through and no byte beyond", () => {
		const cpu = withData(SMALL_DATA | 3);
		expect(access(cpu, DS, 0xfc, 4)).toBe("none");
		expect(access(cpu, DS, 0xfd, 4)).toBe("13(0)");
		expect(access(cpu, DS, 0xffff_ffff, 1)).toBe("13(0)");
	});

	it("reaches from above the limit to 4 GiB in a big expand-down segment", () => {
		const cpu = withData(EXPAND_DOWN | 3);
		expect(access(cpu, DS, 0xfff, 1)).toBe("13(0)");
		expect(access(cpu, DS, 0x1000, 4)).toBe("none");
		expect(access(cpu, DS, 0xffff_fffc, 4)).toBe("none");
		expect(access(cpu, DS, 0xffff_fffd, 4)).toBe("13(0)");
	});

	it("ends a small expand-down segment at 64 KiB", () => {
		const cpu = protectedSystem(3);
		cpu.descriptor(0x1000, EXPAND_DOWN, 0, 0xfff, 0x00f7);
		cpu.load(DS, EXPAND_DOWN | 3);
		expect(access(cpu, DS, 0xfffe, 2)).toBe("none");
		expect(access(cpu, DS, 0xffff, 2)).toBe("13(0)");
	});

	it("lets no access wrap round in a 4 GiB segment", () => {
		expect(access(withData(USER_DATA), DS, 0xffff_fffe, 2)).toBe("none");
		expect(access(withData(USER_DATA), DS, 0xffff_fffe, 4)).toBe("13(0)");
	});

	it("keeps writes out of read-only data and out of code", () => {
		const cpu = withData(READ_ONLY | 3);
		expect(access(cpu, DS, 0, 1)).toBe("none");
		expect(access(cpu, DS, 0, 1, INTENT_WRITE)).toBe("13(0)");
		expect(access(cpu, CS, 0, 1, INTENT_WRITE)).toBe("13(0)");
	});

	it("keeps reads out of execute-only code", () => {
		const cpu = protectedSystem(3);
		cpu.load(CS, EXECUTE_ONLY | 3);
		expect(access(cpu, CS, 0, 1)).toBe("13(0)");
	});

	it("refuses everything through a null segment", () => {
		const cpu = protectedSystem(3);
		setNullSegment(cpu.state, DS, 0);
		expect(access(cpu, DS, 0, 1)).toBe("13(0)");
	});

	it("raises #SS for the stack segment", () => {
		const cpu = protectedSystem(3);
		cpu.load(SS, SMALL_DATA | 3);
		expect(access(cpu, SS, 0x100, 1)).toBe("12(0)");
	});

	it("refuses a word at the end of 64 KiB in real mode", () => {
		expect(access(new TestSystem(), DS, 0xffff, 2)).toBe("13(0)");
	});
});
