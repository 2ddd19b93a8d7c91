/**
 * Seeded random programs with loops, calls and memory accesses, run by the
 * cold engine alone and with regions: every register, flag and byte of memory
 * must come out equal, and so must the number of instructions at every stop.
 */
import { describe, expect, it } from "vitest";
import {
	Cpu,
	type CpuBus,
	fields,
	readEflags,
	setSegment,
} from "../../src/cpu/index.ts";

const CODE = 0x1_0000;
const DATA = 0x2_0000;
const STACK = 0x3_0000;
const MEMORY = 0x10_0000;
const ITERATIONS = 24_000;

/** A small generator; Math.random could not repeat a failure. */
class Random {
	#state: number;
	constructor(seed: number) {
		this.#state = seed * 2654435761 + 1;
	}
	below(limit: number): number {
		this.#state = Math.imul(this.#state ^ (this.#state >>> 15), 0x2c1b3c6d);
		this.#state = (this.#state + 0x9e3779b9) | 0;
		return ((this.#state ^ (this.#state >>> 13)) >>> 0) % limit;
	}
}

/** EAX ECX EDX EBX are free; ESI points at data, EDI counts, ESP and EBP are the stack's. */
const FREE = [0, 1, 2, 3];
const ESI_DISP8 = 0x46;

/** One random instruction or short forward branch over one. */
function instruction(random: Random, depth = 0): number[] {
	const a = FREE[random.below(4)] as number;
	const b = FREE[random.below(4)] as number;
	const modrm = 0xc0 | (a << 3) | b;
	const disp = random.below(100);
	const operation = random.below(8) << 3;
	const memory = (reg: number) => [ESI_DISP8 | (reg << 3), disp];
	switch (random.below(depth > 0 ? 14 : 18)) {
		case 0:
			return [operation | 1, modrm];
		case 1:
			return [operation | 3, ...memory(a)];
		case 2:
			return [operation | 1, ...memory(a)];
		case 3:
			return [operation, 0xc0 | (random.below(8) << 3) | random.below(4)];
		case 4:
			return [0x83, 0xc0 | operation | b, random.below(256)];
		case 5:
			return [0xc1, 0xc0 | operation | b, random.below(40)];
		case 6:
			return [0xd3, 0xc0 | operation | b];
		case 7:
			return [random.below(2) ? 0x40 + a : 0x48 + a];
		case 8:
			return [0x0f, 0x40 + random.below(16), modrm];
		case 9:
			return [0x0f, 0x90 + random.below(16), 0xc0 | random.below(4)];
		case 10:
			return [0x0f, 0xaf, modrm];
		case 11:
			return [0x66, operation | 3, ...memory(a)];
		case 12:
			return [0x0f, 0xb6 + random.below(2) * 8, ...memory(a)];
		case 13:
			return [0xf7, 0xc0 | ((2 + random.below(4)) << 3) | b];
		case 14:
			return [0x50 + a, ...instruction(random, 1), 0x58 + b];
		case 15: {
			const body = instruction(random, 1);
			return [0x70 + random.below(16), body.length, ...body];
		}
		case 16: {
			// CALL over nothing to a subroutine inline: CALL +2; JMP behind; body; RET.
			const body = instruction(random, 1);
			return [0xe8, 2, 0, 0, 0, 0xeb, body.length + 1, ...body, 0xc3];
		}
		default:
			return [0x87, ...memory(a)];
	}
}

function program(seed: number): number[] {
	const random = new Random(seed);
	const body: number[] = [];
	for (let i = 0; i < 12; i++) body.push(...instruction(random));
	const back = -(body.length + 1 + 6);
	const jnz = [0x0f, 0x85, back & 255, (back >> 8) & 255, 255, 255];
	return [...body, 0x4f, ...jnz, 0x0f, 0x0b];
}

const bus: CpuBus = {
	readPort: () => 0,
	writePort: () => {},
	readPhysical: () => 0,
	writePhysical: () => {},
	acknowledgeInterrupt: () => 0,
	timeStampCounter: () => 0,
	random: () => 0,
};

/** Flat 32-bit protected mode without paging. */
function makeCpu(
	engine: "auto" | "cold" | "hot",
	code: readonly number[],
): Cpu {
	const cpu = new Cpu({ memoryBytes: MEMORY, bus, engine });
	const { state } = cpu;
	for (let segment = 0; segment < 6; segment++) {
		const attributes = segment === 1 ? 0xc09b : 0xc093;
		setSegment(state, segment, 8, 0, 0xffff_ffff, attributes);
	}
	state.setWide(fields.CR0, 0x11);
	state.setWide(fields.RIP, CODE);
	cpu.memory.write(CODE, Uint8Array.from(code));
	for (let i = 0; i < 256; i++) cpu.memory.writeU8(DATA + i, (i * 37) & 255);
	const start = [0x1234_5678, 3, 0x8000_0001, 0xff, STACK, STACK, DATA];
	for (const [i, value] of start.entries()) state.setGpr32(i, value);
	state.setGpr32(7, ITERATIONS);
	cpu.onException = () => true;
	cpu.controlChanged();
	return cpu;
}

/** Everything a program can have changed, as text. */
function snapshot(cpu: Cpu): string {
	const registers = Array.from({ length: 8 }, (_, i) =>
		cpu.state.gpr32(i).toString(16),
	);
	const data = cpu.memory.read(DATA, 256);
	const stack = cpu.memory.read(STACK - 64, 64);
	return [
		cpu.state.getU32(fields.RIP).toString(16),
		(readEflags(cpu.state) >>> 0).toString(16),
		cpu.retiredCount(),
		...registers,
		data.join(),
		stack.join(),
	].join(" ");
}

describe("cold and hot engine", () => {
	for (let seed = 1; seed <= 40; seed++) {
		it(`agree at every stop of program ${seed}`, () => {
			const code = program(seed);
			const cold = makeCpu("cold", code);
			const hot = makeCpu(seed % 2 ? "auto" : "hot", code);
			const random = new Random(seed + 1000);
			for (let stop = 0; stop < 100; stop++) {
				const budget = 1 + random.below(4000);
				const reason = cold.run(budget);
				expect(hot.run(budget)).toBe(reason);
				expect(snapshot(hot)).toBe(snapshot(cold));
				if (reason === "requested") break;
			}
			// Some programs end too soon to become hot by themselves.
			if (seed % 2 === 0) expect(hot.statistics.regions).toBeGreaterThan(0);
		});
	}

	it("agree where a REP leaves less than the rest of its region needs", () => {
		// Downwards, where each step is one element: STD; MOV ECX, 200; MOV EDI, DATA;
		// REP STOSB; 60 times INC EAX; JMP to the start.
		const data = [250, (DATA >> 8) & 255, DATA >> 16, 0];
		const body = [0xfd, 0xb9, 200, 0, 0, 0, 0xbf, ...data, 0xf3, 0xaa];
		body.push(...new Array(60).fill(0x40));
		const back = -(body.length + 5);
		const code = [...body, 0xe9, back & 255, (back >> 8) & 255, 255, 255];
		const cold = makeCpu("cold", code);
		const hot = makeCpu("hot", code);
		for (let budget = 1; budget < 300; budget++) {
			expect(hot.run(budget)).toBe(cold.run(budget));
			expect(snapshot(hot)).toBe(snapshot(cold));
		}
		expect(hot.statistics.hotRetired).toBeGreaterThan(10_000);
	});
});
