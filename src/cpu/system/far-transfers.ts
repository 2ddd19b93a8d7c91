/**
 * JMP, CALL and RET to another code segment: directly, through call gates to
 * an inner level, and to tasks (Intel SDM vol. 3, "Privilege Levels" and
 * vol. 2, JMP, CALL, RET).
 *
 * Relies on `stack-frame.ts` for pushes, `return-frames.ts` for returns,
 * `tasks.ts` for switches.
 *
 * @journey E:532 Far away
 */

import { STATUS_STOP_JUMP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_NP } from "../exceptions.ts";
import { CPL } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import {
	CALL_GATE_16,
	CALL_GATE_32,
	CS,
	dplOf,
	gateOffsetOf,
	gateSelectorOf,
	isCode,
	isConformingCode,
	isPresent,
	limitOf,
	SS,
	SYSTEM_32,
	systemTypeOf,
	TASK_GATE,
	TSS_16,
	TSS_32,
	typeOf,
} from "./descriptors.ts";
import { isLongActive, returnFarLong, transferLong } from "./long-transfers.ts";
import { ReturnTarget, transferByParagraph } from "./return-frames.ts";
import { stackMask } from "./segment-access.ts";
import {
	isNull,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_RPL,
	segmentLimit,
	selectorError,
	selectorOf,
	setSegmentFromDescriptor,
	usesParagraphs,
} from "./segments.ts";
import { espOf, nextRipOf, sameLevelStatus, setEsp, setRip } from "./slots.ts";
import { peekStack, StackFrame } from "./stack-frame.ts";
import { enterTask } from "./tasks.ts";

const GATE_PARAMETERS = 31;

const frame = new StackFrame();
const target = new ReturnTarget();

/** `offset` is zero-extended from the operand size. */
export function jumpFar(
	cpu: SystemContext,
	selector: number,
	offset: number,
): Status {
	if (usesParagraphs(cpu.state)) {
		transferByParagraph(cpu.state, selector, offset);
		return sameLevelStatus(cpu.state);
	}
	return transfer(cpu, selector, offset, 0);
}

/** `bytes` (2 or 4) is the size of what is pushed, unless a gate decides. */
export function callFar(
	cpu: SystemContext,
	selector: number,
	offset: number,
	bytes: number,
): Status {
	const state = cpu.state;
	if (!usesParagraphs(state)) return transfer(cpu, selector, offset, bytes);
	if (offset > segmentLimit(state, CS)) raise(VECTOR_GP, 0);
	frame.useCurrent(state, 0);
	pushReturnAddress(cpu, bytes);
	frame.commit(state);
	transferByParagraph(state, selector, offset);
	return sameLevelStatus(state);
}

function pushReturnAddress(cpu: SystemContext, bytes: number): void {
	frame.push(cpu.mmu, selectorOf(cpu.state, CS), bytes);
	frame.push(cpu.mmu, nextRipOf(cpu.state), bytes);
}

/** Both of them in protected mode; `bytes` = 0 for JMP. */
function transfer(
	cpu: SystemContext,
	selector: number,
	offset: number,
	bytes: number,
): Status {
	const state = cpu.state;
	if (isLongActive(state)) return transferLong(cpu, selector, offset, bytes);
	if (isNull(selector)) raise(VECTOR_GP, 0);
	const address = requireDescriptor(state, selector, VECTOR_GP);
	const high = readHigh(cpu, address);
	if (isCode(high)) {
		const rpl = selector & SELECTOR_RPL;
		const direct = isConformingCode(high) || rpl <= state.get32(CPL);
		if (!direct) raise(VECTOR_GP, selectorError(selector));
		checkSameLevelCode(cpu, selector, address, offset);
		return enterSameLevel(cpu, selector, address, offset, bytes);
	}
	return transferBySystemDescriptor(cpu, selector, address, high, bytes);
}

function transferBySystemDescriptor(
	cpu: SystemContext,
	selector: number,
	address: number,
	high: number,
	bytes: number,
): Status {
	const state = cpu.state;
	const privilege = Math.max(state.get32(CPL), selector & SELECTOR_RPL);
	if (dplOf(high) < privilege) raise(VECTOR_GP, selectorError(selector));
	const cause = bytes === 0 ? "jump" : "call";
	switch (systemTypeOf(high)) {
		case CALL_GATE_16:
		case CALL_GATE_32:
			requirePresent(selector, high);
			return transferByGate(cpu, address, high, bytes !== 0);
		case TASK_GATE: {
			requirePresent(selector, high);
			const task = gateSelectorOf(readLow(cpu, address));
			enterTask(cpu, task, cause, nextRipOf(state));
			return STATUS_STOP_JUMP;
		}
		case TSS_16:
		case TSS_32:
			enterTask(cpu, selector, cause, nextRipOf(state));
			return STATUS_STOP_JUMP;
		default:
			return raise(VECTOR_GP, selectorError(selector));
	}
}

