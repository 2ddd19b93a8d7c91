/**
 * Whoever stands where privilege level 0 would be. A guest kernel that was
 * written for that runs at level 1; descriptor tables, gates and what
 * privileged instructions mean are then no longer in guest memory but with the
 * supervisor, which is told of every event that would have gone through a gate.
 *
 * Relies on nothing; the CPU calls it, and the lguest Host is one.
 *
 * @journey E:528 In place of level 0
 */

import type { GuestFault } from "../exceptions.ts";

/** All of it is called between instructions, or in an operation: it may change the state at will. */
export interface Supervisor {
	/** The table that segment loads read instead of GDTR's: two words for each descriptor. */
	readonly descriptors: Int32Array;
	/**
	 * An exception of the instruction at RIP, which has not been executed. The
	 * guest goes on where the state says.
	 */
	exception(fault: GuestFault): void;
	/**
	 * INT n, INT3 or INTO: RIP is the instruction's, NEXT_RIP the next one's.
	 * False = done, go on with the next; true = RIP has been set. May raise an
	 * exception instead.
	 */
	softwareInterrupt(vector: number): boolean;
	/**
	 * Asked before instructions while the interrupt line is high: takes an
	 * interrupt if the guest lets it. True = ask again after one instruction.
	 */
	offerInterrupt(): boolean;
}
