import { describe, expect, it } from "vitest";
import { BareProcessor } from "../../../test/support/bare-processor.ts";
import { encodeRow } from "../../../test/support/row-encodings.ts";
import type { OpcodeRow, SizeAttribute } from "../decode/instruction.ts";
import { OPCODE_TABLE } from "../decode/opcode-table.ts";
import { semanticsOf } from "./index.ts";

/** Prefixes that make other forms of a row: operand size, address size, both, REP, REPNZ, FS. */
const PREFIXES = [[], [0x66], [0x67], [0x66, 0x67], [0xf3], [0xf2], [0x64]];

/** ModR/M bytes that select the row: register, [base], [base+index]. */
function modrmBytes(row: OpcodeRow): number[][] {
	if (!row.hasModrm) return [[]];
	const reg = (row.extension ?? 0) << 3;
	return [[0xc0 | reg | (row.rm ?? 0)], [reg | 3], [reg | 4, 0x0b], [reg | 5]];
}

/** Encodings of the row with every prefix, long enough for any immediate. */
function encodings(row: OpcodeRow, size: SizeAttribute): Uint8Array[] {
	const rexes = size === 64 ? [[], [0x48]] : [[]];
	return PREFIXES.flatMap((prefix) =>
		rexes.flatMap((rex) =>
			modrmBytes(row).map((modrm) => encodeRow(row, { prefix, rex, modrm })),
		),
	);
}

/** Rows for one processor: all their forms together stay below what an engine holds. */
const GROUP = 100;

const known = OPCODE_TABLE.filter(
	({ mnemonic }) => semanticsOf(mnemonic) !== undefined,
);

/** Generates every form of the rows; the mnemonics that were met. */
function generate(
	rows: readonly OpcodeRow[],
	size: SizeAttribute,
): Set<string | undefined> {
	const processor = new BareProcessor(size);
	const stacks = size === 64 ? ([64] as const) : ([16, 32] as const);
	const met = new Set<string | undefined>();
	for (const code of rows.flatMap((row) => encodings(row, size))) {
		for (const stack of stacks) {
			met.add(processor.announce(code, stack, true));
			met.add(processor.announce(code, stack, false));
		}
	}
	// Executing anything generates all that was announced.
	expect(processor.execute([0x90])).toBeUndefined();
	return met;
}

describe.each([16, 32, 64] as const)("forms of %i-bit code", (size) => {
	it("generates valid code for every form whose meaning is known", () => {
		const met = new Set<string | undefined>();
		for (let at = 0; at < known.length; at += GROUP) {
			const rows = known.slice(at, at + GROUP);
			for (const mnemonic of generate(rows, size)) met.add(mnemonic);
		}
		expect(met.size).toBeGreaterThan(150);
	});
});
