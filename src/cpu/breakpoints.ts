/**
 * Hardware breakpoints: DR0..3 as DR7 arms them (Intel SDM vol. 3, "Debug
 * Registers"). Instruction breakpoints are faults before the instruction, data
 * breakpoints traps after it.
 *
 * The run loop executes one instruction at a time while any is armed, so
 * nothing here is hot.
 *
 * @journey S:120 Breakpoints
 */

import { CR4, DR } from "./state.ts";
import type { StateView } from "./state-view.ts";
import { CR4_DE } from "./system/control-bits.ts";

/** DR6.B0..B3 cleared, and fixed bits as the processor reports them. */
const BREAKPOINTS = 4;
const TYPE_EXECUTE = 0;
const TYPE_WRITE = 1;
/** Needs CR4.DE; undefined, and here nothing, without. */
const TYPE_PORT = 2;
const LENGTH_BYTES = [1, 2, 8, 4];

/** Whether DR7 arms anything. */
export function breakpointsArmed(state: StateView): boolean {
	return (state.get32(DR, 7) & 0xff) !== 0;
}

/** DR6 bits of the instruction breakpoints at a linear address. */
export function instructionBreakpoints(
	state: StateView,
	linear: number,
): number {
	let hits = 0;
	for (let i = 0; i < BREAKPOINTS; i++) {
		if (!isArmed(state, i) || typeOf(state, i) !== TYPE_EXECUTE) continue;
		if (state.getWide(DR, i) === linear) hits |= 1 << i;
	}
	return hits;
}

/** DR6 bits of the data breakpoints that an access touches. */
export function dataBreakpoints(
	state: StateView,
	linear: number,
	bytes: number,
	write: boolean,
): number {
	let hits = 0;
	for (let i = 0; i < BREAKPOINTS; i++) {
		const type = typeOf(state, i);
		if (!isArmed(state, i)) continue;
		if (type === TYPE_EXECUTE || type === TYPE_PORT) continue;
		if (type === TYPE_WRITE && !write) continue;
		if (overlaps(state, i, linear, bytes)) hits |= 1 << i;
	}
	return hits;
}

/** DR6 bits of the port breakpoints that IN or OUT touches. */
export function portBreakpoints(
	state: StateView,
	port: number,
	bytes: number,
): number {
	if ((state.get32(CR4) & CR4_DE) === 0) return 0;
	let hits = 0;
	for (let i = 0; i < BREAKPOINTS; i++) {
		if (!isArmed(state, i) || typeOf(state, i) !== TYPE_PORT) continue;
		if (overlaps(state, i, port, bytes)) hits |= 1 << i;
	}
	return hits;
}

/** The watched range is as long as LEN says, and aligned to it. */
function overlaps(
	state: StateView,
	index: number,
	from: number,
	bytes: number,
): boolean {
	const length = LENGTH_BYTES[controlField(state, index) >> 2] as number;
	const address = state.getWide(DR, index);
	const start = address - (address % length);
	return from < start + length && start < from + bytes;
}

function isArmed(state: StateView, index: number): boolean {
	return ((state.get32(DR, 7) >> (index * 2)) & 3) !== 0;
}

/** R/W and LEN, four bits. */
function controlField(state: StateView, index: number): number {
	return (state.get32(DR, 7) >>> (16 + index * 4)) & 15;
}

function typeOf(state: StateView, index: number): number {
	return controlField(state, index) & 3;
}
