/**
 * Encodes one instruction of a given row: prefixes, REX, ModR/M, SIB,
 * displacement and immediates chosen at random among all that keep the
 * encoding on that row, with addresses steered into the data area.
 *
 * It does not use the project's decoder, which is under test; `selectedRow`
 * is the only check it needs.
 *
 * Relies on addressing.ts, sequence.ts and rows.ts; cases.ts relies on it.
 *
 * @journey M:624 Encoding at random
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import {
	operandsOf,
	operandWidth,
	type ParsedOperand,
} from "../../src/cpu/decode/operand-spec.ts";
import {
	addressSize,
	chooseAddress,
	type Draft,
	defaultSegment,
	SEGMENT_PREFIXES,
} from "./addressing.ts";
import { biasedImmediate, biasedInteger } from "./random.ts";
import { selectedRow } from "./rows.ts";
import type { Sequence } from "./sequence.ts";

const ESCAPES = {
	"1": [],
	"0f": [0x0f],
	"0f38": [0x0f, 0x38],
	"0f3a": [0x0f, 0x3a],
};
const STRING_MNEMONICS: ReadonlySet<string> = new Set([
	"MOVS",
	"CMPS",
	"STOS",
	"LODS",
	"SCAS",
	"INS",
	"OUTS",
]);
const NEAR_BRANCHES: ReadonlySet<string> = new Set([
	"CALL",
	"JMP",
	"RET",
	"LOOP",
	"LOOPZ",
	"LOOPNZ",
	"JCXZ",
]);
/** AMD knows no 64-bit far pointers. */
const NO_REX_W: ReadonlySet<string> = new Set([
	"LSS",
	"LFS",
	"LGS",
	"CALLF",
	"JMPF",
]);

/** Wishes that cases.ts has for one instruction; all optional. */
export interface Wishes {
	/** Register fields. */
	readonly reg?: number;
	readonly rm?: number;
	readonly memory?: boolean;
	/** Immediate or branch displacement. */
	readonly immediate?: number;
	readonly immediate2?: number;
	readonly noRep?: boolean;
	readonly no66?: boolean;
	readonly noRexW?: boolean;
	readonly no67?: boolean;
	/** Segment register to override with, or -1 for no override. */
	readonly override?: number;
}

/** What was encoded, for whoever has to put operands into place. */
export interface Encoded {
	readonly row: OpcodeRow;
	readonly bytes: number[];
	/** Bits. */
	readonly operandSize: 16 | 32 | 64;
	readonly addressSize: 16 | 32 | 64;
	/** Linear address of the memory operand, when it was steered. */
	readonly target: number | undefined;
	/** Bytes of the memory operand, 0 without one. */
	readonly memoryLength: number;
	readonly reg: number;
	/** Register r/m, or the register in the opcode; -1 with a memory operand. */
	readonly rm: number;
	/** RIP-relative displacement: byte in `bytes` or -1, and the offset it should give. */
	readonly ripAt: number;
	readonly ripOffset: number;
	/** Byte of the opcode itself, behind prefixes and escapes. */
	readonly opcodeAt: number;
	/** Byte of the first immediate in `bytes`, and its length. */
	readonly immediateAt: number;
	readonly immediateLength: number;
	readonly rep: boolean;
	readonly rex: boolean;
}

function isString(row: OpcodeRow): boolean {
	return row.map === "1" && STRING_MNEMONICS.has(row.mnemonic);
}

function isNearBranch(row: OpcodeRow): boolean {
	return NEAR_BRANCHES.has(row.mnemonic) || /^J(?!MPF)/.test(row.mnemonic);
}

/** True if 66 chooses another width of the row's operands (or does nothing). */
function may66(s: Sequence, row: OpcodeRow): boolean {
	if (row.prefix === "np" || row.prefix === "66") return false;
	// AMD truncates the target to 16 bits, Intel ignores the prefix.
	if (s.mode === 64 && isNearBranch(row)) return false;
	// BSWAP of 16 bits is undefined.
	if (row.mnemonic === "BSWAP") return false;
	if (row.prefix === undefined) return true;
	return operandsOf(row).some((o) => "vy".includes(o.type) && o.type !== "");
}

