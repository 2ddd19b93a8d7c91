/**
 * How the Guest is interrupted. There is no interrupt controller: interrupts are
 * bits in a word, the Guest masks them with another, and whether it takes any is
 * a third, all in `lguest_data`. Faults go the same way in. The frame on the
 * Guest's stack is what the processor would have pushed, but for two things: the
 * interrupt flag in it is the Guest's, not the processor's, and so is the level.
 *
 * Relies on the Guest's CPU and `lguest_data`; the Guest relies on it.
 *
 * @journey H:235 Interrupts and traps
 */

import {
	asFault,
	fields,
	readEflags,
	setSegmentFromDescriptor,
} from "../../cpu/index.ts";
import { FIRST_EXTERNAL_VECTOR, GUEST_PL, LGUEST_CS } from "../abi.ts";
import type { Guest } from "./guest.ts";
import { hex } from "./hex.ts";
import { IRQ_ENABLED } from "./lguest-data.ts";
import { isForKernel } from "./segments.ts";

const VECTORS = 256;
const ESP = 4;
const CS = 1;
const SS = 2;
const RPL = 3;
const TYPE_WRITABLE = 1 << 9;
const TYPE_CODE = 1 << 11;
/** What a processor clears on its way through a gate: TF NT RF VM. */
const FLAGS_CLEARED = (1 << 8) | (1 << 14) | (1 << 16) | (1 << 17);

/** Gates (Intel SDM vol. 3, "IDT Descriptors"). */
const GATE_PRESENT = 1 << 15;
const INTERRUPT_GATE = 0xe;
const TRAP_GATE = 0xf;
/** Non-maskable, double fault, reserved, hypercalls: the Host's, whatever the Guest says. */
const HOST_VECTORS = [2, 8, 15, 0x1f];

/** Stack pages of one task in the Guest; more were never pinned for it. */
const MOST_STACK_PAGES = 2;
const PAGE_BYTES = 4096;

/** What LOAD_IDT_ENTRY left of a gate. */
interface Gate {
	readonly offset: number;
	/** Lowest privilege from which INT may use it. */
	readonly level: number;
	readonly masks: boolean;
}

/** What becomes of a pending interrupt now. */
export type Offer =
	/** Nothing is pending, or it was delivered. */
	| "done"
	/** The Guest must first unmask it, or turn interrupts on: a store will tell. */
	| "masked"
	/** Only after the instructions that must not be torn apart. */
	| "soon"
	/** There is no gate for it yet. */
	| "no-gate";

/** One Guest's gates, stack and pending interrupts. */
export class InterruptsAndTraps {
	/** Bit n: interrupt n was raised and has not been delivered. */
	pending = 0;
	readonly #guest: Guest;
	readonly #gates: (Gate | undefined)[] = Array.from({ length: VECTORS });
	#stackSegment = 0;
	#stackPointer = 0;
	#pushAt = 0;

	constructor(guest: Guest) {
		this.#guest = guest;
	}

	/** LOAD_IDT_ENTRY. */
	loadGate(vector: number, low: number, high: number): void {
		const guest = this.#guest;
		// By number before by type: Linux has a task gate for double faults.
		if (HOST_VECTORS.includes(vector)) return;
		if (vector >= VECTORS) {
			guest.kill(`Setting idt entry ${vector}`);
			return;
		}
		const type = (high >>> 8) & 0xf;
		const present = (high & GATE_PRESENT) !== 0;
		if (present && type !== INTERRUPT_GATE && type !== TRAP_GATE) {
			guest.kill(`bad IDT type ${type}`);
			return;
		}
		this.#gates[vector] = present
			? {
					offset: ((high & 0xffff_0000) | (low & 0xffff)) >>> 0,
					level: (high >>> 13) & 3,
					masks: type === INTERRUPT_GATE,
				}
			: undefined;
	}

	/** SET_STACK: where entries from user mode begin to push. */
	setStack(segment: number, pointer: number, pages: number): void {
		const guest = this.#guest;
		if ((segment & RPL) !== GUEST_PL) {
			guest.kill(`bad stack segment ${segment | 0}`);
			return;
		}
		if (pages > MOST_STACK_PAGES) {
			guest.kill(`bad stack pages ${pages}`);
			return;
		}
		for (let page = 1; page <= pages; page++) {
			const linear = (pointer - page * PAGE_BYTES) >>> 0;
			if (guest.pageTables.isMapped(linear)) continue;
			guest.kill(`bad stack page ${hex(linear)}`);
			return;
		}
		this.#stackSegment = segment & 0xffff;
		this.#stackPointer = pointer;
	}

	/** Delivers the first pending interrupt if the Guest takes it. */
	offer(isHalted: boolean): Offer {
		const guest = this.#guest;
		const data = guest.data;
		if (data === undefined) return "no-gate";
		const open = this.pending & ~data.blockedInterrupts;
		if (open === 0) return this.pending === 0 ? "done" : "masked";
		const eip = guest.cpu.state.getU32(fields.RIP);
		if (!isHalted && eip >= data.noirqStart && eip < data.noirqEnd) {
			return "soon";
		}
		if (!isHalted && (data.irqEnabled & IRQ_ENABLED) === 0) {
			data.setIrqPending(true);
			return "masked";
		}
		return this.#deliverLowest(open, isHalted);
	}

	/** Into the Guest by an exception's gate; without one, that is its end. */
	reflect(vector: number, errorCode: number | undefined): void {
		const guest = this.#guest;
		const { state } = guest.cpu;
		const eip = state.getU32(fields.RIP);
		const gate = this.#gates[vector];
		const isPageFault = vector === 14;
		if (gate === undefined) {
			const what = isPageFault ? state.getU32(fields.CR2) : (errorCode ?? 0);
			guest.kill(`unhandled trap ${vector} at ${hex(eip)} (${hex(what)})`);
			return;
		}
		if (isPageFault && guest.data !== undefined) {
			guest.data.cr2 = state.getU32(fields.CR2);
		}
		this.#enter(gate, eip, errorCode);
	}

