/**
 * Roughly what an instruction overwrites, so that the generator knows which
 * registers still hold what it chose. Being wrong here costs nothing but a
 * few more faults.
 *
 * It also knows after which instructions a case must end: those whose result
 * is not compared exactly, and must not flow into another instruction.
 *
 * Relies on encode.ts; cases.ts and compare.ts rely on it.
 *
 * @journey M:632 What an instruction overwrites
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import type { Mode } from "./case.ts";
import type { Encoded } from "./encode.ts";
import { isObservable } from "./rows.ts";
import { Gpr } from "./sequence.ts";

const { AX, CX, DX, BX, SP, BP, SI, DI } = Gpr;

function set(...registers: number[]): number {
	return registers.reduce((bits, register) => bits | (1 << register), 0);
}

/** Registers written beside the first operand. */
const IMPLICIT: Readonly<Record<string, number>> = {
	MUL: set(AX, DX),
	DIV: set(AX, DX),
	IDIV: set(AX, DX),
	CWD: set(DX),
	CBW: set(AX),
	AAA: set(AX),
	AAS: set(AX),
	AAM: set(AX),
	AAD: set(AX),
	DAA: set(AX),
	DAS: set(AX),
	SALC: set(AX),
	LAHF: set(AX),
	XLAT: set(AX),
	CMPXCHG: set(AX),
	CMPXCHG8B: set(AX, DX),
	CMPXCHG16B: set(AX, DX),
	MOVS: set(SI, DI),
	CMPS: set(SI, DI),
	STOS: set(DI),
	SCAS: set(DI),
	LODS: set(AX, SI),
	LOOP: set(CX),
	LOOPZ: set(CX),
	LOOPNZ: set(CX),
	ENTER: set(BP),
	LEAVE: set(BP, SP),
	POPA: set(AX, CX, DX, BX, BP, SI, DI),
	CPUID: set(AX, CX, DX, BX),
	RDTSC: set(AX, DX),
	RDTSCP: set(AX, CX, DX),
	PCMPESTRI: set(CX),
	PCMPISTRI: set(CX),
};

const READ_ONLY_FIRST: ReadonlySet<string> = new Set(
	"CMP TEST BT PUSH JMP CALL NOP MUL DIV IDIV BOUND VERR VERW".split(" "),
);

const SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS"];

function operandRegister(e: Encoded, spec: string): number {
	const byteHigh = spec.endsWith("b") && !e.rex;
	const plain = (register: number) =>
		byteHigh && register >= 4 ? register - 4 : register;
	const method = spec[0] ?? "";
	if (spec === "AL" || spec === "AX" || spec === "rAX" || spec === "eAX")
		return AX;
	if (method === "G") return plain(e.reg);
	if (method === "Z" || method === "R" || method === "E")
		return e.rm < 0 ? -1 : plain(e.rm);
	return -1;
}

/** Bit set of the general registers an instruction may overwrite. */
export function registersWritten(e: Encoded): number {
	const { mnemonic, operands } = e.row;
	let bits = IMPLICIT[mnemonic] ?? 0;
	if (e.rep && operands.some((o) => /^[XY]/.test(o))) bits |= set(CX);
	const exchange = mnemonic === "XCHG" || mnemonic === "XADD";
	const written = READ_ONLY_FIRST.has(mnemonic)
		? []
		: operands.slice(0, exchange ? 2 : 1);
	if (mnemonic === "IMUL" && operands.length === 1) bits |= set(AX, DX);
	for (const spec of written) {
		const register = operandRegister(e, spec);
		if (register >= 0) bits |= 1 << register;
	}
	return bits;
}

/** The segment register an instruction loads, or -1. */
export function segmentWritten(e: Encoded): number {
	const { mnemonic, operands } = e.row;
	const loads = /^L([EDSFG]S)$/.exec(mnemonic);
	if (loads !== null) return SEGMENTS.indexOf(loads[1] as string);
	if (mnemonic === "POP") return SEGMENTS.indexOf(operands[0] ?? "");
	return operands[0] === "Sw" ? e.reg & 7 : -1;
}

/** General registers whose result is not compared, with the reason. */
export const UNCOMPARED_RESULTS: Readonly<
	Record<
		string,
		{ readonly registers: readonly number[]; readonly why: string }
	>
> = {
	CPUID: { registers: [AX, CX, DX, BX], why: "names the processor" },
	RDTSC: { registers: [AX, DX], why: "tells the time" },
	RDTSCP: { registers: [AX, CX, DX], why: "tells the time and the CPU number" },
	RDRAND: {
		registers: [],
		why: "is random; the destination is in the ModR/M byte",
	},
};

/** Results that the manuals give a tolerance for. */
export const APPROXIMATE: ReadonlySet<string> = new Set(
	"F2XM1 FYL2X FYL2XP1 FPTAN FPATAN FSIN FCOS FSINCOS RCPPS RCPSS RSQRTPS RSQRTSS".split(
		" ",
	),
);

/** True if nothing may follow: the result is inexact, or the instruction always faults. */
export function endsCase(row: OpcodeRow, mode: Mode): boolean {
	return (
		APPROXIMATE.has(row.mnemonic) ||
		/^(FNSTENV|FNSAVE|FXSAVE)$/.test(row.mnemonic) ||
		UNCOMPARED_RESULTS[row.mnemonic] !== undefined ||
		!isObservable(row, mode) ||
		/^(INT|INT1|INT3|UD[012])$/.test(row.mnemonic)
	);
}
