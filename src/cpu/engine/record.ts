/**
 * Pre-decoded records: one instruction as the cold engine reads it, 32 bytes
 * in the arena.
 *
 * | offset | width | meaning |
 * | --- | --- | --- |
 * | 0 | 2 | handler number |
 * | 2 | 2 | offset of the instruction in its page |
 * | 4 | 1 | length in bytes |
 * | 5 | 1 | log2 of the index scale |
 * | 6 | 2 | reg operand: state offset of the register, or its number (S, C, D) |
 * | 8 | 2 | r/m operand: state offset (or number of an x87 register); base register with memory |
 * | 10 | 2 | index register: state offset |
 * | 12 | 4 | displacement, sign-extended by whoever needs 64 bits |
 * | 16 | 8 | immediate, sign-extended; of x87 instructions, which have none, the opcode as FOP remembers it |
 * | 24 | 4 | second immediate (ENTER, far pointers), or record of a branch target in the same page |
 * | 28 | 2 | state offset of the data segment register |
 * | 30 | 2 | how often a branch came here, modulo 2^16 (profiling loop only) |
 *
 * A region's record has the address of its page list in the first half of the
 * immediate, and the number of its pages in the second.
 *
 * Absent registers name the state's ZERO slot, so that an effective address is
 * the same sum for every instruction.
 *
 * @journey E:440 Instructions as records
 */

import type { Instruction } from "../decode/instruction.ts";
import { operandsOf } from "../decode/operand-spec.ts";
import { FPR, GPR, gprOffset, segmentOffset, XMM, ZERO } from "../state.ts";

/** Encoding number of the stack pointer. */
const RSP = 4;

export const RECORD_BYTES = 32;
export const RECORD_HANDLER = 0;
export const RECORD_PAGE_OFFSET = 2;
export const RECORD_LENGTH = 4;
export const RECORD_SCALE = 5;
export const RECORD_REG = 6;
export const RECORD_RM = 8;
export const RECORD_BASE = 8;
export const RECORD_INDEX = 10;
export const RECORD_DISPLACEMENT = 12;
export const RECORD_IMMEDIATE = 16;
export const RECORD_LINK = 24;
export const RECORD_IMMEDIATE2 = 24;
export const RECORD_SEGMENT = 28;
export const RECORD_COUNT = 30;
export const RECORD_X87_OPCODE = RECORD_IMMEDIATE;
export const RECORD_PAGES = RECORD_IMMEDIATE;
export const RECORD_PAGE_COUNT = RECORD_IMMEDIATE + 4;

/** An entry of a page list: distance from the region's first page, host address of the page (4 bytes each). */
export const PAGE_ENTRY_BYTES = 8;

/** Handler numbers that are no instruction; the loop has them built in. */
export const HANDLER_STALE = 0;
/** Goes on at the page offset of the record (the next page's first bytes). */
export const HANDLER_CROSS = 1;
/** Goes on at the linked record. */
export const HANDLER_GOTO = 2;
/** The next record straddles pages: goes on if the second page still is the one in DISPLACEMENT (host address). */
export const HANDLER_STRADDLE = 3;
/** Raises the exception in IMMEDIATE (vector, then 1 with an error code of 0): bytes that are no instruction. */
export const HANDLER_FAULT = 4;
/** Runs the region in table slot DISPLACEMENT if the pages in PAGES are where they were; LINK is the record that it stands before. */
export const HANDLER_REGION = 5;
export const PSEUDO_HANDLERS = 6;

/**
 * Writes an instruction's record at a byte address. By whole words, for records
 * are made by the hundred thousand while the code that makes them is still cold.
 */
export function writeRecord(
	words: Int32Array,
	at: number,
	handler: number,
	pageOffset: number,
	instruction: Instruction,
): void {
	const { memory, lengthBytes, immediate } = instruction;
	const first = at >> 2;
	const reg = regSlot(instruction) << 16;
	words[first] = handler | (pageOffset << 16);
	if (memory === undefined) {
		words[first + 1] = lengthBytes | reg;
		words[first + 2] = rmSlot(instruction);
		words[first + 3] = 0;
	} else {
		const scale = memory.index < 0 ? 0 : memory.scale;
		words[first + 1] = lengthBytes | (scale << 8) | reg;
		const index = addressSlot(memory.index) << 16;
		words[first + 2] = addressSlot(memory.base) | index;
		words[first + 3] = displacementOf(instruction);
	}
	words[first + 4] = isX87(instruction) ? x87Opcode(instruction) : immediate;
	words[first + 5] = instruction.immediateHigh;
	words[first + 6] = instruction.immediate2;
	words[first + 7] = segmentOffset(memory?.segment ?? instruction.segment);
}

/** D8 to DF; not by feature, for FISTTP came with SSE3. */
function isX87({ row }: Instruction): boolean {
	return row.map === "1" && (row.opcode & 0xf8) === 0xd8;
}

/** Low three opcode bits and ModR/M byte (Intel SDM vol. 1, "Fopcode"). */
function x87Opcode({ row, modrm }: Instruction): number {
	return ((row.opcode & 7) << 8) | (modrm & 0xff);
}

/** A record with a handler and a place, all else zero. */
export function writePseudoRecord(
	words: Int32Array,
	at: number,
	handler: number,
	pageOffset: number,
): void {
	const first = at >> 2;
	words[first] = handler | (pageOffset << 16);
	for (let i = 1; i < RECORD_BYTES / 4; i++) words[first + i] = 0;
}

/**
 * POP addresses its destination with rSP as it is after the pop (Intel SDM
 * vol. 2, POP). Moving the displacement instead lets semantics check the
 * write while rSP is still untouched.
 */
export function displacementOf(instruction: Instruction): number {
	const { row, memory } = instruction;
	if (memory === undefined) return 0;
	const late = row.mnemonic === "POP" && memory.base === RSP;
	return memory.displacement + (late ? instruction.operandSize / 8 : 0);
}

function addressSlot(register: number): number {
	return register < 0 ? ZERO.offset : GPR.offset + register * 8;
}

/** Where the reg field's operand lives. */
function regSlot(instruction: Instruction): number {
	for (const { method, type } of operandsOf(instruction.row)) {
		switch (method) {
			case "G":
				return registerSlot(instruction, instruction.reg, type);
			case "V":
				return XMM.offset + instruction.reg * XMM.stride;
			case "P":
				return FPR.offset + (instruction.reg & 7) * FPR.stride;
			case "S":
			case "C":
			case "D":
				return instruction.reg;
		}
	}
	return 0;
}

/** Where the r/m field's register operand lives. */
function rmSlot(instruction: Instruction): number {
	const { rm } = instruction;
	for (const { method, type } of operandsOf(instruction.row)) {
		switch (method) {
			case "E":
			case "R":
			case "Z":
				return registerSlot(instruction, rm, type);
			case "W":
			case "U":
				return XMM.offset + rm * XMM.stride;
			case "Q":
			case "N":
				return FPR.offset + (rm & 7) * FPR.stride;
			case "fixed":
				if (type === "STi") return rm;
		}
	}
	return 0;
}

function registerSlot(
	instruction: Instruction,
	register: number,
	type: string,
): number {
	return gprOffset(register, type === "b" ? 8 : 32, instruction.rex);
}
