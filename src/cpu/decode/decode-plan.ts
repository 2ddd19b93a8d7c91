/**
 * A decode plan is an opcode row boiled down to what the decoder asks: small
 * integers and flags instead of strings and optional fields. One plan per
 * row, made when a row is first reached.
 *
 * Relies on `operand-spec.ts`; only `dispatch.ts` and `decoder.ts` know plans.
 *
 * @journey E:130 What the decoder asks of a row
 */

import type { OpcodeRow } from "./instruction.ts";
import { operandsOf, type ParsedOperand } from "./operand-spec.ts";

/** What follows ModR/M and displacement. */
export const ImmediateKind = {
	NONE: 0,
	/** One byte, zero-extended. */
	IB: 1,
	/** One byte, sign-extended (Ibs, Jb). */
	IBS: 2,
	/** Two bytes, zero-extended. */
	IW: 3,
	/** Two or four bytes by operand size, sign-extended (Iz, Jz). */
	IZ: 4,
	/** Two, four or eight bytes by operand size. */
	IV: 5,
	/** ENTER: a word, then a byte. */
	IW_IB: 6,
	/** An address of the address size. */
	OFFSET: 7,
	/** Offset by operand size, then a selector. */
	FAR: 8,
} as const;

const IMMEDIATE_KINDS: Readonly<Record<string, number>> = {
	Ib: ImmediateKind.IB,
	Ibs: ImmediateKind.IBS,
	Jb: ImmediateKind.IBS,
	Iw: ImmediateKind.IW,
	Iz: ImmediateKind.IZ,
	Jz: ImmediateKind.IZ,
	Iv: ImmediateKind.IV,
	Ob: ImmediateKind.OFFSET,
	Ov: ImmediateKind.OFFSET,
	Ap: ImmediateKind.FAR,
};

/** Which reg fields exist, for the methods that do not cover all of them. */
export const RegCheck = {
	NONE: 0,
	/** Six segment registers. */
	SEGMENT: 1,
	/** The same, as destination: CS cannot be loaded. */
	SEGMENT_LOAD: 2,
	/** CR0, CR2, CR3, CR4, CR8. */
	CONTROL: 3,
	/** DR0 to DR7. */
	DEBUG: 4,
} as const;

/** How 64-bit mode chooses the operand size. */
export const Size64 = { NORMAL: 0, DEFAULT: 1, FORCE: 2 } as const;

/** Register files with eight members ignore REX. */
const EIGHT_BY_REG = "PS";
const EIGHT_BY_RM = "QN";
const VECTOR = "PQNVWU";

/** See the file comment; all fields are plain so that V8 sees one shape. */
export class DecodePlan {
	readonly row: OpcodeRow;
	/** -1: any; else required r/m (with mod = 3), REX.W, REX.B. */
	readonly rm: number;
	readonly rexW: number;
	readonly rexB: number;
	/** False for nearly all plans: skips the three checks above. */
	readonly conditional: boolean;
	readonly immediateKind: number;
	readonly regMask: number;
	readonly rmMask: number;
	readonly regCheck: number;
	readonly size64: number;
	/** MMX and SSE rows: 66 does not mean operand size, only REX.W counts. */
	readonly ignores66: boolean;
	/** MOV to and from CR and DR: r/m is a register whatever mod says. */
	readonly modIgnored: boolean;
	readonly isString: boolean;
	readonly hasZ: boolean;
	readonly lockable: boolean;

	constructor(row: OpcodeRow) {
		const operands = operandsOf(row);
		this.row = row;
		this.rm = row.rm ?? -1;
		this.rexW = row.rexW === undefined ? -1 : Number(row.rexW);
		this.rexB = row.rexB === undefined ? -1 : Number(row.rexB);
		this.conditional = this.rm >= 0 || this.rexW >= 0 || this.rexB >= 0;
		this.immediateKind = immediateKindOf(row);
		this.regMask = uses(operands, EIGHT_BY_REG) ? 7 : 15;
		this.rmMask =
			uses(operands, EIGHT_BY_RM) || row.operands.includes("STi") ? 7 : 15;
		this.regCheck = regCheckOf(operands);
		this.size64 =
			row.size64 === "force"
				? Size64.FORCE
				: row.size64 === "default"
					? Size64.DEFAULT
					: Size64.NORMAL;
		this.modIgnored = uses(operands, "CD");
		this.ignores66 = uses(operands, VECTOR) || this.modIgnored;
		this.isString = uses(operands, "XY");
		this.hasZ = uses(operands, "Z");
		this.lockable = row.lockable;
	}
}

function uses(operands: readonly ParsedOperand[], methods: string): boolean {
	return operands.some(({ method }) => methods.includes(method));
}

function immediateKindOf(row: OpcodeRow): number {
	if (row.operands.join() === "Iw,Ib") return ImmediateKind.IW_IB;
	for (const spec of row.operands) {
		const kind = IMMEDIATE_KINDS[spec];
		if (kind !== undefined) return kind;
	}
	return ImmediateKind.NONE;
}

function regCheckOf(operands: readonly ParsedOperand[]): number {
	if (operands[0]?.method === "S") return RegCheck.SEGMENT_LOAD;
	if (uses(operands, "S")) return RegCheck.SEGMENT;
	if (uses(operands, "C")) return RegCheck.CONTROL;
	return uses(operands, "D") ? RegCheck.DEBUG : RegCheck.NONE;
}

const plans = new WeakMap<OpcodeRow, DecodePlan>();

/** The row's plan; the same object each time. */
export function planOf(row: OpcodeRow): DecodePlan {
	let plan = plans.get(row);
	if (plan === undefined) {
		plan = new DecodePlan(row);
		plans.set(row, plan);
	}
	return plan;
}
