/**
 * The task-state segment, 16-bit and 32-bit: reading all of it, and saving the
 * outgoing task (Intel SDM vol. 3, "Task-State Segment (TSS)").
 *
 * | 32-bit | 16-bit | what |
 * | --- | --- | --- |
 * | 0x00 | 0x00 | back link |
 * | 0x1c | - | CR3 |
 * | 0x20 | 0x0e | EIP |
 * | 0x24 | 0x10 | EFLAGS |
 * | 0x28 | 0x12 | EAX ECX EDX EBX ESP EBP ESI EDI |
 * | 0x48 | 0x22 | ES CS SS DS (FS GS) |
 * | 0x60 | 0x2a | LDT selector |
 * | 0x64 | - | T bit (bit 0), I/O map base (16..31) |
 *
 * @journey E:536 What a task is made of
 */

import { EFLAGS_FIXED } from "../flags.ts";
import { GPR, TR } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { baseOf, SYSTEM_32, typeOf } from "./descriptors.ts";
import { segmentAttributes, segmentBase, selectorOf } from "./segments.ts";

export const TASK_GPRS = 8;
export const TASK_SEGMENTS = 6;
/** FS and GS did not exist yet. */
const SEGMENTS_16 = 4;

/** One task as its TSS describes it. */
export interface TaskState {
	/** Linear address of the TSS. */
	readonly base: number;
	readonly wide: boolean;
	readonly cr3: number;
	readonly eip: number;
	readonly eflags: number;
	readonly gprs: readonly number[];
	/** ES CS SS DS FS GS. */
	readonly selectors: readonly number[];
	readonly ldt: number;
	/** #DB before the task's first instruction. */
	readonly trap: boolean;
}

/** The smallest limit a TSS may have. */
export function taskLimit(wide: boolean): number {
	return wide ? 0x67 : 0x2b;
}

/** Reads the TSS that a descriptor points at. */
export function readTaskState(
	cpu: SystemContext,
	low: number,
	high: number,
): TaskState {
	const base = baseOf(low, high);
	return typeOf(high) & SYSTEM_32
		? readTask32(cpu, base)
		: readTask16(cpu, base);
}

function readTask32(cpu: SystemContext, base: number): TaskState {
	const dword = (at: number) => cpu.mmu.readU32((base + at) >>> 0, false);
	const word = (at: number) => cpu.mmu.readU16((base + at) >>> 0, false);
	return {
		base,
		wide: true,
		cr3: dword(0x1c),
		eip: dword(0x20),
		eflags: dword(0x24) | EFLAGS_FIXED,
		gprs: sequence(TASK_GPRS, (i) => dword(0x28 + i * 4)),
		selectors: sequence(TASK_SEGMENTS, (i) => word(0x48 + i * 4)),
		ldt: word(0x60),
		trap: (word(0x64) & 1) !== 0,
	};
}

/** The upper halves of the registers read as all ones, as processors have it. */
function readTask16(cpu: SystemContext, base: number): TaskState {
	const word = (at: number) => cpu.mmu.readU16((base + at) >>> 0, false);
	return {
		base,
		wide: false,
		cr3: 0,
		eip: word(0x0e),
		eflags: word(0x10) | EFLAGS_FIXED,
		gprs: sequence(TASK_GPRS, (i) => 0xffff_0000 | word(0x12 + i * 2)),
		selectors: sequence(TASK_SEGMENTS, (i) =>
			i < SEGMENTS_16 ? word(0x22 + i * 2) : 0,
		),
		ldt: word(0x2a),
		trap: false,
	};
}

function sequence(count: number, read: (i: number) => number): number[] {
	return Array.from({ length: count }, (_, i) => read(i));
}

/** Saves the current task in the TSS that TR names; nothing is written if any part would fault. */
export function saveTaskState(
	cpu: SystemContext,
	eflags: number,
	eip: number,
): void {
	const wide = (segmentAttributes(cpu.state, TR) & SYSTEM_32) !== 0;
	const base = segmentBase(cpu.state, TR);
	if (wide) saveTask32(cpu, base, eflags, eip);
	else saveTask16(cpu, base, eflags, eip);
}

function saveTask32(
	cpu: SystemContext,
	base: number,
	eflags: number,
	eip: number,
): void {
	const { state, mmu } = cpu;
	const put = (at: number, value: number) =>
		mmu.writeU32((base + at) >>> 0, value, false);
	mmu.probeWrite((base + 0x20) >>> 0, 0x40, false);
	put(0x20, eip);
	put(0x24, eflags);
	for (let i = 0; i < TASK_GPRS; i++) put(0x28 + i * 4, state.get32(GPR, i));
	for (let i = 0; i < TASK_SEGMENTS; i++) {
		const at = (base + 0x48 + i * 4) >>> 0;
		mmu.writeU16(at, selectorOf(state, i), false);
	}
}

function saveTask16(
	cpu: SystemContext,
	base: number,
	eflags: number,
	eip: number,
): void {
	const { state, mmu } = cpu;
	const put = (at: number, value: number) =>
		mmu.writeU16((base + at) >>> 0, value & 0xffff, false);
	mmu.probeWrite((base + 0x0e) >>> 0, 0x1c, false);
	put(0x0e, eip);
	put(0x10, eflags);
	for (let i = 0; i < TASK_GPRS; i++) put(0x12 + i * 2, state.get32(GPR, i));
	for (let i = 0; i < SEGMENTS_16; i++) {
		put(0x22 + i * 2, selectorOf(state, i));
	}
}
