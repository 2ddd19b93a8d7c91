/**
 * Every SSE row that works on registers alone, encoded with XMM0, XMM1, MM0, RAX and
 * RCX as its operands.
 */

import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";

/** One encoding of a row. */
export interface Sample {
	readonly name: string;
	readonly row: OpcodeRow;
	readonly code: Uint8Array;
}

const PREFIXES = { np: [], "66": [0x66], f3: [0xf3], f2: [0xf2] };
const MAPS = {
	"1": [],
	"0f": [0x0f],
	"0f38": [0x0f, 0x38],
	"0f3a": [0x0f, 0x3a],
};

function isSse({ feature, operands, mod, mnemonic }: OpcodeRow): boolean {
	return (
		feature.startsWith("sse") &&
		mod !== "memory" &&
		operands.some((o) => /^[VWU]/.test(o)) &&
		!operands.some((o) => o.startsWith("M")) &&
		mnemonic !== "MASKMOVDQU"
	);
}

function encode(row: OpcodeRow, wide: boolean, immediate: number): Uint8Array {
	const { prefix = "np", map, opcode, extension, operands } = row;
	const rex = wide ? [0x48] : [];
	// reg and r/m are 0 and 1, or 1 and 0 to reach MM0 in r/m.
	const swapped = operands.some((o) => /^[QN]/.test(o));
	const reg = extension ?? (swapped ? 1 : 0);
	const modrm = 0xc0 | (reg << 3) | (swapped ? 0 : 1);
	const tail = operands.includes("Ib") ? [immediate] : [];
	return Uint8Array.of(
		...PREFIXES[prefix],
		...rex,
		...MAPS[map],
		opcode,
		modrm,
		...tail,
	);
}

/** All samples; rows with an immediate byte once for each of `immediatesOf(row)`. */
export function samples(
	immediatesOf: (row: OpcodeRow) => readonly number[],
): Sample[] {
	return OPCODE_TABLE.filter(isSse).flatMap((row) => {
		const sizes = row.operands.some((o) => /^[EG]y/.test(o))
			? [false, true]
			: [false];
		const immediates = row.operands.includes("Ib") ? immediatesOf(row) : [0];
		return sizes.flatMap((wide) =>
			immediates.map((immediate) => {
				const code = encode(row, wide, immediate);
				const hex = Buffer.from(code).toString("hex");
				return { name: `${row.mnemonic} ${hex}`, row, code };
			}),
		);
	});
}
