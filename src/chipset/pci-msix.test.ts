import { describe, expect, it } from "vitest";
import { PciFunction } from "./pci-function.ts";
import { Msix } from "./pci-msix.ts";

const CONTROL = 0x42;

function setUp(vectors = 3) {
	const sent: string[] = [];
	const msix = new Msix(vectors, 1, (address, data) =>
		sent.push(`${address.toString(16)}=${data}`),
	);
	const card = new PciFunction({
		...{ vendorId: 1, deviceId: 2, classCode: 0, revision: 0 },
		...{ subsystemVendorId: 0, subsystemId: 0, interruptPin: 1 },
	});
	card.addCapability(msix.capability);
	const aim = (vector: number, data: number, masked = false) => {
		msix.write(16 * vector, 4, 0xfee0_1000);
		msix.write(16 * vector + 4, 4, 0);
		msix.write(16 * vector + 8, 4, data);
		msix.write(16 * vector + 12, 4, masked ? 1 : 0);
	};
	const control = (value: number) => card.write(CONTROL, 2, value);
	return { msix, card, sent, aim, control };
}

describe("MSI-X", () => {
	it("says how many vectors there are, and where table and pending bits are", () => {
		const { card } = setUp();
		expect(card.read(0x40, 4)).toBe(0x0002_0011);
		expect(card.read(0x44, 4)).toBe(0x0000_0001);
		expect(card.read(0x48, 4)).toBe(0x0000_0801);
	});

	it("starts switched off and masked", () => {
		const { msix, sent } = setUp();
		expect(msix.enabled).toBe(false);
		expect(msix.read(12, 4)).toBe(1);
		msix.fire(0);
		expect(sent).toEqual([]);
		expect(msix.read(0x800, 4)).toBe(0);
	});

	it("sends a vector's message", () => {
		const { msix, sent, aim, control } = setUp();
		control(0x8000);
		aim(1, 0x31);
		msix.fire(1);
		msix.fire(1);
		expect(sent).toEqual(["fee01000=49", "fee01000=49"]);
	});

	it("remembers what came while the vector was masked, once", () => {
		const { msix, sent, aim, control } = setUp();
		control(0x8000);
		aim(2, 7, true);
		msix.fire(2);
		msix.fire(2);
		expect(msix.read(0x800, 1)).toBe(4);
		msix.write(2 * 16 + 12, 4, 0);
		expect(sent).toEqual(["fee01000=7"]);
		expect(msix.read(0x800, 1)).toBe(0);
	});

	it("masks all vectors with one bit", () => {
		const { msix, sent, aim, control } = setUp();
		aim(0, 1);
		aim(1, 2);
		control(0xc000);
		msix.fire(0);
		msix.fire(1);
		expect(sent).toEqual([]);
		control(0x8000);
		expect(sent).toEqual(["fee01000=1", "fee01000=2"]);
	});

	it("drops what has no vector or goes beyond 4 GiB", () => {
		const { msix, sent, aim, control } = setUp();
		control(0x8000);
		aim(0, 1);
		msix.write(4, 4, 1);
		msix.fire(0);
		msix.fire(3);
		msix.fire(0xffff);
		expect(sent).toEqual([]);
	});

	it("takes whole dwords, and no writes to the pending bits or beyond", () => {
		const { msix, aim } = setUp();
		aim(0, 0x1234_5678);
		msix.write(8, 2, 0);
		msix.write(0x800, 4, 0xffff_ffff);
		msix.write(0xffc, 4, 0xffff_ffff);
		expect(msix.read(8, 4)).toBe(0x1234_5678);
		expect(msix.read(9, 1)).toBe(0x56);
		expect(msix.read(0x800, 4)).toBe(0);
		expect(msix.read(0xffc, 4)).toBe(0);
	});
});
