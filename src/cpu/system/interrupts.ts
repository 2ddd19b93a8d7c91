/**
 * Interrupts and exceptions on their way in: the interrupt vector table of
 * real mode, gates of protected mode, frames of virtual-8086 mode (Intel SDM
 * vol. 3, "Interrupt and Exception Handling").
 *
 * A delivery that fails raises the next exception with the CPU's state as it
 * was; `exception-delivery.ts` decides what becomes of the two. Relies on
 * `stack-frame.ts` and `tasks.ts`. System calls by INT 0x80 and every page
 * fault come through here, so nothing is allocated on the way.
 *
 * @journey E:540 The way in
 */

import {
	raise,
	VECTOR_BP,
	VECTOR_DB,
	VECTOR_GP,
	VECTOR_NP,
	VECTOR_OF,
} from "../exceptions.ts";
import {
	EFLAGS_AC,
	EFLAGS_IF,
	EFLAGS_NT,
	EFLAGS_RF,
	EFLAGS_TF,
	EFLAGS_VM,
	readEflags,
} from "../flags.ts";
import { CPL, EFLAGS, IDTR_BASE, IDTR_LIMIT } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import {
	CS,
	DS,
	dplOf,
	ES,
	FS,
	GS,
	gateOffsetOf,
	gateSelectorOf,
	INTERRUPT_GATE_16,
	INTERRUPT_GATE_32,
	isCode,
	isConformingCode,
	isPresent,
	limitOf,
	SS,
	SYSTEM_32,
	systemTypeOf,
	TASK_GATE,
	TRAP_GATE_16,
	TRAP_GATE_32,
	typeOf,
} from "./descriptors.ts";
import {
	isNull,
	isProtected,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_RPL,
	selectorError,
	selectorOf,
	setNullSegment,
	setRealModeSegment,
	setSegmentFromDescriptor,
} from "./segments.ts";
import { espOf, ripOf, setRip } from "./slots.ts";
import { StackFrame } from "./stack-frame.ts";
import { enterTask, NO_ERROR_CODE } from "./tasks.ts";

/** INT n, INT3, INTO: the gate's DPL counts, errors are not external. */
export const KIND_SOFTWARE = 0;
/** An interrupt from outside, and INT1, which is privileged like one. */
export const KIND_HARDWARE = 1;
/** An exception of the processor's own. */
export const KIND_EXCEPTION = 2;
export type InterruptKind = 0 | 1 | 2;

export { NO_ERROR_CODE } from "./tasks.ts";

/** In error codes: the selector index is a vector. */
const ERROR_IDT = 2;
/** In error codes: the event was not the program's own INT. */
const ERROR_EXT = 1;

const frame = new StackFrame();

/** Delivers an event that interrupts the current instruction (RIP). */
export function deliverInterrupt(
	cpu: SystemContext,
	vector: number,
	kind: InterruptKind,
	errorCode = NO_ERROR_CODE,
): void {
	deliver(cpu, vector, kind, errorCode, ripOf(cpu.state));
}

/** The same, with the offset to return to. */
export function deliver(
	cpu: SystemContext,
	vector: number,
	kind: InterruptKind,
	errorCode: number,
	returnOffset: number,
): void {
	if (isProtected(cpu.state)) {
		deliverByGate(cpu, vector, kind, errorCode, returnOffset);
	} else deliverReal(cpu, vector, returnOffset);
}

/** The interrupt vector table holds far pointers; there are no error codes (Intel SDM vol. 3, "Interrupt and Exception Handling" of real-address mode). */
function deliverReal(
	cpu: SystemContext,
	vector: number,
	returnOffset: number,
): void {
	const { state, mmu } = cpu;
	const entry = vector * 4;
	if (entry + 3 > state.getU32(IDTR_LIMIT)) {
		raise(VECTOR_GP, vector * 8 + ERROR_IDT);
	}
	const pointer = mmu.readU32((state.getU32(IDTR_BASE) + entry) >>> 0, false);
	frame.useCurrent(state, 0);
	frame.push(mmu, readEflags(state), 2);
	frame.push(mmu, selectorOf(state, CS), 2);
	frame.push(mmu, returnOffset, 2);
	frame.commit(state);
	const cleared = EFLAGS_IF | EFLAGS_TF | EFLAGS_AC | EFLAGS_RF;
	state.set32(EFLAGS, state.get32(EFLAGS) & ~cleared);
	setRealModeSegment(state, CS, pointer >>> 16);
	setRip(state, pointer & 0xffff);
}

function deliverByGate(
	cpu: SystemContext,
	vector: number,
	kind: InterruptKind,
	errorCode: number,
	returnOffset: number,
): void {
	const state = cpu.state;
	const ext = kind === KIND_SOFTWARE ? 0 : ERROR_EXT;
	const gateError = vector * 8 + ERROR_IDT + ext;
	if (vector * 8 + 7 > state.getU32(IDTR_LIMIT)) raise(VECTOR_GP, gateError);
	const gate = (state.getU32(IDTR_BASE) + vector * 8) >>> 0;
	const low = readLow(cpu, gate);
	const high = readHigh(cpu, gate);
	const type = systemTypeOf(high);
	const allowed = kind !== KIND_SOFTWARE || dplOf(high) >= state.get32(CPL);
	if (!isInterruptGate(type) || !allowed) raise(VECTOR_GP, gateError);
	if (!isPresent(high)) raise(VECTOR_NP, gateError);
	if (type === TASK_GATE) {
		setResumeFlag(state, vector, kind);
		const task = gateSelectorOf(low);
		enterTask(cpu, task, "call", returnOffset, ext, errorCode);
	} else
		enterHandler(cpu, low, high, ext, vector, kind, errorCode, returnOffset);
}

