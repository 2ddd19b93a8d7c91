/**
 * MOV to and from DR0 to DR7 (Intel SDM vol. 3, "Debug Registers"). What an
 * armed breakpoint does is the run loop's business (`breakpoints.ts`).
 *
 * @journey E:560 Watching the guest watch itself
 */

import { STATUS_NEXT, STATUS_STOP, type Status } from "../engine/status.ts";
import { raise, VECTOR_DB, VECTOR_UD } from "../exceptions.ts";
import { CR4, DR, SYSTEM_ARGUMENT, SYSTEM_RESULT } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { CR4_DE } from "./control-bits.ts";
import {
	DR6_BD,
	DR6_FIXED,
	DR6_MASK,
	DR7_GD,
	noteDebugStatus,
} from "./debug-status.ts";
import { requireLevel0 } from "./io.ts";
import { setSlot } from "./slots.ts";

/** Reads as 1. */
const DR7_FIXED = 1 << 10;
/** Enables, LE, GE, GD and the four conditions and lengths. */
const DR7_MASK = 0xffff_23ff | 0;

/** DR4 and DR5 are other names of DR6 and DR7, until CR4.DE says that they do not exist. */
function debugRegister(cpu: SystemContext, number: number): number {
	const { state } = cpu;
	const alias = number === 4 || number === 5;
	if (number > 7 || (alias && state.get32(CR4) & CR4_DE)) raise(VECTOR_UD);
	requireLevel0(state);
	const control = state.get32(DR, 7);
	if (control & DR7_GD) {
		noteDebugStatus(state, DR6_BD);
		raise(VECTOR_DB);
	}
	return alias ? number + 2 : number;
}

export function moveFromDebug(cpu: SystemContext, number: number): Status {
	const state = cpu.state;
	const register = debugRegister(cpu, number);
	setSlot(state, SYSTEM_RESULT, state.get32(DR, register));
	return STATUS_NEXT;
}

export function moveToDebug(cpu: SystemContext, number: number): Status {
	const state = cpu.state;
	const register = debugRegister(cpu, number);
	const value = state.get32(SYSTEM_ARGUMENT);
	setSlot(state, DR, defined(register, value), register);
	return register === 7 ? STATUS_STOP : STATUS_NEXT;
}

function defined(register: number, value: number): number {
	if (register === 6) return (value & DR6_MASK) | DR6_FIXED;
	if (register === 7) return (value & DR7_MASK) | DR7_FIXED;
	return value;
}
