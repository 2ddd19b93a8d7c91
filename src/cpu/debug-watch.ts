/**
 * What one instruction does while a debugger in the guest looks on: which
 * conditions of DR6 it meets, and when they are reported (Intel SDM vol. 3,
 * "Debug Exceptions").
 *
 * Two instructions are special. INT n clears TF on its way to the handler, so
 * no single-step trap follows. MOV SS and POP SS hold everything back until
 * the next instruction is done, so that nothing comes between the two halves
 * of a stack switch.
 *
 * Relies on `breakpoints.ts`; the run loop in `cpu.ts` relies on it, one
 * instruction at a time.
 *
 * @journey S:121 One instruction under the magnifying glass
 */

import { dataBreakpoints, portBreakpoints } from "./breakpoints.ts";
import { SYSTEM_OPERATIONS } from "./semantics/system-operations.ts";
import { BUDGET, SHADOW } from "./state.ts";
import type { StateView } from "./state-view.ts";
import { DR6_BS } from "./system/debug-status.ts";
import { SS } from "./system/descriptors.ts";

const NAMES = Object.keys(SYSTEM_OPERATIONS);
const IN = NAMES.indexOf("IN");
const OUT = NAMES.indexOf("OUT");
const INT = NAMES.indexOf("INT");
const LOAD_SEGMENT = NAMES.indexOf("LOAD_SEGMENT");
const NO_SHADOW = -1;

export class DebugWatch {
	readonly #state: StateView;
	#hits = 0;
	#isInterrupt = false;
	#loadsStack = false;
	/** Conditions that wait for the instruction behind MOV SS. */
	#held: number | undefined;

	constructor(state: StateView) {
		this.#state = state;
	}

	/** Whether the last instruction holds debug exceptions back. */
	get isHeld(): boolean {
		return this.#held !== undefined;
	}

	/** Before the instruction, which runs with a budget of 1. */
	begin(): void {
		this.#hits = 0;
		this.#isInterrupt = false;
		this.#loadsStack = false;
		this.#state.set32(SHADOW, NO_SHADOW);
	}

	access(linear: number, bytes: number, write: boolean): void {
		this.#hits |= dataBreakpoints(this.#state, linear, bytes, write);
	}

	/** A system operation of the instruction, with its first two arguments. */
	operation(number: number, a: number, b: number): void {
		if (number === INT) this.#isInterrupt = true;
		else if (number === LOAD_SEGMENT) this.#loadsStack ||= a === SS;
		else if (number === IN || number === OUT) {
			this.#hits |= portBreakpoints(this.#state, a & 0xffff, b);
		}
	}

	/**
	 * After the instruction, with BUDGET as it is to be: the conditions to report
	 * now, 0 = none.
	 */
	end(singleStep: boolean): number {
		const state = this.#state;
		const opened = state.get32(SHADOW) !== NO_SHADOW;
		// The shadow is told by BUDGET, which was 1 for this instruction only.
		if (opened) state.set32(SHADOW, state.get32(BUDGET));
		const held = this.#held ?? 0;
		if (opened && this.#loadsStack) {
			this.#held = held | this.#hits;
			return 0;
		}
		this.#held = undefined;
		const stepped = singleStep && !this.#isInterrupt ? DR6_BS : 0;
		return held | this.#hits | stepped;
	}

	/** The instruction faulted: what waited for its end is lost. */
	abandon(): void {
		this.#held = undefined;
	}
}
