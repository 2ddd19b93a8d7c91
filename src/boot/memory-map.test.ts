import { describe, expect, it } from "vitest";
import {
	alignUp,
	buildMemoryMap,
	E820_ACPI,
	E820_RAM,
	E820_RESERVED,
	findFreeRam,
	isRam,
	ramTop,
} from "./memory-map.ts";

const MIB = 0x100000;

describe("the memory map", () => {
	it("has low memory up to the EBDA, the ROM area reserved, and RAM from 1 MiB on", () => {
		expect(buildMemoryMap(256 * MIB)).toEqual([
			{ address: 0, lengthBytes: 0x9fc00, type: E820_RAM },
			{ address: 0x9fc00, lengthBytes: 0x400, type: E820_RESERVED },
			{ address: 0xf0000, lengthBytes: 0x10000, type: E820_RESERVED },
			{ address: MIB, lengthBytes: 255 * MIB, type: E820_RAM },
		]);
	});

	it("cuts the machine's own ranges out of RAM", () => {
		const acpi = {
			address: 200 * MIB,
			lengthBytes: 0x10000,
			type: E820_ACPI,
		};
		const map = buildMemoryMap(256 * MIB, { reserved: [acpi] });
		expect(map.slice(3)).toEqual([
			{ address: MIB, lengthBytes: 199 * MIB, type: E820_RAM },
			acpi,
			{
				address: 200 * MIB + 0x10000,
				lengthBytes: 56 * MIB - 0x10000,
				type: E820_RAM,
			},
		]);
		expect(isRam(map, 199 * MIB, MIB)).toBe(true);
		expect(isRam(map, 199 * MIB, MIB + 1)).toBe(false);
	});

	it("refuses 1 MiB with advice", () => {
		expect(() => buildMemoryMap(MIB)).toThrow(
			expect.objectContaining({
				message: expect.stringContaining("1 MiB of guest memory is too little"),
				hint: expect.stringContaining("--memory"),
				exitStatus: 2,
			}),
		);
	});

	it("refuses RAM that would reach into the device addresses below 4 GiB", () => {
		expect(() => buildMemoryMap(0xe0000000 + MIB)).toThrow(/too much/);
		expect(ramTop(buildMemoryMap(0xe0000000))).toBe(0xe0000000);
	});
});

describe("finding free RAM", () => {
	const map = buildMemoryMap(16 * MIB);
	const request = {
		lengthBytes: 0x1800,
		alignBytes: 0x1000,
		minAddress: 0,
		endAddress: 2 ** 32,
	};

	it("takes the highest aligned place that ends inside RAM", () => {
		expect(findFreeRam(map, { ...request, prefer: "highest" })).toBe(
			16 * MIB - 0x2000,
		);
	});

	it("goes around what is occupied", () => {
		const occupied = [{ address: 0, lengthBytes: 0x9e001 }];
		const low = { ...request, occupied, prefer: "lowest" } as const;
		expect(findFreeRam(map, low)).toBe(MIB);
	});

	it("says when there is no room", () => {
		const tooBig = { ...request, lengthBytes: 16 * MIB };
		expect(findFreeRam(map, { ...tooBig, prefer: "lowest" })).toBeUndefined();
	});

	it("treats touching RAM ranges as one", () => {
		const split = [
			{ address: 0, lengthBytes: 0x1000, type: E820_RAM },
			{ address: 0x1000, lengthBytes: 0x1000, type: E820_RAM },
		];
		expect(isRam(split, 0x800, 0x1000)).toBe(true);
		expect(isRam(split, 0x1800, 0x1000)).toBe(false);
	});

	it("aligns up to any multiple", () => {
		expect(alignUp(5, 3)).toBe(6);
		expect(alignUp(0xfffff001, 0x1000)).toBe(0x100000000);
	});
});
