/**
 * lguest never promised an ABI: Guest and Host were to be the same kernel. So
 * there are dialects, and this Host speaks them all. Which one a Guest speaks
 * shows in its first hypercall, LGUEST_INIT, by the instruction it makes and by
 * the structure it names.
 *
 * | Kernels       | Hypercall | Arguments       | `lguest_data` |
 * | ------------- | --------- | --------------- | ------------- |
 * | 2.6.24 to .29 | INT 0x1F  | EDX EBX ECX     | L1            |
 * | 2.6.30        | VMCALL    | EBX ECX EDX     | L1            |
 * | 2.6.31 to .33 | VMCALL    | EBX ECX EDX ESI | L2            |
 * | 2.6.34 to 3.0 | both      | EBX ECX EDX ESI | L2            |
 * | 3.1 to 3.19   | INT 0x1F  | EBX ECX EDX ESI | L3            |
 *
 * Relies on `lguest-data.ts`; hypercalls are understood by it.
 *
 * @journey H:220 Eight ways of saying the same
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import {
	LGUEST_DATA_L1,
	LGUEST_DATA_L3,
	type LguestDataLayout,
} from "../abi.ts";
import { recogniseLayout } from "./lguest-data.ts";

/** General registers in encoding order, as far as hypercalls use them. */
export const EAX = 0;
const ECX = 1;
const EDX = 2;
const EBX = 3;
const ESI = 6;

/** Registers in the order in which a slot of the ring keeps them. */
const SLOT_ORDER = [EAX, EBX, ECX, EDX, ESI];

/** What the Host must know of a Guest's age. */
export interface Dialect {
	readonly layout: LguestDataLayout;
	/** Numbers of the registers with the arguments. */
	readonly registers: readonly number[];
	/** The same arguments' words in a slot of the ring. */
	readonly slotWords: readonly number[];
	/** No page tables are given: linear addresses are physical ones until NEW_PGTABLE. */
	readonly startsLinear: boolean;
	/** What the Guest's page tables must not say is a page fault, not its end. */
	readonly forgivesBadEntries: boolean;
	/** Whether tables may have the three levels of PAE. */
	readonly mayUsePae: boolean;
}

const OLD_REGISTERS = [EDX, EBX, ECX];
const NEW_REGISTERS = [EBX, ECX, EDX, ESI];

function dialect(
	layout: LguestDataLayout,
	registers: readonly number[],
): Dialect {
	return {
		layout,
		registers,
		slotWords: registers.map((register) => SLOT_ORDER.indexOf(register)),
		startsLinear: layout === LGUEST_DATA_L3,
		forgivesBadEntries: layout === LGUEST_DATA_L3,
		mayUsePae: layout !== LGUEST_DATA_L1,
	};
}

/** A first hypercall, understood. */
export interface FirstCall {
	readonly dialect: Dialect;
	/** Physical address of `lguest_data`. */
	readonly address: number;
}

/** Understands LGUEST_INIT; undefined if what it names cannot be `lguest_data`. */
export function recogniseDialect(
	memory: GuestMemory,
	pfnLimit: number,
	register: (index: number) => number,
	byVmcall: boolean,
): FirstCall | undefined {
	const orders = byVmcall ? [NEW_REGISTERS] : [OLD_REGISTERS, NEW_REGISTERS];
	for (const registers of orders) {
		const address = register(registers[0] ?? EAX);
		const layout = recogniseLayout(memory, address, pfnLimit);
		if (layout === undefined) continue;
		// Only the shape L1 has been used with either order.
		if (registers === OLD_REGISTERS && layout !== LGUEST_DATA_L1) continue;
		return { dialect: dialect(layout, registers), address };
	}
	return undefined;
}
