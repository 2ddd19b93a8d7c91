import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GuestMemory } from "../memory/guest-memory.ts";
import { type AcpiOptions, writeAcpiTables } from "./acpi.ts";
import {
	amlDevice,
	amlMemory32,
	amlName,
	amlResources,
	amlString,
} from "./aml.ts";

function setUp(options?: AcpiOptions) {
	const memory = new GuestMemory(new ArrayBuffer(1 << 20), 0, 1 << 20);
	const area = writeAcpiTables(memory, options);
	const text = (address: number, length: number) =>
		String.fromCharCode(...memory.read(address, length));
	const sum = (address: number, length: number) =>
		memory.read(address, length).reduce((total, byte) => total + byte, 0) &
		0xff;
	const fadt = Number(
		memory.readU64(Number(memory.readU64(area.rsdpAddress + 24)) + 36),
	);
	return {
		memory,
		area,
		text,
		sum,
		fadt,
		dsdt: memory.readU32(fadt + 40),
		tableBytes: (address: number) =>
			memory.read(address, memory.readU32(address + 4)),
	};
}

/** Whether Debian's acpica-tools are on this machine; CI must have them, not skip. */
function hasIasl(): boolean {
	try {
		execFileSync("iasl", ["-v"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}

/** ACPICA's own reading of a table. */
function disassemble(name: string, bytes: Uint8Array): string {
	const directory = mkdtempSync(join(tmpdir(), "lguest-acpi-"));
	try {
		const file = join(directory, `${name}.dat`);
		writeFileSync(file, bytes);
		execFileSync("iasl", ["-d", file], { stdio: "pipe" });
		return readFileSync(join(directory, `${name}.dsl`), "latin1");
	} finally {
		rmSync(directory, { recursive: true });
	}
}

describe("ACPI tables", () => {
	it("have a pointer where kernels search, with both checksums", () => {
		const { area, text, sum } = setUp();
		expect(area.rsdpAddress).toBe(0xf0000);
		expect(text(area.rsdpAddress, 8)).toBe("RSD PTR ");
		expect(sum(area.rsdpAddress, 20)).toBe(0);
		expect(sum(area.rsdpAddress, 36)).toBe(0);
		expect(area.endAddress).toBeLessThan(0xf1000);
	});

	it("lead from both indexes to the same FADT, FACS and DSDT", () => {
		const { memory, area, text, sum, fadt, dsdt } = setUp();
		const rsdt = memory.readU32(area.rsdpAddress + 16);
		const xsdt = Number(memory.readU64(area.rsdpAddress + 24));
		expect(text(rsdt, 4)).toBe("RSDT");
		expect(text(xsdt, 4)).toBe("XSDT");
		expect(memory.readU32(rsdt + 36)).toBe(fadt);
		expect(text(fadt, 4)).toBe("FACP");
		expect(memory.readU32(fadt + 4)).toBe(244);
		const facs = memory.readU32(fadt + 36);
		expect(text(facs, 4)).toBe("FACS");
		expect(facs % 64).toBe(0);
		expect(text(dsdt, 4)).toBe("DSDT");
		expect(Number(memory.readU64(fadt + 140))).toBe(dsdt);
		for (const table of [rsdt, xsdt, fadt, dsdt]) {
			expect(sum(table, memory.readU32(table + 4))).toBe(0);
		}
	});

	it("name the SCI, the power management ports and the reset register", () => {
		const { memory, fadt } = setUp();
		expect(memory.readU16(fadt + 46)).toBe(9);
		expect(memory.readU32(fadt + 48)).toBe(0);
		expect(memory.readU32(fadt + 56)).toBe(0xa70);
		expect(memory.readU32(fadt + 64)).toBe(0xa74);
		expect(memory.readU32(fadt + 76)).toBe(0xa78);
		expect(memory.readU8(fadt + 108)).toBe(0x32);
		expect(Number(memory.readU64(fadt + 120))).toBe(0xcf9);
		expect(memory.readU8(fadt + 128)).toBe(0x06);
	});

	it("announce a keyboard controller only where there is a keyboard", () => {
		const without = setUp();
		expect(without.memory.readU16(without.fadt + 109)).toBe(0x05);
		const with8042 = setUp({ hasKeyboard: true });
		expect(with8042.memory.readU16(with8042.fadt + 109)).toBe(0x07);
	});

	it("refuse an address where no kernel would look, or where they do not fit", () => {
		expect(() => setUp({ address: 0x9fc00 })).toThrow(RangeError);
		expect(() => setUp({ address: 0xe0008 })).toThrow(RangeError);
		expect(() => setUp({ address: 0xfff00 })).toThrow(RangeError);
	});
});

describe.skipIf(!hasIasl() && !process.env.CI)(
	"ACPI tables as iasl reads them",
	() => {
		it("have a FADT without complaints", () => {
			const { fadt, tableBytes } = setUp();
			const listing = disassemble("facp", tableBytes(fadt));
			expect(listing).toMatch(/SCI Interrupt : 0009/);
			expect(listing).toMatch(/Reset Register Supported \(V2\) : 1/);
			expect(listing).toMatch(/VGA Not Present \(V4\) : 1/);
			expect(listing).not.toMatch(/error|warning|invalid/i);
		});

		it("have a DSDT that disassembles to the devices and \\_S5, and compiles again", () => {
			const { dsdt, tableBytes } = setUp({
				uarts: [
					{ base: 0x3f8, irq: 4 },
					{ base: 0x2f8, irq: 3 },
				],
				pciRoutes: [{ device: 3, pin: 1, irq: 10, gsi: 19 }],
				devices: [
					amlDevice(
						"VR00",
						amlName("_HID", amlString("LNRO0005")),
						amlName("_CRS", amlResources(amlMemory32(0xd0000000, 0x200))),
					),
				],
			});
			const listing = disassemble("dsdt", tableBytes(dsdt));
			for (const id of [
				"PNP0000",
				"PNP0100",
				"PNP0B00",
				"PNP0501",
				"PNP0C02",
			]) {
				expect(listing).toContain(`EisaId ("${id}")`);
			}
			expect(listing).toMatch(/Device \(COM2\)/);
			expect(listing).toMatch(/0x03F8, {13}\/\/ Range Minimum/);
			expect(listing).toMatch(/IRQNoFlags \(\)\s+\{4\}/);
			expect(listing).toMatch(/Memory32Fixed \(ReadWrite,\s+0xD0000000/);
			expect(listing).toMatch(/WordBusNumber \(ResourceProducer, MinFixed/);
			expect(listing).toMatch(/0xE0100000,\s+\/\/ Range Minimum/);
			expect(listing).toMatch(
				/Method \(_PRT.*\s+\{\s+If \(\\PICF\)\s+\{\s+Return \(Package[^}]*0x0003FFFF,[^}]*0x13/,
			);
			expect(listing).toMatch(/Method \(\\_PIC, 1[^{]*\{\s+\\PICF = Arg0/);
			expect(listing).toMatch(/Name \(\\?_S5, Package \(0x04\)/);
			expect(listing).not.toMatch(/error|unknown/i);
			const directory = mkdtempSync(join(tmpdir(), "lguest-acpi-"));
			try {
				const file = join(directory, "again.dsl");
				writeFileSync(file, listing);
				const output = execFileSync("iasl", [file], { encoding: "latin1" });
				expect(output).toMatch(/0 Errors, 0 Warnings/);
			} finally {
				rmSync(directory, { recursive: true });
			}
		});
	},
);
