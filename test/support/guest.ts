/**
 * A whole `Cpu` in 32-bit protected mode with descriptor tables, a task and a
 * handler for every vector, for tests of what user mode cannot reach.
 *
 * A handler is one HLT with interrupts off, so an exception ends `run` with
 * its frame still on the stack; `stopped` says which it was. Tests put their
 * own handlers where they want more. Relies on the public face of the CPU and
 * on `assembler.ts`; the tests of `test/cpu` rely on it.
 */

import type { CpuBus } from "../../src/cpu/bus.ts";
import { Cpu } from "../../src/cpu/cpu.ts";
import type {
	CpuOptions,
	EngineKind,
	ExitReason,
} from "../../src/cpu/cpu-options.ts";
import { readEflags, writeEflags } from "../../src/cpu/flags.ts";
import {
	CPL,
	CR0,
	CR2,
	CR3,
	CR4,
	DR,
	EFER,
	GDTR_BASE,
	GDTR_LIMIT,
	HALTED,
	IDTR_BASE,
	IDTR_LIMIT,
	LDTR,
	RIP,
	TR,
} from "../../src/cpu/state.ts";
import {
	selectorOf,
	setNullSegment,
	setSegmentFromDescriptor,
} from "../../src/cpu/system/segments.ts";
import { Assembler } from "./assembler.ts";

// Where things are, in physical and, without paging, linear memory
export const GDT = 0x1000;
export const IDT = 0x1800;
/** One HLT for each vector, 16 bytes apart. */
export const HANDLERS = 0x2000;
export const TSS = 0x3000;
export const TSS_2 = 0x3200;
export const DOUBLE_FAULT_TSS = 0x3400;
export const TSS_286 = 0x3600;
export const KERNEL_STACK = 0x8000;
export const USER_STACK = 0x9000;
export const TASK_STACK = 0xa000;
export const CODE = 0x1_0000;
export const DATA = 0x2_0000;
export const PAGE_TABLES = 0x4_0000;
const MEMORY_BYTES = 0x80_0000;

// Selectors
export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE = 0x1b;
export const USER_DATA = 0x23;
export const TASK = 0x28;
export const TASK_2 = 0x30;
export const DOUBLE_FAULT_TASK = 0x38;
export const TASK_286 = 0x40;
/** The first that tests may define as they like. */
export const FREE = 0x48;
const GDT_BYTES = 0x200;

/** Arrivals that make code hot: sooner than is worth it, so that tests are short. */
const SOON: Partial<Record<EngineKind, number>> = { auto: 1024, compare: 256 };

const ES = 0;
const CS = 1;
const SS = 2;
const RSP = 4;
const CR0_PE_ET_NE = 0x31;
const TYPE_TSS_AVAILABLE = 0x89;
const TYPE_TSS_BUSY = 0x8b;
const EFLAGS_VM = 1 << 17;

/** What ended a run. */
export interface Stop {
	readonly reason: ExitReason;
	/** The handler that was entered, if the run ended in one of ours. */
	readonly vector: number | undefined;
	/** Doublewords from the top of the stack on. */
	readonly stack: readonly number[];
}

interface StartOptions {
	/** User mode instead of kernel mode. */
	readonly user?: boolean;
	readonly eflags?: number;
	/** Code segment, if not the flat one. */
	readonly selector?: number;
	readonly budget?: number;
}

/** Eight bytes as two halves. `access` = P, DPL, S and type; `flags` = G, D/B, L, AVL. */
export function descriptor(
	base: number,
	limit: number,
	access: number,
	flags = 0,
): readonly [number, number] {
	const low = ((base & 0xffff) << 16) | (limit & 0xffff);
	const high =
		(base & 0xff00_0000) |
		(flags << 20) |
		(limit & 0xf_0000) |
		(access << 8) |
		((base >>> 16) & 0xff);
	return [low, high];
}

/** A gate; `access` = P, DPL and type, `count` = parameters of a call gate. */
export function gate(
	selector: number,
	offset: number,
	access: number,
	count = 0,
): readonly [number, number] {
	return [
		(selector << 16) | (offset & 0xffff),
		(offset & 0xffff_0000) | (access << 8) | count,
	];
}

export class Guest {
	/** What guests run on unless they are told otherwise. */
	static engine: EngineKind = "cold";
	readonly cpu: Cpu;
	/** Guest memory by physical address. */
	readonly memory: DataView;
	/** Bus accesses, in order. */
	readonly bus: string[] = [];
	/** What the interrupt controller gives at the next acknowledge. */
	interruptVector = 0x30;
	/** Called for every access to a device address. */
	onDevice: (address: number) => void = () => {};

