/**
 * The ACPI tables a kernel finds in low memory: a pointer, two indexes, the
 * fixed hardware (FADT, FACS), interrupt controllers (MADT), where PCI
 * configuration space is (MCFG) and the description of devices (DSDT).
 *
 * Relies on guest memory, and takes every port number from the device that
 * answers there; the machine calls it before the guest starts and must report
 * the area as reserved. Layouts from the ACPI specification 6.5, "ACPI
 * Software Programming Model"; the tables are of the ACPI 2.0 age, the newest
 * that adds nothing this machine has.
 *
 * @journey P:355 Tables for a kernel
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { type DescribedUart, describeMachine } from "./acpi-dsdt.ts";
import { madtBody } from "./acpi-madt.ts";
import { mcfgBody, type PciRoute } from "./acpi-pci.ts";
import { ACPI_PM_LAYOUT, ACPI_SCI_IRQ } from "./acpi-pm.ts";
import { type Aml, littleEndian } from "./aml.ts";
import { RESET_CONTROL_PORT, RESET_CONTROL_RESET } from "./reset-control.ts";

/** The BIOS ROM's area, which every memory map reserves. */
const DEFAULT_ADDRESS = 0xf0000;
/** Where Linux, and the specification, look for the pointer. */
const RSDP_SEARCH_START = 0xe0000;
const RSDP_SEARCH_END = 0x100000;

const HEADER_LENGTH = 36;
const FACS_LENGTH = 64;

/** FADT flags. */
const WBINVD = 1 << 0;
const PROC_C1 = 1 << 2;
const SLP_BUTTON = 1 << 5;
const FIX_RTC = 1 << 6;
const TMR_VAL_EXT = 1 << 8;
const RESET_REG_SUP = 1 << 10;

/** IAPC_BOOT_ARCH flags. */
const LEGACY_DEVICES = 1 << 0;
const HAS_8042 = 1 << 1;
const VGA_NOT_PRESENT = 1 << 2;

/** What differs between machines. */
export interface AcpiOptions {
	/** Where the tables go; the pointer comes first. Default 0xF0000. */
	readonly address?: number;
	/** Default: one at 0x3F8 with IRQ 4. */
	readonly uarts?: readonly DescribedUart[];
	/**
	 * Whether kernels should look for a keyboard. Without one they need not probe
	 * the controller, so the default saves the guest that time.
	 */
	readonly hasKeyboard?: boolean;
	/** Where the interrupt pins of PCI cards lead. */
	readonly pciRoutes?: readonly PciRoute[];
	/** More `Device` objects for \_SB, as `amlDevice` makes them. */
	readonly devices?: readonly Aml[];
}

/** The area that the memory map must keep from the guest. */
export interface AcpiArea {
	readonly rsdpAddress: number;
	/** First byte after the last table. */
	readonly endAddress: number;
}

/** Puts all tables at `options.address`, which must be where kernels search. */
export function writeAcpiTables(
	memory: GuestMemory,
	options: AcpiOptions = {},
): AcpiArea {
	const rsdpAddress = options.address ?? DEFAULT_ADDRESS;
	if (rsdpAddress < RSDP_SEARCH_START || rsdpAddress % 16 !== 0) {
		throw new RangeError(
			"the ACPI pointer must be 16-byte aligned in the ROM area",
		);
	}
	const uarts = options.uarts ?? [{ base: 0x3f8, irq: 4 }];
	const facs = alignUp(rsdpAddress + 36, 64);
	const dsdt = facs + FACS_LENGTH;
	const dsdtBytes = table(
		"DSDT",
		2,
		describeMachine(uarts, options.pciRoutes ?? [], options.devices ?? []),
	);
	const fadt = alignUp(dsdt + dsdtBytes.length, 16);
	const fadtBytes = table("FACP", 3, fadtBody(facs, dsdt, options));
	const madt = alignUp(fadt + fadtBytes.length, 16);
	const madtBytes = table("APIC", 1, madtBody());
	const mcfg = alignUp(madt + madtBytes.length, 16);
	const mcfgBytes = table("MCFG", 1, mcfgBody());
	const found = [fadt, madt, mcfg];
	const entries = (width: number) =>
		found.flatMap((address) => littleEndian(address, width));
	const rsdt = alignUp(mcfg + mcfgBytes.length, 16);
	const rsdtBytes = table("RSDT", 1, entries(4));
	const xsdt = alignUp(rsdt + rsdtBytes.length, 16);
	const xsdtBytes = table("XSDT", 1, entries(8));
	const endAddress = xsdt + xsdtBytes.length;
	if (endAddress > RSDP_SEARCH_END) {
		throw new RangeError("the ACPI tables do not fit below 1 MiB");
	}
	memory.write(facs, facsBytes());
	memory.write(dsdt, dsdtBytes);
	memory.write(fadt, fadtBytes);
	memory.write(madt, madtBytes);
	memory.write(mcfg, mcfgBytes);
	memory.write(rsdt, rsdtBytes);
	memory.write(xsdt, xsdtBytes);
	memory.write(rsdpAddress, rsdpBytes(rsdt, xsdt));
	return { rsdpAddress, endAddress };
}

