/**
 * The processor's local APIC: takes interrupt messages, keeps them by priority,
 * hands the processor one vector at a time, and has a timer (Intel SDM vol. 3,
 * "Advanced Programmable Interrupt Controller (APIC)"). One processor, so
 * messages that are for others go nowhere.
 *
 * | Offset      | Register                                                    |
 * | ----------- | ----------------------------------------------------------- |
 * | 0x020/0x030 | ID, version                                                 |
 * | 0x080–0x0b0 | task, arbitration and processor priority; end of interrupt  |
 * | 0x0d0/0x0e0 | logical destination and its format                          |
 * | 0x0f0       | spurious vector, and the switch of the whole (bit 8)        |
 * | 0x100–0x270 | in service, trigger mode, requested: 8 × 32 bits each       |
 * | 0x280       | errors since the last write                                 |
 * | 0x300/0x310 | interrupt command                                           |
 * | 0x320–0x370 | local vectors: timer, thermal, performance, LINT0, LINT1, error |
 * | 0x380–0x3e0 | timer: initial and current count, divider                   |
 *
 * LINT0 is the 8259 pair's output. In its *ExtINT* mode, which firmware sets,
 * the pair's interrupts pass through as if there were no APIC ("virtual wire").
 *
 * Relies on its timer and on sets of vectors; the board connects it to the
 * processor, the IOAPIC and the 8259 pair.
 *
 * @journey P:314 An interrupt controller for each processor
 */

import { ApicTimer, type ApicTimerOptions } from "./apic-timer.ts";
import { type AccessSize, type BusDevice, floatingBus } from "./bus.ts";
import {
	DELIVERY_EXTINT,
	DELIVERY_FIXED,
	DELIVERY_LOWEST,
	DELIVERY_NMI,
	type InterruptMessage,
	messageFields,
} from "./interrupt-message.ts";
import { VectorSet } from "./vector-set.ts";

export const LOCAL_APIC_ADDRESS = 0xfee0_0000;
export const LOCAL_APIC_BYTES = 0x1000;
/** IA32_APIC_BASE. */
export const MSR_APIC_BASE = 0x1b;
/** IA32_TSC_DEADLINE. */
export const MSR_TSC_DEADLINE = 0x6e0;

const APIC_BASE_BSP = 1 << 8;
export const APIC_BASE_ENABLE = 1 << 11;

/** Integrated APIC, six local vectors. */
const VERSION = 0x0005_0014;
const SVR_ENABLE = 1 << 8;
const SVR_BITS = 0x1ff;
const ERROR_SEND_ILLEGAL = 1 << 5;
const ERROR_RECEIVE_ILLEGAL = 1 << 6;
const ERROR_ILLEGAL_REGISTER = 1 << 7;
const FIRST_LEGAL_VECTOR = 16;
const BROADCAST = 0xff;

const LVT_MASKED = 1 << 16;
const LVT_TIMER = 0;
const LVT_LINT0 = 3;
const LVT_LINT1 = 4;
const LVT_ERROR = 5;
const LVT_TIMER_MODE_SHIFT = 17;
/** Bits of each local vector that can be written. */
const LVT_WRITABLE = [
	0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff,
];
const LVT_COUNT = LVT_WRITABLE.length;

const ICR_LOGICAL = 1 << 11;
const ICR_WRITABLE = 0xc_cfff;
const SHORTHAND_SHIFT = 18;
const SHORTHAND_NONE = 0;
const SHORTHAND_OTHERS = 3;

/** What the board connects. */
export interface LocalApicOptions extends Omit<ApicTimerOptions, "onExpiry"> {
	/** INTR of the processor. */
	readonly onIntr: (level: boolean) => void;
	readonly onNmi: () => void;
	/** A level-triggered vector has been served. */
	readonly onEndOfInterrupt: (vector: number) => void;
	/** INTA of the 8259 pair. */
	readonly acknowledgePic: () => number;
	/** The guest switched the APIC on or off, which CPUID shows. */
	readonly onEnable: (enabled: boolean) => void;
}