function hasMemoryForm(row: OpcodeRow): boolean {
	if (!row.hasModrm || row.mod === "register") return false;
	return !operandsOf(row).some((o) => o.method === "C" || o.method === "D");
}

/** The operand that ModR/M's r/m names. */
function rmOperand(row: OpcodeRow): ParsedOperand | undefined {
	return operandsOf(row).find((o) => "ERMNQUW".includes(o.method));
}

/** The operand that ModR/M's reg names. */
function regOperand(row: OpcodeRow): ParsedOperand | undefined {
	return operandsOf(row).find((o) => "CDGPSV".includes(o.method));
}

/** Registers a field can name: 16 with REX for general, XMM, CR and DR; else 8. */
function registerCount(
	s: Sequence,
	operand: ParsedOperand | undefined,
): number {
	if (operand === undefined || s.mode === 32) return 8;
	return "EGRVWUCDZ".includes(operand.method) ? 16 : 8;
}

/** A segment override or -1; in 64-bit mode only FS and GS do anything. */
function chooseSegment(s: Sequence, w: Wishes, addresses: boolean): number {
	if (w.override !== undefined) return w.override;
	return s.random.chance(addresses ? 0.2 : 0.01) ? s.random.below(6) : -1;
}

function choosePrefixes(s: Sequence, row: OpcodeRow, w: Wishes, d: Draft) {
	const { random } = s;
	const list: number[] = [];
	if (row.prefix === "66" || row.prefix === "f2" || row.prefix === "f3")
		list.push(Number.parseInt(row.prefix, 16));
	const sized = row.operands.some((o) => /^.(v|z|y|p|bs|a|28|108)$|AX/.test(o));
	if (!w.no66 && may66(s, row) && random.chance(sized ? 0.2 : 0.02))
		list.push(0x66);
	if (isString(row)) {
		if (!w.noRep && random.chance(0.6)) list.push(random.pick([0xf2, 0xf3]));
	} else if (
		row.map === "1" &&
		!w.noRep &&
		row.opcode !== 0x90 &&
		// Zen 4 gets lost with a repeat prefix on these.
		!/^LOOPN?Z$/.test(row.mnemonic) &&
		random.chance(0.01)
	)
		list.push(random.pick([0xf2, 0xf3]));
	const addresses = d.modrm < 0xc0 && d.modrm >= 0;
	const uses67 =
		addresses ||
		isString(row) ||
		/^LOOP|^JCXZ|^XLAT/.test(row.mnemonic) ||
		row.operands.some((o) => o.startsWith("O"));
	if (!w.no67 && random.chance(uses67 ? 0.12 : 0.01)) list.push(0x67);
	d.segment = chooseSegment(s, w, uses67);
	if (d.segment >= 0) list.push(SEGMENT_PREFIXES[d.segment] as number);
	d.prefixes = list;
}

function chooseLock(s: Sequence, row: OpcodeRow, d: Draft): void {
	const memory = d.modrm >= 0 && d.modrm < 0xc0;
	const legal = row.lockable && memory;
	if (s.random.chance(legal ? 0.12 : 0.004) && row.level === "user")
		d.prefixes.push(0xf0);
}

function shuffle(s: Sequence, list: number[]): void {
	for (let i = list.length - 1; i > 0; i--) {
		const k = s.random.below(i + 1);
		const other = list[k] as number;
		list[k] = list[i] as number;
		list[i] = other;
	}
}

function operandSize(s: Sequence, row: OpcodeRow, d: Draft): 16 | 32 | 64 {
	if (s.mode === 64) {
		if (d.rex & 8 || row.size64 === "force") return 64;
		if (d.prefixes.includes(0x66)) return 16;
		return row.size64 === "default" ? 64 : 32;
	}
	return d.prefixes.includes(0x66) ? 16 : 32;
}

/** Bytes of the operand in memory. */
function memoryLength(s: Sequence, row: OpcodeRow, d: Draft): number {
	const operand = rmOperand(row);
	if (operand === undefined) return 0;
	const size = operandSize(s, row, d);
	const codeSize = s.mode;
	return operandWidth({ operandSize: size, codeSize }, operand.spec) >> 3;
}

