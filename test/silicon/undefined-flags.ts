/**
 * Which arithmetic flags an instruction reads, defines and leaves undefined
 * (Intel SDM vol. 1, appendix A, "EFLAGS Cross-Reference", and each mnemonic's
 * "Flags Affected"). Undefined flags are not compared, and the generator lets
 * no instruction read one, for then the difference would spread.
 *
 * What silicon leaves "undefined" it computes somehow, but two processors may
 * differ, so neither is wrong. The x87 condition codes C0, C2, C3 that manuals
 * call undefined are compared nevertheless: every processor leaves them as
 * they were.
 *
 * Relies on rows.ts; generator and comparer rely on it.
 *
 * @journey M:618 Flags that nobody defines
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import type { Mode } from "./case.ts";
import { ARITHMETIC_FLAGS, Flag } from "./environment.ts";

const { CF, PF, AF, ZF, SF, OF } = Flag;
const ALL = ARITHMETIC_FLAGS;

/** Masks of EFLAGS bits. A flag in none of them stays as it was. */
export interface FlagEffects {
	readonly reads: number;
	/** Surely written with a value the manual gives. */
	readonly defines: number;
	/** Written in some cases only, with a value the manual gives. */
	readonly mayDefine: number;
	/** Possibly written with a value that no manual gives. */
	readonly undefines: number;
}

const NONE: FlagEffects = { reads: 0, defines: 0, mayDefine: 0, undefines: 0 };

function defines(mask: number, reads = 0): FlagEffects {
	return { ...NONE, reads, defines: mask };
}

/** Defines `mask`; every other arithmetic flag but `kept` becomes undefined. */
function definesOnly(mask: number, kept = 0, reads = 0): FlagEffects {
	return { ...NONE, reads, defines: mask, undefines: ALL & ~mask & ~kept };
}

function readsOnly(reads: number): FlagEffects {
	return { ...NONE, reads };
}

/** What a condition code (the last letters of Jcc, SETcc, CMOVcc) looks at. */
const CONDITION_READS: Readonly<Record<string, number>> = {
	O: OF,
	B: CF,
	Z: ZF,
	BE: CF | ZF,
	S: SF,
	P: PF,
	L: SF | OF,
	LE: SF | OF | ZF,
};

/** Mnemonics whose effect does not depend on operands. */
const FIXED: Readonly<Record<string, FlagEffects>> = {
	ADD: defines(ALL),
	SUB: defines(ALL),
	CMP: defines(ALL),
	NEG: defines(ALL),
	CMPXCHG: defines(ALL),
	XADD: defines(ALL),
	ADC: defines(ALL, CF),
	SBB: defines(ALL, CF),
	INC: defines(ALL & ~CF),
	DEC: defines(ALL & ~CF),
	// Logic clears OF and CF; the adder that makes AF is not used.
	AND: definesOnly(ALL & ~AF),
	OR: definesOnly(ALL & ~AF),
	XOR: definesOnly(ALL & ~AF),
	TEST: definesOnly(ALL & ~AF),
	// Only "does the result fit" is defined.
	MUL: definesOnly(OF | CF),
	IMUL: definesOnly(OF | CF),
	DIV: definesOnly(0),
	IDIV: definesOnly(0),
	AAA: definesOnly(AF | CF, 0, AF),
	AAS: definesOnly(AF | CF, 0, AF),
	AAM: definesOnly(SF | ZF | PF),
	AAD: definesOnly(SF | ZF | PF),
	DAA: definesOnly(ALL & ~OF, 0, AF | CF),
	DAS: definesOnly(ALL & ~OF, 0, AF | CF),
	BT: definesOnly(CF, ZF),
	BTS: definesOnly(CF, ZF),
	BTR: definesOnly(CF, ZF),
	BTC: definesOnly(CF, ZF),
	BSF: definesOnly(ZF),
	BSR: definesOnly(ZF),
	TZCNT: definesOnly(ZF | CF),
	LZCNT: definesOnly(ZF | CF),
	POPCNT: defines(ALL),
	CLC: defines(CF),
	STC: defines(CF),
	CMC: defines(CF, CF),
	SALC: readsOnly(CF),
	SAHF: defines(ALL & ~OF),
	LAHF: readsOnly(ALL & ~OF),
	PUSHF: readsOnly(ALL),
	POPF: defines(ALL),
	IRET: defines(ALL),
	INTO: readsOnly(OF),
	LOOPZ: readsOnly(ZF),
	LOOPNZ: readsOnly(ZF),
	ARPL: defines(ZF),
	LAR: defines(ZF),
	LSL: defines(ZF),
	VERR: defines(ZF),
	VERW: defines(ZF),
	CMPXCHG8B: defines(ZF),
	CMPXCHG16B: defines(ZF),
	COMISS: defines(ALL),
	COMISD: defines(ALL),
	UCOMISS: defines(ALL),
	UCOMISD: defines(ALL),
	FCOMI: defines(ALL),
	FCOMIP: defines(ALL),
	FUCOMI: defines(ALL),
	FUCOMIP: defines(ALL),
	PTEST: defines(ALL),
	PCMPESTRM: defines(ALL),
	PCMPESTRI: defines(ALL),
	PCMPISTRM: defines(ALL),
	PCMPISTRI: defines(ALL),
	RDRAND: defines(ALL),
	FCMOVB: readsOnly(CF),
	FCMOVNB: readsOnly(CF),
	FCMOVE: readsOnly(ZF),
	FCMOVNE: readsOnly(ZF),
	FCMOVBE: readsOnly(CF | ZF),
	FCMOVNBE: readsOnly(CF | ZF),
	FCMOVU: readsOnly(PF),
	FCMOVNU: readsOnly(PF),
};