/** One processor's. All fields are registers, or pins. */
export class LocalApic implements BusDevice {
	readonly timer: ApicTimer;
	readonly isr = new VectorSet();
	readonly tmr = new VectorSet();
	readonly irr = new VectorSet();
	base = LOCAL_APIC_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_BSP;
	id = 0;
	taskPriority = 0;
	logicalDestination = 0;
	destinationFormat = 0xffff_ffff;
	spurious = 0xff;
	/** Errors that a write of the register will show, and those it shows. */
	newErrors = 0;
	errors = 0;
	command = 0;
	commandHigh = 0;
	readonly localVectors = new Uint32Array(LVT_COUNT).fill(LVT_MASKED);
	/** The output of the 8259 pair. */
	lint0 = false;
	readonly #options: LocalApicOptions;
	#intr = false;

	constructor(options: LocalApicOptions) {
		this.#options = options;
		this.timer = new ApicTimer({
			...options,
			onExpiry: () => this.#raise(LVT_TIMER),
		});
	}

	/** What firmware does before it starts a kernel: the virtual wire. */
	initialize(): void {
		this.spurious = SVR_ENABLE | 0xff;
		this.localVectors[LVT_LINT0] = DELIVERY_EXTINT << 8;
		this.localVectors[LVT_LINT1] = DELIVERY_NMI << 8;
		this.#update();
	}

	/** By IA32_APIC_BASE: otherwise the processor is as one without APIC. */
	get isEnabled(): boolean {
		return (this.base & APIC_BASE_ENABLE) !== 0;
	}

	/** Where its registers are. */
	get address(): number {
		return (this.base & ~0xfff) >>> 0;
	}

	/** Whether a physical address is one of its registers. */
	answersAt(address: number): boolean {
		const offset = address - this.address;
		return offset >= 0 && offset < LOCAL_APIC_BYTES && this.isEnabled;
	}

	/**
	 * False = #GP(0): reserved bits, of which x2APIC is one, or registers beyond
	 * 4 GiB, where this machine has none.
	 */
	writeBase(value: bigint): boolean {
		const writable = 0xffff_f000n | BigInt(APIC_BASE_ENABLE | APIC_BASE_BSP);
		if ((value & ~writable) !== 0n) return false;
		const was = this.isEnabled;
		this.base = Number(value);
		if (was !== this.isEnabled) {
			if (was) this.#reset();
			this.#options.onEnable(this.isEnabled);
		}
		this.#update();
		return true;
	}

