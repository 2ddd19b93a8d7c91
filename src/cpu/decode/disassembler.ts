/**
 * Intel-syntax text of a decoded instruction, for traces, crash reports and
 * silicon failures: made to be read by people, not to be assembled again.
 *
 * Relies on `operand-spec.ts`; nothing that executes relies on it.
 *
 * @journey E:138 Instructions as text
 */

import {
	type Instruction,
	type MemoryReference,
	SegmentRegister,
} from "./instruction.ts";
import {
	operandsOf,
	operandWidth,
	type ParsedOperand,
} from "./operand-spec.ts";

const WORD_NAMES = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const LOW_NAMES = ["al", "cl", "dl", "bl"];
const HIGH_NAMES = ["ah", "ch", "dh", "bh"];
const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "?", "?"];

const MEMORY_SIZES: Readonly<Record<number, string>> = {
	8: "byte ",
	16: "word ",
	32: "dword ",
	48: "fword ",
	64: "qword ",
	80: "tbyte ",
	128: "oword ",
};

/** Mnemonics whose usual name follows the operand size: 16, 32, 64 bits. */
const SIZED_NAMES: Readonly<Record<string, readonly string[]>> = {
	CBW: ["cbw", "cwde", "cdqe"],
	CWD: ["cwd", "cdq", "cqo"],
	IRET: ["iret", "iretd", "iretq"],
	PUSHF: ["pushf", "pushfd", "pushfq"],
	POPF: ["popf", "popfd", "popfq"],
	PUSHA: ["pusha", "pushad", "pushad"],
	POPA: ["popa", "popad", "popad"],
};

const STRING_SUFFIXES: Readonly<Record<number, string>> = {
	8: "b",
	16: "w",
	32: "d",
	64: "q",
};

/**
 * For example `lock add dword [ebx+ecx*4+0x10], eax`. With `address` (the
 * instruction's own), branch targets are absolute; else they are `$+0x5`.
 */
export function disassemble(
	instruction: Instruction,
	address?: number,
): string {
	const operands = operandsOf(instruction.row)
		.filter(({ method }) => method !== "X" && method !== "Y")
		.map((operand) => operandText(instruction, operand, address));
	const text = `${prefixText(instruction)}${nameOf(instruction)}`;
	return operands.length === 0 || isString(instruction)
		? text
		: `${text} ${operands.join(", ")}`;
}

function isString({ row }: Instruction): boolean {
	return operandsOf(row).some(({ method }) => method === "X" || method === "Y");
}

function prefixText({ lock, rep }: Instruction): string {
	if (lock) return "lock ";
	return rep === "none" ? "" : `${rep} `;
}

function nameOf(instruction: Instruction): string {
	const { row, operandSize, addressSize } = instruction;
	const sized = SIZED_NAMES[row.mnemonic];
	if (sized !== undefined) return sized[sizeIndex(operandSize)];
	if (row.mnemonic === "JCXZ") {
		return ["jcxz", "jecxz", "jrcxz"][sizeIndex(addressSize)];
	}
	const name = row.mnemonic.toLowerCase();
	return isString(instruction) ? name + stringSuffix(instruction) : name;
}

function sizeIndex(size: number): number {
	return size === 16 ? 0 : size === 32 ? 1 : 2;
}

function stringSuffix(instruction: Instruction): string {
	const { row } = instruction;
	const spec = row.operands.find((operand) => /^[XY]/.test(operand)) ?? "Xb";
	const segment =
		row.operands.some((operand) => operand.startsWith("X")) &&
		instruction.segment !== SegmentRegister.DS
			? ` ${SEGMENT_NAMES[instruction.segment]}:`
			: "";
	return STRING_SUFFIXES[operandWidth(instruction, spec)] + segment;
}

function operandText(
	instruction: Instruction,
	operand: ParsedOperand,
	address: number | undefined,
): string {
	const { isRegister, reg, rm } = instruction;
	const width = operandWidth(instruction, operand.spec);
	switch (operand.method) {
		case "fixed":
			return fixedText(instruction, operand.type, width);
		case "E":
		case "R":
			return isRegister
				? generalRegister(rm, width, instruction.rex)
				: memoryText(instruction, width);
		case "M":
			return memoryText(instruction, width);
		case "Q":
		case "N":
			return isRegister ? `mm${rm}` : memoryText(instruction, width);
		case "W":
		case "U":
			return isRegister ? `xmm${rm}` : memoryText(instruction, width);
		case "G":
			return generalRegister(reg, width, instruction.rex);
		case "Z":
			return generalRegister(rm, width, instruction.rex);
		case "P":
			return `mm${reg}`;
		case "V":
			return `xmm${reg}`;
		case "S":
			return SEGMENT_NAMES[reg];
		case "C":
			return `cr${reg}`;
		case "D":
			return `dr${reg}`;
		default:
			return immediateText(instruction, operand, address);
	}
}

