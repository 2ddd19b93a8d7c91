/**
 * DR6: why a debug exception happened (Intel SDM vol. 3, "Debug Status
 * Register (DR6)").
 *
 * @journey E:538 Notes for the debugger
 */

import { DR } from "../state.ts";
import type { StateView } from "../state-view.ts";

/** An access to a debug register while DR7.GD was set. */
export const DR6_BD = 1 << 13;
/** Single step. */
export const DR6_BS = 1 << 14;
/** A task switch to a TSS with T set. */
export const DR6_BT = 1 << 15;
/** Bits that read as 1. */
export const DR6_FIXED = 0xffff_0ff0 | 0;
/** B0 to B3, BD, BS, BT. */
export const DR6_MASK = 0xe00f;

/** The next access to a debug register is #DB. */
export const DR7_GD = 1 << 13;

/** Adds causes; the processor never clears them itself. */
export function noteDebugStatus(state: StateView, bits: number): void {
	state.set32(DR, state.get32(DR, 6) | bits | DR6_FIXED, 6);
}

/** The debug handler may use the registers: its #DB switches their guard off. */
export function openDebugRegisters(state: StateView): void {
	state.set32(DR, state.get32(DR, 7) & ~DR7_GD, 7);
}