	/** `more`: what the CPU is to have besides. */
	constructor(engine = Guest.engine, more: Partial<CpuOptions> = {}) {
		const bus = this.#bus();
		const options = { memoryBytes: MEMORY_BYTES, bus, engine };
		const hotArrivals = SOON[engine];
		const soon = hotArrivals && { hotArrivals };
		this.cpu = new Cpu({ ...options, ...soon, ...more });
		const { bytes } = this.cpu.memory;
		this.memory = new DataView(
			bytes.buffer,
			bytes.byteOffset,
			bytes.byteLength,
		);
		this.#fillTables();
		this.#fillTasks();
		this.#enterProtectedMode();
	}

	#bus(): CpuBus {
		return {
			readPort: (port, size) => {
				this.bus.push(`in ${port.toString(16)}/${size}`);
				return 0;
			},
			writePort: (port, size, value) => {
				this.bus.push(`out ${port.toString(16)}/${size}=${value}`);
			},
			readPhysical: (address, size) => {
				this.bus.push(`read ${address.toString(16)}/${size}`);
				this.onDevice(address);
				return 0;
			},
			writePhysical: (address, size, value) => {
				this.bus.push(`write ${address.toString(16)}/${size}=${value}`);
				this.onDevice(address);
			},
			acknowledgeInterrupt: () => {
				this.cpu.setInterruptLine(false);
				return this.interruptVector;
			},
			timeStampCounter: () => this.cpu.retiredCount(),
			random: () => 0,
		};
	}

	#fillTables(): void {
		this.describe(KERNEL_CODE, descriptor(0, 0xf_ffff, 0x9b, 0xc));
		this.describe(KERNEL_DATA, descriptor(0, 0xf_ffff, 0x93, 0xc));
		this.describe(USER_CODE, descriptor(0, 0xf_ffff, 0xfb, 0xc));
		this.describe(USER_DATA, descriptor(0, 0xf_ffff, 0xf3, 0xc));
		for (let vector = 0; vector < 256; vector++) {
			const handler = HANDLERS + vector * 16;
			this.memory.setUint8(handler, 0xf4);
			// DPL 3, so that INT n reaches them all.
			this.handle(vector, gate(KERNEL_CODE, handler, 0xee));
		}
	}

	#fillTasks(): void {
		const available = TYPE_TSS_AVAILABLE;
		this.describe(TASK, descriptor(TSS, 0x67, TYPE_TSS_BUSY));
		this.describe(TASK_2, descriptor(TSS_2, 0x67, available));
		this.describe(
			DOUBLE_FAULT_TASK,
			descriptor(DOUBLE_FAULT_TSS, 0x67, available),
		);
		this.describe(TASK_286, descriptor(TSS_286, 0x2b, 0x81));
		this.memory.setUint32(TSS + 4, KERNEL_STACK, true);
		this.memory.setUint32(TSS + 8, KERNEL_DATA, true);
		// No I/O map: its base lies beyond the limit.
		this.memory.setUint16(TSS + 0x66, 0x68, true);
	}

	#enterProtectedMode(): void {
		const { state } = this.cpu;
		state.setWide(CR0, CR0_PE_ET_NE);
		state.setWide(GDTR_BASE, GDT);
		state.set32(GDTR_LIMIT, GDT_BYTES - 1);
		state.setWide(IDTR_BASE, IDT);
		state.set32(IDTR_LIMIT, 0x7ff);
		setNullSegment(state, LDTR, 0);
		this.loadFrom(TR, TASK);
		this.enter(false);
		this.cpu.controlChanged();
	}

	/** CS, SS and data segments of a level. */
	enter(user: boolean): void {
		const { state } = this.cpu;
		const data = user ? USER_DATA : KERNEL_DATA;
		for (let index = ES; index <= 5; index++) {
			if (index !== CS) this.loadFrom(index, data);
		}
		this.loadFrom(CS, user ? USER_CODE : KERNEL_CODE);
		state.set32(CPL, user ? 3 : 0);
		state.setGpr32(RSP, user ? USER_STACK : KERNEL_STACK);
	}

	/** Fills a segment register from the GDT, without checks. */
	loadFrom(index: number, selector: number): void {
		const at = GDT + (selector & ~7);
		const low = this.memory.getInt32(at, true);
		const high = this.memory.getInt32(at + 4, true);
		setSegmentFromDescriptor(this.cpu.state, index, selector, low, high);
	}

	/** Puts a descriptor or a gate into the GDT. */
	describe(selector: number, [low, high]: readonly [number, number]): void {
		this.memory.setInt32(GDT + (selector & ~7), low, true);
		this.memory.setInt32(GDT + (selector & ~7) + 4, high, true);
	}

	/** Puts a gate into the IDT. */
	handle(vector: number, [low, high]: readonly [number, number]): void {
		this.memory.setInt32(IDT + vector * 8, low, true);
		this.memory.setInt32(IDT + vector * 8 + 4, high, true);
	}

	/** Fills a 32-bit TSS for a kernel task that starts at `eip`. */
	prepareTask(tss: number, eip: number, cr3 = 0): void {
		const put = (at: number, value: number) =>
			this.memory.setUint32(tss + at, value, true);
		put(0x1c, cr3);
		put(0x20, eip);
		put(0x24, 2);
		put(0x38, TASK_STACK);
		for (const at of [0x48, 0x50, 0x54, 0x58, 0x5c]) put(at, KERNEL_DATA);
		put(0x4c, KERNEL_CODE);
		put(0x64, 0x68_0000);
	}

	/** Starts paging with the tables that a test has written. */
	page(cr3: number, cr4 = 0, efer = 0): void {
		const { state } = this.cpu;
		state.setWide(CR3, cr3);
		state.setWide(CR4, cr4);
		state.setWide(EFER, efer);
		state.setWide(CR0, (state.get32(CR0) | 0x8001_0000) >>> 0);
		if (cr4 & 0x20) this.cpu.mmu.loadPdptes(cr3);
		this.cpu.controlChanged();
	}

	/** Copies code into memory. */
	load(code: Assembler): void {
		this.cpu.memory.write(code.origin, code.assemble());
	}

	/** Loads and runs code until it halts, faults or has used up its budget. */
	run(code: Assembler, options: StartOptions = {}): Stop {
		this.load(code);
		this.enter(options.user ?? false);
		if (options.selector) this.loadFrom(CS, options.selector);
		writeEflags(this.cpu.state, options.eflags ?? 0);
		this.cpu.state.setWide(RIP, code.origin);
		return this.resume(options.budget);
	}

	/** Goes on from where the CPU is. */
	resume(budget = 10_000): Stop {
		this.cpu.state.set32(HALTED, 0);
		this.cpu.controlChanged();
		const reason = this.cpu.run(budget);
		return { reason, vector: this.#vector(reason), stack: this.stack() };
	}

	#vector(reason: ExitReason): number | undefined {
		const offset = this.eip - 1 - HANDLERS;
		const isHandler = reason === "halt" && offset >= 0 && offset < 0x1000;
		return isHandler && offset % 16 === 0 ? offset / 16 : undefined;
	}

	/** Ten doublewords of the current stack, by linear = physical address. */
	stack(): number[] {
		const base = this.esp;
		if (base + 40 > MEMORY_BYTES) return [];
		return Array.from({ length: 10 }, (_, i) =>
			this.memory.getUint32(base + i * 4, true),
		);
	}

	word(address: number): number {
		return this.memory.getUint32(address, true);
	}

	setWord(address: number, value: number): void {
		this.memory.setUint32(address, value, true);
	}

	get eip(): number {
		return this.cpu.state.getWide(RIP);
	}
	get esp(): number {
		return this.cpu.state.gpr32(RSP);
	}
	get eflags(): number {
		return readEflags(this.cpu.state);
	}
	get cpl(): number {
		return this.cpu.state.get32(CPL);
	}
	get cr2(): number {
		return this.cpu.state.getWide(CR2);
	}
	get dr6(): number {
		return this.cpu.state.get32(DR, 6) & 0xe00f;
	}
	get inVirtual8086(): boolean {
		return (this.eflags & EFLAGS_VM) !== 0;
	}
	gpr(index: number): number {
		return this.cpu.state.gpr32(index);
	}
	selector(index: number): number {
		return selectorOf(this.cpu.state, index);
	}
	get cs(): number {
		return this.selector(CS);
	}
	get ss(): number {
		return this.selector(SS);
	}
}

/** Code at the usual place. */
export const code = (): Assembler => new Assembler(CODE);