	/** INT n; false if the Guest has no such gate for its present level. */
	softwareInterrupt(vector: number): boolean {
		const { state } = this.#guest.cpu;
		const gate = this.#gates[vector];
		if (gate === undefined || gate.level < state.get32(fields.CPL)) {
			return false;
		}
		this.#enter(gate, state.getU32(fields.NEXT_RIP), undefined);
		return true;
	}

	#deliverLowest(open: number, isHalted: boolean): Offer {
		const guest = this.#guest;
		const { data } = guest;
		const irq = 31 - Math.clz32(open & -open);
		const gate = this.#gates[FIRST_EXTERNAL_VECTOR + irq];
		if (data === undefined) return "no-gate";
		// HALT turns interrupts on and waits, in one.
		if (isHalted) data.irqEnabled = IRQ_ENABLED;
		guest.storeTime();
		if (gate === undefined) return "no-gate";
		this.pending &= ~(1 << irq);
		const { state } = guest.cpu;
		state.set32(fields.HALTED, 0);
		this.#enter(gate, state.getU32(fields.RIP), undefined);
		if ((this.pending & ~data.blockedInterrupts) === 0) {
			data.setIrqPending(false);
		}
		return "done";
	}

	/** Builds the frame and goes to the gate's offset. */
	#enter(gate: Gate, returnTo: number, errorCode: number | undefined): void {
		try {
			this.#pushFrame(returnTo, errorCode);
		} catch (fault) {
			asFault(fault);
			this.#guest.kill(`Bad address ${hex(this.#pushAt)}`);
			return;
		}
		if (this.#guest.isDead) return;
		const { state } = this.#guest.cpu;
		this.#load(CS, LGUEST_CS);
		state.setWide(fields.RIP, gate.offset);
		const eflags = state.get32(fields.EFLAGS);
		state.set32(fields.EFLAGS, eflags & ~FLAGS_CLEARED);
		const { data } = this.#guest;
		if (gate.masks && data !== undefined) data.irqEnabled = 0;
	}

	#pushFrame(returnTo: number, errorCode: number | undefined): void {
		const { cpu, data } = this.#guest;
		const { state } = cpu;
		if (!this.#kernelSegmentsAreGood()) return;
		const cs = this.#selector(CS);
		const ss = this.#selector(SS);
		const esp = state.gpr32(ESP);
		const flags = readEflags(state);
		const isOn = ((data?.irqEnabled ?? 0) & IRQ_ENABLED) !== 0;
		const fromUser = (ss & RPL) !== GUEST_PL;
		const base = this.#stackBase(fromUser);
		this.#pushAt = fromUser ? this.#stackPointer : esp;
		if (fromUser) {
			this.#push(base, ss);
			this.#push(base, esp);
		}
		this.#push(base, isOn ? flags | IRQ_ENABLED : flags & ~IRQ_ENABLED);
		this.#push(base, cs);
		this.#push(base, returnTo);
		if (errorCode !== undefined) this.#push(base, errorCode);
		if (fromUser) this.#load(SS, this.#stackSegment >>> 3, this.#stackSegment);
		state.setGpr32(ESP, this.#pushAt);
	}

	/** Segments for the kernel that are no such thing would be the Host's fault, on silicon. */
	#kernelSegmentsAreGood(): boolean {
		const code = this.#high(LGUEST_CS);
		const stack = this.#high(this.#stackSegment >>> 3);
		const fromUser = (this.#selector(SS) & RPL) !== GUEST_PL;
		if (!isForKernel(code) || (code & TYPE_CODE) === 0) {
			this.#guest.kill(`bad code segment ${LGUEST_CS * 8 + GUEST_PL}`);
		} else if (fromUser && !isStack(stack)) {
			this.#guest.kill(`bad stack segment ${this.#stackSegment}`);
		}
		return !this.#guest.isDead;
	}

	#stackBase(fromUser: boolean): number {
		if (fromUser) return baseOf(this.#guest.segments.table, this.#stackSegment);
		const { state } = this.#guest.cpu;
		return state.view.getUint32(state.segmentAt(SS, fields.SEGMENT_BASE), true);
	}

	#push(base: number, value: number): void {
		this.#pushAt = (this.#pushAt - 4) >>> 0;
		const linear = (base + this.#pushAt) >>> 0;
		this.#guest.cpu.mmu.writeU32(linear, value >>> 0, false);
	}

	#load(register: number, index: number, selector?: number): void {
		const { table } = this.#guest.segments;
		setSegmentFromDescriptor(
			this.#guest.cpu.state,
			register,
			selector ?? index * 8 + GUEST_PL,
			table[index * 2] ?? 0,
			table[index * 2 + 1] ?? 0,
		);
	}

	#high(index: number): number {
		return this.#guest.segments.table[index * 2 + 1] ?? 0;
	}

	#selector(register: number): number {
		const { state } = this.#guest.cpu;
		const at = state.segmentAt(register, fields.SEGMENT_SELECTOR);
		return state.view.getUint16(at, true);
	}
}

function isStack(high: number): boolean {
	const writableData = (high & (TYPE_CODE | TYPE_WRITABLE)) === TYPE_WRITABLE;
	return isForKernel(high) && writableData;
}

function baseOf(table: Int32Array, selector: number): number {
	const low = table[(selector >>> 3) * 2] ?? 0;
	const high = table[(selector >>> 3) * 2 + 1] ?? 0;
	return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
}
