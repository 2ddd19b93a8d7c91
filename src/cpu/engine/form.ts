/**
 * Forms: what the cold engine generates one handler for. All instructions that
 * agree in the facts of a form run through the same handler and differ only in
 * their records.
 *
 * @journey E:430 One handler, many instructions
 */

import type { Instruction } from "../decode/instruction.ts";
import { MODE_FLAT, type Mode, modeStackSize } from "../mode.ts";

/** How the instruction's data-segment accesses reach linear memory. */
export type Addressing =
	/** Base 0, no checks. */
	| "flat"
	/** Base and limit of the record's segment register. */
	| "segmented";

/** One form, with an instruction of it as the example to generate from. */
export interface ColdForm {
	/** Handler number: `br_table` index when inline, else table slot. */
	readonly handler: number;
	readonly example: Instruction;
	readonly mode: Mode;
	readonly addressing: Addressing;
}

const SIZE_CODE: Readonly<Record<number, number>> = { 16: 0, 32: 1, 64: 2 };
const REP_CODE = { none: 0, repz: 1, repnz: 2 } as const;
const CS = 1;
const FS = 4;

/** The number under which equal forms meet. */
export function formKey(instruction: Instruction, mode: Mode): number {
	const { row, memory } = instruction;
	let key = row.id;
	key = key * 3 + (SIZE_CODE[instruction.operandSize] as number);
	key = key * 3 + (SIZE_CODE[instruction.addressSize] as number);
	key = key * 3 + (SIZE_CODE[instruction.codeSize] as number);
	key = key * 3 + (SIZE_CODE[modeStackSize(mode)] as number);
	key = key * 3 + REP_CODE[instruction.rep];
	key = key * 4 + memoryShape(instruction);
	key = key * 2 + (mode & MODE_FLAT ? 1 : 0);
	key = key * 2 + (isFlat(instruction, mode) ? 1 : 0);
	return key * 2 + (memory !== undefined || instruction.isRegister ? 1 : 0);
}

/** 0 = no index, 1 = index, 2 = RIP-relative, 3 = no memory operand. */
function memoryShape({ memory }: Instruction): number {
	if (memory === undefined) return 3;
	if (memory.ripRelative) return 2;
	return memory.index >= 0 ? 1 : 0;
}

/** Whether accesses through the instruction's data segment need no base and no check. */
function isFlat(instruction: Instruction, mode: Mode): boolean {
	const segment = instruction.memory?.segment ?? instruction.segment;
	// Code segments are not writable: overrides to CS keep the check.
	const checked = segment === CS && instruction.codeSize !== 64;
	if (segment >= FS || checked) return false;
	return instruction.codeSize === 64 || (mode & MODE_FLAT) !== 0;
}

export function addressingOf(instruction: Instruction, mode: Mode): Addressing {
	return isFlat(instruction, mode) ? "flat" : "segmented";
}
