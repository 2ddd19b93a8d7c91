/**
 * A processor without an engine, for tests of the system architecture: real
 * state, identity-mapped memory with pages that can be taken away, a bus that
 * writes down what it is asked, and a GDT with one descriptor of each kind.
 */

import type { CpuBus } from "../../src/cpu/bus.ts";
import { GuestFault, raise, VECTOR_PF } from "../../src/cpu/exceptions.ts";
import { readEflags, writeEflags } from "../../src/cpu/flags.ts";
import {
	CPL,
	CR0,
	CR2,
	GDTR_BASE,
	GDTR_LIMIT,
	GPR,
	HALTED,
	IDTR_BASE,
	IDTR_LIMIT,
	NEXT_RIP,
	RIP,
	STATE_BYTES,
	SYSTEM_ARGUMENT,
	TR,
} from "../../src/cpu/state.ts";
import { StateView } from "../../src/cpu/state-view.ts";
import type { SystemContext, SystemMmu } from "../../src/cpu/system/context.ts";
import { CpuIdentity } from "../../src/cpu/system/cpuid.ts";
import { updateMode } from "../../src/cpu/system/mode-control.ts";
import {
	resetSegments,
	selectorOf,
	setSegmentFromDescriptor,
	setVirtual8086Segment,
} from "../../src/cpu/system/segments.ts";

export const GDT = 0x1000;
export const IDT = 0x2000;
export const LDT_BASE = 0x2800;
export const TSS = 0x3000;
export const TSS_2 = 0x3200;
export const TSS_286 = 0x3400;
export const KERNEL_STACK = 0x8000;
export const USER_STACK = 0x9000;
/** The instruction at hand and the one behind it. */
export const HERE = 0x4000;
export const NEXT = 0x4005;

export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE = 0x1b;
export const USER_DATA = 0x23;
export const TASK = 0x28;
export const CALL_GATE = 0x33;
export const CONFORMING = 0x38;
export const ABSENT_DATA = 0x40;
export const EXPAND_DOWN = 0x48;
export const LDT_SELECTOR = 0x50;
export const TASK_2 = 0x58;
export const TASK_GATE_3 = 0x63;
export const TASK_286 = 0x68;
export const EXECUTE_ONLY = 0x70;
export const READ_ONLY = 0x78;
export const CODE_16 = 0x80;
export const SMALL_DATA = 0x88;
export const STACK_16 = 0x90;
export const GATE_16 = 0x9b;
const GDT_ENTRIES = 20;

const FLAT = 0xffff_ffff;
const PAGE = 4096;
const RSP = 4;

class FlatMmu implements SystemMmu {
	readonly view = new DataView(new ArrayBuffer(0x2_0000));
	/** Pages by number that fault on any access, and on writes. */
	readonly absent = new Set<number>();
	readonly readOnly = new Set<number>();
	readonly calls: string[] = [];
	readonly #state: StateView;
	pdptesAreBad = false;

	constructor(state: StateView) {
		this.#state = state;
	}

