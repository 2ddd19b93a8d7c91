/**
 * One Guest, from the Host's side: a kernel at privilege level 1, everything it
 * has told us by hypercall, and what is done when it faults. Here the Host
 * stands behind the processor, as its *supervisor*: level 0 is not in the
 * machine at all, so nothing the Guest does can reach it.
 *
 * A Guest that breaks a rule dies, and the first reason wins. They are in the
 * words of the original Host.
 *
 * Relies on the CPU's public face and on the files beside it; the Launcher
 * relies on it.
 *
 * @journey H:210 The Guest, seen from outside
 */

import {
	type Cpu,
	fields,
	type GuestFault,
	raise,
	type Supervisor,
	setNullSegment,
	setSegmentFromDescriptor,
	writeEflags,
} from "../../cpu/index.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import {
	GUEST_PL,
	LGUEST_CS,
	LGUEST_DS,
	LGUEST_IRQS,
	LGUEST_TRAP_ENTRY,
} from "../abi.ts";
import { type Dialect, recogniseDialect } from "./dialect.ts";
import { hex } from "./hex.ts";
import { Hypercalls } from "./hypercalls.ts";
import { emulate } from "./instructions.ts";
import { InterruptsAndTraps } from "./interrupts-and-traps.ts";
import {
	HOST_ADDRESS,
	hasKernelAddress,
	hasSyscallVector,
	isGuestRange,
	LguestData,
} from "./lguest-data.ts";
import { badRead, PageTables } from "./page-tables.ts";
import { Segments } from "./segments.ts";

/** What the Host needs of the machine around it. */
export interface GuestWires {
	/** Steady time, in nanoseconds. */
	readonly nowNs: () => number;
	/** Seconds since 1970. */
	readonly wallSeconds: () => number;
	/** Calls back once, at or after `deadlineNs`; replaces what `owner` asked for before. */
	readonly schedule: (
		owner: object,
		deadlineNs: number | undefined,
		callback: () => void,
	) => void;
	/** NOTIFY. False = the Launcher must see to it before the Guest goes on. */
	readonly notify: (address: number) => boolean;
	/** The Guest has said what it is. */
	readonly initialised?: (dialect: Dialect) => void;
}

/** How a Guest begins. */
export interface GuestOptions {
	/** Page frames that the Guest has: RAM and devices' pages. */
	readonly pfnLimit: number;
	/** Physical address of the first instruction. */
	readonly start: number;
	/** Where the Launcher has put page tables, as it had to for Guests up to 2.6.28. */
	readonly pgdir?: number;
	readonly ramBytes: number;
	/** At the top of RAM. */
	readonly initrdBytes: number;
	readonly tscKhz: number;
}

/** Why a Guest has ended. */
export type Death =
	| { readonly kind: "dead"; readonly reason: string }
	| { readonly kind: "restart" };

const CR0_RUNNING = 0x8005_0033 & ~(1 << 31); // PE MP ET NE WP AM
const CR4_RUNNING = (1 << 7) | (1 << 9) | (1 << 10); // PGE OSFXSR OSXMMEXCPT
const EFLAGS_START = 0x202;
const GDTR_LIMIT = 32 * 8 - 1;
const SHORTEST_CLOCK_NS = 100;
const HALTED_WAITING = 1;
const PAGE_FAULT = 14;
const GENERAL_PROTECTION = 13;
/** In error codes: the selector index is a vector. */
const ERROR_IDT = 2;
const NS_PER_SECOND = 1e9;

/** ES CS SS DS FS GS as `fields.SEGMENT` counts them. */
const CS = 1;
const FLAT_DATA = [0, 2, 3];
const FS_AND_GS = [4, 5];

/** A Guest. It runs when its CPU does. */
export class Guest implements Supervisor {
	readonly cpu: Cpu;
	readonly memory: GuestMemory;
	readonly pfnLimit: number;
	readonly ramBytes: number;
	readonly initrdBytes: number;
	readonly segments = new Segments(this);
	readonly traps = new InterruptsAndTraps(this);
	readonly pageTables = new PageTables(this);
	/** Both unknown until the Guest's first hypercall. */
	data: LguestData | undefined;
	dialect: Dialect | undefined;
	/** Why it is no more; the first reason wins. */
	death: Death | undefined;
	/** The address of a NOTIFY that nobody has answered. */
	unansweredNotify: number | undefined;
	readonly #calls = new Hypercalls(this);
	readonly #wires: GuestWires;
	readonly #options: GuestOptions;
	#isWatching = false;

