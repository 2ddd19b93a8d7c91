/**
 * The engine "compare" must notice whatever the two engines disagree about. As
 * they do not, the interpreter's decoded code is falsified behind its back, in
 * each of the ways in which an engine can be wrong.
 */
import { describe, expect, it } from "vitest";
import {
	RECORD_BYTES,
	RECORD_DISPLACEMENT,
	RECORD_IMMEDIATE,
} from "../../src/cpu/engine/record.ts";
import { ARENA_BASE } from "../../src/cpu/memory-layout.ts";
import { EngineDifference } from "../../src/errors.ts";
import { type Assembler, EAX, ECX } from "../support/assembler.ts";
import { CODE, code, DATA, Guest } from "../support/guest.ts";

const TURNS = 2000;
/** Constants that occur nowhere else. */
const IMMEDIATE = 0x1234_5678;
const ADDRESS = DATA + 0x540;

/** A hot loop, run until it is compiled, with turns left to go. */
function warm(body: (c: Assembler) => void): Guest {
	const guest = new Guest("compare");
	const c = code().mov(ECX, TURNS).mov(EAX, 0).label("turn");
	body(c);
	c.hex("49").jumpIfNotZero("turn").hlt();
	guest.run(c, { budget: 2000 });
	for (let turn = 0; turn < 100; turn++) guest.cpu.run(12);
	expect(guest.cpu.statistics.regionEntries).toBeGreaterThan(0);
	return guest;
}

/** Changes a field of every record that has a value there. */
function falsify(
	{ cpu }: Guest,
	field: number,
	value: number,
	instead: number,
): void {
	const { view } = cpu.state;
	for (let i = 0; i < 4096; i++) {
		const at = ARENA_BASE + i * RECORD_BYTES + field;
		if (view.getInt32(at, true) === value) view.setInt32(at, instead, true);
	}
}

function differenceOf(guest: Guest): string {
	try {
		while (guest.cpu.run(10_000) === "budget");
	} catch (error) {
		expect(error).toBeInstanceOf(EngineDifference);
		return (error as Error).message;
	}
	return "none";
}

describe('the engine "compare"', () => {
	it("has nothing to say where the engines agree", () => {
		const guest = warm((c) => c.hex("81c0 78563412"));
		expect(differenceOf(guest)).toBe("none");
		expect(guest.gpr(EAX)).toBe(Math.imul(TURNS, IMMEDIATE));
		const { regionsCompared, regionEntries } = guest.cpu.statistics;
		expect(regionsCompared).toBe(regionEntries);
	});

	it("names the place, the register and both values", () => {
		const guest = warm((c) => c.hex("81c0 78563412"));
		falsify(guest, RECORD_IMMEDIATE, IMMEDIATE, 1);
		const message = differenceOf(guest);
		expect(message).toContain(`at 0x${(CODE + 10).toString(16)}`);
		expect(message).toMatch(/gpr\[0\]: cold 0x[0-9a-f]+, hot 0x[0-9a-f]+/);
	});

	it("leaves the guest as the compiled code has it", () => {
		const guest = warm((c) => c.hex("81c0 78563412"));
		const before = guest.gpr(EAX);
		falsify(guest, RECORD_IMMEDIATE, IMMEDIATE, 0);
		differenceOf(guest);
		expect(guest.gpr(EAX)).not.toBe(before);
	});

	it("notices flags that differ", () => {
		const guest = warm((c) => c.hex("3d 78563412 49 41"));
		falsify(guest, RECORD_IMMEDIATE, IMMEDIATE, 0);
		expect(differenceOf(guest)).toMatch(/eflags: cold/);
	});

	it("notices what is stored elsewhere, by either side", () => {
		const guest = warm((c) => c.hex("890d").dword(ADDRESS));
		falsify(guest, RECORD_DISPLACEMENT, ADDRESS, ADDRESS + 0x1000);
		expect(differenceOf(guest)).toMatch(/memory at physical 0x2[01]540/);
	});

	it("notices that another path was taken", () => {
		const guest = warm((c) => c.hex("81f9 78563412 7402 4040 4040"));
		falsify(guest, RECORD_IMMEDIATE, IMMEDIATE, 100);
		expect(differenceOf(guest)).toMatch(/(eflags|gpr\[0\]): cold/);
	});

	it("repeats strings that fill pages", () => {
		const guest = warm((c) => {
			c.hex("51 bf").dword(DATA).hex("b9 00100000 f3aa 59");
		});
		expect(differenceOf(guest)).toBe("none");
	});
});
