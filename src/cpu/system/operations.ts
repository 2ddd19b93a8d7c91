/**
 * Every operation of `system-operations.ts` by name, in its order: the engine
 * calls them by index with up to three 32-bit arguments.
 *
 * An operation raises its exceptions by `raise`; the engine catches. Only
 * those that may switch tasks catch themselves what belongs to the new task,
 * for by then RIP is no longer the instruction's.
 *
 * @journey E:575 The counter where generated code rings
 */

import {
	STATUS_NEXT,
	STATUS_STOP_JUMP,
	type Status,
} from "../engine/status.ts";
import { raise, VECTOR_UD } from "../exceptions.ts";
import type { SystemOperationName } from "../semantics/system-operations.ts";
import { SYSTEM_ARGUMENT } from "../state.ts";
import type { SystemContext } from "./context.ts";
import {
	clearTaskSwitched,
	invalidatePage,
	loadMachineStatusWord,
	moveFromControl,
	moveToControl,
} from "./control-registers.ts";
import { moveFromDebug, moveToDebug } from "./debug-registers.ts";
import {
	loadAccessRights,
	loadGdt,
	loadIdt,
	loadLdt,
	loadSegmentLimit,
	loadTaskRegister,
	verifyReadable,
	verifyWritable,
} from "./descriptor-tables.ts";
import { deliverException } from "./exception-delivery.ts";
import { callFar, jumpFar, returnFar } from "./far-transfers.ts";
import { interruptReturn, softwareInterrupt } from "./interrupt-return.ts";
import {
	checkPort,
	halt,
	hypercall,
	input,
	output,
	random,
	readPerformanceCounter,
	readTimeStampCounter,
	requireLevel0,
} from "./io.ts";
import { readMsr, writeMsr } from "./msr.ts";
import { loadSegment } from "./segments.ts";
import { setSlot } from "./slots.ts";
import { swapgs, syscall, sysenter, sysexit, sysret } from "./system-calls.ts";
import { FaultInNewTask } from "./tasks.ts";

/** `a`, `b` and `c` are the operation's i32 arguments, signed. */
export type Operation = (
	cpu: SystemContext,
	a: number,
	b: number,
	c: number,
) => Status;

/** Delivers what a new task raised while it was being entered. */
function inNewTask(cpu: SystemContext, fault: unknown): Status {
	if (!(fault instanceof FaultInNewTask)) throw fault;
	deliverException(cpu, fault);
	return STATUS_STOP_JUMP;
}

const jmpFar: Operation = (cpu, selector) => {
	try {
		return jumpFar(cpu, selector & 0xffff, cpu.state.getU32(SYSTEM_ARGUMENT));
	} catch (fault) {
		return inNewTask(cpu, fault);
	}
};

const callFarOperation: Operation = (cpu, selector, sizeBits) => {
	try {
		const offset = cpu.state.getU32(SYSTEM_ARGUMENT);
		return callFar(cpu, selector & 0xffff, offset, sizeBits >>> 3);
	} catch (fault) {
		return inNewTask(cpu, fault);
	}
};

const int: Operation = (cpu, vector, kind) => {
	try {
		return softwareInterrupt(cpu, vector, kind);
	} catch (fault) {
		return inNewTask(cpu, fault);
	}
};

const iret: Operation = (cpu, sizeBits) => {
	try {
		return interruptReturn(cpu, sizeBits >>> 3);
	} catch (fault) {
		return inNewTask(cpu, fault);
	}
};

const cpuid: Operation = (cpu, leaf, subleaf) => {
	const registers = cpu.cpuid.query(leaf, subleaf);
	for (let i = 0; i < 4; i++) {
		setSlot(cpu.state, SYSTEM_ARGUMENT, registers[i] as number, i);
	}
	return STATUS_NEXT;
};

const privilegedNothing: Operation = (cpu) => {
	requireLevel0(cpu.state);
	return STATUS_NEXT;
};

/** CPUID offers neither SMAP (STAC, CLAC) nor MONITOR, so these do not exist. */
const notOffered: Operation = () => raise(VECTOR_UD);

/** By name, in the order of SYSTEM_OPERATIONS. */
export const OPERATIONS: { readonly [N in SystemOperationName]: Operation } = {
	IO_CHECK: checkPort,
	IN: input,
	OUT: output,
	LOAD_SEGMENT: loadSegment,
	JMP_FAR: jmpFar,
	CALL_FAR: callFarOperation,
	RET_FAR: (cpu, sizeBits, popBytes) =>
		returnFar(cpu, sizeBits >>> 3, popBytes & 0xffff),
	INT: int,
	IRET: iret,
	MOV_TO_CR: moveToControl,
	MOV_FROM_CR: moveFromControl,
	MOV_TO_DR: moveToDebug,
	MOV_FROM_DR: moveFromDebug,
	LMSW: loadMachineStatusWord,
	CLTS: clearTaskSwitched,
	LGDT: loadGdt,
	LIDT: loadIdt,
	LLDT: loadLdt,
	LTR: loadTaskRegister,
	LAR: loadAccessRights,
	LSL: loadSegmentLimit,
	VERR: verifyReadable,
	VERW: verifyWritable,
	SET_AC: notOffered,
	HYPERCALL: hypercall,
	INVLPG: invalidatePage,
	CACHE_CONTROL: privilegedNothing,
	CPUID: cpuid,
	RDMSR: readMsr,
	WRMSR: writeMsr,
	RDTSC: readTimeStampCounter,
	RDPMC: readPerformanceCounter,
	RDRAND: random,
	SYSENTER: sysenter,
	SYSEXIT: sysexit,
	SYSCALL: syscall,
	SYSRET: sysret,
	SWAPGS: swapgs,
	HLT: halt,
	MONITOR: notOffered,
	MWAIT: notOffered,
};
