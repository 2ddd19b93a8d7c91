import { describe, expect, it } from "vitest";
import { checkLayers, findCycles, importsOf } from "./layers.ts";

const check = (files: Record<string, string>) =>
	checkLayers(new Map(Object.entries(files)));

describe("the layer check", () => {
	it("lets a layer import what its row names", () => {
		expect(
			check({
				"memory/guest-memory.ts": "export const a = 1;\n",
				"virtio/virtqueue.ts":
					'import { a } from "../memory/guest-memory.ts";\n',
			}),
		).toEqual([]);
	});

	it("names file, line, layer and target of an import across a boundary", () => {
		expect(
			check({
				"chipset/pit-8254.ts":
					'\nimport { Virtqueue } from "../virtio/virtqueue.ts";\n',
			}),
		).toEqual([
			"src/chipset/pit-8254.ts:2: chipset/ may not import virtio/virtqueue.ts",
		]);
	});

	it("lets decode and semantics see each other's types only", () => {
		const target = '"../decode/instruction.ts";\n';
		expect(
			check({ "cpu/semantics/a.ts": `import type { A } from ${target}` }),
		).toEqual([]);
		expect(
			check({ "cpu/semantics/a.ts": `import { a } from ${target}` }),
		).toHaveLength(1);
	});

	it("keeps packages and Node's modules out of the core", () => {
		expect(
			check({ "boot/elf.ts": 'import { readFile } from "node:fs";\n' }),
		).toHaveLength(1);
		expect(
			check({ "node/cli.ts": 'import { readFile } from "node:fs";\n' }),
		).toEqual([]);
		expect(
			check({ "node/cli.ts": 'import { x } from "left-pad";\n' }),
		).toHaveLength(1);
	});

	it("asks a new folder to say where it stands", () => {
		expect(check({ "sound/beep.ts": "" })).toEqual([
			"src/sound/beep.ts: no row of scripts/layers.ts covers it",
		]);
	});

	it("finds cycles among values, not among types", () => {
		const a = 'import { b } from "./b.ts";\n';
		expect(
			check({ "wasm/a.ts": a, "wasm/b.ts": 'import { a } from "./a.ts";\n' }),
		).toEqual(["cycle: wasm/a.ts → wasm/b.ts → wasm/a.ts"]);
		expect(
			check({
				"wasm/a.ts": a,
				"wasm/b.ts": 'import type { A } from "./a.ts";\n',
			}),
		).toEqual([]);
	});
});

describe("the wall-time check", () => {
	it("lets only the clock and the embedders look at the time", () => {
		const files = { "machine/clock.ts": "performance.now();\n" };
		expect(check(files)).toEqual([]);
		expect(check({ "chipset/rtc.ts": "\nconst t = Date.now();\n" })).toEqual([
			"src/chipset/rtc.ts:2: Date.now belongs in machine/clock.ts",
		]);
	});

	it("does not mind comments that speak of it", () => {
		expect(check({ "chipset/rtc.ts": " * not Date.now()\n" })).toEqual([]);
	});
});

describe("findCycles", () => {
	it("does not take two ways to the same place for a cycle", () => {
		expect(
			findCycles(
				new Map([
					["a", ["b", "c"]],
					["b", ["d"]],
					["c", ["d"]],
					["d", []],
				]),
			),
		).toEqual([]);
	});
});

describe("importsOf", () => {
	it("sees imports over several lines, re-exports, bare and dynamic ones", () => {
		const text = `import {
	a,
	b,
} from "./one.ts";
export type { C } from "./two.ts";
import "./three.ts";
const four = await import("./four.ts");
const notAnImport = 'from "./five.ts"';
`;
		expect(importsOf(text)).toEqual([
			{ from: "./one.ts", typeOnly: false, line: 1 },
			{ from: "./two.ts", typeOnly: true, line: 5 },
			{ from: "./three.ts", typeOnly: false, line: 6 },
			{ from: "./four.ts", typeOnly: false, line: 7 },
		]);
	});
});