/** What the prefixes before the opcode say. */
export interface Prefixes {
	readonly has66: boolean;
	readonly hasRep: boolean;
	readonly rexW: boolean;
	/** Where the opcode (with its 0F) starts. */
	readonly opcodeAt: number;
}

/** Skips legacy and REX prefixes. */
export function scanPrefixes(bytes: Uint8Array, mode: Mode): Prefixes {
	let has66 = false;
	let hasRep = false;
	let rexW = false;
	let at = 0;
	for (; at < bytes.length; at++) {
		const byte = bytes[at] as number;
		if (mode === 64 && (byte & 0xf0) === 0x40) {
			rexW = (byte & 8) !== 0;
			continue;
		}
		if (byte === 0x66) has66 = true;
		else if (byte === 0xf2 || byte === 0xf3) hasRep = true;
		else if (![0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0xf0].includes(byte))
			break;
		rexW = false;
	}
	return { has66, hasRep, rexW, opcodeAt: at };
}

/** Count of a shift: masked immediate, 1, or undefined when CL says. */
function shiftCount(
	row: OpcodeRow,
	bytes: Uint8Array,
	width: number,
): number | undefined {
	const last = row.operands[row.operands.length - 1];
	if (last === "1") return 1;
	if (last !== "Ib") return undefined;
	return (bytes[bytes.length - 1] as number) & (width === 64 ? 63 : 31);
}

/** Shifts and rotates: nothing for a zero count; OF only defined for 1. */
function shiftEffects(
	row: OpcodeRow,
	bytes: Uint8Array,
	prefixes: Prefixes,
): FlagEffects {
	const width =
		row.operands[0] === "Eb"
			? 8
			: prefixes.rexW
				? 64
				: prefixes.has66
					? 16
					: 32;
	const rotate = row.mnemonic.startsWith("R");
	const carryIn = row.mnemonic.startsWith("RC") ? CF : 0;
	const count = shiftCount(row, bytes, width);
	const double = row.mnemonic === "SHLD" || row.mnemonic === "SHRD";
	// The bit that would go to CF has left the operand. SAR fills with the sign.
	const noCarry = !rotate && row.mnemonic !== "SAR" && width < 32;
	if (count === 0) return { ...NONE, reads: carryIn };
	if (count === undefined)
		return {
			reads: carryIn,
			defines: 0,
			mayDefine: rotate ? CF : CF | SF | ZF | PF,
			undefines:
				OF |
				(rotate ? 0 : AF) |
				(noCarry ? CF : 0) |
				(double && width < 32 ? ALL : 0),
		};
	if (double && count > width) return { ...NONE, undefines: ALL };
	const defined =
		(count === 1 ? OF : 0) |
		(rotate ? 0 : SF | ZF | PF) |
		(noCarry && count >= width && !(double && count === width) ? 0 : CF);
	const touched = rotate ? CF | OF : ALL;
	return {
		reads: carryIn,
		defines: defined,
		mayDefine: 0,
		undefines: touched & ~defined,
	};
}

const SHIFTS: ReadonlySet<string> = new Set(
	"ROL ROR RCL RCR SHL SHR SAR SHLD SHRD".split(" "),
);

function conditionReads(mnemonic: string): number {
	const match = /^(?:J|SET|CMOV)(N?)(O|BE|B|Z|S|P|LE|L)$/.exec(mnemonic);
	return match === null ? 0 : (CONDITION_READS[match[2] as string] ?? 0);
}

/** The effects of one encoded instruction on the arithmetic flags. */
export function flagEffects(
	row: OpcodeRow,
	bytes: Uint8Array,
	mode: Mode,
): FlagEffects {
	if (row.mnemonic === "JCXZ") return NONE;
	if (SHIFTS.has(row.mnemonic))
		return shiftEffects(row, bytes, scanPrefixes(bytes, mode));
	// CMPSD is also an SSE comparison, which leaves EFLAGS alone.
	if (row.map === "1" && (row.mnemonic === "CMPS" || row.mnemonic === "SCAS"))
		// A repeat count of zero leaves all flags, so nothing is sure.
		return scanPrefixes(bytes, mode).hasRep
			? { ...NONE, mayDefine: ALL }
			: defines(ALL);
	const fixed = FIXED[row.mnemonic];
	if (fixed !== undefined) return fixed;
	const reads = conditionReads(row.mnemonic);
	return reads === 0 ? NONE : readsOnly(reads);
}
