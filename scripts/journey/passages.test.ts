import { describe, expect, it } from "vitest";
import { brokenTagsOf, declarationAt, passagesOf } from "./passages.ts";

const source = `/**
 * What this file does.
 *
 * @journey P:120 The file
 */
import { a } from "./a.ts";

/**
 * First look left.
 * Then look right.
 *
 * @journey H:010 Crossing a road
 */
export function cross(road: Road): void {
	for (const side of road.sides) look(side, "}");
}

class Car {
	/** @journey H:020 Brakes prose
	 * They stop it.
	 */
	brake(): void {}
}
`;

describe("passagesOf", () => {
	const passages = passagesOf("src/x.ts", source);

	it("takes a file's opening as prose without code", () => {
		expect(passages[0]).toEqual({
			id: "P:120",
			title: "The file",
			path: "src/x.ts",
			line: 1,
			prose: "What this file does.",
			code: "",
		});
	});

	it("takes the declaration under a comment along, and no more", () => {
		expect(passages[1]).toMatchObject({
			prose: "First look left.\nThen look right.",
			code: 'export function cross(road: Road): void {\n\tfor (const side of road.sides) look(side, "}");\n}',
		});
	});

	it("leaves the code away where the tag says prose", () => {
		expect(passages[2]).toMatchObject({
			id: "H:020",
			title: "Brakes",
			prose: "They stop it.",
			code: "",
		});
	});

	it("ends an assembly passage at the next blank line", () => {
		const text =
			"; x\n/* Say hello.\n * @journey G:010 Hello */\nmov al, 'h'\nout dx, al\n\nhlt\n";
		expect(passagesOf("guests/a.s", text)).toEqual([
			{
				id: "G:010",
				title: "Hello",
				path: "guests/a.s",
				line: 2,
				prose: "Say hello.",
				code: "mov al, 'h'\nout dx, al",
			},
		]);
	});
});

describe("declarationAt", () => {
	it.each([
		["\nconst a = [\n\t1,\n];\nconst b = 2;\n", "const a = [\n\t1,\n];"],
		['\ntype A =\n\t| "a"\n\t| "b";\nlet c;\n', 'type A =\n\t| "a"\n\t| "b";'],
		["\nconst r = /[}{/]/;\nconst s = 1;\n", "const r = /[}{/]/;"],
		["\nconst t = `}`;\nconst s = 1;\n", "const t = `}`;"],
		[
			"\nfunction f(\n\ta: number, // }\n): void {\n\tg();\n}\n\nfunction h() {}\n",
			"function f(\n\ta: number, // }\n): void {\n\tg();\n}",
		],
		["\n\tlast: number;\n}\n", "last: number;"],
	])("finds where the declaration in %j ends", (text, expected) => {
		expect(declarationAt(text)).toBe(expected);
	});

	it("finds none when a blank line comes first", () => {
		expect(declarationAt("\n\nconst a = 1;\n")).toBe("");
	});
});

describe("brokenTagsOf", () => {
	it("names a tag that the weaver would lose", () => {
		expect(brokenTagsOf("a.ts", "/**\n * @journey H120 Title\n */")).toEqual([
			"a.ts:2: not a journey tag: @journey H120 Title",
		]);
		expect(brokenTagsOf("a.ts", source)).toEqual([]);
	});
});
