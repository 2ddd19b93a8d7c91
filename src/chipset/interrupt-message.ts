/**
 * An interrupt on its way to a processor: who is meant, what it shall do, and
 * with which vector. The IOAPIC, MSI and the local APIC's own command register
 * all say it, each in its own layout of the same fields (Intel SDM vol. 3,
 * "Interrupt Command Register" and "Message Signalled Interrupts").
 *
 * Relies on nothing; the two APICs rely on it.
 *
 * @journey P:311 What an interrupt says
 */

export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_SMI = 2;
export const DELIVERY_NMI = 4;
export const DELIVERY_INIT = 5;
export const DELIVERY_STARTUP = 6;
/** The vector comes from the 8259 pair. */
export const DELIVERY_EXTINT = 7;

/** Who, what and which. */
export interface InterruptMessage {
	/** Physical number, or a logical set of processors. */
	readonly destination: number;
	readonly isLogical: boolean;
	/** One of the `DELIVERY_` constants. */
	readonly deliveryMode: number;
	readonly vector: number;
	/** Level-triggered: the IOAPIC waits for the end of it. */
	readonly isLevel: boolean;
}

/** The low word that all layouts share: vector, delivery mode, bit 15 for level. */
export function messageFields(
	word: number,
): Pick<InterruptMessage, "vector" | "deliveryMode" | "isLevel"> {
	return {
		vector: word & 0xff,
		deliveryMode: (word >>> 8) & 7,
		isLevel: (word & 0x8000) !== 0,
	};
}

const MESSAGE_AREA = 0xfee;

/** A write of a device to memory, if it is an interrupt: addresses 0xFEExxxxx are. */
export function decodeMsi(
	address: number,
	data: number,
): InterruptMessage | undefined {
	if (address >>> 20 !== MESSAGE_AREA) return undefined;
	return {
		destination: (address >>> 12) & 0xff,
		isLogical: (address & 4) !== 0,
		...messageFields(data),
	};
}
