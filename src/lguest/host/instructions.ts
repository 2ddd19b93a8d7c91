/**
 * Instructions that a kernel at level 1 may not execute, and does. Probing for
 * hardware must find none: IN reads all ones, OUT vanishes. CLI, in code that
 * nobody has taught lguest, does nothing. And debug registers can be read, so
 * that an oops can print them instead of faulting in its turn.
 *
 * Relies on the Guest's CPU; the Guest asks it before it reflects a fault.
 *
 * @journey H:240 What happens to IN and OUT
 */

import { asFault, fields } from "../../cpu/index.ts";
import type { Guest } from "./guest.ts";

const OPERAND_SIZE_PREFIX = 0x66;
const CLI = 0xfa;
const CS = 1;

/** IN and OUT: E4 to E7 with an immediate port, EC to EF with DX. Bit 0 = not a byte, bit 1 = OUT. */
const IO_MASK = 0xf4;
const IO_OPCODE = 0xe4;
const IO_BY_DX = 1 << 3;
const IO_OUT = 1 << 1;
const IO_WIDE = 1 << 0;

/** MOV from a debug register: 0F 21 /r. */
const TWO_BYTE = 0x0f;
const MOV_FROM_DR = 0x21;

/** Does the instruction at RIP if it is one of those; false = the fault is the Guest's. */
export function emulate(guest: Guest): boolean {
	const { state } = guest.cpu;
	try {
		const length = emulateAt(guest, codeAddress(guest));
		if (length === 0) return false;
		state.setWide(fields.RIP, (state.getU32(fields.RIP) + length) >>> 0);
		return true;
	} catch (fault) {
		asFault(fault);
		return false;
	}
}

/** Length of the instruction, 0 for others. */
function emulateAt(guest: Guest, at: number): number {
	const first = byteAt(guest, at);
	if (first === CLI) return 1;
	if (first === TWO_BYTE) return readDebugRegister(guest, at);
	const isShort = first === OPERAND_SIZE_PREFIX;
	const opcode = isShort ? byteAt(guest, at + 1) : first;
	if ((opcode & IO_MASK) !== IO_OPCODE) return 0;
	if ((opcode & IO_OUT) === 0) {
		const isWide = (opcode & IO_WIDE) !== 0;
		readNothing(guest, isWide ? (isShort ? 16 : 32) : 8);
	}
	return (isShort ? 1 : 0) + (opcode & IO_BY_DX ? 1 : 2);
}

/** As many ones as were asked for; the rest of EAX stays. */
function readNothing(guest: Guest, bits: number): void {
	const { state } = guest.cpu;
	const ones = bits === 32 ? 0xffff_ffff : (1 << bits) - 1;
	state.setGpr32(0, (state.gpr32(0) | ones) >>> 0);
}

function readDebugRegister(guest: Guest, at: number): number {
	if (byteAt(guest, at + 1) !== MOV_FROM_DR) return 0;
	const modrm = byteAt(guest, at + 2);
	const { state } = guest.cpu;
	const register = (modrm >> 3) & 7;
	// DR4 and DR5 are other names for DR6 and DR7.
	const alias = register === 4 || register === 5 ? register + 2 : register;
	state.setGpr32(modrm & 7, state.getU32(fields.DR, alias));
	return 3;
}

function codeAddress({ cpu: { state } }: Guest): number {
	const at = state.segmentAt(CS, fields.SEGMENT_BASE);
	const base = state.view.getUint32(at, true);
	return (base + state.getU32(fields.RIP)) >>> 0;
}

function byteAt(guest: Guest, linear: number): number {
	return guest.cpu.mmu.readU8(linear >>> 0, false);
}
