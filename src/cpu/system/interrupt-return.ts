/**
 * INT in all its spellings, and IRET in all its modes (Intel SDM vol. 2, INT n
 * and IRET).
 *
 * Relies on `interrupts.ts` for the way in and `return-frames.ts` for the way
 * out; the return to virtual-8086 mode is here.
 *
 * @journey E:542 INT and IRET
 */

import { STATUS_STOP_JUMP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP } from "../exceptions.ts";
import {
	EFLAGS_AC,
	EFLAGS_ARITHMETIC,
	EFLAGS_DF,
	EFLAGS_ID,
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_IOPL_SHIFT,
	EFLAGS_NT,
	EFLAGS_RF,
	EFLAGS_TF,
	EFLAGS_VIF,
	EFLAGS_VIP,
	EFLAGS_VM,
	readEflags,
	writeEflags,
} from "../flags.ts";
import {
	CPL,
	DR,
	EFLAGS,
	GPR,
	INTERRUPT_PENDING,
	NMI_BLOCKED,
	PENDING_NMI,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import { EFLAGS_DEFINED } from "./control-bits.ts";
import { CS, DS, ES, FS, GS, SS } from "./descriptors.ts";
import {
	deliver,
	KIND_HARDWARE,
	KIND_SOFTWARE,
	NO_ERROR_CODE,
} from "./interrupts.ts";
import { interruptReturnLong, isLongActive } from "./long-transfers.ts";
import { DR7_ENABLES } from "./mode-control.ts";
import { ReturnTarget, transferByParagraph } from "./return-frames.ts";
import { stackMask } from "./segment-access.ts";
import {
	isProtected,
	SELECTOR_RPL,
	setVirtual8086Segment,
	usesParagraphs,
} from "./segments.ts";
import {
	espOf,
	nextRipOf,
	sameLevelStatus,
	setEsp,
	setRip,
	setSlot,
} from "./slots.ts";
import { peekStack } from "./stack-frame.ts";
import { returnToTask } from "./tasks.ts";

/** Kinds of the INT operation (`system-operations.ts`). */
const INT_N = 0;
const INT1 = 3;

/** Flags a 16-bit IRET reaches, and those a 32-bit one reaches besides, at any level. */
const RETURN_FLAGS_16 = EFLAGS_ARITHMETIC | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
const RETURN_FLAGS_32 = RETURN_FLAGS_16 | EFLAGS_RF | EFLAGS_AC | EFLAGS_ID;
const RSP = 4;

const target = new ReturnTarget();

/** The INT operation. Only INT n is sensitive to IOPL in virtual-8086 mode. */
export function softwareInterrupt(
	cpu: SystemContext,
	vector: number,
	kind: number,
): Status {
	const state = cpu.state;
	if (kind === INT_N) requireVirtual8086Privilege(state);
	const source = kind === INT1 ? KIND_HARDWARE : KIND_SOFTWARE;
	deliver(cpu, vector & 0xff, source, NO_ERROR_CODE, nextRipOf(state));
	return STATUS_STOP_JUMP;
}

/** #GP(0) in virtual-8086 mode below IOPL 3. */
function requireVirtual8086Privilege(state: StateView): void {
	const eflags = state.get32(EFLAGS);
	if ((eflags & EFLAGS_VM) === 0 || !isProtected(state)) return;
	if ((eflags & EFLAGS_IOPL) !== EFLAGS_IOPL) raise(VECTOR_GP, 0);
}

/** The IRET operation; `bytes` is 2 or 4. */
export function interruptReturn(cpu: SystemContext, bytes: number): Status {
	const state = cpu.state;
	// Even an IRET that faults ends what an NMI began (Intel SDM vol. 3,
	// "Handling Multiple NMIs").
	state.set32(NMI_BLOCKED, 0);
	if (usesParagraphs(state)) return returnByParagraph(cpu, bytes);
	if (isLongActive(state)) return returnInLongMode(cpu, bytes);
	if (state.get32(EFLAGS) & EFLAGS_NT) {
		returnToTask(cpu, nextRipOf(state));
		return STATUS_STOP_JUMP;
	}
	const offset = peekStack(cpu, 0, bytes);
	const selector = peekStack(cpu, bytes, bytes) & 0xffff;
	const image = peekStack(cpu, bytes * 2, bytes);
	const cpl = state.get32(CPL);
	if (bytes === 4 && image & EFLAGS_VM && cpl === 0) {
		return returnToVirtual8086(cpu, offset, selector, image);
	}
	const mask = returnMask(state, bytes);
	target.checkCode(cpu, selector, offset);
	if ((selector & SELECTOR_RPL) === cpl) {
		target.enterCode(state, offset);
		setEsp(state, espOf(state) + bytes * 3, stackMask(state));
		return finish(state, image, mask);
	}
	const pointer = peekStack(cpu, bytes * 3, bytes);
	const stack = peekStack(cpu, bytes * 4, bytes) & 0xffff;
	target.checkStack(cpu, stack);
	target.enterCode(state, offset);
	target.enterStack(state, pointer);
	setFlags(state, image, mask);
	return STATUS_STOP_JUMP;
}

/** There are no tasks to return to in long mode. */
function returnInLongMode(cpu: SystemContext, bytes: number): Status {
	const state = cpu.state;
	if (state.get32(EFLAGS) & EFLAGS_NT) raise(VECTOR_GP, 0);
	const cpl = state.get32(CPL);
	const mask = returnMask(state, bytes);
	const image = interruptReturnLong(cpu, bytes);
	if (state.get32(CPL) === cpl) return finish(state, image, mask);
	setFlags(state, image, mask);
	return STATUS_STOP_JUMP;
}

/** The flags that an image may change from the current level. */
function returnMask(state: StateView, bytes: number): number {
	const wide = bytes > 2;
	const cpl = state.get32(CPL);
	const iopl = (state.get32(EFLAGS) & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT;
	let mask = wide ? RETURN_FLAGS_32 : RETURN_FLAGS_16;
	if (cpl <= iopl) mask |= EFLAGS_IF;
	if (cpl === 0) {
		mask |= EFLAGS_IOPL;
		if (wide) mask |= EFLAGS_VIF | EFLAGS_VIP;
	}
	return mask;
}

/**
 * RF lives for one instruction and matters to breakpoints only, so it is not
 * set, and need not be cleared again, while none is armed.
 */
function setFlags(state: StateView, image: number, mask: number): void {
	const armed = (state.get32(DR, 7) & DR7_ENABLES) !== 0;
	const taken = armed ? image : image & ~EFLAGS_RF;
	writeEflags(state, (readEflags(state) & ~mask) | (taken & mask));
}

/** Writes the flags and says whether the run loop has to look at them. */
function finish(state: StateView, image: number, mask: number): Status {
	const before = state.get32(EFLAGS);
	setFlags(state, image, mask);
	const after = state.get32(EFLAGS);
	const pending = state.get32(INTERRUPT_PENDING);
	const opened =
		pending !== 0 && ((after & EFLAGS_IF) | (pending & PENDING_NMI)) !== 0;
	const watched = (after & EFLAGS_TF) !== 0;
	const changed = ((before ^ after) & (EFLAGS_TF | EFLAGS_AC)) !== 0;
	return opened || watched || changed
		? STATUS_STOP_JUMP
		: sameLevelStatus(state);
}

/** Real mode, and virtual-8086 mode with IOPL 3, where IOPL itself stays. */
function returnByParagraph(cpu: SystemContext, bytes: number): Status {
	const state = cpu.state;
	requireVirtual8086Privilege(state);
	const offset = peekStack(cpu, 0, bytes);
	const selector = peekStack(cpu, bytes, bytes) & 0xffff;
	const image = peekStack(cpu, bytes * 2, bytes);
	const flags = bytes === 4 ? RETURN_FLAGS_32 : RETURN_FLAGS_16;
	const iopl = isProtected(state) ? 0 : EFLAGS_IOPL;
	transferByParagraph(state, selector, offset);
	setEsp(state, espOf(state) + bytes * 3, stackMask(state));
	return finish(state, image, flags | EFLAGS_IF | iopl);
}

/** The frame goes on with ESP SS ES DS FS GS. */
function returnToVirtual8086(
	cpu: SystemContext,
	offset: number,
	selector: number,
	image: number,
): Status {
	const state = cpu.state;
	const pointer = peekStack(cpu, 12, 4);
	const ss = peekStack(cpu, 16, 4) & 0xffff;
	const es = peekStack(cpu, 20, 4) & 0xffff;
	const ds = peekStack(cpu, 24, 4) & 0xffff;
	const fs = peekStack(cpu, 28, 4) & 0xffff;
	const gs = peekStack(cpu, 32, 4) & 0xffff;
	if (offset > 0xffff) raise(VECTOR_GP, 0);
	writeEflags(state, image & EFLAGS_DEFINED);
	state.set32(CPL, 3);
	setVirtual8086Segment(state, CS, selector);
	setVirtual8086Segment(state, SS, ss);
	setVirtual8086Segment(state, ES, es);
	setVirtual8086Segment(state, DS, ds);
	setVirtual8086Segment(state, FS, fs);
	setVirtual8086Segment(state, GS, gs);
	setRip(state, offset);
	setSlot(state, GPR, pointer, RSP);
	return STATUS_STOP_JUMP;
}