	/** Takes a message if it is for this processor; says whether it was. */
	receive(message: InterruptMessage): boolean {
		if (!this.isEnabled || !this.#isMeant(message)) return false;
		const { deliveryMode, vector, isLevel } = message;
		return this.#accept(deliveryMode, vector, isLevel);
	}

	/** LINT0: an edge is a message of its own, unless the mode is ExtINT. */
	setLint0(level: boolean): void {
		const rises = level && !this.lint0;
		this.lint0 = level;
		if (rises && !this.#passesPic()) this.#raise(LVT_LINT0);
		this.#update();
	}

	/** INTA: the vector to take now; the spurious one if there is none any more. */
	acknowledge(): number {
		if (this.lint0 && this.#passesPic()) return this.#options.acknowledgePic();
		const vector = this.#deliverable();
		if (vector < 0) {
			return this.isEnabled
				? this.spurious & 0xff
				: this.#options.acknowledgePic();
		}
		this.irr.delete(vector);
		this.isr.add(vector);
		this.#update();
		return vector;
	}

	/** Registers are 32 bits wide, and each has 16 bytes to itself. */
	read(offset: number, size: AccessSize): number {
		const within = offset & 0xf;
		if (within + size > 4) return 0;
		const part = this.#read(offset & 0xff0) >>> (8 * within);
		return (part & floatingBus(size)) >>> 0;
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (size !== 4 || (offset & 0xf) !== 0) return;
		this.#write(offset, value);
		this.#update();
	}

	#read(offset: number): number {
		if (offset >= 0x100 && offset < 0x280) return this.#readSet(offset);
		if (offset >= 0x320 && offset <= 0x370) {
			return this.localVectors[(offset - 0x320) >> 4] ?? 0;
		}
		switch (offset) {
			case 0x020:
				return (this.id << 24) >>> 0;
			case 0x030:
				return VERSION;
			case 0x080:
				return this.taskPriority;
			case 0x090:
			case 0x0a0:
				return this.processorPriority();
			case 0x0d0:
				return this.logicalDestination;
			case 0x0e0:
				return this.destinationFormat;
			case 0x0f0:
				return this.spurious;
			case 0x280:
				return this.errors;
			case 0x300:
				return this.command;
			case 0x310:
				return this.commandHigh;
			case 0x380:
				return this.timer.initialCount;
			case 0x390:
				return this.timer.currentCount();
			case 0x3e0:
				return this.timer.divideConfiguration;
			case 0x0b0:
				return 0;
			default:
				this.#noteError(ERROR_ILLEGAL_REGISTER);
				return 0;
		}
	}

	#readSet(offset: number): number {
		const sets = [this.isr, this.tmr, this.irr];
		const index = (offset - 0x100) >> 4;
		return (sets[index >> 3]?.words[index & 7] ?? 0) >>> 0;
	}

	#write(offset: number, value: number): void {
		if (offset >= 0x320 && offset <= 0x370) {
			this.#writeLocalVector((offset - 0x320) >> 4, value);
			return;
		}
		switch (offset) {
			case 0x020:
				this.id = value >>> 24;
				return;
			case 0x080:
				this.taskPriority = value & 0xff;
				return;
			case 0x0b0:
				this.#endOfInterrupt();
				return;
			case 0x0d0:
				this.logicalDestination = (value & 0xff00_0000) >>> 0;
				return;
			case 0x0e0:
				this.destinationFormat = (value | 0x0fff_ffff) >>> 0;
				return;
			case 0x0f0:
				this.#writeSpurious(value);
				return;
			case 0x280:
				this.errors = this.newErrors;
				this.newErrors = 0;
				return;
			case 0x300:
				this.command = value & ICR_WRITABLE;
				this.#send();
				return;
			case 0x310:
				this.commandHigh = (value & 0xff00_0000) >>> 0;
				return;
			case 0x380:
				this.timer.writeInitialCount(value);
				return;
			case 0x3e0:
				this.timer.writeDivideConfiguration(value);
				return;
			// Read-only registers; all others are an error.
			case 0x030:
			case 0x090:
			case 0x0a0:
			case 0x390:
				return;
			default:
				if (offset < 0x100 || offset >= 0x280) {
					this.#noteError(ERROR_ILLEGAL_REGISTER);
				}
		}
	}

	/** The task's priority or that of the vector in service, whichever is higher. */
	processorPriority(): number {
		const serving = Math.max(0, this.isr.highest()) & 0xf0;
		const task = this.taskPriority;
		return serving > (task & 0xf0) ? serving : task;
	}

	/** Switched off, all local vectors are masked. */
	#writeSpurious(value: number): void {
		this.spurious = value & SVR_BITS;
		if (this.#isSwitchedOn()) return;
		for (let i = 0; i < LVT_COUNT; i++) this.#mask(i);
	}