/** Header and body, with the checksum that makes all bytes add up to zero. */
function table(signature: string, revision: number, body: Aml): Uint8Array {
	const bytes = Uint8Array.from([
		...ascii(signature),
		...littleEndian(HEADER_LENGTH + body.length, 4),
		revision,
		0,
		...ascii("LGUEST"),
		...ascii("LGUESTPC"),
		...littleEndian(1, 4),
		...ascii("LGST"),
		...littleEndian(1, 4),
		...body,
	]);
	bytes[9] = checksum(bytes);
	return bytes;
}

/** The first 20 bytes have the checksum of ACPI 1.0, the whole another. */
function rsdpBytes(rsdt: number, xsdt: number): Uint8Array {
	const bytes = Uint8Array.from([
		...ascii("RSD PTR "),
		0,
		...ascii("LGUEST"),
		2,
		...littleEndian(rsdt, 4),
		...littleEndian(36, 4),
		...littleEndian(xsdt, 8),
		0,
		...[0, 0, 0],
	]);
	bytes[8] = checksum(bytes.subarray(0, 20));
	bytes[32] = checksum(bytes);
	return bytes;
}

/** No checksum: the guest writes the global lock and waking vectors here. */
function facsBytes(): Uint8Array {
	const bytes = new Uint8Array(FACS_LENGTH);
	bytes.set([...ascii("FACS"), ...littleEndian(FACS_LENGTH, 4)]);
	bytes[32] = 1;
	return bytes;
}

/** The FADT after its header, in the order of the specification's table. */
function fadtBody(facs: number, dsdt: number, options: AcpiOptions): Aml {
	const { base, pm1Event, pm1Control, pmTimer } = ACPI_PM_LAYOUT;
	const bootArch =
		LEGACY_DEVICES | VGA_NOT_PRESENT | (options.hasKeyboard ? HAS_8042 : 0);
	const flags =
		WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | TMR_VAL_EXT | RESET_REG_SUP;
	const none = gas(0, 0, 0);
	return [
		...littleEndian(facs, 4),
		...littleEndian(dsdt, 4),
		0, // INT_MODEL of ACPI 1.0
		1, // Preferred_PM_Profile: desktop
		...littleEndian(ACPI_SCI_IRQ, 2),
		...littleEndian(0, 4), // SMI_CMD: none, ACPI mode is the only one
		...[0, 0, 0, 0], // ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT
		...littleEndian(base + pm1Event, 4),
		...littleEndian(0, 4), // PM1b_EVT_BLK
		...littleEndian(base + pm1Control, 4),
		...littleEndian(0, 4), // PM1b_CNT_BLK
		...littleEndian(0, 4), // PM2_CNT_BLK
		...littleEndian(base + pmTimer, 4),
		...littleEndian(0, 8), // GPE0_BLK, GPE1_BLK
		...[4, 2, 0, 4], // PM1_EVT_LEN, PM1_CNT_LEN, PM2_CNT_LEN, PM_TMR_LEN
		...[0, 0, 0, 0], // GPE0_BLK_LEN, GPE1_BLK_LEN, GPE1_BASE, CST_CNT
		...littleEndian(0x0fff, 2), // P_LVL2_LAT: above 100, so no C2
		...littleEndian(0x0fff, 2), // P_LVL3_LAT: above 1000, so no C3
		...littleEndian(0, 4), // FLUSH_SIZE, FLUSH_STRIDE: WBINVD works
		...[0, 0], // DUTY_OFFSET, DUTY_WIDTH
		...[0, 0, 0x32], // DAY_ALRM, MON_ALRM, CENTURY
		...littleEndian(bootArch, 2),
		0,
		...littleEndian(flags, 4),
		...gas(RESET_CONTROL_PORT, 8, 1),
		RESET_CONTROL_RESET,
		...[0, 0, 0],
		...littleEndian(facs, 8),
		...littleEndian(dsdt, 8),
		...gas(base + pm1Event, 32, 2),
		...none, // X_PM1b_EVT_BLK
		...gas(base + pm1Control, 16, 2),
		...none, // X_PM1b_CNT_BLK
		...none, // X_PM2_CNT_BLK
		...gas(base + pmTimer, 32, 3),
		...none, // X_GPE0_BLK
		...none, // X_GPE1_BLK
	];
}

/** A generic address structure in port space; all zero when there is no register. */
function gas(port: number, bitWidth: number, accessSize: number): Aml {
	const space = bitWidth === 0 ? 0 : 1;
	return [space, bitWidth, 0, accessSize, ...littleEndian(port, 8)];
}

function checksum(bytes: Uint8Array): number {
	return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function alignUp(address: number, alignment: number): number {
	return Math.ceil(address / alignment) * alignment;
}

function ascii(text: string): number[] {
	return Array.from(text, (character) => character.charCodeAt(0));
}