	/** Puts the CPU where a Guest begins. */
	constructor(cpu: Cpu, options: GuestOptions, wires: GuestWires) {
		this.cpu = cpu;
		this.memory = cpu.memory;
		this.pfnLimit = options.pfnLimit;
		this.ramBytes = options.ramBytes;
		this.initrdBytes = options.initrdBytes;
		this.#options = options;
		this.#wires = wires;
		this.#enterStart();
	}

	get isDead(): boolean {
		return this.death !== undefined;
	}

	get hasUnansweredNotify(): boolean {
		return this.unansweredNotify !== undefined;
	}

	/** The table that the processor reads. */
	get descriptors(): Int32Array {
		return this.segments.table;
	}

	/** Ends the Guest for the reason given. */
	kill(reason: string): void {
		this.#end({ kind: "dead", reason });
	}

	/** The Guest wants to be started again. */
	restart(): void {
		this.#end({ kind: "restart" });
	}

	/** Interrupt `irq` is due; while it waits, raising it again changes nothing. */
	raise(irq: number): void {
		if (irq < 0 || irq >= LGUEST_IRQS) return;
		this.traps.pending |= 1 << irq;
		this.cpu.setInterruptLine(true);
	}

	/** Whether the range may be read on the Guest's behalf; it dies if not. */
	mayRead(address: number, bytes: number): boolean {
		if (isGuestRange(address >>> 0, bytes, this.pfnLimit)) return true;
		this.kill(badRead(address, bytes));
		return false;
	}

	/** LGUEST_INIT. */
	initialise(byVmcall: boolean): void {
		const { memory, pfnLimit } = this;
		const register = (index: number) => this.cpu.state.gpr32(index);
		const call = recogniseDialect(memory, pfnLimit, register, byVmcall);
		if (call === undefined) {
			this.kill(`bad guest page ${hex(register(byVmcall ? 3 : 2))}`);
			return;
		}
		const data = new LguestData(memory, call.address, call.dialect.layout);
		if (!this.#accepts(data)) return;
		this.data = data;
		this.dialect = call.dialect;
		data.tscKhz = this.#options.tscKhz;
		data.reserveMem = 2 ** 32 - HOST_ADDRESS;
		this.storeTime();
		this.#startPaging(data, call.dialect);
		this.cpu.mmu.flushAll();
		this.lookForInterrupts();
		this.#wires.initialised?.(call.dialect);
	}

	/** Tells the Guest what time it is. */
	storeTime(): void {
		const now = this.#wires.wallSeconds();
		const seconds = Math.floor(now);
		const nanoseconds = Math.floor((now - seconds) * NS_PER_SECOND);
		this.data?.setTime(seconds, nanoseconds);
	}

	/** SET_CLOCKEVENT: interrupt 0 in so many nanoseconds, or never. */
	setClockEvent(deltaNs: number): void {
		const deadlineNs =
			deltaNs === 0
				? undefined
				: this.#wires.nowNs() + Math.max(deltaNs, SHORTEST_CLOCK_NS);
		this.#wires.schedule(this, deadlineNs, () => this.raise(0));
	}

	/** HALT: until an interrupt comes. */
	halt(): void {
		this.cpu.state.set32(fields.HALTED, HALTED_WAITING);
		this.cpu.leave();
	}

	/** NOTIFY. */
	notify(address: number): void {
		if (this.#wires.notify(address)) return;
		this.unansweredNotify = address;
		this.cpu.requestExit();
	}

	/** The Launcher has seen to the NOTIFY: calls that waited for it go on. */
	answerNotify(): void {
		this.unansweredNotify = undefined;
		this.#calls.goOn();
	}

	/** Something has changed that pending interrupts may have waited for. */
	lookForInterrupts(): void {
		if (this.traps.pending !== 0) this.cpu.leave();
	}

	// As the processor's supervisor

	exception({ vector, errorCode }: GuestFault): void {
		if (this.isDead) return;
		const { state } = this.cpu;
		const isKernel = state.get32(fields.CPL) === GUEST_PL;
		if (vector === GENERAL_PROTECTION && errorCode === 0 && isKernel) {
			if (emulate(this)) return;
		}
		if (vector !== PAGE_FAULT) {
			this.traps.reflect(vector, errorCode);
			return;
		}
		const code = this.pageTables.fault(errorCode ?? 0);
		if (code !== undefined) this.traps.reflect(vector, code);
	}

	softwareInterrupt(vector: number): boolean {
		const isKernel = this.cpu.state.get32(fields.CPL) === GUEST_PL;
		if (vector === LGUEST_TRAP_ENTRY && isKernel) {
			this.#calls.direct(false);
			return false;
		}
		if (!this.traps.softwareInterrupt(vector)) {
			raise(GENERAL_PROTECTION, vector * 8 + ERROR_IDT);
		}
		return true;
	}

	/** VMCALL; false = there is no such instruction at this level. */
	#vmcall(): boolean {
		if (this.cpu.state.get32(fields.CPL) !== GUEST_PL) return false;
		this.#calls.direct(true);
		return true;
	}

	offerInterrupt(): boolean {
		if (this.isDead) return false;
		const isHalted = this.cpu.state.get32(fields.HALTED) !== 0;
		const offer = this.traps.offer(isHalted);
		this.#watchMask(offer === "masked");
		if (this.traps.pending === 0) this.cpu.setInterruptLine(false);
		return offer === "soon";
	}

	/**
	 * Turning interrupts on is a plain store here. While one waits for that, the
	 * two words are watched, which makes stores to their page slow; at all other
	 * times they are memory like any other.
	 */
	#watchMask(wanted: boolean): void {
		const { data, cpu } = this;
		if (wanted === this.#isWatching || data === undefined) return;
		this.#isWatching = wanted;
		if (wanted) cpu.mmu.watch(data.address + data.layout.irq_enabled, 8);
		else cpu.mmu.unwatch();
	}

	#accepts(data: LguestData): boolean {
		if (!hasSyscallVector(data)) this.kill("bad syscall vector");
		else if (!hasKernelAddress(data)) {
			this.kill(`bad kernel address ${hex(data.kernelAddress)}`);
		}
		return !this.isDead;
	}