	#mask(index: number): void {
		const old = this.localVectors[index] ?? 0;
		this.localVectors[index] = old | LVT_MASKED;
	}

	#writeLocalVector(index: number, value: number): void {
		this.localVectors[index] = value & (LVT_WRITABLE[index] ?? 0);
		if (!this.#isSwitchedOn()) this.#mask(index);
		if (index === LVT_TIMER) {
			this.timer.setMode((value >>> LVT_TIMER_MODE_SHIFT) & 3);
		}
	}

	#isSwitchedOn(): boolean {
		return (this.spurious & SVR_ENABLE) !== 0;
	}

	/** Whether the 8259 pair reaches the processor. */
	#passesPic(): boolean {
		if (!this.isEnabled) return true;
		const lint0 = this.localVectors[LVT_LINT0] ?? 0;
		const isExtInt = ((lint0 >>> 8) & 7) === DELIVERY_EXTINT;
		return isExtInt && (lint0 & LVT_MASKED) === 0;
	}

	/** A local event: the timer, an error, an edge at a pin. */
	#raise(index: number): void {
		const entry = this.localVectors[index] ?? 0;
		if (!this.isEnabled || (entry & LVT_MASKED) !== 0) return;
		const isFixedOnly = index === LVT_TIMER || index === LVT_ERROR;
		const mode = isFixedOnly ? DELIVERY_FIXED : (entry >>> 8) & 7;
		this.#accept(mode, entry & 0xff, false);
	}

	/** False when there will be no end of interrupt for it. */
	#accept(deliveryMode: number, vector: number, isLevel: boolean): boolean {
		if (deliveryMode === DELIVERY_NMI) this.#options.onNmi();
		// Nobody handles SMI, and INIT and STARTUP are for other processors.
		if (deliveryMode !== DELIVERY_FIXED && deliveryMode !== DELIVERY_LOWEST) {
			return false;
		}
		if (!this.#isSwitchedOn()) return false;
		if (vector < FIRST_LEGAL_VECTOR) {
			this.#noteError(ERROR_RECEIVE_ILLEGAL);
			return false;
		}
		this.irr.add(vector);
		if (isLevel) this.tmr.add(vector);
		else this.tmr.delete(vector);
		this.#update();
		return true;
	}

	/** An error interrupts when it is new; its own vector can be wrong, once. */
	#noteError(error: number): void {
		if ((this.newErrors & error) !== 0) return;
		this.newErrors |= error;
		this.#raise(LVT_ERROR);
	}

	#isMeant({ destination, isLogical }: InterruptMessage): boolean {
		if (destination === BROADCAST) return true;
		if (!isLogical) return destination === this.id;
		const own = this.logicalDestination >>> 24;
		if (this.destinationFormat >>> 28 === 0xf) return (own & destination) !== 0;
		// Clusters: one of fifteen groups of four.
		const sameCluster = own >> 4 === destination >> 4;
		return sameCluster && (own & destination & 0xf) !== 0;
	}

	/** The interrupt command: to oneself, or to nobody. */
	#send(): void {
		const { vector, deliveryMode } = messageFields(this.command);
		const shorthand = this.command >>> SHORTHAND_SHIFT;
		if (shorthand === SHORTHAND_OTHERS) return;
		const isPlain =
			deliveryMode === DELIVERY_FIXED || deliveryMode === DELIVERY_LOWEST;
		if (isPlain && vector < FIRST_LEGAL_VECTOR) {
			this.#noteError(ERROR_SEND_ILLEGAL);
			return;
		}
		this.receive({
			destination:
				shorthand === SHORTHAND_NONE ? this.commandHigh >>> 24 : BROADCAST,
			isLogical: (this.command & ICR_LOGICAL) !== 0,
			...{ deliveryMode, vector },
			isLevel: false,
		});
	}

	#endOfInterrupt(): void {
		const vector = this.isr.highest();
		if (vector < 0) return;
		this.isr.delete(vector);
		if (this.tmr.has(vector)) this.#options.onEndOfInterrupt(vector);
	}

	/** The requested vector that may interrupt now, or -1. */
	#deliverable(): number {
		if (!this.isEnabled || !this.#isSwitchedOn()) return -1;
		const vector = this.irr.highest();
		if (vector < 0) return -1;
		return (vector & 0xf0) > (this.processorPriority() & 0xf0) ? vector : -1;
	}

	#update(): void {
		const intr = (this.lint0 && this.#passesPic()) || this.#deliverable() >= 0;
		if (intr === this.#intr) return;
		this.#intr = intr;
		this.#options.onIntr(intr);
	}

	/** Switched off by IA32_APIC_BASE, it forgets everything. */
	#reset(): void {
		for (const set of [this.isr, this.tmr, this.irr]) set.clear();
		this.timer.reset();
		this.taskPriority = 0;
		this.logicalDestination = 0;
		this.destinationFormat = 0xffff_ffff;
		this.spurious = 0xff;
		this.newErrors = 0;
		this.errors = 0;
		this.command = 0;
		this.commandHigh = 0;
		this.localVectors.fill(LVT_MASKED);
	}
}
