/**
 * Model-specific registers by number (Intel SDM vol. 4): RDMSR and WRMSR.
 *
 * A row either keeps its value in a state field or answers by itself. What is
 * not listed is #GP(0): kernels probe with that in mind.
 *
 * @journey E:565 Registers with serial numbers
 */

import { STATUS_NEXT, STATUS_STOP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP } from "../exceptions.ts";
import {
	EFER,
	type Field,
	LEAVE,
	PAT,
	SYSENTER_CS,
	SYSENTER_EIP,
	SYSENTER_ESP,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
	TSC_AUX,
	TSC_OFFSET,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import { writeEfer } from "./control-registers.ts";
import { requireLevel0, timeStamp } from "./io.ts";

/** One register; without `write` it is read-only. */
interface Msr {
	read(cpu: SystemContext): bigint;
	write?(cpu: SystemContext, value: bigint): void;
}

const LOW_32 = 0xffff_ffffn;
const LOW_64 = (1n << 64n) - 1n;

/** Kept in a state field; bits outside `writable` are #GP(0). */
const stored = (field: Field, writable = LOW_64): Msr => ({
	read: (cpu) => cpu.state.getBig(field),
	write: (cpu, value) => {
		if (value & ~writable) raise(VECTOR_GP, 0);
		cpu.state.setBig(field, value);
	},
});

const constant = (value: bigint): Msr => ({ read: () => value });

/** Reads as a constant and swallows what is written. */
const ignored = (value: bigint): Msr => ({
	read: () => value,
	write: () => undefined,
});

/** Fast strings; no branch trace store, no precise event sampling. Nothing here can be switched. */
const MISC_ENABLE_VALUE = (1n << 0n) | (1n << 11n) | (1n << 12n);
/** Microcode revision, in the high half as the processor has it. */
const MICROCODE_REVISION = 0x10dn << 32n;

const timeStampCounter: Msr = {
	read: timeStamp,
	write: (cpu, value) => {
		const offset = cpu.state.getBig(TSC_OFFSET);
		const moved = value - timeStamp(cpu) + offset;
		moveTimeStamp(cpu, moved & LOW_64);
	},
};

/** IA32_TSC_ADJUST: the sum of all that writes have moved the counter by. */
const timeStampAdjust: Msr = {
	read: (cpu) => cpu.state.getBig(TSC_OFFSET),
	write: moveTimeStamp,
};

function moveTimeStamp(cpu: SystemContext, offset: bigint): void {
	cpu.state.setBig(TSC_OFFSET, offset);
	cpu.bus.timeStampMoved?.();
}

/** Eight memory types, none of them 2, 3 or above 7. */
const pageAttributes: Msr = {
	read: (cpu) => cpu.state.getBig(PAT),
	write: (cpu, value) => {
		for (let i = 0n; i < 64n; i += 8n) {
			const type = (value >> i) & 0xffn;
			if (type > 7n || type === 2n || type === 3n) raise(VECTOR_GP, 0);
		}
		cpu.state.setBig(PAT, value);
	},
};

const IA32_EFER = 0xc000_0080;

const REGISTERS = new Map<number, Msr>([
	// IA32_P5_MC_ADDR, IA32_P5_MC_TYPE: no machine checks happen
	[0x0000, constant(0n)],
	[0x0001, constant(0n)],
	// IA32_TIME_STAMP_COUNTER
	[0x0010, timeStampCounter],
	// IA32_PLATFORM_ID
	[0x0017, constant(0n)],
	// IA32_TSC_ADJUST
	[0x003b, timeStampAdjust],
	// EBL_CR_POWERON: clock ratios, which some kernels look at
	[0x002a, constant(0n)],
	// IA32_BIOS_SIGN_ID
	[0x008b, ignored(MICROCODE_REVISION)],
	// IA32_SYSENTER_CS, _ESP, _EIP
	[0x0174, stored(SYSENTER_CS, LOW_32)],
	[0x0175, stored(SYSENTER_ESP)],
	[0x0176, stored(SYSENTER_EIP)],
	// IA32_MISC_ENABLE
	[0x01a0, ignored(MISC_ENABLE_VALUE)],
	// IA32_PAT
	[0x0277, pageAttributes],
	// IA32_EFER
	[IA32_EFER, { read: (cpu) => cpu.state.getBig(EFER), write: writeEfer }],
	// IA32_TSC_AUX
	[0xc000_0103, stored(TSC_AUX, LOW_32)],
]);

export function readMsr(cpu: SystemContext, number: number): Status {
	requireLevel0(cpu.state);
	const register = REGISTERS.get(number >>> 0);
	const value = register?.read(cpu) ?? cpu.bus.readMsr?.(number >>> 0);
	cpu.state.setBig(SYSTEM_RESULT, value ?? raise(VECTOR_GP, 0));
	return STATUS_NEXT;
}

/**
 * EFER decides about translation, and a register of the local APIC may
 * interrupt at once, so the run loop takes a look after those.
 */
export function writeMsr(cpu: SystemContext, number: number): Status {
	const { state, bus } = cpu;
	requireLevel0(state);
	const value = state.getBig(SYSTEM_ARGUMENT);
	const register = REGISTERS.get(number >>> 0);
	if (register === undefined) {
		if (bus.writeMsr?.(number >>> 0, value) !== true) raise(VECTOR_GP, 0);
	} else {
		if (register.write === undefined) raise(VECTOR_GP, 0);
		register.write(cpu, value);
	}
	const changes = number >>> 0 === IA32_EFER || state.get32(LEAVE) !== 0;
	return changes ? STATUS_STOP : STATUS_NEXT;
}
