/**
 * The machine's description in AML: which parts a kernel cannot find by
 * itself, where they are, and how to turn everything off.
 *
 * Relies on the AML writer, on `acpi-pci.ts` and on the ports of the parts it describes; `acpi.ts`
 * wraps it into the DSDT table.
 *
 * @journey P:351 What the machine says about itself
 */

import {
	describeEcam,
	describeInterruptModel,
	describePciRoot,
	type PciRoute,
} from "./acpi-pci.ts";
import { ACPI_PM_LAYOUT, ACPI_SLP_TYP_S5 } from "./acpi-pm.ts";
import {
	type Aml,
	amlDevice,
	amlEisaId,
	amlInteger,
	amlIoPorts,
	amlIrq,
	amlName,
	amlPackage,
	amlResources,
	amlScope,
} from "./aml.ts";

/** A serial port as it is wired. */
export interface DescribedUart {
	readonly base: number;
	readonly irq: number;
}

/** The DSDT's contents: \_SB with its devices, \_PIC and \_S5. */
export function describeMachine(
	uarts: readonly DescribedUart[],
	pciRoutes: readonly PciRoute[],
	extraDevices: readonly Aml[],
): Aml {
	return [
		...describeInterruptModel(),
		...amlScope(
			"\\_SB",
			pnpDevice("PIC", "PNP0000", [
				amlIoPorts(0x20, 2),
				amlIoPorts(0xa0, 2),
				amlIoPorts(0x4d0, 2),
				amlIrq(2),
			]),
			pnpDevice("TIMR", "PNP0100", [amlIoPorts(0x40, 4), amlIrq(0)]),
			pnpDevice("RTC", "PNP0B00", [amlIoPorts(0x70, 2), amlIrq(8)]),
			...uarts.map(describeUart),
			pnpDevice("MBRD", "PNP0C02", motherboardPorts()),
			describePciRoot(pciRoutes),
			describeEcam(),
			...extraDevices,
		),
		// SLP_TYP for PM1a, for PM1b (there is none), two reserved.
		...amlName(
			"\\_S5",
			amlPackage(
				amlInteger(ACPI_SLP_TYP_S5),
				amlInteger(ACPI_SLP_TYP_S5),
				amlInteger(0),
				amlInteger(0),
			),
		),
	];
}

function describeUart(uart: DescribedUart, index: number): Aml {
	return pnpDevice(
		`COM${index + 1}`,
		"PNP0501",
		[amlIoPorts(uart.base, 8), amlIrq(uart.irq)],
		index + 1,
	);
}

/** Ports that no driver owns but none may be put over. */
function motherboardPorts(): Aml[] {
	return [
		amlIoPorts(0x61, 1),
		amlIoPorts(0x80, 16),
		amlIoPorts(0x92, 1),
		amlIoPorts(ACPI_PM_LAYOUT.base, ACPI_PM_LAYOUT.length),
	];
}

function pnpDevice(
	name: string,
	id: string,
	resources: readonly Aml[],
	uniqueId?: number,
): Aml {
	return amlDevice(
		name,
		amlName("_HID", amlEisaId(id)),
		...(uniqueId === undefined ? [] : [amlName("_UID", amlInteger(uniqueId))]),
		amlName("_CRS", amlResources(...resources)),
	);
}
