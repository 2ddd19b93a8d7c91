/**
 * CR0 to CR8 and EFER: what they accept and what follows from a change (Intel
 * SDM vol. 3, "Control Registers", and vol. 2, MOV to/from Control Registers).
 *
 * Relies on the MMU to forget translations. Segment registers keep their
 * hidden parts when PE changes, which is how real-mode code gets at 4 GiB.
 *
 * @journey E:555 The big switches
 */

import { STATUS_NEXT, STATUS_STOP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_UD } from "../exceptions.ts";
import {
	CR0,
	CR2,
	CR3,
	CR4,
	CR8,
	EFER,
	type Field,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
} from "../state.ts";
import type { SystemContext } from "./context.ts";
import {
	CR0_AM,
	CR0_CD,
	CR0_EM,
	CR0_ET,
	CR0_MP,
	CR0_NE,
	CR0_NW,
	CR0_PE,
	CR0_PG,
	CR0_TS,
	CR0_WP,
	CR4_PAE,
	CR4_PGE,
	CR4_PSE,
	EFER_NXE,
} from "./control-bits.ts";
import { CS } from "./descriptors.ts";
import { requireLevel0 } from "./io.ts";
import { segmentBase } from "./segments.ts";
import { ripOf, setSlot } from "./slots.ts";

/** Bits of CR0 that exist; the others are ignored. ET always reads as 1. */
const CR0_DEFINED =
	CR0_PE |
	CR0_MP |
	CR0_EM |
	CR0_TS |
	CR0_NE |
	CR0_WP |
	CR0_AM |
	CR0_NW |
	CR0_CD |
	CR0_PG;
/** Changes that make translations stale. */
const CR0_TRANSLATION = CR0_PE | CR0_WP | CR0_PG;
const CR4_TRANSLATION = CR4_PSE | CR4_PAE | CR4_PGE;
const LMSW_BITS = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
const HIGHEST_TASK_PRIORITY = 15;

function registerOf(number: number): Field {
	switch (number) {
		case 0:
			return CR0;
		case 2:
			return CR2;
		case 3:
			return CR3;
		case 4:
			return CR4;
		case 8:
			return CR8;
		default:
			return raise(VECTOR_UD);
	}
}

export function moveFromControl(cpu: SystemContext, number: number): Status {
	const state = cpu.state;
	const register = registerOf(number);
	requireLevel0(state);
	setSlot(state, SYSTEM_RESULT, state.get32(register));
	return STATUS_NEXT;
}

export function moveToControl(cpu: SystemContext, number: number): Status {
	const state = cpu.state;
	const register = registerOf(number);
	requireLevel0(state);
	const value = state.get32(SYSTEM_ARGUMENT);
	switch (number) {
		case 0:
			return writeCr0(cpu, value);
		case 3:
			return writeCr3(cpu, value);
		case 4:
			return writeCr4(cpu, value);
		case 8:
			if (value >>> 0 > HIGHEST_TASK_PRIORITY) raise(VECTOR_GP, 0);
	}
	setSlot(state, register, value);
	return STATUS_NEXT;
}

/** Paging needs protection, and "no write-through" without "cache disable" means nothing. */
function writeCr0(cpu: SystemContext, value: number): Status {
	const { state, mmu } = cpu;
	const next = (value & CR0_DEFINED) | CR0_ET;
	if ((next & CR0_PG) !== 0 && (next & CR0_PE) === 0) raise(VECTOR_GP, 0);
	if ((next & CR0_NW) !== 0 && (next & CR0_CD) === 0) raise(VECTOR_GP, 0);
	const changed = next ^ state.get32(CR0);
	const starts = (changed & next & CR0_PG) !== 0;
	if (starts && state.get32(CR4) & CR4_PAE) mmu.loadPdptes(state.getU32(CR3));
	setSlot(state, CR0, next);
	if (changed & CR0_TRANSLATION) mmu.controlRegistersChanged();
	return STATUS_STOP;
}

function writeCr3(cpu: SystemContext, value: number): Status {
	const { state, mmu } = cpu;
	const paging = (state.get32(CR0) & CR0_PG) !== 0;
	if (paging && state.get32(CR4) & CR4_PAE) mmu.loadPdptes(value >>> 0);
	setSlot(state, CR3, value);
	mmu.flushLocal();
	return STATUS_STOP;
}

/** Bits of features that CPUID does not offer are reserved. */
function writeCr4(cpu: SystemContext, value: number): Status {
	const { state, mmu } = cpu;
	if (value & ~cpu.cpuid.cr4Bits) raise(VECTOR_GP, 0);
	const changed = value ^ state.get32(CR4);
	const paging = (state.get32(CR0) & CR0_PG) !== 0;
	if (paging && value & CR4_PAE && changed & CR4_TRANSLATION) {
		mmu.loadPdptes(state.getU32(CR3));
	}
	setSlot(state, CR4, value);
	if (changed & CR4_TRANSLATION) mmu.controlRegistersChanged();
	return STATUS_STOP;
}

/** LMSW: the 286's way to protected mode, which has no way back. */
export function loadMachineStatusWord(
	cpu: SystemContext,
	value: number,
): Status {
	const state = cpu.state;
	requireLevel0(state);
	const old = state.get32(CR0);
	return writeCr0(cpu, (old & ~(LMSW_BITS & ~CR0_PE)) | (value & LMSW_BITS));
}

export function clearTaskSwitched(cpu: SystemContext): Status {
	const state = cpu.state;
	requireLevel0(state);
	setSlot(state, CR0, state.get32(CR0) & ~CR0_TS);
	return STATUS_NEXT;
}

/** INVLPG. Code goes on from the record being run, unless its own page is the one. */
export function invalidatePage(cpu: SystemContext): Status {
	const state = cpu.state;
	requireLevel0(state);
	// All that there is of a canonical address; of another, a page too many.
	const linear = Number(BigInt.asUintN(48, state.getBig(SYSTEM_ARGUMENT)));
	cpu.mmu.invalidatePage(linear);
	const code = (segmentBase(state, CS) + ripOf(state)) >>> 12;
	const distance = ((linear >>> 12) - code) & 0xf_ffff;
	return distance <= 1 ? STATUS_STOP : STATUS_NEXT;
}

/** WRMSR to EFER: #GP(0) for bits of features that are not offered. */
export function writeEfer(cpu: SystemContext, value: bigint): void {
	const { state, mmu } = cpu;
	if (value & ~BigInt(cpu.cpuid.eferBits)) raise(VECTOR_GP, 0);
	const changed = Number(value) ^ state.get32(EFER);
	state.setBig(EFER, value);
	if (changed & EFER_NXE) mmu.controlRegistersChanged();
}
