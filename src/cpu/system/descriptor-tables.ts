/**
 * Loading GDTR, IDTR, LDTR and TR, and the instructions that look at a
 * descriptor without using it: LAR, LSL, VERR, VERW.
 *
 * @journey E:562 Tables of tables
 */

import { STATUS_NEXT, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_NP } from "../exceptions.ts";
import {
	CPL,
	type Field,
	GDTR_BASE,
	GDTR_LIMIT,
	IDTR_BASE,
	IDTR_LIMIT,
	LDTR,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
	TR,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import {
	CALL_GATE_16,
	CALL_GATE_32,
	dplOf,
	HIGH_CODE_OR_DATA,
	isConformingCode,
	isPresent,
	isReadable,
	isWritableData,
	LDT,
	limitOf,
	systemTypeOf,
	TASK_GATE,
	TSS_16,
	TSS_16_BUSY,
	TSS_32,
	TSS_32_BUSY,
	TSS_BUSY,
} from "./descriptors.ts";
import { requireLevel0 } from "./io.ts";
import {
	descriptorAddress,
	isNull,
	readHigh,
	readLow,
	SELECTOR_LDT,
	SELECTOR_RPL,
	selectorError,
	setNullSegment,
	setSegmentFromDescriptor,
} from "./segments.ts";
import { setSlot } from "./slots.ts";

/** System types that LSL knows a limit of. */
const HAVE_LIMIT = bits(TSS_16, LDT, TSS_16_BUSY, TSS_32, TSS_32_BUSY);
/** System types that LAR shows. */
const HAVE_RIGHTS = HAVE_LIMIT | bits(CALL_GATE_16, TASK_GATE, CALL_GATE_32);
/** What LAR returns of a descriptor's high half. */
const LAR_MASK = 0x00ff_ff00;

function bits(...types: readonly number[]): number {
	return types.reduce((set, type) => set | (1 << type), 0);
}

function loadTable(
	cpu: SystemContext,
	base: Field,
	limit: Field,
	limitValue: number,
): Status {
	const state = cpu.state;
	requireLevel0(state);
	state.setBig(base, state.getBig(SYSTEM_ARGUMENT));
	state.set32(limit, limitValue & 0xffff);
	return STATUS_NEXT;
}

export function loadGdt(cpu: SystemContext, limit: number): Status {
	return loadTable(cpu, GDTR_BASE, GDTR_LIMIT, limit);
}

export function loadIdt(cpu: SystemContext, limit: number): Status {
	return loadTable(cpu, IDTR_BASE, IDTR_LIMIT, limit);
}

/** LLDT; a null selector says that there is no LDT. */
export function loadLdt(cpu: SystemContext, operand: number): Status {
	const state = cpu.state;
	requireLevel0(state);
	const selector = operand & 0xffff;
	if (isNull(selector)) {
		setNullSegment(state, LDTR, selector);
		return STATUS_NEXT;
	}
	const address = requireGlobalDescriptor(cpu, selector);
	const high = readHigh(cpu, address);
	if (systemTypeOf(high) !== LDT) raise(VECTOR_GP, selectorError(selector));
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	const low = readLow(cpu, address);
	setSegmentFromDescriptor(state, LDTR, selector, low, high);
	return STATUS_NEXT;
}

/** LTR; no task is switched, the TSS only becomes busy. */
export function loadTaskRegister(cpu: SystemContext, operand: number): Status {
	const { state, mmu } = cpu;
	requireLevel0(state);
	const selector = operand & 0xffff;
	if (isNull(selector)) raise(VECTOR_GP, 0);
	const address = requireGlobalDescriptor(cpu, selector);
	const high = readHigh(cpu, address);
	const type = systemTypeOf(high);
	if (type !== TSS_16 && type !== TSS_32) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	const low = readLow(cpu, address);
	const busy = high | (TSS_BUSY << 8);
	mmu.writeU8((address + 5) >>> 0, (busy >>> 8) & 0xff, false);
	setSegmentFromDescriptor(state, TR, selector, low, busy);
	return STATUS_NEXT;
}

function requireGlobalDescriptor(cpu: SystemContext, selector: number): number {
	const address =
		selector & SELECTOR_LDT ? -1 : descriptorAddress(cpu.state, selector);
	if (address < 0) raise(VECTOR_GP, selectorError(selector));
	return address;
}

/**
 * The descriptor's address when it exists, has a type in `systemTypes` (or is
 * code or data) and may be seen from CPL and RPL; else -1.
 */
function visible(
	cpu: SystemContext,
	selector: number,
	systemTypes: number,
): number {
	if (isNull(selector)) return -1;
	const address = descriptorAddress(cpu.state, selector);
	if (address < 0) return -1;
	const high = readHigh(cpu, address);
	const isSystem = (high & HIGH_CODE_OR_DATA) === 0;
	if (isSystem && (systemTypes & (1 << systemTypeOf(high))) === 0) return -1;
	const privilege = Math.max(cpu.state.get32(CPL), selector & SELECTOR_RPL);
	const hidden = !isConformingCode(high) && privilege > dplOf(high);
	return hidden ? -1 : address;
}

function answer(cpu: SystemContext, found: boolean, value: number): Status {
	setSlot(cpu.state, SYSTEM_ARGUMENT, found ? 1 : 0, 1);
	if (found) setSlot(cpu.state, SYSTEM_RESULT, value);
	return STATUS_NEXT;
}

export function loadAccessRights(cpu: SystemContext, operand: number): Status {
	const address = visible(cpu, operand & 0xffff, HAVE_RIGHTS);
	if (address < 0) return answer(cpu, false, 0);
	return answer(cpu, true, readHigh(cpu, address) & LAR_MASK);
}

export function loadSegmentLimit(cpu: SystemContext, operand: number): Status {
	const address = visible(cpu, operand & 0xffff, HAVE_LIMIT);
	if (address < 0) return answer(cpu, false, 0);
	const low = readLow(cpu, address);
	return answer(cpu, true, limitOf(low, readHigh(cpu, address)));
}

export function verifyReadable(cpu: SystemContext, operand: number): Status {
	const address = visible(cpu, operand & 0xffff, 0);
	const readable = address >= 0 && isReadable(readHigh(cpu, address));
	setSlot(cpu.state, SYSTEM_RESULT, readable ? 1 : 0);
	return STATUS_NEXT;
}

export function verifyWritable(cpu: SystemContext, operand: number): Status {
	const address = visible(cpu, operand & 0xffff, 0);
	const writable = address >= 0 && isWritableData(readHigh(cpu, address));
	setSlot(cpu.state, SYSTEM_RESULT, writable ? 1 : 0);
	return STATUS_NEXT;
}
