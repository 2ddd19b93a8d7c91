/**
 * The PCI root in AML: its bus, the addresses behind it, and where each card's
 * interrupt pin leads. That depends on who listens: with the 8259 pair a line
 * is one of the old IRQs, with the IOAPIC it is an input of its own. A kernel
 * says which by calling \\_PIC, and \\_PRT answers accordingly.
 *
 * Relies on the AML writer; `acpi-dsdt.ts` puts it into the description, and
 * `acpi.ts` makes the table that says where configuration space is (MCFG; PCI
 * Firmware Specification 3.2, "PCI Express Enhanced Configuration Access
 * Method").
 *
 * @journey P:353 Where the wires of the slots go
 */

import {
	type Aml,
	amlBusNumbers,
	amlDevice,
	amlEisaId,
	amlIf,
	amlInteger,
	amlIoPorts,
	amlIoWindow,
	amlMemory32,
	amlMemoryWindow,
	amlMethod,
	amlName,
	amlPackage,
	amlResources,
	amlReturn,
	amlStoreArgument,
	littleEndian,
} from "./aml.ts";
import {
	PCI_ECAM_ADDRESS,
	PCI_ECAM_BYTES,
	PCI_MEMORY_WINDOW,
} from "./pci-root.ts";

/** Where the interrupt pin of a slot leads. */
export interface PciRoute {
	readonly device: number;
	/** 1 = INTA#. */
	readonly pin: number;
	/** At the 8259 pair. */
	readonly irq: number;
	/** At the IOAPIC: its global system interrupt. */
	readonly gsi: number;
}

const CONFIG_PORTS = 0xcf8;
const CONFIG_PORT_COUNT = 8;
/** Not zero after a kernel has chosen the IOAPIC. */
const INTERRUPT_MODEL = "\\PICF";

/** \\_PIC, by which a kernel says whom it has interrupts from. */
export function describeInterruptModel(): Aml {
	return [
		...amlName(INTERRUPT_MODEL, amlInteger(0)),
		...amlMethod("\\_PIC", 1, amlStoreArgument(INTERRUPT_MODEL)),
	];
}

/** The root, its windows and its routes. */
export function describePciRoot(routes: readonly PciRoute[]): Aml {
	return amlDevice(
		"PCI0",
		amlName("_HID", amlEisaId("PNP0A03")),
		amlName("_UID", amlInteger(0)),
		amlName("_BBN", amlInteger(0)),
		amlName(
			"_CRS",
			amlResources(
				amlBusNumbers(0, 0),
				amlIoPorts(CONFIG_PORTS, CONFIG_PORT_COUNT),
				amlIoWindow(0, CONFIG_PORTS - 1),
				amlIoWindow(CONFIG_PORTS + CONFIG_PORT_COUNT, 0xffff),
				amlMemoryWindow(PCI_MEMORY_WINDOW.base, PCI_MEMORY_WINDOW.end - 1),
			),
		),
		amlMethod(
			"_PRT",
			0,
			amlIf(INTERRUPT_MODEL, amlReturn(table(routes, ({ gsi }) => gsi))),
			amlReturn(table(routes, ({ irq }) => irq)),
		),
	);
}

/** Configuration space in memory is nobody's to put a card over. */
export function describeEcam(): Aml {
	return amlDevice(
		"ECAM",
		amlName("_HID", amlEisaId("PNP0C02")),
		amlName("_UID", amlInteger(2)),
		amlName(
			"_CRS",
			amlResources(amlMemory32(PCI_ECAM_ADDRESS, PCI_ECAM_BYTES)),
		),
	);
}

/** The body of the MCFG table: one segment, one bus. */
export function mcfgBody(): Aml {
	return [
		...littleEndian(0, 8),
		...littleEndian(PCI_ECAM_ADDRESS, 8),
		...littleEndian(0, 2), // segment
		...[0, 0], // first and last bus
		...littleEndian(0, 4),
	];
}

/** A package of address (any function), pin, no link device, and number. */
function table(
	routes: readonly PciRoute[],
	numberOf: (route: PciRoute) => number,
): Aml {
	const anyFunction = 0xffff;
	return amlPackage(
		...routes.map((route) =>
			amlPackage(
				amlInteger(route.device * 0x10000 + anyFunction),
				amlInteger(route.pin - 1),
				amlInteger(0),
				amlInteger(numberOf(route)),
			),
		),
	);
}
