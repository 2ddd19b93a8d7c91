import { describe, expect, it } from "vitest";
import { GuestFault } from "../exceptions.ts";
import { segmentOffset } from "../state.ts";
import { isCanonical, linear32, linear64 } from "./linear-address.ts";

const SS = segmentOffset(2);
const DS = segmentOffset(3);

function vectorOf(action: () => unknown): number {
	try {
		action();
	} catch (fault) {
		if (fault instanceof GuestFault) return fault.vector;
		throw fault;
	}
	return -1;
}

describe("linear32", () => {
	it("refuses flat accesses beyond 4 GiB, by stack fault through SS", () => {
		expect(linear32(-4, 4, DS)).toBe(0xffff_fffc);
		expect(vectorOf(() => linear32(-3, 4, DS))).toBe(13);
		expect(vectorOf(() => linear32(-3, 4, SS))).toBe(12);
	});

	it("lets accesses wrap whose limit was checked already", () => {
		expect(linear32(-3, 4, 0)).toBe(0xffff_fffd);
	});
});

describe("linear64", () => {
	it("takes both canonical halves and drops the repeated sign", () => {
		expect(linear64(0x1000, 0x7fff, 8, DS)).toBe(0x7fff_0000_1000);
		expect(linear64(0, 0xffff_8000 | 0, 8, DS)).toBe(0x8000_0000_0000);
	});

	it("refuses what is between them, first byte or last", () => {
		expect(vectorOf(() => linear64(0, 0x8000, 1, DS))).toBe(13);
		expect(vectorOf(() => linear64(0, 0x8000, 1, SS))).toBe(12);
		expect(vectorOf(() => linear64(-4, 0x7fff, 4, DS))).toBe(-1);
		expect(vectorOf(() => linear64(-4, 0x7fff, 8, DS))).toBe(13);
	});

	it("knows canonical upper halves", () => {
		const highs = [0, 0x7fff, 0x8000, -0x8000, -0x8001, -1];
		const known = highs.map((high) => isCanonical(high | 0));
		expect(known).toEqual([true, true, false, true, false, true]);
	});
});
