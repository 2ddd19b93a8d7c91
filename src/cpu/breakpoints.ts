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

import type { StateView } from "./state-view.ts";
import { DR } from "./state.ts";

/** DR6.B0..B3 cleared, and fixed bits as the processor reports them. */
const BREAKPOINTS = 4;
const TYPE_EXECUTE = 0;
const TYPE_WRITE = 1;
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
		if (!isArmed(state, i) || type === TYPE_EXECUTE) continue;
		if (type === TYPE_WRITE && !write) continue;
		const length = LENGTH_BYTES[controlField(state, i) >> 2] as number;
		const address = state.getWide(DR, i);
		const start = address - (address % length);
		if (linear < start + length && start < linear + bytes) hits |= 1 << i;
	}
	return hits;
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
