import { expect, it } from "vitest";
import { PageSet } from "./page-set.ts";

it("holds each page once, and nothing beyond its limit", () => {
	const set = new PageSet(11);
	for (const page of [0, 7, 8, 10, 7, 11, 15, 0xffff_ffff]) set.add(page);
	const held = [0, 1, 7, 8, 9, 10, 11, 15].map((page) => set.has(page));
	expect(held).toEqual([true, false, true, true, false, true, false, false]);
	expect(set.size).toBe(4);
	for (const page of [7, 7, 9, 15, 0xffff_ffff]) set.delete(page);
	expect([set.has(7), set.has(8), set.size]).toEqual([false, true, 3]);
});