	#check(linear: number, write: boolean, user: boolean): number {
		const page = Math.floor(linear / PAGE);
		const absent = this.absent.has(page);
		if (absent || (write && this.readOnly.has(page))) {
			this.#state.setWide(CR2, linear);
			const code = (absent ? 0 : 1) | (write ? 2 : 0) | (user ? 4 : 0);
			raise(VECTOR_PF, code);
		}
		return linear;
	}

	readU8(linear: number, user: boolean): number {
		return this.view.getUint8(this.#check(linear, false, user));
	}
	readU16(linear: number, user: boolean): number {
		return this.view.getUint16(this.#check(linear, false, user), true);
	}
	readU32(linear: number, user: boolean): number {
		return this.view.getUint32(this.#check(linear, false, user), true);
	}
	readU64(linear: number, user: boolean): bigint {
		return this.view.getBigUint64(this.#check(linear, false, user), true);
	}
	writeU8(linear: number, value: number, user: boolean): void {
		this.view.setUint8(this.#check(linear, true, user), value);
	}
	writeU16(linear: number, value: number, user: boolean): void {
		this.view.setUint16(this.#check(linear, true, user), value, true);
	}
	writeU32(linear: number, value: number, user: boolean): void {
		this.view.setUint32(this.#check(linear, true, user), value, true);
	}
	writeU64(linear: number, value: bigint, user: boolean): void {
		this.view.setBigUint64(this.#check(linear, true, user), value, true);
	}
	probeWrite(linear: number, _bytes: number, user: boolean): void {
		this.#check(linear, true, user);
	}
	flushLocal(): void {
		this.calls.push("flushLocal");
	}
	flushAll(): void {
		this.calls.push("flushAll");
	}
	invalidatePage(linear: number): void {
		this.calls.push(`invalidatePage ${linear.toString(16)}`);
	}
	controlRegistersChanged(): void {
		this.calls.push("controlRegistersChanged");
	}
	loadPdptes(cr3: number): void {
		if (this.pdptesAreBad) raise(13, 0);
		this.calls.push(`loadPdptes ${cr3.toString(16)}`);
	}
}

/** The context under test; `mode` says where it starts. */
export class TestSystem implements SystemContext {
	readonly state = new StateView(new ArrayBuffer(STATE_BYTES), 0);
	readonly mmu = new FlatMmu(this.state);
	readonly cpuid = new CpuIdentity();
	/** Port writes as "port/size=value". */
	readonly written: string[] = [];
	portValue = 0;
	ticks = 1000;
	hypercall?: () => boolean;
	readonly bus: CpuBus = {
		readPort: () => this.portValue,
		writePort: (port, size, value) => {
			this.written.push(`${port.toString(16)}/${size}=${value}`);
		},
		readPhysical: () => 0,
		writePhysical: () => undefined,
		acknowledgeInterrupt: () => 0x30,
		timeStampCounter: () => this.ticks,
		random: () => 0xdead_beef,
	};

	constructor() {
		resetSegments(this.state);
		writeEflags(this.state, 0);
		this.state.setWide(RIP, HERE);
		this.state.setWide(NEXT_RIP, NEXT);
		this.esp = KERNEL_STACK;
	}

	get esp(): number {
		return this.state.gpr32(RSP);
	}
	set esp(value: number) {
		this.state.setGpr32(RSP, value);
	}
	get rip(): number {
		return this.state.getWide(RIP);
	}
	get cpl(): number {
		return this.state.get32(CPL);
	}
	get eflags(): number {
		return readEflags(this.state);
	}
	set eflags(value: number) {
		writeEflags(this.state, value);
	}
	get halted(): number {
		return this.state.get32(HALTED);
	}

	gpr(index: number): number {
		return this.state.get32(GPR, index);
	}

	selector(index: number): number {
		return selectorOf(this.state, index);
	}

	argument(value: number): void {
		this.state.setWide(SYSTEM_ARGUMENT, value >>> 0);
	}

	/** The doublewords on the stack, from the top. */
	stack32(count: number): number[] {
		return Array.from({ length: count }, (_, i) =>
			this.mmu.view.getUint32(this.esp + i * 4, true),
		);
	}

	/** Lays `values` on the stack, the first on top. */
	pushAll(...values: readonly number[]): void {
		this.esp -= values.length * 4;
		for (const [i, value] of values.entries()) {
			this.mmu.view.setUint32(this.esp + i * 4, value, true);
		}
	}

	descriptor(
		table: number,
		selector: number,
		base: number,
		limit: number,
		attributes: number,
	): void {
		const granular = limit > 0xf_ffff;
		const raw = granular ? limit >>> 12 : limit;
		const at = table + (selector & ~7);
		const view = this.mmu.view;
		view.setUint32(at, ((base << 16) | (raw & 0xffff)) >>> 0, true);
		const rights = attributes | (granular ? 0x8000 : 0);
		const high =
			(base & 0xff00_0000) |
			((rights & 0xf000) << 8) |
			(raw & 0xf_0000) |
			((rights & 0xff) << 8) |
			((base >>> 16) & 0xff);
		view.setUint32(at + 4, high >>> 0, true);
	}

	/** `rights`: P, DPL and type, as an access byte; `count` = parameters. */
	gate(
		at: number,
		selector: number,
		offset: number,
		rights: number,
		count = 0,
	): void {
		const view = this.mmu.view;
		view.setUint32(at, ((selector << 16) | (offset & 0xffff)) >>> 0, true);
		const high = (offset & 0xffff_0000) | (rights << 8) | count;
		view.setUint32(at + 4, high >>> 0, true);
	}

	idtGate(
		vector: number,
		selector: number,
		offset: number,
		rights = 0x8e,
	): void {
		this.gate(IDT + vector * 8, selector, offset, rights);
	}

	/** The descriptor's access byte, as memory holds it. */
	accessByte(selector: number, table = GDT): number {
		return this.mmu.view.getUint8(table + (selector & ~7) + 5);
	}

	setAccessByte(selector: number, value: number, table = GDT): void {
		this.mmu.view.setUint8(table + (selector & ~7) + 5, value);
	}

	/** Loads a segment register without any check. */
	load(index: number, selector: number, table = GDT): void {
		const at = table + (selector & ~7);
		const low = this.mmu.view.getUint32(at, true);
		const high = this.mmu.view.getUint32(at + 4, true);
		setSegmentFromDescriptor(this.state, index, selector, low, high);
	}

	enterLevel(level: 0 | 3): void {
		const data = level === 0 ? KERNEL_DATA : USER_DATA;
		this.load(1, level === 0 ? KERNEL_CODE : USER_CODE);
		for (const index of [0, 2, 3, 4, 5]) this.load(index, data);
		this.esp = level === 0 ? KERNEL_STACK : USER_STACK;
		this.state.set32(CPL, level);
		updateMode(this.state);
	}

	enterVirtual8086(iopl: number): void {
		this.eflags = (1 << 17) | (iopl << 12);
		this.state.set32(CPL, 3);
		for (let i = 0; i < 6; i++) {
			setVirtual8086Segment(this.state, i, 0x100 + i);
		}
		this.state.setWide(RIP, 0x200);
		this.state.setWide(NEXT_RIP, 0x202);
		this.esp = 0xff0;
		updateMode(this.state);
	}
}

/** In 32-bit protected mode at `level`, with the GDT above, a TSS and an empty IDT. */
export function protectedSystem(level: 0 | 3 = 0): TestSystem {
	const cpu = new TestSystem();
	const { state, mmu } = cpu;
	const put = (selector: number, attributes: number, limit = FLAT, base = 0) =>
		cpu.descriptor(GDT, selector, base, limit, attributes);
	put(KERNEL_CODE, 0x409b);
	put(KERNEL_DATA, 0x4093);
	put(USER_CODE, 0x40fb);
	put(USER_DATA, 0x40f3);
	put(TASK, 0x0089, 0x67, TSS);
	cpu.gate(GDT + (CALL_GATE & ~7), KERNEL_CODE, 0x5000, 0xec, 2);
	put(CONFORMING, 0x409f);
	put(ABSENT_DATA, 0x4073);
	put(EXPAND_DOWN, 0x40f7, 0xfff);
	put(LDT_SELECTOR, 0x0082, 0x1f, LDT_BASE);
	put(TASK_2, 0x0089, 0x67, TSS_2);
	cpu.gate(GDT + (TASK_GATE_3 & ~7), TASK_2, 0, 0xe5);
	put(TASK_286, 0x0081, 0x2b, TSS_286);
	put(EXECUTE_ONLY, 0x40f9);
	put(READ_ONLY, 0x40f1);
	put(CODE_16, 0x009b, 0xffff);
	put(SMALL_DATA, 0x40f3, 0xff, 0x6000);
	put(STACK_16, 0x0093, 0xffff);
	cpu.gate(GDT + (GATE_16 & ~7), KERNEL_CODE, 0x5000, 0xe4, 1);
	state.setWide(GDTR_BASE, GDT);
	state.set32(GDTR_LIMIT, GDT_ENTRIES * 8 - 1);
	state.setWide(IDTR_BASE, IDT);
	state.set32(IDTR_LIMIT, 0x7ff);
	state.setWide(CR0, 0x11);
	cpu.load(TR, TASK);
	mmu.view.setUint32(TSS + 4, KERNEL_STACK, true);
	mmu.view.setUint16(TSS + 8, KERNEL_DATA, true);
	cpu.enterLevel(level);
	return cpu;
}

/** "vector" or "vector(code)" of the exception that `action` raises; "none" if it does not. */
export function faultOf(action: () => unknown): string {
	try {
		action();
	} catch (fault) {
		if (!(fault instanceof GuestFault)) throw fault;
		return fault.errorCode === undefined
			? `${fault.vector}`
			: `${fault.vector}(${fault.errorCode.toString(16)})`;
	}
	return "none";
}
