/**
 * Hardware task switches: JMP, CALL and IRET to a TSS, and task gates (Intel
 * SDM vol. 3, "Task Switching").
 *
 * Everything that can fail without a trace is done first: the new TSS is read
 * and the old one probed. Then comes the commit, and from there on faults
 * belong to the new task: they are raised as `FaultInNewTask`, so that nobody
 * puts the old task's RIP back.
 *
 * Relies on `task-state.ts` for the layout of a TSS and `segments.ts`.
 *
 * @journey E:535 A switch nobody throws any more
 */

import {
	asFault,
	GuestFault,
	raise,
	VECTOR_DB,
	VECTOR_GP,
	VECTOR_NP,
	VECTOR_TS,
} from "../exceptions.ts";
import { EFLAGS_NT, EFLAGS_VM, readEflags, writeEflags } from "../flags.ts";
import { CPL, CR0, CR3, CR4, DR, GPR, segmentOffset, TR } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { CR0_PG, CR0_TS, CR4_PAE, EFLAGS_DEFINED } from "./control-bits.ts";
import { DR6_BT, noteDebugStatus } from "./debug-status.ts";
import {
	isPresent,
	limitOf,
	SYSTEM_32,
	systemTypeOf,
	TSS_16,
	TSS_32,
	TSS_BUSY,
	typeOf,
} from "./descriptors.ts";
import {
	descriptorAddress,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_LDT,
	SELECTOR_RPL,
	segmentBase,
	selectorError,
	selectorOf,
	setSegmentFromDescriptor,
} from "./segments.ts";
import { setRip, setSlot } from "./slots.ts";
import { StackFrame } from "./stack-frame.ts";
import { loadTaskLdt, loadTaskSegments } from "./task-segments.ts";
import {
	readTaskState,
	saveTaskState,
	TASK_GPRS,
	TASK_SEGMENTS,
	type TaskState,
	taskLimit,
} from "./task-state.ts";

/** What led to the switch: decides about busy bits, the back link and NT. */
export type TaskSwitchCause = "jump" | "call" | "return";

/** An exception whose context is the new task: RIP in the state is already its own. */
export class FaultInNewTask extends GuestFault {}

/** No error code to push. */
export const NO_ERROR_CODE = -1;

/** L0 to L3 and LE of DR7: a task switch clears them. */
const DR7_LOCAL = 0x155;
const DESCRIPTOR_BUSY = TSS_BUSY << 8;

const frame = new StackFrame();

/** JMP, CALL or a task gate to the available TSS that `selector` names. */
export function enterTask(
	cpu: SystemContext,
	selector: number,
	cause: "jump" | "call",
	returnOffset: number,
	ext = 0,
	errorCode = NO_ERROR_CODE,
): void {
	const address = checkTss(cpu, selector, ext);
	switchTask(cpu, selector, address, cause, returnOffset, ext, errorCode);
}

/** The TSS a task gate names, or a far transfer's own selector: #GP unless available, #NP unless present. */
function checkTss(cpu: SystemContext, selector: number, ext: number): number {
	const errorCode = selectorError(selector, ext);
	const address =
		selector & SELECTOR_LDT ? -1 : descriptorAddress(cpu.state, selector);
	if (address < 0) raise(VECTOR_GP, errorCode);
	const high = readHigh(cpu, address);
	const type = systemTypeOf(high);
	if (type !== TSS_16 && type !== TSS_32) raise(VECTOR_GP, errorCode);
	if (!isPresent(high)) raise(VECTOR_NP, errorCode);
	return address;
}

