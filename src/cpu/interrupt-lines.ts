/**
 * The processor's two interrupt inputs: what is pending at them, and whether it
 * would be taken now. Flags are in the state, where generated code looks for
 * them.
 *
 * Relies on the state; `cpu.ts` relies on it.
 *
 * @journey S:106 Two wires
 */

import { VECTOR_NMI } from "./exceptions.ts";
import { EFLAGS_IF } from "./flags.ts";
import {
	EFLAGS,
	INTERRUPT_PENDING,
	LEAVE,
	NMI_BLOCKED,
	PENDING_INTERRUPT,
	PENDING_NMI,
} from "./state.ts";
import type { StateView } from "./state-view.ts";

export class InterruptLines {
	readonly #state: StateView;
	/** Vector of the interrupt that is being taken. */
	readonly #acknowledge: () => number;

	constructor(state: StateView, acknowledge: () => number) {
		this.#state = state;
		this.#acknowledge = acknowledge;
	}

	/** The interrupt line: while high, interrupts are taken as IF allows. */
	set(level: boolean): void {
		const state = this.#state;
		const nmi = state.get32(INTERRUPT_PENDING) & PENDING_NMI;
		state.set32(INTERRUPT_PENDING, nmi | (level ? PENDING_INTERRUPT : 0));
		// A device may answer a memory access at once: the instruction ends first.
		if (level && this.#areEnabled()) state.set32(LEAVE, 1);
	}

	raiseNmi(): void {
		const state = this.#state;
		const pending = state.get32(INTERRUPT_PENDING);
		state.set32(INTERRUPT_PENDING, pending | PENDING_NMI);
		state.set32(LEAVE, 1);
	}

	/** Whether something is pending, though perhaps not taken now. */
	get isAnyPending(): boolean {
		return this.#state.get32(INTERRUPT_PENDING) !== 0;
	}

	/** Whether an NMI or an interrupt would be taken now. */
	isDue(): boolean {
		return this.#isNmiDue() || this.#isInterruptDue();
	}

	/** Vector of what is to be taken now, which then is pending no more; undefined = nothing. */
	take(): number | undefined {
		const state = this.#state;
		if (this.#isNmiDue()) {
			const pending = state.get32(INTERRUPT_PENDING);
			state.set32(INTERRUPT_PENDING, pending & ~PENDING_NMI);
			state.set32(NMI_BLOCKED, 1);
			return VECTOR_NMI;
		}
		return this.#isInterruptDue() ? this.#acknowledge() : undefined;
	}

	#isNmiDue(): boolean {
		const state = this.#state;
		const pending = state.get32(INTERRUPT_PENDING) & PENDING_NMI;
		return pending !== 0 && state.get32(NMI_BLOCKED) === 0;
	}

	#isInterruptDue(): boolean {
		const pending = this.#state.get32(INTERRUPT_PENDING) & PENDING_INTERRUPT;
		return pending !== 0 && this.#areEnabled();
	}

	#areEnabled(): boolean {
		return (this.#state.get32(EFLAGS) & EFLAGS_IF) !== 0;
	}
}
