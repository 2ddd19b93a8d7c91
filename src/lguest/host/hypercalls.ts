/**
 * Hypercalls: how the Guest asks. The number is in EAX, and nothing is ever
 * returned: what the Host cannot do for a Guest, the Guest does not survive.
 *
 * Calls that can wait are put in a ring of 64 slots in `lguest_data`, so that
 * a kernel which changes a hundred page table entries leaves for the Host once.
 * The ring is emptied before each direct call and at no other time: a Guest
 * relies on that when it queues half a context switch.
 *
 * Relies on the Guest's parts; the Guest calls it.
 *
 * @journey H:225 Hypercalls
 */

import { fields } from "../../cpu/index.ts";
import {
	LGUEST_SHUTDOWN_RESTART,
	LHCALL_FLUSH_ASYNC,
	LHCALL_FLUSH_TLB,
	LHCALL_HALT,
	LHCALL_LGUEST_INIT,
	LHCALL_LOAD_GDT,
	LHCALL_LOAD_GDT_ENTRY,
	LHCALL_LOAD_IDT_ENTRY,
	LHCALL_LOAD_TLS,
	LHCALL_NEW_PGTABLE,
	LHCALL_NOTIFY,
	LHCALL_RING_SIZE,
	LHCALL_SEND_INTERRUPTS,
	LHCALL_SET_CLOCKEVENT,
	LHCALL_SET_PGD,
	LHCALL_SET_PMD,
	LHCALL_SET_PTE,
	LHCALL_SET_STACK,
	LHCALL_SHUTDOWN,
	LHCALL_TS,
} from "../abi.ts";
import { EAX } from "./dialect.ts";
import type { Guest } from "./guest.ts";

const CR0_TS = 1 << 3;
/** As much of a last message as is read. */
const MESSAGE_BYTES = 128;

/** One Guest's calls. */
export class Hypercalls {
	readonly #guest: Guest;
	/** The slot of the ring that is looked at next. */
	#cursor = 0;
	/** A direct call that waits for the Launcher to see to a NOTIFY of the ring. */
	#waiting = false;
	// The arguments of the call at hand.
	#first = 0;
	#second = 0;
	#third = 0;

	constructor(guest: Guest) {
		this.#guest = guest;
	}

	/** The call in the Guest's registers. */
	direct(byVmcall: boolean): void {
		const guest = this.#guest;
		const number = guest.cpu.state.gpr32(EAX);
		if (guest.data === undefined) {
			if (number === LHCALL_LGUEST_INIT) guest.initialise(byVmcall);
			else guest.kill(`hypercall ${number | 0} before INIT`);
			return;
		}
		this.#waiting = true;
		this.goOn();
	}

	/** Empties the ring, then does the direct call; stops where the Launcher is wanted. */
	goOn(): void {
		const guest = this.#guest;
		if (!this.#waiting) return;
		this.#drain();
		if (guest.isDead || guest.hasUnansweredNotify) return;
		this.#waiting = false;
		const { state } = guest.cpu;
		const registers = guest.dialect?.registers ?? [];
		this.#first = state.gpr32(registers[0] ?? EAX);
		this.#second = state.gpr32(registers[1] ?? EAX);
		this.#third = state.gpr32(registers[2] ?? EAX);
		this.#do(state.gpr32(EAX));
	}

	/** At most one round, whatever a device may write into the ring meanwhile. */
	#drain(): void {
		const { data, dialect } = this.#guest;
		if (data === undefined || dialect === undefined) return;
		const [first = 0, second = 0, third = 0] = dialect.slotWords;
		for (let i = 0; i < LHCALL_RING_SIZE; i++) {
			const slot = this.#cursor;
			if (!data.isSlotReady(slot)) return;
			this.#cursor = (slot + 1) % LHCALL_RING_SIZE;
			this.#first = data.slotWord(slot, first);
			this.#second = data.slotWord(slot, second);
			this.#third = data.slotWord(slot, third);
			this.#do(data.slotWord(slot, 0));
			if (this.#guest.isDead) return;
			data.freeSlot(slot);
			if (this.#guest.hasUnansweredNotify) return;
		}
	}

	#do(number: number): void {
		const guest = this.#guest;
		switch (number) {
			case LHCALL_FLUSH_ASYNC:
			case LHCALL_SEND_INTERRUPTS:
				return;
			case LHCALL_LGUEST_INIT:
				guest.kill("already have lguest_data");
				return;
			case LHCALL_SHUTDOWN:
				this.#shutDown();
				return;
			case LHCALL_SET_CLOCKEVENT:
				guest.setClockEvent(this.#first);
				return;
			case LHCALL_TS:
				this.#setTaskSwitched(this.#first !== 0);
				return;
			case LHCALL_HALT:
				guest.halt();
				return;
			case LHCALL_NOTIFY:
				guest.notify(this.#first);
				return;
			default:
				if (this.#doTables(number) || this.#doDescriptors(number)) return;
				guest.kill(`Bad hypercall ${number | 0}`);
		}
	}

	#doTables(number: number): boolean {
		const tables = this.#guest.pageTables;
		switch (number) {
			case LHCALL_NEW_PGTABLE:
				tables.load(this.#first);
				return true;
			case LHCALL_FLUSH_TLB:
				tables.flush(this.#first !== 0);
				return true;
			case LHCALL_SET_PTE:
				tables.entryChanged(this.#second);
				return true;
			case LHCALL_SET_PGD:
				tables.topChanged(this.#first, this.#second);
				return true;
			case LHCALL_SET_PMD:
				if (this.#guest.dialect?.mayUsePae !== true) return false;
				tables.middleChanged();
				return true;
			default:
				return false;
		}
	}

	/** Numbers 3 and 18 never lived in the same kernel, so either may be taken. */
	#doDescriptors(number: number): boolean {
		const { segments, traps } = this.#guest;
		switch (number) {
			case LHCALL_LOAD_GDT:
				segments.load(this.#first, this.#second);
				return true;
			case LHCALL_LOAD_GDT_ENTRY:
				segments.loadEntry(this.#first, this.#second, this.#third);
				return true;
			case LHCALL_LOAD_TLS:
				segments.loadTls(this.#first);
				return true;
			case LHCALL_LOAD_IDT_ENTRY:
				traps.loadGate(this.#first, this.#second, this.#third);
				this.#guest.lookForInterrupts();
				return true;
			case LHCALL_SET_STACK:
				traps.setStack(this.#first, this.#second, this.#third);
				return true;
			default:
				return false;
		}
	}

	#setTaskSwitched(isSet: boolean): void {
		const { cpu } = this.#guest;
		const cr0 = cpu.state.get32(fields.CR0);
		cpu.state.set32(fields.CR0, isSet ? cr0 | CR0_TS : cr0 & ~CR0_TS);
		// Code that was made while the FPU was free must not go on with it.
		if (isSet) cpu.leave();
	}

	/** A restart needs no message: the Guest may name anything there. */
	#shutDown(): void {
		const guest = this.#guest;
		if (this.#second === LGUEST_SHUTDOWN_RESTART) {
			guest.restart();
			return;
		}
		if (!guest.mayRead(this.#first, MESSAGE_BYTES)) return;
		const bytes = guest.memory.read(this.#first, MESSAGE_BYTES - 1);
		guest.kill(`CRASH: ${textOf(bytes)}`);
	}
}

/** Up to the first NUL, a character for each byte. */
export function textOf(bytes: Uint8Array): string {
	const end = bytes.indexOf(0);
	return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
}
