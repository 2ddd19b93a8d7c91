import { describe, expect, it } from "vitest";
import {
	amlDevice,
	amlEisaId,
	amlInteger,
	amlIoPorts,
	amlName,
	amlPackage,
	amlResources,
	amlScope,
	amlString,
} from "./aml.ts";

const hex = (bytes: readonly number[]) =>
	bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

describe("AML writer", () => {
	it("writes integers in the shortest form", () => {
		expect(hex(amlInteger(0))).toBe("00");
		expect(hex(amlInteger(1))).toBe("01");
		expect(hex(amlInteger(0xff))).toBe("0a ff");
		expect(hex(amlInteger(0x100))).toBe("0b 00 01");
		expect(hex(amlInteger(0xfedc1234))).toBe("0c 34 12 dc fe");
		expect(hex(amlInteger(0x1_0000_0000))).toBe("0e 00 00 00 00 01 00 00 00");
	});

	it("compresses PnP identifiers as EisaId does", () => {
		expect(hex(amlEisaId("PNP0501"))).toBe("0c 41 d0 05 01");
	});

	it("pads name segments and marks paths of several", () => {
		expect(hex(amlName("\\_S5", amlInteger(0)))).toBe("08 5c 5f 53 35 5f 00");
		expect(hex(amlScope("\\_SB.PCI0"))).toBe(
			"10 0b 5c 2e 5f 53 42 5f 50 43 49 30",
		);
		expect(hex(amlScope("\\A.B.C")).slice(0, 14)).toBe("10 10 5c 2f 03");
	});

	it("counts the length bytes in a package's length, at every size of them", () => {
		const lengthOf = (n: number) => {
			const bytes = amlPackage(amlString("x".repeat(n)));
			const first = bytes[1] ?? 0;
			const following = first >> 6;
			let length = following === 0 ? first : first & 0xf;
			for (let i = 0; i < following; i++) {
				length |= (bytes[2 + i] ?? 0) << (4 + 8 * i);
			}
			return length === bytes.length - 1 ? following : -1;
		};
		expect([59, 60, 4090, 4091, 70000].map(lengthOf)).toEqual([0, 1, 1, 2, 2]);
	});

	it("ends resource templates with an end tag inside the buffer", () => {
		expect(hex(amlResources(amlIoPorts(0x3f8, 8)))).toBe(
			"11 0d 0a 0a 47 01 f8 03 f8 03 01 08 79 00",
		);
	});

	it("writes devices behind the extended prefix", () => {
		expect(hex(amlDevice("COM1"))).toBe("5b 82 05 43 4f 4d 31");
	});
});
