/**
 * REP MOVS and REP STOS whose elements lie in two pages: pages that are no
 * neighbours in memory, and a second one that must not be written, is not there,
 * or has code in it. Generated code does it by itself (`across-pages.ts`).
 */
import { describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { CR2 } from "../../src/cpu/state.ts";
import { FlatMachine, PLAIN } from "../support/flat-machine.ts";
import {
	bytes,
	CODE,
	DATA,
	RAX,
	RCX,
	RDI,
	RSI,
} from "../support/wide-machine.ts";

const PF = 14;
/** Present, a write. */
const REFUSED = 3;
/** A write. */
const MISSING = 2;
const READ_ONLY = PLAIN & ~2n;
const PAGE = 0x1000;
/** Frames of pages that follow one another, far apart. */
const FRAMES = [DATA, DATA + 0x5000, DATA + 0x2000, DATA + 0x9000] as const;
const SOURCE = [DATA + 0xc000, DATA + 0x1_0000, DATA + 0xe000] as const;
const COUNT = 2500;
const FILL = 0x8877_6655_4433_2211n;

const byteAt = (at: number) => (at * 11 + (at >> 12) * 73 + 5) & 0xff;

/** Instructions by bytes of an element; the same bytes for both widths of code. */
const MOVS = { 2: "66f3a5", 4: "f3a5", 8: "f348a5" } as const;
const STOS = { 2: "66f3ab", 4: "f3ab", 8: "f348ab" } as const;
type Size = keyof typeof MOVS;

class Blocks {
	readonly machine: FlatMachine;
	readonly code: bigint;
	readonly target: bigint;
	readonly source: bigint;

	constructor(width: 32 | 64, engine: EngineKind) {
		this.machine = new FlatMachine({ width, engine });
		this.code = width === 64 ? 0xffff_ffff_8140_0000n : 0x40_0000n;
		this.target = this.code + 0x100_0000n;
		this.source = this.code + 0x180_0000n;
		this.machine.map(this.code, CODE);
		this.mapAll(this.target, FRAMES);
		this.mapAll(this.source, SOURCE);
		for (let at = 0; at < SOURCE.length * PAGE; at++) {
			const frame = SOURCE[at >> 12] as number;
			this.machine.cpu.memory.writeU8(frame + (at % PAGE), byteAt(at));
		}
	}

	mapAll(linear: bigint, frames: readonly number[]): void {
		for (const [i, frame] of frames.entries()) {
			this.machine.map(linear + BigInt(i * PAGE), frame);
		}
	}

	/** Runs an instruction, then HLT. */
	run(instruction: string, from: number, to: number, count: number): void {
		const { machine } = this;
		machine.cpu.memory.write(CODE, bytes(`${instruction} f4`));
		machine.start(this.code, this.code + 0x800n);
		machine.setRegister(RAX, FILL);
		machine.setRegister(RSI, this.source + BigInt(from));
		machine.setRegister(RDI, this.target + BigInt(to));
		machine.setRegister(RCX, BigInt(count));
		while (machine.run(100_000) === "budget");
	}

	/** What lies at an offset of the target, whatever its pages allow. */
	targetAt(offset: number): number {
		const frame = FRAMES[offset >> 12] as number;
		return this.machine.cpu.memory.readU8(frame + (offset % PAGE));
	}

	targetBytes(offset: number, length: number): number[] {
		return Array.from({ length }, (_, i) => this.targetAt(offset + i));
	}

	/** How far the target's pointer has come, and how much is left. */
	get progress(): readonly number[] {
		const { machine } = this;
		const { width } = machine;
		const moved = machine.register(RDI) - this.target;
		return [
			Number(BigInt.asIntN(width, moved)),
			Number(BigInt.asUintN(32, machine.register(RCX))),
		];
	}
}

const filled = (size: number, length: number) =>
	Array.from({ length }, (_, i) =>
		Number((FILL >> BigInt(8 * (i % size))) & 0xffn),
	);

const sizesOf = (width: 32 | 64): Size[] => (width === 64 ? [2, 4, 8] : [2, 4]);

for (const width of [32, 64] as const) {
	for (const engine of ["cold", "hot"] as const) {
		describe(`${width}-bit code, ${engine} engine:`, () => {
			const sizes = sizesOf(width);

			it.each(sizes)(
				"elements of %d bytes are moved over ends of pages",
				(size) => {
					for (let shift = 0; shift <= size; shift++) {
						const on = new Blocks(width, engine);
						const from = 3;
						const to = PAGE - 2 * size + shift;
						const count = Math.floor(COUNT / size);
						on.run(MOVS[size], from, to, count);
						const length = count * size;
						const expected = Array.from({ length }, (_, i) => byteAt(from + i));
						const around = on.targetBytes(to - 1, length + 2);
						expect(around, `${shift}`).toEqual([0, ...expected, 0]);
						expect(on.progress).toEqual([to + length, 0]);
					}
				},
			);

			it.each(sizes)(
				"elements of %d bytes are filled over ends of pages",
				(size) => {
					for (let shift = 0; shift <= size; shift++) {
						const on = new Blocks(width, engine);
						const to = PAGE - 2 * size + shift;
						const count = Math.floor((2 * PAGE) / size);
						on.run(STOS[size], 0, to, count);
						const around = on.targetBytes(to - 1, count * size + 2);
						const expected = [0, ...filled(size, count * size), 0];
						expect(around, `${shift}`).toEqual(expected);
					}
				},
			);

			it("TypeScript is not asked for each of them", () => {
				const on = new Blocks(width, engine);
				for (let i = 0; i < 50; i++) on.run(STOS[4], 0, PAGE - 2, 2000);
				expect(on.machine.cpu.statistics.tlbMisses).toBeLessThan(20);
			});

			it.each([
				["that must not be written", REFUSED, FRAMES[1], READ_ONLY],
				["that is not there", MISSING, 0, 0n],
			])(
				"a second page %s faults at its start, with nothing written",
				(_, code, frame, bits) => {
					const on = new Blocks(width, engine);
					const second = on.target + BigInt(PAGE);
					on.machine.map(second, frame, bits);
					on.run(STOS[4], 0, PAGE - 6, 8);
					const { fault, cpu } = on.machine;
					expect([fault?.vector, fault?.errorCode]).toEqual([PF, code]);
					expect(cpu.state.getBig(CR2)).toBe(BigInt.asUintN(64, second));
					// The element before is written.
					expect(on.progress).toEqual([PAGE - 2, 7]);
					const around = on.targetBytes(PAGE - 8, 12);
					expect(around).toEqual([0, 0, ...filled(4, 4), 0, 0, 0, 0, 0, 0]);
				},
			);

			it("code in the second page is code anew", () => {
				const on = new Blocks(width, engine);
				const { machine } = on;
				const second = on.target + BigInt(PAGE);
				const call = (opcode: string) => {
					machine.cpu.memory.write(FRAMES[1], bytes(opcode));
					machine.start(second, on.code + 0x800n);
					while (machine.run(1000) === "budget");
				};
				// mov eax, 1; hlt, often enough to be known
				for (let i = 0; i < 20; i++) call("b801000000f4");
				// Two bytes in the first page, then b8 02.
				machine.setRegister(RAX, 0n);
				machine.cpu.memory.write(CODE, bytes("f3abf4"));
				machine.start(on.code, on.code + 0x800n);
				machine.setRegister(RAX, 0x02b8_0000n);
				machine.setRegister(RDI, on.target + BigInt(PAGE - 2));
				machine.setRegister(RCX, 1n);
				while (machine.run(1000) === "budget");
				machine.start(second, on.code + 0x800n);
				while (machine.run(1000) === "budget");
				expect(BigInt.asUintN(32, machine.register(RAX))).toBe(2n);
			});
		});
	}
}
