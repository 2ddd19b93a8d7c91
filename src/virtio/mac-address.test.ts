import { describe, expect, it } from "vitest";
import { UsageError } from "../errors.ts";
import { macFromText, macOfCard } from "./mac-address.ts";

describe("A network card's address", () => {
	it("is read from text, whatever its case", () => {
		expect(macFromText("02:00:00:00:0a:0B")).toEqual(
			Uint8Array.of(2, 0, 0, 0, 10, 11),
		);
	});

	it.each([
		"01:00:00:00:00:01",
		"ff:ff:ff:ff:ff:ff",
		"00:00:00:00:00:00",
		"2:0:0:0:0:1",
		"02-00-00-00-00-01",
		"",
	])("is not %j", (text) => {
		expect(macFromText(text)).toBeUndefined();
	});

	it("is one card's and no maker's if made by chance (IEEE 802)", () => {
		for (const byte of [0x00, 0x55, 0xff]) {
			const mac = macOfCard(undefined, new Uint8Array(5).fill(byte));
			expect(mac).toHaveLength(6);
			expect((mac[0] ?? 0) & 3).toBe(2);
			expect([...mac.subarray(1)]).toEqual(Array(5).fill(byte));
		}
	});

	it("is the given one, or the giver is told what is wrong with it", () => {
		const chance = new Uint8Array(5);
		expect([...macOfCard("02:00:00:00:00:01", chance)]).toEqual([
			...[2, 0, 0, 0, 0, 1],
		]);
		const refused = () => macOfCard("03:00:00:00:00:01", chance);
		expect(refused).toThrow(UsageError);
		expect(refused).toThrow('"03:00:00:00:00:01"');
	});
});