/** Operands that must be 16-byte aligned want an alignment of all 16 bytes; others like their own size. */
function wishedAlignment(s: Sequence, length: number): number {
	if (s.random.chance(0.08)) return 1;
	return length >= 16 ? 16 : length === 10 ? 2 : length || 1;
}

function littleEndian(value: number, length: number): number[] {
	const bytes: number[] = [];
	for (let i = 0; i < length; i++)
		bytes.push(i < 4 ? (value >> (8 * i)) & 0xff : value < 0 ? 0xff : 0);
	return bytes;
}

/** Bytes of an immediate, random unless wished. */
function immediateBytes(
	s: Sequence,
	operand: ParsedOperand,
	size: number,
	wish: number | undefined,
): number[] {
	const random = s.random;
	const make = (bits: 8 | 16 | 32) =>
		littleEndian(wish ?? biasedImmediate(random, bits), bits >> 3);
	switch (operand.type) {
		case "b":
		case "bs":
			return make(8);
		case "w":
			return make(16);
		case "v":
			if (size === 64) {
				const value =
					wish === undefined ? biasedInteger(random, 64) : BigInt(wish);
				return Array.from({ length: 8 }, (_, i) =>
					Number((value >> BigInt(8 * i)) & 0xffn),
				);
			}
			return make(size === 16 ? 16 : 32);
		default:
			return make(size === 16 ? 16 : 32);
	}
}

function moffsBytes(
	s: Sequence,
	d: Draft,
	operand: ParsedOperand,
	size: number,
): number[] {
	const length = operand.type === "b" ? 1 : size >> 3;
	const bits = addressSize(s, d);
	if (bits === 16 && d.segment < 0) {
		d.segment = 4;
		d.prefixes.push(0x64);
	}
	defaultSegment(d, -1);
	d.target = s.target(length, wishedAlignment(s, length));
	return littleEndian(
		d.target - (s.segmentBase(d.segment) ?? 0),
		bits >> 3,
	).map((byte, i) => (i >= 4 ? 0 : byte));
}

function chooseModrm(s: Sequence, row: OpcodeRow, w: Wishes, d: Draft): void {
	const { random } = s;
	if (!row.hasModrm) return;
	const memory =
		hasMemoryForm(row) &&
		(row.mod === "memory" ||
			(w.memory ?? (w.rm === undefined && random.chance(0.5))));
	const reg =
		row.extension ?? w.reg ?? random.below(registerCount(s, regOperand(row)));
	d.modrm = ((reg & 7) << 3) | (memory ? 0 : 0xc0);
	if (reg > 7) d.rex |= 0x44;
	if (memory) return;
	const rm = row.rm ?? w.rm ?? random.below(registerCount(s, rmOperand(row)));
	d.modrm |= rm & 7;
	if (rm > 7) d.rex |= 0x41;
}

function chooseRex(s: Sequence, row: OpcodeRow, w: Wishes, d: Draft): void {
	if (s.mode === 32) return;
	if (row.rexW === true) d.rex |= 0x48;
	else if (row.rexW === undefined && !w.noRexW && !NO_REX_W.has(row.mnemonic)) {
		const sized = row.operands.some((o) => /^.[vy]$|rAX/.test(o));
		if (s.random.chance(sized ? 0.45 : 0.05)) d.rex |= 0x48;
	}
	if (row.rexB === true) d.rex |= 0x41;
	if (s.random.chance(0.05)) d.rex |= 0x40;
}

function chooseOpcode(
	s: Sequence,
	row: OpcodeRow,
	w: Wishes,
	d: Draft,
): number {
	d.opcode = row.opcode;
	if (!row.operands.some((o) => o.startsWith("Z"))) return -1;
	let register = w.rm ?? s.random.below(s.mode === 64 ? 16 : 8);
	if (row.rexB === true) register = 8;
	if (row.opcode === 0x90 && (register & 7) === 0 && row.rexB !== true)
		register = 1 + s.random.below(7);
	d.opcode = (row.opcode & ~7) | (register & 7);
	if (register > 7) d.rex |= 0x41;
	return register;
}

