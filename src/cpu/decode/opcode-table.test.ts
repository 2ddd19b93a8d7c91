import { describe, expect, it } from "vitest";
import type { OpcodeRow } from "./instruction.ts";
import { ALL_FEATURES, OPCODE_TABLE } from "./opcode-table.ts";
import { readOpcodeText } from "./opcode-text.ts";
import { operandsOf } from "./operand-spec.ts";

describe("the opcode table", () => {
	it("numbers its rows densely, in order", () => {
		expect(OPCODE_TABLE.map(({ id }) => id)).toEqual(
			OPCODE_TABLE.map((_, index) => index),
		);
	});

	it("is in opcode order within each of its texts", () => {
		const descents = OPCODE_TABLE.filter((row, i) => {
			const before = OPCODE_TABLE[i - 1];
			return before?.map === row.map && row.opcode < before.opcode;
		});
		// x87 and SIMD start anew behind the rest of their map.
		expect(descents.map(({ mnemonic }) => mnemonic)).toEqual([
			"FADD",
			"MOVUPS",
		]);
	});

	it("has operands in the notation only, and upper-case mnemonics", () => {
		for (const row of OPCODE_TABLE) {
			expect(operandsOf(row).length).toBe(row.operands.length);
			expect(row.mnemonic).toMatch(/^[A-Z][A-Z0-9]+$/);
			expect(row.opcode).toBeGreaterThanOrEqual(0);
		}
	});

	it("uses every feature it declares", () => {
		const used = new Set(OPCODE_TABLE.map(({ feature }) => feature));
		expect([...used].sort()).toEqual([...ALL_FEATURES].sort());
	});

	it("selects no two rows by the same words", () => {
		const selectors = OPCODE_TABLE.map((row) =>
			JSON.stringify([
				row.map,
				row.opcode,
				row.prefix,
				row.extension,
				row.rm,
				row.mod,
				row.rexW,
				row.rexB,
				row.only64,
			]),
		);
		expect(new Set(selectors).size).toBe(selectors.length);
	});

	it("ends blocks at every relative branch", () => {
		const open = OPCODE_TABLE.filter(
			(row) => /^J[bz]$/.test(row.operands[0] ?? "") && !row.endsBlock,
		);
		expect(open).toEqual([]);
	});
});

describe("readOpcodeText", () => {
	function read(line: string): OpcodeRow {
		const rows: OpcodeRow[] = [];
		readOpcodeText("0f", line, rows);
		return rows[0];
	}

	it("reads selectors and attributes", () => {
		expect(
			read("f3.C7/6/rm2/w1 TEST Ev,Ib lock f64 o64 end sys sse2 ; x"),
		).toEqual({
			id: 0,
			map: "0f",
			opcode: 0xc7,
			prefix: "f3",
			extension: 6,
			rm: 2,
			mod: "register",
			rexW: true,
			hasModrm: true,
			mnemonic: "TEST",
			operands: ["Ev", "Ib"],
			lockable: true,
			invalidIn64: false,
			only64: true,
			size64: "force",
			endsBlock: true,
			feature: "sse2",
			level: "system",
		});
	});

	it("infers from operands whether mod must be memory or register", () => {
		expect(read("0 X Gv,M").mod).toBe("memory");
		expect(read("0 X Vdq,Udq").mod).toBe("register");
		expect(read("0 X Cy,Ry").mod).toBeUndefined();
		expect(read("0 X Ev").mod).toBeUndefined();
		expect(read("0 X Zv").hasModrm).toBe(false);
	});

	it("throws on a word that is neither operand nor attribute", () => {
		expect(() => read("0 X sse9")).toThrow('"sse9"');
	});
});