function isInterruptGate(type: number): boolean {
	return (
		type === INTERRUPT_GATE_32 ||
		type === TRAP_GATE_32 ||
		type === TASK_GATE ||
		type === INTERRUPT_GATE_16 ||
		type === TRAP_GATE_16
	);
}

function enterHandler(
	cpu: SystemContext,
	gateLow: number,
	gateHigh: number,
	ext: number,
	vector: number,
	kind: InterruptKind,
	errorCode: number,
	returnOffset: number,
): void {
	const state = cpu.state;
	const selector = gateSelectorOf(gateLow);
	if (isNull(selector)) raise(VECTOR_GP, ext);
	const address = requireDescriptor(state, selector, VECTOR_GP, ext);
	const unmarked = readHigh(cpu, address);
	checkHandler(state, selector, unmarked, ext);
	const low = readLow(cpu, address);
	const high = markAccessed(cpu, address, unmarked);
	const cpl = state.get32(CPL);
	const level = isConformingCode(high) ? cpl : dplOf(high);
	const bytes = typeOf(gateHigh) & SYSTEM_32 ? 4 : 2;
	const offset = gateOffsetOf(gateLow, gateHigh);

	if (level < cpl) pushOuterStack(cpu, level, bytes, ext);
	else frame.useCurrent(state, ext);
	const eflags = readEflags(state);
	const image = isFault(vector, kind) ? eflags | EFLAGS_RF : eflags;
	frame.push(cpu.mmu, image, bytes);
	frame.push(cpu.mmu, selectorOf(state, CS), bytes);
	frame.push(cpu.mmu, returnOffset, bytes);
	if (errorCode !== NO_ERROR_CODE) frame.push(cpu.mmu, errorCode, bytes);
	if (offset > limitOf(low, high)) raise(VECTOR_GP, ext);

	frame.commit(state);
	if (eflags & EFLAGS_VM) dropVirtual8086Segments(state);
	state.set32(CPL, level);
	const visible = (selector & ~SELECTOR_RPL) | level;
	setSegmentFromDescriptor(state, CS, visible, low, high);
	setRip(state, offset);
	clearFlags(state, typeOf(gateHigh));
}

/** The handler's code segment; from virtual-8086 mode only level 0 will do. */
function checkHandler(
	state: StateView,
	selector: number,
	high: number,
	ext: number,
): void {
	const cpl = state.get32(CPL);
	const dpl = dplOf(high);
	const fromVirtual = (state.get32(EFLAGS) & EFLAGS_VM) !== 0;
	const refused = fromVirtual && (isConformingCode(high) || dpl !== 0);
	if (!isCode(high) || dpl > cpl || refused) {
		raise(VECTOR_GP, selectorError(selector, ext));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector, ext));
}

/** Opens the inner stack with what the outer one was, and VM86's data segments. */
function pushOuterStack(
	cpu: SystemContext,
	level: number,
	bytes: number,
	ext: number,
): void {
	const { state, mmu } = cpu;
	frame.useInner(cpu, level, ext);
	if (state.get32(EFLAGS) & EFLAGS_VM) {
		frame.push(mmu, selectorOf(state, GS), bytes);
		frame.push(mmu, selectorOf(state, FS), bytes);
		frame.push(mmu, selectorOf(state, DS), bytes);
		frame.push(mmu, selectorOf(state, ES), bytes);
	}
	frame.push(mmu, selectorOf(state, SS), bytes);
	frame.push(mmu, espOf(state), bytes);
}

function dropVirtual8086Segments(state: StateView): void {
	setNullSegment(state, GS, 0);
	setNullSegment(state, FS, 0);
	setNullSegment(state, DS, 0);
	setNullSegment(state, ES, 0);
}

function clearFlags(state: StateView, gateType: number): void {
	let cleared = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM;
	const masks =
		gateType === INTERRUPT_GATE_32 || gateType === INTERRUPT_GATE_16;
	if (masks) cleared |= EFLAGS_IF;
	state.set32(EFLAGS, state.get32(EFLAGS) & ~cleared);
}

/** Faults push RF set, so that returning to the instruction does not hit its breakpoint again. */
function isFault(vector: number, kind: InterruptKind): boolean {
	return (
		kind === KIND_EXCEPTION &&
		vector !== VECTOR_DB &&
		vector !== VECTOR_BP &&
		vector !== VECTOR_OF
	);
}

/** A task gate saves EFLAGS in the TSS, RF included. */
function setResumeFlag(
	state: StateView,
	vector: number,
	kind: InterruptKind,
): void {
	if (!isFault(vector, kind)) return;
	state.set32(EFLAGS, state.get32(EFLAGS) | EFLAGS_RF);
}