/**
 * Encodes the row, or returns undefined if the choices led to another row
 * (rare; try again). Registers and memory of `s` are decided on the way.
 */
export function encode(
	s: Sequence,
	row: OpcodeRow,
	wishes: Wishes = {},
): Encoded | undefined {
	const d: Draft = {
		prefixes: [],
		rex: 0,
		opcode: row.opcode,
		modrm: -1,
		sib: -1,
		displacement: 0,
		displacementLength: 0,
		ripRelative: false,
		target: undefined,
		segment: -1,
	};
	chooseModrm(s, row, wishes, d);
	const opcodeRegister = chooseOpcode(s, row, wishes, d);
	choosePrefixes(s, row, wishes, d);
	chooseLock(s, row, d);
	chooseRex(s, row, wishes, d);
	const size = operandSize(s, row, d);
	const memory = d.modrm >= 0 && d.modrm < 0xc0;
	const length = memory ? memoryLength(s, row, d) : 0;
	if (memory) chooseAddress(s, d, s.target(length, wishedAlignment(s, length)));
	return assemble(s, row, wishes, d, size, length, opcodeRegister);
}

function assemble(
	s: Sequence,
	row: OpcodeRow,
	wishes: Wishes,
	d: Draft,
	size: 16 | 32 | 64,
	length: number,
	opcodeRegister: number,
): Encoded | undefined {
	const immediates: number[] = [];
	let immediateLength = 0;
	let count = 0;
	for (const operand of operandsOf(row)) {
		if (operand.method === "O")
			immediates.push(...moffsBytes(s, d, operand, size));
		if (
			operand.method !== "I" &&
			operand.method !== "J" &&
			operand.method !== "A"
		)
			continue;
		const wish = count === 0 ? wishes.immediate : wishes.immediate2;
		immediates.push(...immediateBytes(s, operand, size, wish));
		if (operand.method === "A")
			immediates.push(
				...littleEndian(wishes.immediate2 ?? s.random.bits32(), 2),
			);
		if (count++ === 0) immediateLength = immediates.length;
	}
	shuffle(s, d.prefixes);
	const bytes = [...d.prefixes];
	if (d.rex) bytes.push(d.rex | 0x40);
	bytes.push(...ESCAPES[row.map], d.opcode);
	const opcodeAt = bytes.length - 1;
	if (d.modrm >= 0) bytes.push(d.modrm);
	if (d.sib >= 0) bytes.push(d.sib);
	const ripAt = d.ripRelative ? bytes.length : -1;
	bytes.push(...littleEndian(d.displacement, d.displacementLength));
	const immediateAt = bytes.length;
	bytes.push(...immediates);
	const selected = selectedRow(row.map, {
		opcode: d.opcode,
		has66: d.prefixes.includes(0x66),
		hasF3: d.prefixes.includes(0xf3),
		hasF2: d.prefixes.includes(0xf2),
		rexW: (d.rex & 8) !== 0,
		rexB: (d.rex & 1) !== 0,
		modrm: d.modrm,
		mode: s.mode,
	});
	if (selected !== row || bytes.length > 15) return undefined;
	const isRegister = d.modrm >= 0xc0;
	const segmentKnown = d.segment < 0 || s.segmentBase(d.segment) !== undefined;
	return {
		row,
		bytes,
		operandSize: size,
		addressSize: addressSize(s, d),
		target: segmentKnown ? d.target : undefined,
		memoryLength: length,
		reg: d.modrm < 0 ? -1 : ((d.modrm >> 3) & 7) | (d.rex & 4 ? 8 : 0),
		rm: isRegister ? (d.modrm & 7) | (d.rex & 1 ? 8 : 0) : opcodeRegister,
		ripAt,
		ripOffset: (d.target ?? 0) - (s.segmentBase(d.segment) ?? 0),
		opcodeAt,
		immediateAt,
		immediateLength,
		rep: d.prefixes.includes(0xf2) || d.prefixes.includes(0xf3),
		rex: d.rex !== 0,
	};
}
