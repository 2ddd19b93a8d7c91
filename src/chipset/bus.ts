/**
 * Port and MMIO dispatch: devices claim ranges, the CPU's bus face asks here.
 * Unclaimed reads float high (all ones), unclaimed writes vanish, as on a PC
 * whose bus nobody answers.
 *
 * Relies on nothing; every chipset device and the machine rely on it.
 *
 * @journey P:300 The bus
 */

/** Access sizes in bytes on the port and MMIO buses. */
export type AccessSize = 1 | 2 | 4;

/** What a device does with a port or MMIO access; `offset` is relative to its range. */
export interface BusDevice {
	/** The value read, zero-extended to `size` bytes. */
	read(offset: number, size: AccessSize): number;
	write(offset: number, size: AccessSize, value: number): void;
}

/** A level-triggered or edge interrupt input of an interrupt controller. */
export interface InterruptLine {
	/** Drive the line high (`true`) or low. */
	set(level: boolean): void;
}

/** Device time: nanoseconds that only ever grow; injected by the machine. */
export interface DeviceClock {
	/** Nanoseconds since the machine started. */
	nowNs(): number;
	/**
	 * Ask for `callback` at `deadlineNs` or soon after. One pending request for
	 * each `owner`; a new one replaces it, `undefined` cancels it.
	 */
	schedule(
		owner: object,
		deadlineNs: number | undefined,
		callback?: () => void,
	): void;
}
