/**
 * 64-bit code wherever it may be in linear space: low, where Linux has programs,
 * where it has its kernel, and over the borders between. Whatever the engines
 * look up by the lower half of an address must be that of the whole one.
 */
import { describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { RIP } from "../../src/cpu/state.ts";
import { type FlatMachine, pageOf } from "../support/flat-machine.ts";
import {
	bytes,
	CODE,
	codeBytes,
	DATA,
	dword,
	MORE_CODE,
	RAX,
	RBX,
	RCX,
	RDI,
	RDX,
	RSI,
	wideMachine,
} from "../support/wide-machine.ts";

const VECTOR_GP = 13;
const VECTOR_PF = 14;
const TURNS = 3000;
const LOW = 0x40_0000n;
const PROGRAM = 0x5555_5540_0000n;
const KERNEL = 0xffff_ffff_8140_0000n;
/** Pages that share a place in the first half of the TLB are so far apart, and in both halves. */
const SAME_PLACE = 0x100_0000n;
const SAME_PLACES = SAME_PLACE * 0x1000n;

/** Ends with HLT after `turns` of the loop at `start`. */
function finish(machine: FlatMachine, start: bigint, turns = TURNS): void {
	machine.setRegister(RCX, BigInt(turns));
	machine.start(start, start + 0x9000n);
	for (let reason = ""; reason !== "halt"; ) {
		reason = machine.run(500);
		if (reason !== "budget" && reason !== "halt") {
			throw new Error(`${reason}: ${machine.fault?.vector}`);
		}
	}
}

const engines: readonly EngineKind[] = ["cold", "auto", "hot", "compare"];

describe.each(engines)("64-bit code, engine %s", (engine) => {
	/** That the code under test really was compiled, or not. */
	const expectHot = ({ cpu }: FlatMachine, instructions: number) => {
		const { hotRetired } = cpu.statistics;
		if (engine === "cold") expect(hotRetired).toBe(0);
		else expect(hotRetired).toBeGreaterThan(instructions);
	};

	it.each([
		["below 4 GiB", LOW],
		["where Linux has programs", PROGRAM],
		["where Linux has its kernel", KERNEL],
		["at the end of the low 4 GiB", 0xffff_d000n],
		["at the end of the lower half", 0x7fff_ffff_b000n],
		["at the start of the upper half", 0xffff_8000_0000_0000n],
	])("runs a loop over data beside it, %s", (_, base) => {
		const machine = wideMachine(engine);
		machine.map(base, CODE);
		machine.map(base + 0x1000n, MORE_CODE);
		machine.map(base + 0x2000n, DATA);
		// inc rax; add [rip + data], rax; dec rcx; jnz; hlt
		const at = base + 0xff8n;
		const data = base + 0x2008n;
		const toData = Number(data - (at + 10n));
		codeBytes(machine, at, `48ffc0 480105 ${dword(toData)} 48ffc9 75f1 f4`);
		finish(machine, at);
		expect(machine.register(RAX)).toBe(BigInt(TURNS));
		const sum = BigInt((TURNS * (TURNS + 1)) / 2);
		expect(machine.cpu.memory.readU64(DATA + 8)).toBe(sum);
		expect(machine.cpu.state.getBig(RIP)).toBe(at + 16n);
		// Of four, so both pages are in one region.
		expectHot(machine, 3 * TURNS);
	});

	it("tells data apart whose addresses differ in the upper half alone", () => {
		const machine = wideMachine(engine);
		machine.map(LOW, CODE);
		const places = [0x123_4000n, 0x5555_0123_4000n, -0x1_fedc_c000n];
		for (const [i, place] of places.entries()) {
			machine.map(place, DATA + i * 0x1000);
			machine.cpu.memory.writeU64(DATA + i * 0x1000, BigInt(10 ** i));
		}
		const [rsi, rdi, rdx] = places as [bigint, bigint, bigint];
		machine.setRegister(RSI, rsi);
		machine.setRegister(RDI, rdi);
		machine.setRegister(RDX, rdx);
		// add rax, [rsi]; add rbx, [rdi]; add [rdx], rbx; dec rcx; jnz; hlt
		codeBytes(machine, LOW, "480306 48031f 48011a 48ffc9 75f2 f4");
		finish(machine, LOW);
		expect(machine.register(RAX)).toBe(BigInt(TURNS));
		expect(machine.register(RBX)).toBe(BigInt(10 * TURNS));
		const sum = BigInt(100 + 10 * ((TURNS * (TURNS + 1)) / 2));
		expect(machine.cpu.memory.readU64(DATA + 0x2000)).toBe(sum);
		expectHot(machine, TURNS);
	});

	it("tells code apart whose addresses differ in the upper half alone", () => {
		const machine = wideMachine(engine);
		const places = [LOW, LOW + 0x7_0000_0000n, LOW - 0x9_0000_0000n];
		// inc of rax, rbx or rbp; dec rcx; jz +2; jmp rdx, rsi or rdi; hlt
		const bodies = ["48ffc0", "48ffc3", "48ffc5"];
		const jumps = ["ffe2", "ffe6", "ffe7"];
		for (const [i, place] of places.entries()) {
			machine.map(place, CODE + i * 0x1000);
			const next = [RDX, RSI, RDI][i] as number;
			machine.setRegister(next, places[(i + 1) % 3] as bigint);
			const code = `${bodies[i]} 48ffc9 7402 ${jumps[i]} f4`;
			machine.cpu.memory.write(CODE + i * 0x1000, bytes(code));
		}
		finish(machine, LOW, 3 * TURNS);
		const counts = [RAX, RBX, 5].map((index) => machine.register(index));
		expect(counts).toEqual([BigInt(TURNS), BigInt(TURNS), BigInt(TURNS)]);
		expectHot(machine, TURNS);
	});

	it.each([
		["below 4 GiB", LOW],
		["above", PROGRAM],
	])("runs an instruction that lies in two pages, %s", (_, base) => {
		const machine = wideMachine(engine);
		machine.map(base, CODE);
		machine.map(base + 0x1000n, MORE_CODE);
		// mov rax, imm64 over the border; add rbx, rax; dec rcx; jnz; hlt
		const at = base + 0xffbn;
		const code = "48b8 0807060504030201 4801c3 48ffc9 75ee f4";
		codeBytes(machine, at, code);
		finish(machine, at);
		const constant = 0x0102_0304_0506_0708n;
		const sum = BigInt.asUintN(64, constant * BigInt(TURNS));
		expect(machine.register(RBX)).toBe(sum);
	});

	it("faults where the last byte is in a page that is not there", () => {
		const machine = wideMachine(engine);
		machine.map(PROGRAM, CODE);
		machine.map(PROGRAM + 0x1000n, DATA);
		machine.setRegister(RSI, PROGRAM + 0x1000n);
		// add rax, [rsi]; inc rsi; dec rcx; jnz; hlt
		codeBytes(machine, PROGRAM, "480306 48ffc6 48ffc9 75f5 f4");
		expect(() => finish(machine, PROGRAM, 0x1000)).toThrow("requested: 14");
		expect(machine.fault?.vector).toBe(VECTOR_PF);
		expect(machine.register(RSI)).toBe(PROGRAM + 0x1ff9n);
		expect(machine.cpu.state.getBig(RIP)).toBe(PROGRAM);
	});

	it("raises #GP for addresses that are not canonical", () => {
		const machine = wideMachine(engine);
		const last = 0x7fff_ffff_f000n;
		machine.map(PROGRAM, CODE);
		machine.map(last, DATA);
		machine.setRegister(RSI, last);
		codeBytes(machine, PROGRAM, "480306 48ffc6 48ffc9 75f5 f4");
		expect(() => finish(machine, PROGRAM, 0x1000)).toThrow("requested: 13");
		expect(machine.fault?.vector).toBe(VECTOR_GP);
		expect(machine.register(RSI)).toBe(last + 0xff9n);
	});

	it("sees code change through another mapping, one that was writable before", () => {
		const machine = wideMachine(engine);
		const alias = KERNEL;
		machine.map(PROGRAM, CODE);
		machine.map(PROGRAM + 0x1000n, MORE_CODE);
		machine.map(alias, MORE_CODE);
		machine.setRegister(RDI, alias + 0x803n);
		machine.setRegister(RDX, PROGRAM + 0x1800n);
		// mov byte [rdi + 0x40], 1; call rdx; inc byte [rdi]; dec rcx; jnz; hlt
		codeBytes(machine, PROGRAM, "c6474001 ffd2 fe07 48ffc9 75f3 f4");
		// add rbx, 0; ret
		codeBytes(machine, PROGRAM + 0x1800n, "4883c300 c3");
		finish(machine, PROGRAM, 100);
		// 0 + 1 + ... + 99
		expect(machine.register(RBX)).toBe(4950n);
	});

	describe("after its page has been mapped to another frame", () => {
		const FUNCTION = PROGRAM + 0x20_0000n;

		/** A loop that calls a function in a page of its own: inc rax, or dec rax in the other frame. */
		function calling(): FlatMachine {
			const machine = wideMachine(engine);
			machine.map(PROGRAM, CODE);
			machine.map(FUNCTION, MORE_CODE);
			machine.map(FUNCTION + SAME_PLACE, DATA);
			machine.map(FUNCTION + SAME_PLACES, DATA);
			machine.setRegister(RDX, FUNCTION);
			machine.setRegister(RSI, FUNCTION + SAME_PLACES);
			machine.setRegister(RDI, FUNCTION + SAME_PLACE);
			// call rdx; dec rcx; jnz; hlt
			codeBytes(machine, PROGRAM, "ffd2 48ffc9 75f9 f4");
			machine.cpu.memory.write(MORE_CODE, bytes("48ffc0 c3"));
			machine.cpu.memory.write(MORE_CODE + 0x1000, bytes("48ffc8 c3"));
			return machine;
		}

		/** Runs the loop, maps the other frame, does `change` and the loop again. */
		function remapped(machine: FlatMachine, change: string): bigint {
			finish(machine, PROGRAM);
			expect(machine.register(RAX)).toBe(BigInt(TURNS));
			machine.map(FUNCTION, MORE_CODE + 0x1000);
			const code = bytes(
				`${change} e9 ${dword(-0x105 - bytes(change).length)}`,
			);
			machine.cpu.memory.write(CODE + 0x100, code);
			machine.setRegister(RCX, 10n);
			machine.start(PROGRAM + 0x100n, PROGRAM + 0x9000n);
			expect(machine.run(1000)).toBe("halt");
			return machine.register(RAX);
		}

		it("runs what INVLPG has brought to light", () => {
			// invlpg [rdx]
			expect(remapped(calling(), "0f013a")).toBe(BigInt(TURNS - 10));
		});

		it.each([
			["moved", "488b1e"],
			["lost", "488b1e 488b1f"],
		])("does so when the TLB has %s the entry meanwhile", (_, loads) => {
			// mov rbx, [rsi]; perhaps mov rbx, [rdi]; invlpg [rdx]
			const result = remapped(calling(), `${loads} 0f013a`);
			expect(result).toBe(BigInt(TURNS - 10));
		});

		it("runs what a write of CR3 has brought to light", () => {
			// mov rbx, cr3; mov cr3, rbx
			const change = "0f20db 0f22db";
			expect(remapped(calling(), change)).toBe(BigInt(TURNS - 10));
		});
	});

	it("reads three arrays in step that want the same entries", () => {
		const machine = wideMachine(engine);
		machine.map(PROGRAM, CODE);
		for (const [i, register] of [RSI, RDI, RDX].entries()) {
			const array = KERNEL + BigInt(i) * SAME_PLACE;
			machine.map(array, DATA + i * 0x1000);
			machine.cpu.memory.writeU64(DATA + i * 0x1000 + 0x800, BigInt(10 ** i));
			machine.setRegister(register, array + 0x800n);
		}
		// add rax, [rsi]; add rax, [rdi]; add rax, [rdx]; dec rcx; jnz; hlt
		codeBytes(machine, PROGRAM, "480306 480307 480302 48ffc9 75f2 f4");
		finish(machine, PROGRAM);
		expect(machine.register(RAX)).toBe(BigInt(111 * TURNS));
		expectHot(machine, TURNS);
	});

	it("reads vectors that lie in two pages", () => {
		const machine = wideMachine(engine);
		machine.map(PROGRAM, CODE);
		const first = KERNEL + 0x10_0000n;
		machine.map(first, DATA + 0x5000);
		machine.map(first + 0x1000n, DATA);
		machine.cpu.memory.writeU64(DATA + 0x5ff8, 1n);
		machine.cpu.memory.writeU64(DATA, 100n);
		machine.setRegister(RSI, first + 0xff8n);
		machine.setRegister(RDI, first + 0x100n);
		// movdqu xmm1, [rsi]; paddq xmm0, xmm1; dec rcx; jnz; movdqu [rdi], xmm0; hlt
		const code = "f30f6f0e 660fd4c1 48ffc9 75f3 f30f7f07 f4";
		codeBytes(machine, PROGRAM, code);
		finish(machine, PROGRAM);
		const at = DATA + 0x5100;
		const sums = [0, 8].map((i) => machine.cpu.memory.readU64(at + i));
		expect(sums).toEqual([BigInt(TURNS), BigInt(100 * TURNS)]);
		expectHot(machine, 3 * TURNS);
		const { regionColdExits } = machine.cpu.statistics;
		expect(regionColdExits).toBeLessThan(TURNS / 10);
	});

	it("sees data in another frame after INVLPG", () => {
		const machine = wideMachine(engine);
		const data = PROGRAM + 0x20_0000n;
		machine.map(PROGRAM, CODE);
		machine.map(data, DATA);
		machine.cpu.memory.writeU64(DATA, 1n);
		machine.cpu.memory.writeU64(DATA + 0x1000, 1000n);
		// A window on the page tables.
		const entry = machine.entryOf(data);
		machine.map(LOW, Number(pageOf(BigInt(entry))));
		machine.setRegister(RSI, data);
		machine.setRegister(RDI, LOW + (BigInt(entry) & 0xfffn));
		machine.setRegister(RDX, 0x1000n);
		// add rax, [rsi]; xor [rdi], rdx; invlpg [rsi]; dec rcx; jnz; hlt
		codeBytes(machine, PROGRAM, "480306 483117 0f013e 48ffc9 75f2 f4");
		finish(machine, PROGRAM, 600);
		expect(machine.register(RAX)).toBe(300n * 1001n);
	});
});

describe('the engine "compare" in 64-bit code', () => {
	it("has compared every stay", () => {
		const machine = wideMachine("compare");
		machine.map(KERNEL, CODE);
		// inc rax; dec rcx; jnz; hlt
		codeBytes(machine, KERNEL, "48ffc0 48ffc9 75f8 f4");
		finish(machine, KERNEL);
		const { regionsCompared, regionEntries } = machine.cpu.statistics;
		expect(regionEntries).toBeGreaterThan(0);
		expect(regionsCompared).toBe(regionEntries);
	});
});

describe("a loop that the ends of slices interrupt anywhere", () => {
	it("is one region all the same", () => {
		const machine = wideMachine("auto");
		machine.map(PROGRAM, CODE);
		// inc rax; inc rbx; inc rsi; inc rdi; dec rcx; jnz; hlt
		const code = "48ffc0 48ffc3 48ffc6 48ffc7 48ffc9 75ef f4";
		codeBytes(machine, PROGRAM, code);
		machine.setRegister(RCX, 1_000_000n);
		machine.start(PROGRAM, PROGRAM + 0x9000n);
		for (let slice = 0; slice < 600; slice++) machine.run(5003);
		const { regions, hotRetired } = machine.cpu.statistics;
		expect(hotRetired).toBeGreaterThan(600 * 4000);
		expect(regions).toBe(1);
	});
});
