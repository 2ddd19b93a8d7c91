/**
 * The table that says which interrupt controllers there are (MADT; ACPI
 * specification 6.5, "Multiple APIC Description Table (MADT)"): a processor
 * with its local APIC, one IOAPIC, and where old IRQs do not lead to the input
 * of the same number.
 *
 * Relies on the two APICs' addresses; `acpi.ts` puts a header before it.
 *
 * @journey P:354 Who takes the interrupts
 */

import { ACPI_SCI_IRQ } from "./acpi-pm.ts";
import { type Aml, littleEndian } from "./aml.ts";
import { IO_APIC_ADDRESS, IO_APIC_ID } from "./io-apic.ts";
import { LOCAL_APIC_ADDRESS } from "./local-apic.ts";

/** The machine has an 8259 pair as well. */
const PCAT_COMPAT = 1;
const PROCESSOR_ENABLED = 1;
const ISA_BUS = 0;
/** Flags of an override: as the bus has it, or active high and level. */
const AS_THE_BUS = 0;
const HIGH_LEVEL = 0x0d;
const ALL_PROCESSORS = 0xff;
const LINT1 = 1;

/** The timer's IRQ 0 is at the input that the cascade has on the 8259 pair. */
export const TIMER_GSI = 2;

/** The table after its header. */
export function madtBody(): Aml {
	return [
		...littleEndian(LOCAL_APIC_ADDRESS, 4),
		...littleEndian(PCAT_COMPAT, 4),
		// Processor Local APIC: processor 0 has APIC 0.
		...[0, 8, 0, 0],
		...littleEndian(PROCESSOR_ENABLED, 4),
		// I/O APIC, whose inputs are the interrupts from 0 on.
		...[1, 12, IO_APIC_ID, 0],
		...littleEndian(IO_APIC_ADDRESS, 4),
		...littleEndian(0, 4),
		...override(0, TIMER_GSI, AS_THE_BUS),
		...override(ACPI_SCI_IRQ, ACPI_SCI_IRQ, HIGH_LEVEL),
		// Local APIC NMI.
		...[4, 6, ALL_PROCESSORS],
		...littleEndian(AS_THE_BUS, 2),
		LINT1,
	];
}

/** Interrupt Source Override. */
function override(irq: number, gsi: number, flags: number): Aml {
	const interrupt = littleEndian(gsi, 4);
	return [2, 10, ISA_BUS, irq, ...interrupt, ...littleEndian(flags, 2)];
}
