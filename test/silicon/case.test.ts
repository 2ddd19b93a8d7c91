import { describe, expect, it } from "vitest";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import { formatCase, parseCase } from "./case.ts";
import { CaseGenerator } from "./cases.ts";
import { descriptorBits, GDT, LDT, ldtSelector } from "./environment.ts";
import { descriptorsHere, oracleUnavailable, runOnSilicon } from "./oracle.ts";
import { rowKey, rowOfKey, whyExcluded } from "./rows.ts";

describe("the text form of a case", () => {
	it("says everything: parsing it gives the same case", () => {
		for (const mode of [32, 64] as const) {
			const generator = new CaseGenerator({ mode, seed: 11 });
			for (let i = 0; i < 200; i++) {
				const test = generator.next();
				// A cut last instruction keeps only the bytes that exist.
				const whole = formatCase(test);
				const again = parseCase(whole);
				expect(formatCase(again)).toBe(whole);
				expect(again.gpr).toEqual(test.gpr);
				expect(again.fx).toEqual(test.fx);
				expect(again.patches).toEqual(test.patches);
				expect([...again.code]).toEqual([...test.code]);
			}
		}
	});

	it("names rows by keys that are unique and can be looked up", () => {
		const keys = OPCODE_TABLE.map(rowKey);
		expect(new Set(keys).size).toBe(keys.length);
		for (const row of OPCODE_TABLE) expect(rowOfKey(rowKey(row))).toBe(row);
	});

	it("refuses a line that it did not print", () => {
		expect(() => parseCase("16 code=0/")).toThrow("no mode");
		expect(() => parseCase("32 code=0/nonsense:90")).toThrow("no row");
		expect(() => parseCase("32 what=1")).toThrow("unknown word");
	});
});

describe("the case generator", () => {
	it("gives the same cases for the same seed, and others for another", () => {
		const lines = (seed: number) => {
			const generator = new CaseGenerator({ mode: 64, seed });
			return Array.from({ length: 20 }, () => formatCase(generator.next()));
		};
		expect(lines(5)).toEqual(lines(5));
		expect(lines(5)).not.toEqual(lines(6));
	});

	it("draws only from the rows asked for", () => {
		const generator = new CaseGenerator({
			mode: 32,
			seed: 1,
			rows: "ADC,0F38*",
		});
		const names = new Set<string>();
		for (let i = 0; i < 200; i++)
			for (const { row } of generator.next().instructions)
				names.add(rowKey(OPCODE_TABLE[row] as (typeof OPCODE_TABLE)[number]));
		expect(names.size).toBeGreaterThan(20);
		for (const name of names) expect(name).toMatch(/^0F38|~ADC$/);
		expect(
			() => new CaseGenerator({ mode: 32, seed: 1, rows: "NONE" }),
		).toThrow();
	});

	it("leaves a row out only for a stated reason, and no user row but what has no encoding of its own or is not the processor's alone to answer", () => {
		for (const mode of [32, 64] as const)
			for (const row of OPCODE_TABLE) {
				const why = whyExcluded(row, mode);
				if (row.level === "system" || row.only64 || row.invalidIn64) continue;
				if (why !== undefined)
					expect(`${rowKey(row)}: ${why}`).toMatch(
						/needs REX|a hypervisor below/,
					);
			}
	});
});

describe("the environment of a case", () => {
	it.skipIf(oracleUnavailable() !== undefined)(
		"names the descriptors that the kernel and the runner really have",
		() => {
			const here = descriptorsHere();
			const entries = [
				...GDT.filter(([selector]) => selector !== 0x78).map(
					(entry) =>
						[entry[0] | 3, here.gdt.includes(entry) ? entry[1] : 0n] as const,
				),
				...LDT.map(
					(d) =>
						[
							ldtSelector(d.entry),
							here.ldt.includes(d) ? descriptorBits(d) : 0n,
						] as const,
				),
			];
			const results = runOnSilicon(
				entries.map(([selector]) =>
					parseCase(
						`64 code=2048/0F02~LAR:0f02c1,0F03~LSL:0f03d1 r1=${selector.toString(16)} seg=2b,2b,0,0`,
					),
				),
			);
			results.forEach((result, i) => {
				const [selector, bits] = entries[i] as (typeof entries)[number];
				const visible =
					(bits & 0x8000_0000_0000n) !== 0n || (selector & 4) !== 0;
				const privilege = (bits >> 45n) & 3n;
				const conforming = ((bits >> 42n) & 3n) === 3n;
				const readable =
					visible && (privilege === 3n || conforming) && bits !== 0n;
				const rights = readable ? (bits >> 32n) & 0xffff00n : 0n;
				const scale = (bits >> 55n) & 1n;
				const limit = (bits & 0xffffn) | ((bits >> 32n) & 0xf0000n);
				const bytes = scale === 0n ? limit : (limit << 12n) | 0xfffn;
				expect([selector, result.gpr[0], result.gpr[2]]).toEqual([
					selector,
					rights,
					readable ? bytes : 0n,
				]);
			});
		},
	);

	it("builds LDT descriptors as the GDT's flat ones are built", () => {
		const code = descriptorBits({
			entry: 0,
			base: 0,
			limit: 0xfffff,
			limitInPages: true,
			is32: true,
			contents: 2,
			restricted: false,
			present: true,
		});
		expect(code).toBe(GDT.find(([selector]) => selector === 0x20)?.[1]);
		const entries = LDT.map(({ entry }) => entry);
		expect(entries).toEqual([...entries.keys()]);
	});
});
