import { describe, expect, it } from "vitest";
import { decodeMsi } from "./interrupt-message.ts";
import { IoApic } from "./io-apic.ts";

const MASKED = 1 << 16;
const LEVEL = 1 << 15;
const REMOTE_IRR = 1 << 14;

function setUp() {
	const sent: string[] = [];
	let taken = true;
	const chip = new IoApic((message) => {
		const { vector, destination, isLevel } = message;
		sent.push(`${vector}→${destination}${isLevel ? " level" : ""}`);
		return taken;
	});
	const write = (index: number, value: number) => {
		chip.write(0, 4, index);
		chip.write(0x10, 4, value);
	};
	const read = (index: number) => {
		chip.write(0, 4, index);
		return chip.read(0x10, 4);
	};
	return {
		...{ chip, sent, read, write },
		refuse: () => {
			taken = false;
		},
	};
}

describe("the IOAPIC", () => {
	it("says who it is, and that it has 24 inputs", () => {
		const { read } = setUp();
		expect(read(0)).toBe(1 << 24);
		expect(read(1)).toBe(0x0017_0011);
		expect(read(2)).toBe(1 << 24);
	});

	it("starts with all entries masked", () => {
		const { chip, read, sent } = setUp();
		for (let pin = 0; pin < 24; pin++) {
			expect(read(0x10 + 2 * pin)).toBe(MASKED);
			chip.input(pin).set(true);
		}
		expect(sent).toEqual([]);
	});

	it("sends an edge once, when the input rises", () => {
		const { chip, write, sent } = setUp();
		write(0x19, 0x0300_0000);
		write(0x18, 0x44);
		const line = chip.input(4);
		line.set(true);
		line.set(true);
		line.set(false);
		line.set(true);
		expect(sent).toEqual(["68→3", "68→3"]);
	});

	it("loses an edge at a masked input", () => {
		const { chip, write, sent } = setUp();
		chip.input(4).set(true);
		write(0x18, 0x44);
		expect(sent).toEqual([]);
	});

	it("sends a level until the end of interrupt finds it gone", () => {
		const { chip, read, write, sent } = setUp();
		write(0x30, LEVEL | 0x51);
		const line = chip.input(16);
		line.set(true);
		expect(read(0x30)).toBe(LEVEL | REMOTE_IRR | 0x51);
		chip.endOfInterrupt(0x51);
		expect(sent).toEqual(["81→0 level", "81→0 level"]);
		line.set(false);
		chip.endOfInterrupt(0x51);
		expect(read(0x30)).toBe(LEVEL | 0x51);
		expect(sent).toHaveLength(2);
	});

	it("delivers a level that rose while it was masked", () => {
		const { chip, write, sent } = setUp();
		write(0x30, LEVEL | MASKED | 0x51);
		chip.input(16).set(true);
		write(0x30, LEVEL | 0x51);
		expect(sent).toEqual(["81→0 level"]);
	});

	it("waits for no end of what nobody took", () => {
		const { chip, read, write, refuse } = setUp();
		refuse();
		write(0x30, LEVEL | 0x51);
		chip.input(16).set(true);
		expect(read(0x30)).toBe(LEVEL | 0x51);
	});

	it("has inputs that several devices pull", () => {
		const { chip, write, sent } = setUp();
		write(0x30, LEVEL | 0x51);
		const [first, second] = [chip.input(16), chip.input(16)];
		first.set(true);
		second.set(true);
		first.set(false);
		chip.endOfInterrupt(0x51);
		expect(sent).toHaveLength(2);
		second.set(false);
		chip.endOfInterrupt(0x51);
		expect(sent).toHaveLength(2);
	});

	it("keeps the bits that software may write, and ignores registers it lacks", () => {
		const { read, write, chip } = setUp();
		write(0x10, 0xffff_ffff);
		write(0x11, 0xffff_ffff);
		write(0x40, 0xffff_ffff);
		write(0x03, 0xffff_ffff);
		expect(read(0x10)).toBe(0x1_afff);
		expect(read(0x11)).toBe(0xff00_0000);
		expect([read(0x40), read(0x03)]).toEqual([0, 0]);
		expect([chip.read(0x10, 1), chip.read(0x20, 4)]).toEqual([0, 0]);
	});
});

describe("a message of MSI", () => {
	it("is a write to 0xFEExxxxx, and nothing else is", () => {
		expect(decodeMsi(0xfee0_3004, 0x0000_c142)).toEqual({
			...{ destination: 3, isLogical: true, deliveryMode: 1, vector: 0x42 },
			isLevel: true,
		});
		for (const address of [0, 0x1000, 0xfed0_0000, 0xffff_ffff]) {
			expect(decodeMsi(address, 0x42)).toBeUndefined();
		}
	});
});
