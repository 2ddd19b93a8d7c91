/**
 * Encodings of rows of the opcode table, for tests that go through all of them.
 * Relies on the table's vocabulary.
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";

const LONGEST = 15;
const ESCAPES: Readonly<Record<OpcodeRow["map"], readonly number[]>> = {
	"1": [],
	"0f": [0x0f],
	"0f38": [0x0f, 0x38],
	"0f3a": [0x0f, 0x3a],
};
const MANDATORY = { np: [], "66": [0x66], f3: [0xf3], f2: [0xf2] } as const;

interface Parts {
	readonly prefix?: readonly number[];
	readonly rex?: readonly number[];
	/** ModR/M byte and what belongs to it. */
	readonly modrm?: readonly number[];
	/** Each byte behind, as many as there may be: immediates. */
	readonly rest?: number;
}

/** An encoding of a row, and more bytes than it has. */
export function encodeRow(
	{ map, opcode, prefix: mandatory }: OpcodeRow,
	{ prefix = [], rex = [], modrm = [], rest = 0 }: Parts,
): Uint8Array {
	const required = mandatory === undefined ? [] : MANDATORY[mandatory];
	const prefixes = [...prefix, ...required, ...rex];
	const bytes = [...prefixes, ...ESCAPES[map], opcode, ...modrm];
	const code = new Uint8Array(LONGEST).fill(rest);
	code.set(bytes);
	return code;
}
