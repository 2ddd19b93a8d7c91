import { describe, expect, it } from "vitest";
import { DEFAULT_SETUP, fragmentOf, setupsOf } from "./setup.ts";

describe("A link's fragment", () => {
	it("is empty for one guest as it comes, and gives that guest back", () => {
		expect(fragmentOf([DEFAULT_SETUP])).toBe("");
		expect(setupsOf("")).toEqual([DEFAULT_SETUP]);
	});

	it("gives every guest back as it was, whatever its words contain", () => {
		const guests = [
			{ ...DEFAULT_SETUP, memory: 128, append: "a=1;b 2&c #d", net: "lab" },
			{ ...DEFAULT_SETUP, disk: "https://example.org/d?x=1;y", keep: "ä/b" },
			{ ...DEFAULT_SETUP, blank: 64, start: "no" as const },
		];
		expect(setupsOf(fragmentOf(guests))).toEqual(guests);
	});

	it("says nothing that nobody can do", () => {
		const [guest] = setupsOf("memory=1e9&blank=-3&start=perhaps&other=1");
		expect(guest).toEqual(DEFAULT_SETUP);
		expect(setupsOf("blank=99999999")[0]?.blank).toBe(16_384);
		expect(setupsOf(";".repeat(99))).toHaveLength(8);
	});
});
