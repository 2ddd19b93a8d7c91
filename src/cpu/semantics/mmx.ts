/**
 * MMX: vectors of 64 bits in the x87's registers.
 *
 * The arithmetic is SSE's, in the lower half; what is MMX's own is the price
 * of the shared registers: every instruction resets TOP and marks all
 * registers in use, and a written register becomes a NaN to the x87.
 *
 * Relies on `x87-stack.ts`.
 *
 * @journey E:654 Vectors in borrowed registers
 */

import { CR0, FPU_TAG, FPU_TOP } from "../state.ts";
import type { Emitter, Semantics, SemanticsTable } from "./emitter.ts";
import { state32 } from "./integer-values.ts";
import { raisePending, requireX87 } from "./x87-stack.ts";

const VECTOR_UD = 6;
const CR0_EM = 1 << 2;

/** #UD, #NM and #MF, in this order (Intel SDM vol. 3, "Emulation of the MMX Instruction Set"). */
export function requireMmx(e: Emitter): void {
	e.faultIf(e.and(state32(e, CR0), e.i32(CR0_EM)), VECTOR_UD);
	requireX87(e);
	raisePending(e);
}

/** EMMS: all registers empty, for the x87 to use. */
const empty: Semantics = (e) => {
	requireMmx(e);
	e.writeState(FPU_TAG, e.i32(0), 0, 0, 4);
	e.writeState(FPU_TOP, e.i32(0), 0, 0, 4);
};

export const mmxSemantics: SemanticsTable = {
	EMMS: empty,
};
