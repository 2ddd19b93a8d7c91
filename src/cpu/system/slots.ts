/**
 * The registers that every control transfer moves, as 32-bit numbers over
 * their 64-bit slots.
 *
 * @journey E:526 RIP, RSP and where to go on
 */

import {
	STATUS_JUMP,
	STATUS_STOP_JUMP,
	type Status,
} from "../engine/status.ts";
import { type Field, GPR, NEXT_RIP, RIP } from "../state.ts";
import type { StateView } from "../state-view.ts";
import { modeChanged } from "./mode-control.ts";

const RSP = 4;

/** Writes a slot's low half and clears the high one, without `setWide`'s division. */
export function setSlot(
	state: StateView,
	field: Field,
	value: number,
	index = 0,
): void {
	const at = state.base + field.offset + index * field.stride;
	state.view.setInt32(at, value, true);
	state.view.setInt32(at + 4, 0, true);
}

export function setRip(state: StateView, offset: number): void {
	setSlot(state, RIP, offset);
}

/** Offset of the current instruction, unsigned. */
export function ripOf(state: StateView): number {
	return state.getU32(RIP);
}

export function nextRipOf(state: StateView): number {
	return state.getU32(NEXT_RIP);
}

/** ESP, signed: it is used under a mask. */
export function espOf(state: StateView): number {
	return state.get32(GPR, RSP);
}

/** Moves the stack pointer: all of ESP, or SP only where `mask` is 0xffff. */
export function setEsp(state: StateView, value: number, mask: number): void {
	setSlot(state, GPR, (espOf(state) & ~mask) | (value & mask), RSP);
}

/** How an operation that has set RIP within its privilege level ends. */
export function sameLevelStatus(state: StateView): Status {
	return modeChanged(state) ? STATUS_STOP_JUMP : STATUS_JUMP;
}
