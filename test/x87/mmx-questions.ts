/**
 * Questions about MMX, one for each row of the opcode table with an MMX
 * register, in its register and its memory form.
 *
 * @journey M:749 The same for MMX
 */

import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import type { Question } from "./instructions.ts";

const ESCAPES = {
	"1": [],
	"0f": [0x0f],
	"0f38": [0x0f, 0x38],
	"0f3a": [0x0f, 0x3a],
};
const PREFIXES = { np: [], "66": [0x66], f3: [0xf3], f2: [0xf2] } as const;
/** Immediates that reach every field and run past every width. */
const IMMEDIATES = [0, 1, 3, 0x1b, 0x0f, 0x10, 0x1f, 0x3f, 0x40, 0xe4, 0xff];

function questionsOf(row: OpcodeRow): Question[] {
	const specs = row.operands;
	const isMmx = specs.some((spec) => /^[PQN]/.test(spec));
	const isXmm = specs.some((spec) => /^[VWU]/.test(spec));
	if (!isMmx || isXmm || row.mnemonic === "MASKMOVQ") return [];
	const prefix = row.prefix === undefined ? [] : PREFIXES[row.prefix];
	const opcode = [...prefix, ...ESCAPES[row.map], row.opcode];
	const reg = (row.extension ?? 1) << 3;
	const hasRegister = !specs.some((spec) => spec.startsWith("M"));
	const hasMemory = specs.some((spec) => /^[QEM]/.test(spec));
	const takes = specs.includes("Ib") ? IMMEDIATES : [undefined];
	return takes.flatMap((by) => {
		const tail = by === undefined ? [] : [by];
		const name = `${row.mnemonic.toLowerCase()} ${specs.join()} ${tail}`;
		const register: Question = {
			name,
			code: [...opcode, 0xc0 | reg | (row.opcode % 2), ...tail],
			memoryBytes: 0,
		};
		const memory: Question = {
			name: `${name} mem`,
			code: [...opcode, reg | 2, ...tail],
			memoryBytes: 16,
			memory: "integer",
		};
		return [...(hasRegister ? [register] : []), ...(hasMemory ? [memory] : [])];
	});
}

/** All rows but those that SSE's tests cover, and MASKMOVQ, which stores at RDI. */
export const MMX_QUESTIONS: readonly Question[] =
	OPCODE_TABLE.flatMap(questionsOf);
