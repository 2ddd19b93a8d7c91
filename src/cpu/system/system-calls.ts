/**
 * SYSENTER, SYSEXIT, SYSCALL, SYSRET and SWAPGS: system calls without
 * descriptor tables (Intel SDM vol. 2, SYSENTER, SYSEXIT).
 *
 * The segments are what the instruction says, whatever the GDT holds.
 * SYSENTER is the way into every i386 Linux kernel; it and SYSEXIT read no
 * memory at all.
 *
 * Deviation: in legacy mode SYSCALL and SYSRET are #UD, as on Intel's
 * processors; long mode is still to come and CPUID does not offer them.
 *
 * @journey E:545 The express lane
 */

import {
	STATUS_NEXT,
	STATUS_STOP_JUMP,
	type Status,
} from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_UD } from "../exceptions.ts";
import { EFLAGS_IF, EFLAGS_RF, EFLAGS_VM } from "../flags.ts";
import { modeCodeSize } from "../mode.ts";
import {
	CPL,
	EFLAGS,
	GPR,
	KERNEL_GS_BASE,
	MODE,
	SEGMENT_BASE,
	SYSENTER_CS,
	SYSENTER_EIP,
	SYSENTER_ESP,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import { CS, dplBits, GS, SS } from "./descriptors.ts";
import { isNull, isProtected, setSegment } from "./segments.ts";
import { setRip, setSlot } from "./slots.ts";

/** Present, accessed, 4 GiB, 32-bit; DPL 0. */
const FLAT_CODE = 0xc09b;
const FLAT_DATA = 0xc093;
const FOUR_GIB = 0xffff_ffff;
const RCX = 1;
const RDX = 2;
const RSP = 4;

export function sysenter(cpu: SystemContext): Status {
	const state = cpu.state;
	const selector = state.get32(SYSENTER_CS) & 0xfffc;
	if (!isProtected(state) || isNull(selector)) raise(VECTOR_GP, 0);
	const cleared = EFLAGS_VM | EFLAGS_IF | EFLAGS_RF;
	state.set32(EFLAGS, state.get32(EFLAGS) & ~cleared);
	state.set32(CPL, 0);
	setSegment(state, CS, selector, 0, FOUR_GIB, FLAT_CODE);
	setSegment(state, SS, selector + 8, 0, FOUR_GIB, FLAT_DATA);
	setSlot(state, GPR, state.get32(SYSENTER_ESP), RSP);
	setRip(state, state.get32(SYSENTER_EIP));
	return STATUS_STOP_JUMP;
}

/** To 64-bit mode only where there is one; the operand size is 32 until then. */
export function sysexit(cpu: SystemContext, sizeBits: number): Status {
	const state = cpu.state;
	const selector = state.get32(SYSENTER_CS) & 0xfffc;
	if (!isProtected(state) || isNull(selector) || state.get32(CPL) !== 0) {
		raise(VECTOR_GP, 0);
	}
	if (sizeBits === 64) raise(VECTOR_UD);
	const user = dplBits(3);
	state.set32(CPL, 3);
	setSegment(state, CS, (selector + 16) | 3, 0, FOUR_GIB, FLAT_CODE | user);
	setSegment(state, SS, (selector + 24) | 3, 0, FOUR_GIB, FLAT_DATA | user);
	setSlot(state, GPR, state.get32(GPR, RCX), RSP);
	setRip(state, state.get32(GPR, RDX));
	return STATUS_STOP_JUMP;
}

export function syscall(): never {
	return raise(VECTOR_UD);
}

export function sysret(cpu: SystemContext): never {
	const state = cpu.state;
	const long = modeCodeSize(state.get32(MODE)) === 64;
	if (long && state.get32(CPL) !== 0) raise(VECTOR_GP, 0);
	return raise(VECTOR_UD);
}

/** Decoded in 64-bit mode only. */
export function swapgs(cpu: SystemContext): Status {
	const state = cpu.state;
	if (state.get32(CPL) !== 0) raise(VECTOR_GP, 0);
	const at = state.segmentAt(GS, SEGMENT_BASE);
	const base = state.view.getBigUint64(at, true);
	state.view.setBigUint64(at, state.getBig(KERNEL_GS_BASE), true);
	state.setBig(KERNEL_GS_BASE, base);
	return STATUS_NEXT;
}