/** IRET with NT set: back to the task in the back link (a busy one). */
export function returnToTask(cpu: SystemContext, returnOffset: number): void {
	const state = cpu.state;
	const selector = cpu.mmu.readU16(segmentBase(state, TR), false);
	if (selector & SELECTOR_LDT) raise(VECTOR_TS, selectorError(selector));
	const address = requireDescriptor(state, selector, VECTOR_TS);
	const high = readHigh(cpu, address);
	const type = systemTypeOf(high);
	if (type !== (TSS_16 | TSS_BUSY) && type !== (TSS_32 | TSS_BUSY)) {
		raise(VECTOR_TS, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	switchTask(cpu, selector, address, "return", returnOffset, 0, NO_ERROR_CODE);
}

function switchTask(
	cpu: SystemContext,
	selector: number,
	address: number,
	cause: TaskSwitchCause,
	returnOffset: number,
	ext: number,
	errorCode: number,
): void {
	const low = readLow(cpu, address);
	const high = readHigh(cpu, address);
	const wide = (typeOf(high) & SYSTEM_32) !== 0;
	if (limitOf(low, high) < taskLimit(wide)) {
		raise(VECTOR_TS, selectorError(selector, ext));
	}
	const task = readTaskState(cpu, low, high);
	linkTask(cpu, task, cause, address, high);
	leaveTask(cpu, cause, returnOffset);
	try {
		installTask(cpu, task, selector, low, high, cause);
		loadTaskLdt(cpu, task.ldt, ext);
		loadTaskSegments(cpu, task, ext);
		if (errorCode !== NO_ERROR_CODE) pushErrorCode(cpu, errorCode, wide);
		if (task.trap) trapOnEntry(cpu);
	} catch (fault) {
		const { vector, errorCode } = asFault(fault);
		throw new FaultInNewTask(vector, errorCode);
	}
}

/** Saves the old task; the last point at which the switch can fail in its context. */
function leaveTask(
	cpu: SystemContext,
	cause: TaskSwitchCause,
	returnOffset: number,
): void {
	const state = cpu.state;
	const eflags = readEflags(state);
	const saved = cause === "return" ? eflags & ~EFLAGS_NT : eflags;
	const old = selectorOf(state, TR);
	saveTaskState(cpu, saved, returnOffset);
	if (cause === "call") return;
	const address = descriptorAddress(state, old);
	if (address >= 0) setBusy(cpu, address, readHigh(cpu, address), false);
}

/** The back link and the new task's busy bit. */
function linkTask(
	cpu: SystemContext,
	task: TaskState,
	cause: TaskSwitchCause,
	address: number,
	high: number,
): void {
	if (cause === "call") {
		cpu.mmu.writeU16(task.base, selectorOf(cpu.state, TR), false);
	}
	if (cause !== "return") setBusy(cpu, address, high, true);
}

function setBusy(
	cpu: SystemContext,
	address: number,
	high: number,
	busy: boolean,
): void {
	const changed = busy ? high | DESCRIPTOR_BUSY : high & ~DESCRIPTOR_BUSY;
	cpu.mmu.writeU8((address + 5) >>> 0, (changed >>> 8) & 0xff, false);
}

/** TR, CR3, flags and general registers; segment registers get their selectors only. */
function installTask(
	cpu: SystemContext,
	task: TaskState,
	selector: number,
	low: number,
	high: number,
	cause: TaskSwitchCause,
): void {
	const state = cpu.state;
	setSegmentFromDescriptor(state, TR, selector, low, high | DESCRIPTOR_BUSY);
	state.set32(CR0, state.get32(CR0) | CR0_TS);
	state.set32(DR, state.get32(DR, 7) & ~DR7_LOCAL, 7);
	const nested = cause === "call" ? EFLAGS_NT : 0;
	writeEflags(state, (task.eflags & EFLAGS_DEFINED) | nested);
	for (let i = 0; i < TASK_GPRS; i++) {
		setSlot(state, GPR, task.gprs[i] as number, i);
	}
	setRip(state, task.eip);
	for (let i = 0; i < TASK_SEGMENTS; i++) {
		const at = state.base + segmentOffset(i);
		state.view.setInt32(at, task.selectors[i] as number, true);
	}
	const virtual = (task.eflags & EFLAGS_VM) !== 0;
	const level = (task.selectors[1] as number) & SELECTOR_RPL;
	state.set32(CPL, virtual ? 3 : level);
	switchAddressSpace(cpu, task);
}

/** CR3 is loaded only under paging, and only from a 32-bit TSS. */
function switchAddressSpace(cpu: SystemContext, task: TaskState): void {
	const state = cpu.state;
	if (!task.wide || (state.get32(CR0) & CR0_PG) === 0) return;
	if (state.getU32(CR3) === task.cr3) return;
	if (state.get32(CR4) & CR4_PAE) cpu.mmu.loadPdptes(task.cr3);
	setSlot(state, CR3, task.cr3);
	cpu.mmu.flushLocal();
}

function pushErrorCode(
	cpu: SystemContext,
	errorCode: number,
	wide: boolean,
): void {
	frame.useCurrent(cpu.state, 0);
	frame.push(cpu.mmu, errorCode, wide ? 4 : 2);
	frame.commit(cpu.state);
}

function trapOnEntry(cpu: SystemContext): never {
	noteDebugStatus(cpu.state, DR6_BT);
	raise(VECTOR_DB);
}