	#startPaging(data: LguestData, { startsLinear }: Dialect): void {
		const { pgdir } = this.#options;
		if (startsLinear) return;
		const top = pgdir ?? this.pageTables.build(data.kernelAddress);
		data.setPgdir(top);
		if (pgdir === undefined) this.pageTables.use(top);
	}

	#end(death: Death): void {
		this.death ??= death;
		this.cpu.requestExit();
	}

	#enterStart(): void {
		const { cpu } = this;
		cpu.reset();
		const { state } = cpu;
		for (let register = 0; register < 8; register++) {
			state.setGpr32(register, 0);
		}
		state.setWide(fields.RIP, this.#options.start);
		writeEflags(state, EFLAGS_START);
		state.setWide(fields.CR0, CR0_RUNNING);
		state.setWide(fields.CR4, CR4_RUNNING);
		state.setWide(fields.GDTR_BASE, 0);
		state.set32(fields.GDTR_LIMIT, GDTR_LIMIT);
		this.#enterSegments();
		cpu.supervisor = this;
		cpu.hypercall = () => this.#vmcall();
		cpu.mmu.unwatch();
		cpu.mmu.onWatchedWrite = () => cpu.leave();
		cpu.controlChanged();
		this.pageTables.applyRules();
		if (this.#options.pgdir !== undefined) {
			this.pageTables.use(this.#options.pgdir);
		}
	}

	#enterSegments(): void {
		const { state } = this.cpu;
		const load = (register: number, entry: number) =>
			setSegmentFromDescriptor(
				state,
				register,
				entry * 8 + GUEST_PL,
				this.descriptors[entry * 2] ?? 0,
				this.descriptors[entry * 2 + 1] ?? 0,
			);
		load(CS, LGUEST_CS);
		for (const register of FLAT_DATA) load(register, LGUEST_DS);
		for (const register of FS_AND_GS) setNullSegment(state, register, 0);
		setNullSegment(state, fields.LDTR, 0);
		setNullSegment(state, fields.TR, 0);
	}
}
