/**
 * Instructions that begin alike have records alike: whoever has the same head
 * (prefix, opcode, ModR/M and SIB) in the same mode differs in displacement and
 * immediate only. So the decoder is asked once for each head, and its record is
 * a pattern for the others. A guest that boots has some two hundred thousand
 * instructions decoded, of a few thousand heads.
 *
 * Only what is frequent is learned: up to one prefix, one or two opcode bytes,
 * 32-bit addressing forms, no immediate or one of up to four bytes. All else is
 * the decoder's, which also is who finds out what is no instruction.
 *
 * A pattern, in words:
 *
 * | word | meaning |
 * | --- | --- |
 * | 0 | the head, little-endian, zeros behind it |
 * | 1 | number of head bytes << 8, mode; 0 = no pattern |
 * | 2 | its shape, see `PatternShape` |
 * | 3 | unused |
 * | 4..11 | the record |
 *
 * @journey E:445 Once for all that begin alike
 */

import type { Instruction } from "../decode/instruction.ts";
import { readInt16, readInt32 } from "../decode/modrm.ts";
import { OPCODE_TABLE } from "../decode/opcode-table.ts";
import { operandsOf, type ParsedOperand } from "../decode/operand-spec.ts";
import { MODE_CODE_64, MODE_CODE_SIZE, type Mode } from "../mode.ts";
import {
	displacementOf,
	RECORD_BYTES,
	RECORD_DISPLACEMENT,
	RECORD_IMMEDIATE,
	writeRecord,
} from "./record.ts";

/** What is to be known of an instruction beside its record. */
export const PatternShape = {
	/** Always set. */
	KNOWN: 1 << 0,
	ENDS_BLOCK: 1 << 1,
	/** Its immediate is the distance of a branch. */
	BRANCH: 1 << 2,
	/** Its immediate is sign-extended. */
	SIGNED: 1 << 3,
} as const;
/** Bytes of displacement and immediate, in the shape from these bits on. */
const DISPLACEMENT_SHIFT = 4;
const IMMEDIATE_SHIFT = 8;
const LENGTH_MASK = 7;

const INDEX_BITS = 12;
const PATTERN_WORDS = 12;
const RECORD_AT = 4;
const RECORD_WORDS = RECORD_BYTES / 4;
const DISPLACEMENT_WORD = RECORD_DISPLACEMENT / 4;
const IMMEDIATE_WORD = RECORD_IMMEDIATE / 4;

/** Which bytes of a word are a head, by how many. */
const HEAD_MASKS = [0, 0xff, 0xffff, 0xff_ffff, -1];
const MOST_HEAD_BYTES = 4;
/** 2^32 divided by the golden ratio: spreads what differs in few bits. */
const SPREAD = 0x9e37_79b1;

/** First of two opcode bytes. */
const ESCAPE = 0x0f;
const LEGACY_PREFIXES = [
	0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0xf0, 0xf2, 0xf3,
];
/** First ModR/M byte without a memory operand, and the r/m field that a SIB byte follows. */
const FIRST_REGISTER_FORM = 0xc0;
const RM_SIB = 4;

/** What a byte is at the start of an instruction; opcodes behind 0F from 256 on. */
const Opening = { ELSE: 0, PREFIX: 1, OPCODE: 2, OPCODE_MODRM: 3 } as const;

const OPENINGS_32 = openings(false);
const OPENINGS_64 = openings(true);

function openings(is64: boolean): Uint8Array {
	const table = new Uint8Array(512);
	for (const { map, opcode, operands, ...row } of OPCODE_TABLE) {
		const isTwoByte = map === "0f";
		const exists = is64 ? !row.invalidIn64 : !row.only64;
		if (!exists || !(isTwoByte || map === "1")) continue;
		const first = opcode + (isTwoByte ? 256 : 0);
		const namesRegister = operands.some((spec) => spec.startsWith("Z"));
		table.fill(
			row.hasModrm ? Opening.OPCODE_MODRM : Opening.OPCODE,
			first,
			first + (namesRegister ? 8 : 1),
		);
	}
	for (const byte of LEGACY_PREFIXES) table[byte] = Opening.PREFIX;
	if (is64) table.fill(Opening.PREFIX, 0x40, 0x50);
	return table;
}

/** The patterns of one guest. */
export class RecordPatterns {
	readonly #patterns = new Int32Array(PATTERN_WORDS << INDEX_BITS);
	/** The head that `#readHead` has read. */
	#head = 0;
	#headBytes = 0;

	/** Handler numbers mean something else from now on. */
	clear(): void {
		this.#patterns.fill(0);
	}

