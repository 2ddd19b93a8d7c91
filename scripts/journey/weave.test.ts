import { describe, expect, it } from "vitest";
import type { Passage } from "./passages.ts";
import { checkPassages, weave } from "./weave.ts";

const passage = (id: string, prose = "Something.", path = "src/a.ts") =>
	({ id, title: "Title", path, line: 1, prose, code: "" }) satisfies Passage;

describe("checkPassages", () => {
	it("has nothing to say about a sound journey", () => {
		expect(
			checkPassages(
				[passage("P:100"), passage("H:010", "Go on (see P:100).")],
				["src/a.ts"],
			),
		).toEqual([]);
	});

	it.each([
		["a number used twice", [passage("P:100"), passage("P:100")], /taken/],
		["a chapter nobody knows", [passage("Z:100")], /no chapter/],
		["a link to nowhere", [passage("P:100", "(see H:999)")], /H:999/],
		["empty prose", [passage("P:100", "")], /says nothing/],
		["endless prose", [passage("P:100", "x\n".repeat(99))], /two screens/],
	])("complains about %s", (_what, passages, complaint) => {
		expect(checkPassages(passages, [])).toEqual([
			expect.stringMatching(complaint),
		]);
	});

	it("complains about a source that no passage tells of", () => {
		expect(checkPassages([passage("P:100")], ["src/a.ts", "src/b.ts"])).toEqual(
			["src/b.ts: no @journey passage"],
		);
	});
});

describe("weave", () => {
	it("orders passages by part and number and links to their files", () => {
		const text = weave([
			passage("H:020", "Last (see P:100)."),
			passage("P:200"),
			passage("P:100"),
		]);
		const positions = ["P:100", "P:200", "H:020"].map((id) =>
			text.indexOf(`### ${id}`),
		);
		expect(positions).toEqual([...positions].sort((a, b) => a - b));
		expect(text).toContain("[src/a.ts](../src/a.ts)");
		expect(text).toContain("Last (see [P:100](#p100)).");
	});
});
