/**
 * The TLB of 64-bit code as generated code fills it and as TypeScript does: from
 * random page tables and accesses both must make the same table, the same marks
 * in the page tables and the same faults.
 */
import { describe, expect, it } from "vitest";
import {
	RAM_BASE,
	WIDE_TLB_BASE,
	WIDE_TLB_ENTRIES,
	WIDE_TLB_ENTRY_BYTES,
	WIDE_TLB_MOST_USED,
	WIDE_TLB_NOTES,
	WIDE_TLB_USED_BASE,
} from "../../src/cpu/memory-layout.ts";
import { CR2, RIP, WIDE_TABLES } from "../../src/cpu/state.ts";
import {
	type FlatMachine,
	GLOBAL,
	LARGE,
	PLAIN,
} from "../support/flat-machine.ts";
import { type Random, randomFrom } from "../support/random.ts";
import {
	CODE,
	codeBytes,
	RAX,
	RSI,
	wideMachine,
} from "../support/wide-machine.ts";

const PROGRAM = 0x5555_5540_0000n;
const LOAD = PROGRAM;
const STORE = PROGRAM + 0x10n;
const CALL = PROGRAM + 0x20n;
const ACCESSES = 1500;
const PLACES = 96;
/** Tables that map, and frames that are mapped. */
const TABLES = 0x1000;
const TABLES_END = 0x8_0000;
const FRAMES = 0x40_0000;
const FRAME_COUNT = 64;
const NO_EXECUTE = 1n << 63n;
const WRITABLE = 2n;
const USER = 4n;
const ACCESSED = 0x20n;
const DIRTY = 0x40n;
const PRESENT = 1n;
/** In a large page's entry. */
const LARGE_RESERVED = 1n << 14n;
const USUAL_FLIPS = [WRITABLE, USER, ACCESSED, DIRTY, GLOBAL, NO_EXECUTE];
/** Not present; for software; beyond RAM; reserved. */
const RARE_FLIPS = [PRESENT, 1n << 55n, 1n << 33n, 1n << 40n];

interface Place {
	readonly linear: bigint;
	readonly physical: number;
	readonly bits: bigint;
}

/** Pages that meet in the TLB's places, in all parts of linear space. */
function randomPlaces(random: Random): Place[] {
	const bases = [0x1000_0000n, 0x7f12_0000_0000n, -0x7fff_0000_0000n];
	return Array.from({ length: PLACES }, () => {
		const base = bases[random(3)] as bigint;
		const bits = unusual(random, PLAIN, USUAL_FLIPS, 5);
		const rare = unusual(random, bits, RARE_FLIPS, 25);
		const frame = FRAMES + 0x1000 * random(FRAME_COUNT);
		if (random(6) !== 0) {
			const page = BigInt(random(4)) + 0x1000n * BigInt(random(6));
			const linear = base + page * 0x1000n;
			return { linear, physical: frame, bits: rare };
		}
		// Large pages have a part of space to themselves.
		const linear = base + 0x4000_0000n + BigInt(random(8)) * 0x20_0000n;
		const large = unusual(random, rare | LARGE, [LARGE_RESERVED], 10);
		return { linear, physical: FRAMES, bits: large };
	});
}

/** Flips each of some bits once in `odds` times. */
function unusual(
	random: Random,
	bits: bigint,
	flips: readonly bigint[],
	odds: number,
): bigint {
	return flips.reduce(
		(all, bit) => (random(odds) === 0 ? all ^ bit : all),
		bits,
	);
}

/** Some directories that allow less than their pages. */
function narrow(machine: FlatMachine, places: readonly Place[]): void {
	const { memory } = machine.cpu;
	const entries = places
		.filter(({ bits }) => (bits & LARGE) === 0n)
		.map(({ linear }) => machine.entryOf(linear, LARGE));
	for (const [i, entry] of [...new Set(entries)].entries()) {
		const flip = [WRITABLE, USER, NO_EXECUTE, ACCESSED][i % 6] ?? 0n;
		memory.writeU64(entry, memory.readU64(entry) ^ flip);
	}
}

function prepared(places: readonly Place[], isShort: boolean): FlatMachine {
	const machine = wideMachine("cold");
	machine.map(PROGRAM, CODE);
	for (const { linear, physical, bits } of places) {
		machine.map(linear, physical, bits);
	}
	narrow(machine, places);
	// mov rax, [rsi]; hlt and mov [rsi], rax; hlt and call rsi
	codeBytes(machine, LOAD, "488b06 f4");
	codeBytes(machine, STORE, "488906 f4");
	codeBytes(machine, CALL, "ffd6");
	machine.cpu.memory.fill(FRAMES, 0xf4, FRAME_COUNT * 0x1000);
	if (!isShort) machine.cpu.state.set32(WIDE_TABLES, 0);
	return machine;
}

/** What one access has come to. */
function access(machine: FlatMachine, at: bigint, linear: bigint) {
	machine.setRegister(RSI, linear);
	machine.start(at, PROGRAM + 0x9000n);
	const reason = machine.run(10);
	const { state } = machine.cpu;
	const fault = machine.fault && [
		...[machine.fault.vector, machine.fault.errorCode],
		state.getBig(CR2),
	];
	return { reason, fault, rip: state.getBig(RIP), rax: machine.register(RAX) };
}

/** Of the table, what is noted about it and the tables that map: where two machines first differ, or -1. */
function firstDifference(one: FlatMachine, other: FlatMachine): number {
	const [bytes, others] = [one, other].map(
		({ cpu }) => new Uint8Array(cpu.state.view.buffer),
	) as [Uint8Array, Uint8Array];
	const entries = 2 * WIDE_TLB_ENTRIES * WIDE_TLB_ENTRY_BYTES;
	for (const [from, length] of [
		[WIDE_TLB_BASE, entries],
		[WIDE_TLB_NOTES, 12],
		[WIDE_TLB_USED_BASE, WIDE_TLB_MOST_USED * 4],
		[RAM_BASE + TABLES, TABLES_END - TABLES],
	] as const) {
		for (let at = from; at < from + length; at++) {
			if (bytes[at] !== others[at]) return at;
		}
	}
	return -1;
}

describe("filling the TLB of 64-bit code", () => {
	it.each([1, 2, 3, 4])("gives the same by either way, seed %i", (seed) => {
		const random = randomFrom(seed);
		const places = randomPlaces(random);
		const short = prepared(places, true);
		const slow = prepared(places, false);
		for (let i = 0; i < ACCESSES; i++) {
			const { linear } = places[random(PLACES)] as Place;
			const at = [LOAD, STORE, CALL][random(3)] as bigint;
			const address = linear + BigInt(random(0x1ff) * 8);
			const [one, other] = [short, slow].map((m) => access(m, at, address));
			expect(one).toEqual(other);
			if (random(20) === 0) expect(firstDifference(short, slow)).toBe(-1);
			if (random(100) === 0) {
				for (const { cpu } of [short, slow]) cpu.mmu.flushLocal();
			}
			if (random(50) !== 0) continue;
			for (const { cpu } of [short, slow]) {
				cpu.mmu.invalidatePage(Number(BigInt.asUintN(48, linear)));
			}
		}
		expect(firstDifference(short, slow)).toBe(-1);
		expect(short.cpu.statistics.tlbFills).toBeGreaterThan(PLACES);
		expect(slow.cpu.statistics.tlbFills).toBe(0);
	});
});