function fixedText(
	instruction: Instruction,
	name: string,
	width: number,
): string {
	if (name === "STi") return `st${instruction.rm}`;
	if (name === "eAX" || name === "rAX") return generalRegister(0, width, false);
	return name.toLowerCase();
}

function generalRegister(
	register: number,
	width: number,
	rex: boolean,
): string {
	if (width === 8) return byteRegister(register, rex);
	if (register >= 8) {
		return `r${register}${width === 64 ? "" : width === 32 ? "d" : "w"}`;
	}
	const name = WORD_NAMES[register];
	return width === 64 ? `r${name}` : width === 32 ? `e${name}` : name;
}

function byteRegister(register: number, rex: boolean): string {
	if (register < 4) return LOW_NAMES[register];
	if (!rex) return HIGH_NAMES[register - 4];
	return register < 8 ? `${WORD_NAMES[register]}l` : `r${register}b`;
}

function memoryText(instruction: Instruction, width: number): string {
	const { memory, addressSize } = instruction;
	if (memory === undefined) return "?";
	const size = MEMORY_SIZES[width] ?? "";
	return `${size}[${segmentText(memory)}${addressText(memory, addressSize)}]`;
}

/** Named only where it is not the one that the base implies. */
function segmentText({ segment, base }: MemoryReference): string {
	const implied =
		base === 4 || base === 5 ? SegmentRegister.SS : SegmentRegister.DS;
	return segment === implied ? "" : `${SEGMENT_NAMES[segment]}:`;
}

function addressText(memory: MemoryReference, addressSize: number): string {
	const { base, index, scale, displacement, ripRelative } = memory;
	const parts: string[] = [];
	if (ripRelative) parts.push(addressSize === 64 ? "rip" : "eip");
	if (base >= 0) parts.push(generalRegister(base, addressSize, false));
	if (index >= 0) {
		const name = generalRegister(index, addressSize, false);
		parts.push(scale === 0 ? name : `${name}*${1 << scale}`);
	}
	if (parts.length === 0) return hex(displacement, addressSize);
	if (displacement === 0) return parts.join("+");
	return parts.join("+") + signed(displacement);
}

function immediateText(
	instruction: Instruction,
	{ method, type, spec }: ParsedOperand,
	address: number | undefined,
): string {
	const { immediate, immediateHigh, immediate2, lengthBytes } = instruction;
	if (method === "J") {
		const distance = lengthBytes + immediate;
		return address === undefined
			? `$${signed(distance)}`
			: targetText(instruction, address + distance);
	}
	if (method === "A") return `0x${immediate2.toString(16)}:${hex(immediate)}`;
	if (method === "O") {
		const name = SEGMENT_NAMES[instruction.segment];
		return `[${name}:${hex64(immediate, immediateHigh)}]`;
	}
	if (isSecondImmediate(instruction, spec)) return hex(immediate2);
	if (type === "bs" || type === "z") return shortSigned(instruction);
	return type === "v" && instruction.operandSize === 64
		? hex64(immediate, immediateHigh)
		: hex(immediate, instruction.operandSize);
}

function isSecondImmediate({ row }: Instruction, spec: string): boolean {
	return spec === "Ib" && row.operands[0] === "Iw";
}

/** Small negative numbers read better with a sign, large ones do not. */
function shortSigned({ immediate, operandSize }: Instruction): string {
	if (immediate < 0 && immediate >= -0x1000) return signed(immediate);
	return hex(immediate, operandSize);
}

function targetText({ operandSize }: Instruction, target: number): string {
	if (operandSize === 16) return hex(target & 0xffff);
	return operandSize === 32 ? hex(target) : `0x${target.toString(16)}`;
}

function signed(value: number): string {
	return value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;
}

function hex(value: number, width = 32): string {
	const masked = width === 16 ? value & 0xffff : value >>> 0;
	return `0x${masked.toString(16)}`;
}

function hex64(low: number, high: number): string {
	if (high === 0) return hex(low);
	const digits = (low >>> 0).toString(16).padStart(8, "0");
	return `${hex(high)}${digits}`;
}
