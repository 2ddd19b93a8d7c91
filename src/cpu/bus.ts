/**
 * The CPU's only way to the world: ports, device memory, interrupts, time.
 * The machine implements it; nothing in `cpu/` knows what is behind.
 *
 * @journey E:180 The CPU's pins
 */

/** Bytes of one bus access. */
export type AccessSize = 1 | 2 | 4;

export interface CpuBus {
	readPort(port: number, size: AccessSize): number;
	writePort(port: number, size: AccessSize, value: number): void;
	/** Physical addresses that are not RAM. */
	readPhysical(address: number, size: AccessSize): number;
	writePhysical(address: number, size: AccessSize, value: number): void;
	/** INTA cycle: the vector of the interrupt to take now. Only called while one is pending. */
	acknowledgeInterrupt(): number;
	/** Ticks of the time-stamp counter, a whole number below 2^53; may count retired instructions. */
	timeStampCounter(): number;
	/** It counts time as it passes, whatever has been retired: generated code may ask in the middle of things. */
	readonly timeIsReal?: boolean;
	/** The guest has moved its counter against that one (`TSC_OFFSET`). */
	timeStampMoved?(): void;
	/**
	 * Model-specific registers of what surrounds the processor: its local APIC,
	 * the hypervisor. Undefined = there is none by that number.
	 */
	readMsr?(number: number): bigint | undefined;
	/** False = no such register, or not that value. */
	writeMsr?(number: number, value: bigint): boolean;
	/** 32 random bits for RDRAND. */
	random(): number;
}
