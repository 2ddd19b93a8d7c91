/**
 * Reads the opcode table's text. The table is written as one line per
 * instruction form because that is how manuals print it and how you will
 * search it; this file turns such a line into an `OpcodeRow`.
 *
 * A line is `selector MNEMONIC operands attributes`, all but the first two
 * optional. The selector is `[prefix.]opcode[+][/x]…`:
 *
 * | part | meaning |
 * | --- | --- |
 * | `np.` `66.` `f3.` `f2.` | mandatory prefix; without it any prefix will do |
 * | `B8+` | eight opcodes, the low three bits name a register (Z operands) |
 * | `/0` … `/7` | ModR/M reg field |
 * | `/mem` `/reg` | memory or register only, where the operands do not say so already |
 * | `/rm0` … `/rm7` | ModR/M r/m field, register only |
 * | `/w0` `/w1` `/b0` | REX.W clear or set, REX.B clear |
 *
 * Attributes: `lock` lockable; `i64` invalid in 64-bit mode; `o64` only
 * there; `d64` and `f64` 64-bit operand size by default or by force; `end`
 * ends a basic block; `sys` not for CPL 3; any other word is a feature.
 * Comments run from `;` to the end of the line. Where two lines match, the
 * first one wins, so special cases stand before the general line.
 *
 * Relies on `operand-spec.ts`; `opcode-table.ts` is its only caller.
 *
 * @journey E:114 How to read a line of the opcode table
 */

import type { OpcodeMap, OpcodeRow } from "./instruction.ts";
import { operandsOf, type ParsedOperand } from "./operand-spec.ts";

type Draft = { -readonly [K in keyof OpcodeRow]: OpcodeRow[K] };

/** Methods that are encoded in a ModR/M byte. */
const MODRM_METHODS = "CDEGMNPQRSUVW";

/** Words for `feature` that the tables may use; a typo in a table must not pass as a feature. */
export const FEATURES = [
	"base",
	"x87",
	"tsc",
	"msr",
	"cx8",
	"sep",
	"cmov",
	"clfsh",
	"mmx",
	"fxsr",
	"sse",
	"sse2",
	"sse3",
	"monitor",
	"ssse3",
	"sse41",
	"sse42",
	"cx16",
	"movbe",
	"popcnt",
	"rdrand",
	"bmi1",
	"smap",
	"syscall",
	"rdtscp",
	"lm",
	"abm",
	"3dnowprefetch",
	"cet",
	"vmx",
] as const;

const FEATURE_SET: ReadonlySet<string> = new Set(FEATURES);

/** Appends the rows that `text` describes to `rows`, numbering them on. */
export function readOpcodeText(
	map: OpcodeMap,
	text: string,
	rows: OpcodeRow[],
): void {
	for (const line of text.split("\n")) {
		const comment = line.indexOf(";");
		const code = (comment < 0 ? line : line.slice(0, comment)).trim();
		if (code !== "") rows.push(readLine(map, code, rows.length));
	}
}

function readLine(map: OpcodeMap, line: string, id: number): OpcodeRow {
	const words = line.split(/\s+/);
	const draft: Draft = {
		id,
		map,
		opcode: -1,
		hasModrm: false,
		mnemonic: words[1] ?? "",
		operands: [],
		lockable: false,
		invalidIn64: false,
		only64: false,
		endsBlock: false,
		feature: "base",
		level: "user",
	};
	readSelector(draft, words[0] ?? "");
	for (const word of words.slice(2)) readWord(draft, word);
	inferModrm(draft, operandsOf(draft));
	return draft;
}

function readSelector(draft: Draft, selector: string): void {
	const [head = "", ...parts] = selector.split("/");
	const dot = head.indexOf(".");
	if (dot >= 0) draft.prefix = head.slice(0, dot) as "np" | "66" | "f3" | "f2";
	draft.opcode = Number.parseInt(head.slice(dot + 1), 16);
	draft.hasModrm = parts.some((part) => !/^[wb]/.test(part));
	for (const part of parts) readSelectorPart(draft, part);
}

function readSelectorPart(draft: Draft, part: string): void {
	if (part === "mem") draft.mod = "memory";
	else if (part === "reg") draft.mod = "register";
	else if (part === "w0") draft.rexW = false;
	else if (part === "w1") draft.rexW = true;
	else if (part === "b0") draft.rexB = false;
	else if (part.startsWith("rm")) {
		draft.mod = "register";
		draft.rm = Number(part.slice(2));
	} else draft.extension = Number(part);
}

function readWord(draft: Draft, word: string): void {
	if (word === "lock") draft.lockable = true;
	else if (word === "i64") draft.invalidIn64 = true;
	else if (word === "o64") draft.only64 = true;
	else if (word === "d64") draft.size64 = "default";
	else if (word === "f64") draft.size64 = "force";
	else if (word === "end") draft.endsBlock = true;
	else if (word === "sys") draft.level = "system";
	else if (FEATURE_SET.has(word)) draft.feature = word;
	else draft.operands = word.split(",");
}

/** M, and R, N, U, already say which mod they accept; MOV to and from CR and DR ignores mod altogether. */
function inferModrm(draft: Draft, operands: readonly ParsedOperand[]): void {
	let modIgnored = false;
	let mod = draft.mod;
	for (const { method } of operands) {
		if (MODRM_METHODS.includes(method)) draft.hasModrm = true;
		if (method === "M") mod = "memory";
		if (method === "R" || method === "N" || method === "U") mod = "register";
		if (method === "C" || method === "D") modIgnored = true;
	}
	if (mod !== undefined && !modIgnored) draft.mod = mod;
}