	/**
	 * Writes the record of the instruction at `bytes[at]`, of which 15 bytes must
	 * be there, to byte address `record`. The value is its shape, or 0: nothing
	 * that begins like that is known, and nothing has been written.
	 */
	write(
		bytes: Uint8Array,
		at: number,
		mode: Mode,
		words: Int32Array,
		record: number,
		pageOffset: number,
	): number {
		if (!this.#readHead(bytes, at, mode)) return 0;
		const patterns = this.#patterns;
		const pattern = this.#place();
		const key = (this.#headBytes << 8) | mode;
		if (patterns[pattern] !== this.#head || patterns[pattern + 1] !== key) {
			return 0;
		}
		const to = record >> 2;
		for (let i = 0; i < RECORD_WORDS; i++) {
			words[to + i] = patterns[pattern + RECORD_AT + i] as number;
		}
		words[to] = (words[to] as number) | (pageOffset << 16);
		const shape = patterns[pattern + 2] as number;
		fillIn(words, to, shape, bytes, at + this.#headBytes);
		return shape;
	}

	/** Remembers what the decoder made of the bytes at `bytes[at]`, if it is of the frequent kind. */
	learn(
		bytes: Uint8Array,
		at: number,
		mode: Mode,
		handler: number,
		instruction: Instruction,
	): void {
		if (!this.#readHead(bytes, at, mode)) return;
		const shape = shapeOf(instruction, this.#headBytes);
		if (shape === 0) return;
		const pattern = this.#place();
		this.#patterns[pattern] = this.#head;
		this.#patterns[pattern + 1] = (this.#headBytes << 8) | mode;
		this.#patterns[pattern + 2] = shape;
		const record = (pattern + RECORD_AT) * 4;
		writeRecord(this.#patterns, record, handler, 0, instruction);
	}

	/** False = nothing of the frequent kind begins like that. */
	#readHead(bytes: Uint8Array, at: number, mode: Mode): boolean {
		const is64 = (mode & MODE_CODE_SIZE) === MODE_CODE_64;
		const table = is64 ? OPENINGS_64 : OPENINGS_32;
		let next = at;
		if (table[bytes[next] as number] === Opening.PREFIX) next++;
		let opcode = bytes[next++] as number;
		if (opcode === ESCAPE) opcode = 256 + (bytes[next++] as number);
		const opening = table[opcode] as number;
		if (opening < Opening.OPCODE) return false;
		if (opening === Opening.OPCODE_MODRM) {
			const modrm = bytes[next++] as number;
			if (modrm < FIRST_REGISTER_FORM && (modrm & 7) === RM_SIB) next++;
		}
		this.#headBytes = next - at;
		if (this.#headBytes > MOST_HEAD_BYTES) return false;
		const mask = HEAD_MASKS[this.#headBytes] as number;
		this.#head = readInt32(bytes, at) & mask;
		return true;
	}

	#place(): number {
		const index = Math.imul(this.#head, SPREAD) >>> (32 - INDEX_BITS);
		return index * PATTERN_WORDS;
	}
}

function fillIn(
	words: Int32Array,
	first: number,
	shape: number,
	bytes: Uint8Array,
	at: number,
): void {
	const skipped = (shape >> DISPLACEMENT_SHIFT) & LENGTH_MASK;
	if (skipped !== 0) {
		words[first + DISPLACEMENT_WORD] = readSigned(bytes, at, skipped);
	}
	const length = (shape >> IMMEDIATE_SHIFT) & LENGTH_MASK;
	if (length === 0) return;
	const value = readSigned(bytes, at + skipped, length);
	const isSigned = (shape & PatternShape.SIGNED) !== 0;
	const unused = 32 - 8 * length;
	words[first + IMMEDIATE_WORD] = isSigned
		? value
		: (value << unused) >>> unused;
	words[first + IMMEDIATE_WORD + 1] = isSigned ? value >> 31 : 0;
}

function readSigned(bytes: Uint8Array, at: number, length: number): number {
	if (length === 1) return ((bytes[at] as number) << 24) >> 24;
	return length === 2 ? readInt16(bytes, at) : readInt32(bytes, at);
}

/** 0 = it is none of the frequent kind. */
function shapeOf(instruction: Instruction, headBytes: number): number {
	const { row, memory, addressSize, lengthBytes } = instruction;
	const displacement = memory?.displacement ?? 0;
	if (addressSize === 16 || displacementOf(instruction) !== displacement) {
		return 0;
	}
	const displacementBytes = displacementBytesOf(instruction);
	const immediateBytes = lengthBytes - headBytes - displacementBytes;
	const immediates = operandsOf(row).filter(({ method }) =>
		"AIJO".includes(method),
	);
	if (immediates.length > 1 || immediates[0]?.method === "A") return 0;
	const isLearned =
		immediates.length === 0
			? immediateBytes === 0
			: [1, 2, 4].includes(immediateBytes);
	if (!isLearned) return 0;
	return (
		PatternShape.KNOWN |
		(row.endsBlock ? PatternShape.ENDS_BLOCK : 0) |
		immediateFlags(immediates[0]) |
		(displacementBytes << DISPLACEMENT_SHIFT) |
		(immediateBytes << IMMEDIATE_SHIFT)
	);
}

function immediateFlags(operand: ParsedOperand | undefined): number {
	if (operand === undefined) return 0;
	const { method, type } = operand;
	if (method === "J") return PatternShape.BRANCH | PatternShape.SIGNED;
	// Offsets are addresses; bytes and words say so if they have a sign.
	const isSigned = method === "I" && type !== "b" && type !== "w";
	return isSigned ? PatternShape.SIGNED : 0;
}

/** Intel SDM vol. 2, "32-Bit Addressing Forms with the ModR/M Byte". */
function displacementBytesOf({ memory, modrm }: Instruction): number {
	if (memory === undefined) return 0;
	const mod = modrm >> 6;
	if (mod === 0) return memory.base < 0 ? 4 : 0;
	return mod === 1 ? 1 : 4;
}
