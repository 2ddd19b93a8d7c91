/**
 * Operand specifications taken apart once, so that neither the decoder nor
 * the generator of semantics ever looks inside a string such as "Ev" while it
 * works: `operandsOf(row)` gives method and type, `operandWidth` gives bits.
 *
 * Relies on `instruction.ts` for the notation; the decoder's plans, the
 * disassembler and semantics rely on it.
 *
 * @journey E:112 Operand specifications
 */

import type {
	Instruction,
	OpcodeRow,
	OperandSpec,
	SizeAttribute,
} from "./instruction.ts";

/** The addressing letters of `instruction.ts`, plus "fixed" for operands the opcode itself names. */
export type OperandMethod =
	| "A"
	| "C"
	| "D"
	| "E"
	| "G"
	| "I"
	| "J"
	| "M"
	| "N"
	| "O"
	| "P"
	| "Q"
	| "R"
	| "S"
	| "U"
	| "V"
	| "W"
	| "X"
	| "Y"
	| "Z"
	| "fixed";

/** One operand of a row, ready for `switch`. */
export interface ParsedOperand {
	readonly spec: OperandSpec;
	readonly method: OperandMethod;
	/** Width type as written ("b", "v", "dq", "512", "" for LEA's M); for fixed operands the name itself ("rAX", "STi", "1"). */
	readonly type: string;
	/** Bits when no attribute matters, -1 when operand or code size decides. */
	readonly fixedWidth: number;
}

const METHODS = "ACDEGIJMNOPQRSUVWXYZ";

/** Operands spelled out in the table, with their bits (-1: by operand size). */
const FIXED_OPERANDS: Readonly<Record<string, number>> = {
	AL: 8,
	CL: 8,
	AX: 16,
	DX: 16,
	eAX: -1,
	rAX: -1,
	ES: 16,
	CS: 16,
	SS: 16,
	DS: 16,
	FS: 16,
	GS: 16,
	ST0: 80,
	STi: 80,
	XMM0: 128,
	"1": 8,
};

/** Types whose width depends on nothing but the letter. */
const TYPE_WIDTHS: Readonly<Record<string, number>> = {
	"": 0,
	b: 8,
	w: 16,
	d: 32,
	q: 64,
	t: 80,
	dq: 128,
	bs: -1,
	v: -1,
	z: -1,
	y: -1,
	p: -1,
	s: -1,
	a: -1,
};

/** Structures that shrink with a 16-bit operand size (Intel SDM vol. 1, "x87 FPU Environment"): bytes at 32 bits → bytes at 16. */
const SHORT_ENVIRONMENT: Readonly<Record<string, number>> = {
	"28": 14,
	"108": 94,
};

const parsedSpecs = new Map<OperandSpec, ParsedOperand>();

/** Splits one specification; throws on one that is not in the notation, for tables are ours, not the guest's. */
export function parseOperandSpec(spec: OperandSpec): ParsedOperand {
	const known = parsedSpecs.get(spec);
	if (known !== undefined) return known;
	const parsed = splitSpec(spec);
	parsedSpecs.set(spec, parsed);
	return parsed;
}

function splitSpec(spec: OperandSpec): ParsedOperand {
	const fixed = FIXED_OPERANDS[spec];
	if (fixed !== undefined) {
		return { spec, method: "fixed", type: spec, fixedWidth: fixed };
	}
	const letter = spec.slice(0, 1);
	const type = spec.slice(1);
	const width = TYPE_WIDTHS[type] ?? structureWidth(type);
	if (!METHODS.includes(letter) || Number.isNaN(width)) {
		throw new Error(`"${spec}" is not an operand specification`);
	}
	return { spec, method: letter as OperandMethod, type, fixedWidth: width };
}

/** A type that is a size in bytes, such as FXSAVE's 512. */
function structureWidth(type: string): number {
	return type in SHORT_ENVIRONMENT ? -1 : Number(type) * 8;
}

const parsedRows = new WeakMap<OpcodeRow, readonly ParsedOperand[]>();

/** The row's operands in order, parsed once per row. */
export function operandsOf(row: OpcodeRow): readonly ParsedOperand[] {
	let operands = parsedRows.get(row);
	if (operands === undefined) {
		operands = row.operands.map(parseOperandSpec);
		parsedRows.set(row, operands);
	}
	return operands;
}

/** What `operandWidth` needs of an instruction; a form has it too. */
export type SizeAttributes = Pick<Instruction, "operandSize" | "codeSize">;

/**
 * Bits the operand has in this instruction: 8 to 128, 80 for x87, 48/80 for
 * pseudo-descriptors, offset + 16 for far pointers, whole structures for
 * FXSAVE and friends, 0 for LEA's untyped M.
 */
export function operandWidth(
	instruction: SizeAttributes,
	spec: OperandSpec,
): number {
	const { fixedWidth, type } = parseOperandSpec(spec);
	return fixedWidth >= 0 ? fixedWidth : attributeWidth(instruction, type);
}

function attributeWidth(
	{ operandSize, codeSize }: SizeAttributes,
	type: string,
): number {
	switch (type) {
		case "z":
		case "eAX":
			return operandSize === 16 ? 16 : 32;
		case "y":
			return operandSize === 64 ? 64 : 32;
		case "p":
			return 16 + operandSize;
		case "s":
			return codeSize === 64 ? 80 : 48;
		case "a":
			return 2 * operandSize;
		case "28":
		case "108":
			return environmentWidth(operandSize, type);
		default: // v, bs, rAX
			return operandSize;
	}
}

function environmentWidth(operandSize: SizeAttribute, type: string): number {
	const bytes = operandSize === 16 ? SHORT_ENVIRONMENT[type] : undefined;
	return 8 * (bytes ?? Number(type));
}
