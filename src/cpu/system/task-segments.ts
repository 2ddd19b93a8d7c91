/**
 * The second half of a task switch: checking and loading LDTR and the segment
 * registers that the new TSS names, with #TS for what is wrong with them
 * (Intel SDM vol. 3, table "Exception Conditions Checked During a Task
 * Switch").
 *
 * Every register starts out unusable with its new selector, so that a fault
 * half-way leaves no old segment readable.
 *
 * @journey E:537 Bringing a task to life
 */

import {
	raise,
	VECTOR_GP,
	VECTOR_NP,
	VECTOR_SS,
	VECTOR_TS,
} from "../exceptions.ts";
import { EFLAGS_VM } from "../flags.ts";
import { CPL, LDTR } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import {
	CS,
	dplOf,
	isCode,
	isConformingCode,
	isPresent,
	isReadable,
	isWritableData,
	LDT,
	limitOf,
	SS,
	systemTypeOf,
} from "./descriptors.ts";
import {
	isNull,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_LDT,
	SELECTOR_RPL,
	selectorError,
	setNullSegment,
	setSegmentFromDescriptor,
	setVirtual8086Segment,
} from "./segments.ts";
import { TASK_SEGMENTS, type TaskState } from "./task-state.ts";

/** Loads LDTR; a null selector means that the task has none. */
export function loadTaskLdt(
	cpu: SystemContext,
	selector: number,
	ext: number,
): void {
	const state = cpu.state;
	setNullSegment(state, LDTR, selector);
	if (isNull(selector)) return;
	const errorCode = selectorError(selector, ext);
	if (selector & SELECTOR_LDT) raise(VECTOR_TS, errorCode);
	const address = requireDescriptor(state, selector, VECTOR_TS, ext);
	const high = readHigh(cpu, address);
	if (systemTypeOf(high) !== LDT || !isPresent(high)) {
		raise(VECTOR_TS, errorCode);
	}
	setSegmentFromDescriptor(state, LDTR, selector, readLow(cpu, address), high);
}

/** Loads the six segment registers; CPL is already the new task's. */
export function loadTaskSegments(
	cpu: SystemContext,
	task: TaskState,
	ext: number,
): void {
	const state = cpu.state;
	const { selectors } = task;
	if (task.eflags & EFLAGS_VM) {
		for (let i = 0; i < TASK_SEGMENTS; i++) {
			setVirtual8086Segment(state, i, selectors[i] as number);
		}
		return;
	}
	const level = state.get32(CPL);
	for (let i = 0; i < TASK_SEGMENTS; i++) {
		setNullSegment(state, i, selectors[i] as number, level);
	}
	loadTaskStack(cpu, selectors[SS] as number, level, ext);
	loadTaskCode(cpu, selectors[CS] as number, task.eip, ext);
	for (let i = 0; i < TASK_SEGMENTS; i++) {
		if (i === CS || i === SS) continue;
		loadTaskData(cpu, i, selectors[i] as number, level, ext);
	}
}

function loadTaskStack(
	cpu: SystemContext,
	selector: number,
	level: number,
	ext: number,
): void {
	const errorCode = selectorError(selector, ext);
	const address = requireTaskDescriptor(cpu.state, selector, ext);
	const high = readHigh(cpu, address);
	const rpl = selector & SELECTOR_RPL;
	if (!isWritableData(high) || dplOf(high) !== level || rpl !== level) {
		raise(VECTOR_TS, errorCode);
	}
	if (!isPresent(high)) raise(VECTOR_SS, errorCode);
	load(cpu, SS, selector, address, high);
}

function loadTaskCode(
	cpu: SystemContext,
	selector: number,
	eip: number,
	ext: number,
): void {
	const errorCode = selectorError(selector, ext);
	const address = requireTaskDescriptor(cpu.state, selector, ext);
	const high = readHigh(cpu, address);
	const rpl = selector & SELECTOR_RPL;
	const dpl = dplOf(high);
	const allowed = isConformingCode(high) ? dpl <= rpl : dpl === rpl;
	if (!isCode(high) || !allowed) raise(VECTOR_TS, errorCode);
	if (!isPresent(high)) raise(VECTOR_NP, errorCode);
	const outside = eip >>> 0 > limitOf(readLow(cpu, address), high);
	load(cpu, CS, selector, address, high);
	if (outside) raise(VECTOR_GP, ext);
}

function loadTaskData(
	cpu: SystemContext,
	index: number,
	selector: number,
	level: number,
	ext: number,
): void {
	if (isNull(selector)) return;
	const errorCode = selectorError(selector, ext);
	const address = requireTaskDescriptor(cpu.state, selector, ext);
	const high = readHigh(cpu, address);
	const privilege = Math.max(level, selector & SELECTOR_RPL);
	if (
		!isReadable(high) ||
		(!isConformingCode(high) && privilege > dplOf(high))
	) {
		raise(VECTOR_TS, errorCode);
	}
	if (!isPresent(high)) raise(VECTOR_NP, errorCode);
	load(cpu, index, selector, address, high);
}

function requireTaskDescriptor(
	state: StateView,
	selector: number,
	ext: number,
): number {
	if (isNull(selector)) raise(VECTOR_TS, ext);
	return requireDescriptor(state, selector, VECTOR_TS, ext);
}

function load(
	cpu: SystemContext,
	index: number,
	selector: number,
	address: number,
	high: number,
): void {
	const marked = markAccessed(cpu, address, high);
	const low = readLow(cpu, address);
	setSegmentFromDescriptor(cpu.state, index, selector, low, marked);
}