function requirePresent(selector: number, high: number): void {
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
}

/** Only CALL may go inwards; JMP through a gate stays at its level. */
function transferByGate(
	cpu: SystemContext,
	gate: number,
	gateHigh: number,
	isCall: boolean,
): Status {
	const state = cpu.state;
	const gateLow = readLow(cpu, gate);
	const selector = gateSelectorOf(gateLow);
	const offset = gateOffsetOf(gateLow, gateHigh);
	const bytes = typeOf(gateHigh) & SYSTEM_32 ? 4 : 2;
	if (isNull(selector)) raise(VECTOR_GP, 0);
	const address = requireDescriptor(state, selector, VECTOR_GP);
	const high = readHigh(cpu, address);
	const inner = !isConformingCode(high) && dplOf(high) < state.get32(CPL);
	if (isCode(high) && inner && isCall) {
		requirePresent(selector, high);
		const parameters = gateHigh & GATE_PARAMETERS;
		callInner(cpu, selector, address, offset, bytes, parameters);
		return STATUS_STOP_JUMP;
	}
	checkSameLevelCode(cpu, selector, address, offset);
	const pushed = isCall ? bytes : 0;
	return enterSameLevel(cpu, selector, address, offset, pushed);
}

/** A code segment that may be entered without changing CPL. */
function checkSameLevelCode(
	cpu: SystemContext,
	selector: number,
	address: number,
	offset: number,
): void {
	const cpl = cpu.state.get32(CPL);
	const high = readHigh(cpu, address);
	const dpl = dplOf(high);
	const allowed = isConformingCode(high) ? dpl <= cpl : dpl === cpl;
	if (!isCode(high) || !allowed) raise(VECTOR_GP, selectorError(selector));
	requirePresent(selector, high);
	if (offset > limitOf(readLow(cpu, address), high)) raise(VECTOR_GP, 0);
}

/** `bytes` = size of the return address's parts, 0 for none. */
function enterSameLevel(
	cpu: SystemContext,
	selector: number,
	address: number,
	offset: number,
	bytes: number,
): Status {
	const state = cpu.state;
	const high = markAccessed(cpu, address, readHigh(cpu, address));
	const low = readLow(cpu, address);
	if (bytes !== 0) {
		frame.useCurrent(state, 0);
		pushReturnAddress(cpu, bytes);
		frame.commit(state);
	}
	setCode(state, selector, low, high, state.get32(CPL), offset);
	return sameLevelStatus(state);
}

function setCode(
	state: StateView,
	selector: number,
	low: number,
	high: number,
	level: number,
	offset: number,
): void {
	const visible = (selector & ~SELECTOR_RPL) | level;
	setSegmentFromDescriptor(state, CS, visible, low, high);
	setRip(state, offset);
}

/** To an inner level: its stack from the TSS, the parameters copied over. */
function callInner(
	cpu: SystemContext,
	selector: number,
	address: number,
	offset: number,
	bytes: number,
	parameters: number,
): void {
	const { state, mmu } = cpu;
	const high = markAccessed(cpu, address, readHigh(cpu, address));
	const low = readLow(cpu, address);
	const level = dplOf(high);
	frame.useInner(cpu, level, 0);
	frame.push(mmu, selectorOf(state, SS), bytes);
	frame.push(mmu, espOf(state), bytes);
	for (let i = parameters - 1; i >= 0; i--) {
		frame.push(mmu, peekStack(cpu, i * bytes, bytes), bytes);
	}
	pushReturnAddress(cpu, bytes);
	if (offset > limitOf(low, high)) raise(VECTOR_GP, 0);
	frame.commit(state);
	state.set32(CPL, level);
	setCode(state, selector, low, high, level, offset);
}

/** RET FAR, releasing `popBytes` of parameters. */
export function returnFar(
	cpu: SystemContext,
	bytes: number,
	popBytes: number,
): Status {
	const state = cpu.state;
	if (isLongActive(state)) return returnFarLong(cpu, bytes, popBytes);
	const offset = peekStack(cpu, 0, bytes);
	const selector = peekStack(cpu, bytes, bytes) & 0xffff;
	const released = bytes * 2 + popBytes;
	if (usesParagraphs(state)) {
		transferByParagraph(state, selector, offset);
		setEsp(state, espOf(state) + released, stackMask(state));
		return sameLevelStatus(state);
	}
	target.checkCode(cpu, selector, offset);
	if ((selector & SELECTOR_RPL) === state.get32(CPL)) {
		target.enterCode(state, offset);
		setEsp(state, espOf(state) + released, stackMask(state));
		return sameLevelStatus(state);
	}
	const pointer = peekStack(cpu, released, bytes);
	const stack = peekStack(cpu, released + bytes, bytes) & 0xffff;
	target.checkStack(cpu, stack);
	target.enterCode(state, offset);
	target.enterStack(state, pointer);
	setEsp(state, espOf(state) + popBytes, stackMask(state));
	return STATUS_STOP_JUMP;
}
