/**
 * Two guests with the same program, one on the cold engine and one on
 * another, stopped again and again after the same number of instructions:
 * all that a program can see must be equal at every stop. Relies on
 * `guest.ts`; the tests of `test/cpu` rely on it.
 */

import type { Cpu } from "../../src/cpu/cpu.ts";
import type { EngineKind, ExitReason } from "../../src/cpu/cpu-options.ts";
import { readEflags } from "../../src/cpu/flags.ts";
import {
	CPL,
	CR0,
	CR2,
	CR3,
	CR4,
	DR,
	EFER,
	type Field,
	FPR,
	FPU_CONTROL,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
	GPR,
	HALTED,
	MXCSR,
	RIP,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	XMM,
} from "../../src/cpu/state.ts";
import { selectorOf } from "../../src/cpu/system/segments.ts";
import { PAGE_TABLES } from "./guest.ts";
import type { Random } from "./random.ts";

const WORDS: Readonly<Record<string, Field>> = {
	...{ cpl: CPL, cr0: CR0, cr2: CR2, cr3: CR3, cr4: CR4, efer: EFER },
	...{ control: FPU_CONTROL, status: FPU_STATUS, tag: FPU_TAG, top: FPU_TOP },
	...{ mxcsr: MXCSR, halted: HALTED },
};
const EFER_LMA = 0x400;
/** Where the tests keep page tables, beside nothing else. */
const TABLE_BYTES = 0x2_0000;
const ACCESSED = 0x20;
const REGISTERS = "ax cx dx bx sp bp si di 8 9 10 11 12 13 14 15".split(" ");
const SEGMENTS = "es cs ss ds fs gs".split(" ");

/** Registers, flags, segments and counters by name; memory is compared apart. */
export function registersOf(cpu: Cpu): Map<string, string> {
	const { state } = cpu;
	const all = new Map<string, string>();
	const put = (name: string, value: number | bigint) =>
		all.set(name, value.toString(16));
	put("retired", cpu.retiredCount());
	put("rip", state.getBig(RIP));
	put("flags", readEflags(state) >>> 0);
	// Outside long mode nothing can see the upper halves.
	const isLong = (state.get32(EFER) & EFER_LMA) !== 0;
	REGISTERS.forEach((name, i) => {
		put(`r${name}`, isLong ? state.getBig(GPR, i) : state.gpr32(i));
	});
	for (const [name, field] of Object.entries(WORDS))
		put(name, state.getU32(field));
	put("dr6", state.getU32(DR, 6));
	SEGMENTS.forEach((name, i) => {
		put(name, selectorOf(state, i));
		const at = (field: number) =>
			state.view.getUint32(state.segmentAt(i, field), true);
		put(`${name}.base`, at(SEGMENT_BASE));
		put(`${name}.limit`, at(SEGMENT_LIMIT));
	});
	for (let i = 0; i < 8; i++) {
		const at = state.base + FPR.offset + i * FPR.stride;
		put(`fpr${i}`, state.view.getBigUint64(at, true));
		put(`fpr${i}.high`, state.view.getUint16(at + 8, true));
	}
	const xmm = state.base + XMM.offset;
	for (let i = 0; i < 32; i++)
		put(`xmm${i / 2}`, state.view.getBigUint64(xmm + i * 8, true));
	return all;
}

/** What of two processors and their memories differs: "name: a / b". */
export function differencesOf(a: Cpu, b: Cpu): string[] {
	const left = registersOf(a);
	const right = registersOf(b);
	const found = [...left]
		.filter(([name, value]) => right.get(name) !== value)
		.map(([name, value]) => `${name}: ${value} / ${right.get(name)}`);
	const at = firstDifference(a, b);
	if (at === undefined) return found;
	const [x, y] = [a.memory.readU32(at), b.memory.readU32(at)];
	found.push(`[${at.toString(16)}]: ${x.toString(16)} / ${y.toString(16)}`);
	return found;
}

/**
 * Address of the first word of memory that differs. An accessed flag may be
 * set early, for code that is fetched ahead (Intel SDM vol. 3, "Accessed and
 * Dirty Flags"): such words are made equal.
 */
function firstDifference(a: Cpu, b: Cpu): number | undefined {
	while (Buffer.compare(a.memory.bytes, b.memory.bytes) !== 0) {
		const byte = a.memory.bytes.findIndex((v, i) => v !== b.memory.bytes[i]);
		const at = byte & ~3;
		const [x, y] = [a.memory.readU32(at), b.memory.readU32(at)];
		const isTable = at >= PAGE_TABLES && at < PAGE_TABLES + TABLE_BYTES;
		if ((x ^ y) !== ACCESSED || !isTable) return at;
		a.memory.bytes[at] = b.memory.bytes[at] = (x | ACCESSED) & 0xff;
	}
	return undefined;
}

/** What a lockstep run needs of a guest. */
export interface Runner {
	readonly cpu: Cpu;
}

export interface LockstepOptions {
	/** Chooses the lengths of the runs. */
	readonly random: Random;
	/** Longest run between two stops. */
	readonly longest?: number;
	/** Stops after which the program is taken to have no end. */
	readonly stops?: number;
	/** Done to both at each stop: interrupts, devices. */
	readonly between?: (guest: Runner, stop: number) => void;
}

/** Where two engines parted, or that they did not. */
export interface Verdict {
	readonly differences: readonly string[];
	readonly stops: number;
	readonly reason: ExitReason;
}

/** Runs both to the end of the program: a HLT that nothing wakes, or a shutdown. */
export function runInLockstep(
	cold: Runner,
	other: Runner,
	options: LockstepOptions,
): Verdict {
	const { random, longest = 4000, stops = 400, between } = options;
	let reason: ExitReason = "budget";
	for (let stop = 1; stop <= stops; stop++) {
		const budget = random(3) === 0 ? 1 + random(12) : 1 + random(longest);
		reason = cold.cpu.run(budget);
		const answer = other.cpu.run(budget);
		const differences = differencesOf(cold.cpu, other.cpu);
		if (answer !== reason) differences.push(`reason: ${reason} / ${answer}`);
		const isOver = reason !== "budget";
		if (differences.length > 0 || isOver)
			return { differences, stops: stop, reason };
		between?.(cold, stop);
		between?.(other, stop);
	}
	return { differences: [], stops, reason };
}

/** The engines that must do as the cold one does. */
export const OTHER_ENGINES = [
	"auto",
	"hot",
	"compare",
] as const satisfies readonly EngineKind[];
