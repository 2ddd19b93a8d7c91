import { describe, expect, it } from "vitest";
import { OPCODE_TABLE } from "../decode/opcode-table.ts";
import { semanticsOf } from "./index.ts";

/** Features whose every instruction is meant to have semantics in this folder's integer part. */
const INTEGER_FEATURES = new Set(
	"base tsc msr cx8 sep cmov clfsh monitor cx16 movbe popcnt rdrand bmi1 smap syscall rdtscp lm abm 3dnowprefetch cet vmx".split(
		" ",
	),
);

describe("semantics by mnemonic", () => {
	it("has a meaning for every integer and system row of the opcode table", () => {
		const missing = OPCODE_TABLE.filter(
			({ feature, mnemonic }) =>
				INTEGER_FEATURES.has(feature) && semanticsOf(mnemonic) === undefined,
		).map(({ mnemonic }) => mnemonic);
		expect(missing).toEqual([]);
	});

	it("has none for a mnemonic that the table does not know", () => {
		expect(semanticsOf("HCF")).toBeUndefined();
	});

	it("knows every condition under its table spelling", () => {
		for (const prefix of ["J", "SET", "CMOV"]) {
			const rows = OPCODE_TABLE.filter(({ mnemonic }) =>
				new RegExp(`^${prefix}N?(O|B|Z|BE|S|P|L|LE)$`).test(mnemonic),
			);
			expect(rows.length).toBeGreaterThanOrEqual(16);
			for (const { mnemonic } of rows) {
				expect(semanticsOf(mnemonic), mnemonic).toBeTypeOf("function");
			}
		}
	});
});
