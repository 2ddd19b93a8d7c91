/**
 * Derives what the engines run under from the architectural state: mode key,
 * privilege level, TLB masks, how many REP iterations one step may do.
 *
 * The run loop calls `updateMode` each time it has the CPU in its hands, which
 * on a busy kernel is a hundred thousand times a second: straight-line reads,
 * no objects.
 *
 * @journey E:525 Where are we now?
 */

import { EFLAGS_AC, EFLAGS_TF, EFLAGS_VM } from "../flags.ts";
import { forgetMemos } from "../mmu/page-memos.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_NEVER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import { MODE_FLAT, type Mode, makeMode } from "../mode.ts";
import {
	CPL,
	CR0,
	DR,
	EFER,
	EFLAGS,
	LEAVE,
	MODE,
	REP_LIMIT,
	SEGMENT_ATTRIBUTES,
	SEGMENT_BASE,
	SEGMENT_READ_SAFE,
	SEGMENT_WRITE_SAFE,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import { CR0_AM, CR0_PE, EFER_LMA } from "./control-bits.ts";
import {
	ATTRIBUTE_BIG,
	ATTRIBUTE_LONG,
	CS,
	DS,
	dplOfAttributes,
	ES,
	SS,
} from "./descriptors.ts";

/** L0 G0 ... L3 G3. */
export const DR7_ENABLES = 0xff;
const DR7_CONDITIONS_SHIFT = 16;
const UNLIMITED = 0x7fff_ffff;
/** The safe bound of a segment that reaches all 4 GiB, as a signed number. */
const FLAT_SAFE = 0xffff_fff1 | 0;

/** Code size in bit 0, stack size in bit 2 (see `mode.ts`). */
const MODE_CODE_32 = 1;
const MODE_STACK_32 = 1 << 2;
/** 64-bit code with a 64-bit stack; segments have no limits there. */
const MODE_LONG = makeMode(64, 64, true);

/** Brings MODE, CPL, TLB masks and REP_LIMIT up to date; clears LEAVE. */
export function updateMode(state: StateView): void {
	const eflags = state.get32(EFLAGS);
	const debug = state.get32(DR, 7);
	const cpl = levelOf(state, eflags);
	state.set32(MODE, modeOf(state));
	state.set32(CPL, cpl);
	state.set32(LEAVE, 0);
	const watched = isAlignmentChecked(state) || watchesData(debug);
	updateMasks(state, cpl === 3, watched);
	const stepping = (eflags & EFLAGS_TF) !== 0 || (debug & DR7_ENABLES) !== 0;
	state.set32(REP_LIMIT, stepping ? 1 : UNLIMITED);
}

/** Whether MODE no longer says what the segment registers say. */
export function modeChanged(state: StateView): boolean {
	return modeOf(state) !== state.get32(MODE);
}

/** CR0.AM, EFLAGS.AC and CPL 3 together: misaligned data accesses are #AC. */
export function isAlignmentChecked(state: StateView): boolean {
	return (
		(state.get32(EFLAGS) & EFLAGS_AC) !== 0 &&
		(state.get32(CR0) & CR0_AM) !== 0 &&
		state.get32(CPL) === 3
	);
}

/** SS's DPL is the privilege level by definition; real mode has none, virtual-8086 mode is user mode. */
function levelOf(state: StateView, eflags: number): number {
	if ((state.get32(CR0) & CR0_PE) === 0) return 0;
	if (eflags & EFLAGS_VM) return 3;
	return dplOfAttributes(part(state, SS, SEGMENT_ATTRIBUTES));
}

function modeOf(state: StateView): Mode {
	if (isLongCode(state)) return MODE_LONG;
	const code = part(state, CS, SEGMENT_ATTRIBUTES) & ATTRIBUTE_BIG;
	const stack = part(state, SS, SEGMENT_ATTRIBUTES) & ATTRIBUTE_BIG;
	return (
		(code ? MODE_CODE_32 : 0) |
		(stack ? MODE_STACK_32 : 0) |
		(isFlat(state) ? MODE_FLAT : 0)
	);
}

/** 64-bit mode: long mode is active and CS says 64-bit (Intel SDM vol. 3, "64-Bit Code Segment"). */
function isLongCode(state: StateView): boolean {
	return (
		(state.get32(EFER) & EFER_LMA) !== 0 &&
		(part(state, CS, SEGMENT_ATTRIBUTES) & ATTRIBUTE_LONG) !== 0
	);
}

/** The safe bounds say it all: present, usable, right type, expand-up, 4 GiB. */
function isFlat(state: StateView): boolean {
	return (
		isFlatData(state, DS) &&
		isFlatData(state, SS) &&
		isFlatData(state, ES) &&
		part(state, CS, SEGMENT_BASE) === 0 &&
		part(state, CS, SEGMENT_READ_SAFE) === FLAT_SAFE &&
		(state.get32(CR0) & CR0_PE) !== 0
	);
}

function isFlatData(state: StateView, index: number): boolean {
	return (
		part(state, index, SEGMENT_BASE) === 0 &&
		part(state, index, SEGMENT_WRITE_SAFE) === FLAT_SAFE
	);
}

function part(state: StateView, index: number, offset: number): number {
	return state.view.getInt32(state.segmentAt(index, offset), true);
}

function updateMasks(state: StateView, user: boolean, watched: boolean): void {
	const read = user ? TLB_READ_USER : TLB_READ_SUPERVISOR;
	const write = user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR;
	const execute = user ? TLB_EXECUTE_USER : TLB_EXECUTE_SUPERVISOR;
	const writeMask = watched ? TLB_NEVER : write;
	if (writeMask !== state.get32(TLB_WRITE_MASK)) forgetMemos(state);
	state.set32(TLB_READ_MASK, watched ? TLB_NEVER : read);
	state.set32(TLB_WRITE_MASK, writeMask);
	state.set32(TLB_EXECUTE_MASK, execute);
}

/** An enabled breakpoint with a condition other than execution (R/W not 0). */
function watchesData(debug: number): boolean {
	if ((debug & DR7_ENABLES) === 0) return false;
	for (let i = 0; i < 4; i++) {
		const enabled = (debug >>> (i * 2)) & 3;
		const condition = (debug >>> (DR7_CONDITIONS_SHIFT + i * 4)) & 3;
		if (enabled !== 0 && condition !== 0) return true;
	}
	return false;
}
