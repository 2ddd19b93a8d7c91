import { describe, expect, it } from "vitest";
import {
	faultOf,
	protectedSystem,
	USER_CODE,
} from "../../../test/support/system-context.ts";
import { SYSTEM_OPERATIONS } from "../semantics/system-operations.ts";
import { SYSTEM_ARGUMENT } from "../state.ts";
import { OPERATIONS } from "./operations.ts";

describe("OPERATIONS", () => {
	it("has the contract's order, by which the engine calls", () => {
		expect(Object.keys(OPERATIONS)).toEqual(Object.keys(SYSTEM_OPERATIONS));
	});

	it("raises exceptions of the old task to the caller", () => {
		const cpu = protectedSystem(3);
		cpu.argument(0);
		expect(faultOf(() => OPERATIONS.JMP_FAR(cpu, 8, 32, 0))).toBe("13(8)");
		expect(faultOf(() => OPERATIONS.IRET(cpu, 32, 0, 0))).toBe("13(0)");
	});

	it("cuts garbage above a selector off", () => {
		const cpu = protectedSystem(3);
		cpu.argument(0x10);
		OPERATIONS.JMP_FAR(cpu, 0x7777_0000 | USER_CODE, 32, 0);
		expect(cpu.rip).toBe(0x10);
	});

	it("lays CPUID's registers out for the caller", () => {
		const cpu = protectedSystem(3);
		OPERATIONS.CPUID(cpu, 0, 0, 0);
		expect(cpu.state.getWide(SYSTEM_ARGUMENT, 1)).toBe(0x756e_6547);
	});

	it.each(["SET_AC", "MONITOR", "MWAIT"] as const)(
		"knows no %s, which CPUID does not offer",
		(name) => {
			const cpu = protectedSystem(0);
			expect(faultOf(() => OPERATIONS[name](cpu, 0, 0, 0))).toBe("6");
		},
	);

	it("lets level 0 alone flush caches", () => {
		const flush = (level: 0 | 3) =>
			faultOf(() => OPERATIONS.CACHE_CONTROL(protectedSystem(level), 0, 0, 0));
		expect([flush(0), flush(3)]).toEqual(["none", "13(0)"]);
	});
});
