/**
 * What the region builder says of rows of the opcode table by their names, held
 * against what their meanings do: who loads a segment register, and who sets
 * all flags.
 */
import { describe, expect, it } from "vitest";
import { decode } from "../../src/cpu/decode/decoder.ts";
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import {
	ALL_FEATURES,
	OPCODE_TABLE,
} from "../../src/cpu/decode/opcode-table.ts";
import { SET_ALL_FLAGS } from "../../src/cpu/engine/flag-flow.ts";
import {
	declareInstructionImports,
	emitFormWith,
} from "../../src/cpu/engine/instruction-imports.ts";
import { isSegmentLoad } from "../../src/cpu/engine/region-builder.ts";
import { RegionGenerator } from "../../src/cpu/engine/region-generator.ts";
import { readEflags, writeEflags } from "../../src/cpu/flags.ts";
import { KERNELS } from "../../src/cpu/float/index.ts";
import { makeMode } from "../../src/cpu/mode.ts";
import { semanticsOf } from "../../src/cpu/semantics/index.ts";
import { FlatMachine } from "../support/flat-machine.ts";
import { encodeRow } from "../support/row-encodings.ts";
import { CODE, DATA, RAX, RBX, RCX, RDX } from "../support/wide-machine.ts";

const ARITHMETIC = 0x8d5;
const FLAT_32 = makeMode(32, 32, true);

/** The row with each operand size, on registers and on [EBX]. */
function encodings(row: OpcodeRow): Uint8Array[] {
	const reg = (row.extension ?? 1) << 3;
	const shapes = row.hasModrm
		? [[0xc0 | reg | (row.rm ?? 2)], [reg | 3]]
		: [[]];
	return [[], [0x66]].flatMap((prefix) =>
		shapes.map((modrm) => encodeRow(row, { prefix, modrm, rest: 3 })),
	);
}

function decoded(code: Uint8Array) {
	const mode = { codeSize: 32, features: ALL_FEATURES } as const;
	const instruction = decode(code, 0, code.length, mode);
	return typeof instruction === "string" ? undefined : instruction;
}

describe("rows that load a segment register", () => {
	it("are those that are said to, among all that regions take", () => {
		const loading = new Set<OpcodeRow>();
		const meaning = emitFormWith(semanticsOf);
		const generator = new RegionGenerator({
			declareImports: (module) => declareInstructionImports(module, KERNELS),
			emitForm: (e, form) => {
				const system = e.system.bind(e);
				e.system = (name, ...args) => {
					if (name === "LOAD_SEGMENT") loading.add(form.example.row);
					system(name, ...args);
				};
				meaning(e, form);
			},
		});
		const taken = OPCODE_TABLE.filter((row) =>
			encodings(row).some((code) => {
				const instruction = decoded(code);
				return instruction && generator.accepts(instruction, FLAT_32);
			}),
		);
		const said = taken.filter(isSegmentLoad);
		expect(said.length).toBeGreaterThan(5);
		expect(taken.filter((row) => loading.has(row))).toEqual(said);
	});
});

describe("rows that set all flags", () => {
	const rows = OPCODE_TABLE.filter(({ mnemonic }) =>
		SET_ALL_FLAGS.has(mnemonic),
	);
	const machine = new FlatMachine({ width: 32, engine: "cold" });
	machine.map(0x40_0000n, CODE);
	machine.map(0x50_0000n, DATA);

	/** Flags behind an instruction that finds these, its operands being the same each time. */
	function flagsBehind(code: Uint8Array, before: number): number {
		const { cpu } = machine;
		cpu.memory.write(CODE, code);
		cpu.memory.writeU32(DATA, 0x1234_5678);
		machine.start(0x40_0000n, 0x40_0800n);
		writeEflags(cpu.state, before);
		for (const [register, value] of [
			...[
				[RAX, 0x11n],
				[RCX, 0x7fn],
				[RDX, 0x9n],
				[RBX, 0x50_0000n],
			],
		] as [number, bigint][]) {
			machine.setRegister(register, value);
		}
		machine.run(1);
		expect(machine.fault).toBeUndefined();
		return readEflags(cpu.state) & ARITHMETIC;
	}

	it("are there for every name", () => {
		const names = new Set(rows.map(({ mnemonic }) => mnemonic));
		expect(names).toEqual(SET_ALL_FLAGS);
	});

	it.each(
		rows.map(
			(row) => [`${row.mnemonic} ${row.operands.join(", ")}`, row] as const,
		),
	)("leave none as it was: %s", (_, row) => {
		for (const code of encodings(row)) {
			if (decoded(code) === undefined) continue;
			const [none, all] = [0, ARITHMETIC].map((flags) =>
				// ADC and SBB read CF.
				flagsBehind(code, flags & ~1),
			);
			expect(all, Buffer.from(code).toString("hex")).toBe(none);
		}
	});
});
