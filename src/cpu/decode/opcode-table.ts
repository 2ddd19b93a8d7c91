/**
 * The opcode table: every instruction form this processor knows, in opcode
 * order map by map. It is the one list that decoder, semantics, silicon
 * harness and documentation share; what is not in it is #UD.
 *
 * Left out on purpose: VEX, EVEX and XOP encodings, AES and PCLMUL, 3DNow!,
 * VMX and SVM beyond the two hypercall instructions, MPX, XSAVE, and what
 * only the 386 and 486 had (test registers, XBTS, LOADALL).
 *
 * Relies on `opcode-text.ts` to read the lines; nearly everything in `cpu`
 * relies on it.
 *
 * @journey E:128 The opcode table
 */

import type { OpcodeRow } from "./instruction.ts";
import { FEATURES, readOpcodeText } from "./opcode-text.ts";
import { OPCODES_0F } from "./opcodes-0f.ts";
import { OPCODES_0F3A } from "./opcodes-0f3a.ts";
import { OPCODES_0F38 } from "./opcodes-0f38.ts";
import { ONE_BYTE_OPCODES } from "./opcodes-one-byte.ts";
import { SIMD_OPCODES_0F } from "./opcodes-simd.ts";
import { X87_OPCODES } from "./opcodes-x87.ts";

/** All rows; `OPCODE_TABLE[row.id] === row`. */
export const OPCODE_TABLE: readonly OpcodeRow[] = readTable();

/** Every feature a row can belong to: what `decode` enables unless told otherwise. */
export const ALL_FEATURES: ReadonlySet<string> = new Set(FEATURES);

function readTable(): OpcodeRow[] {
	const rows: OpcodeRow[] = [];
	readOpcodeText("1", ONE_BYTE_OPCODES, rows);
	readOpcodeText("1", X87_OPCODES, rows);
	readOpcodeText("0f", OPCODES_0F, rows);
	readOpcodeText("0f", SIMD_OPCODES_0F, rows);
	readOpcodeText("0f38", OPCODES_0F38, rows);
	readOpcodeText("0f3a", OPCODES_0F3A, rows);
	return rows;
}
