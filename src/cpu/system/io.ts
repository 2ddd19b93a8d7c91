/**
 * Ports, time, chance and waiting: the operations that reach the machine
 * through the CPU's pins, and who may use them (Intel SDM vol. 1,
 * "Input/Output").
 *
 * @journey E:550 Pins
 */

import type { CpuBus } from "../bus.ts";
import { STATUS_NEXT, STATUS_STOP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_UD } from "../exceptions.ts";
import {
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_IOPL_SHIFT,
	EFLAGS_VM,
} from "../flags.ts";
import {
	CPL,
	CR4,
	EFLAGS,
	HALTED,
	INTERRUPT_PENDING,
	LEAVE,
	SYSTEM_RESULT,
	TR,
	TSC_OFFSET,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import { CR4_TSD } from "./control-bits.ts";
import { TSS_32, TSS_BUSY } from "./descriptors.ts";
import { HALTED_WAITING } from "./exception-delivery.ts";
import {
	isProtected,
	isUsable,
	segmentAttributes,
	segmentBase,
	segmentLimit,
} from "./segments.ts";
import { setSlot } from "./slots.ts";

type PortSize = Parameters<CpuBus["readPort"]>[1];

/** Where a 32-bit TSS says where its I/O permission bit map begins. */
const TSS_IO_MAP_BASE = 0x66;
const TYPE_AND_S = 0x1f;
const LOW_64 = (1n << 64n) - 1n;
const TWO_32 = 2 ** 32;

/** IO_CHECK: IOPL decides, else the TSS's bit map; virtual-8086 mode always asks the map. */
export function checkPort(
	cpu: SystemContext,
	port: number,
	bytes: number,
): Status {
	const state = cpu.state;
	if (!isProtected(state)) return STATUS_NEXT;
	const eflags = state.get32(EFLAGS);
	const iopl = (eflags & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT;
	const byLevel = (eflags & EFLAGS_VM) === 0 && state.get32(CPL) <= iopl;
	if (!byLevel && !mapAllows(cpu, port & 0xffff, bytes)) raise(VECTOR_GP, 0);
	return STATUS_NEXT;
}

/** Two bytes of the map are read, for a range of ports may straddle one. */
function mapAllows(cpu: SystemContext, port: number, bytes: number): boolean {
	const { state, mmu } = cpu;
	const attributes = segmentAttributes(state, TR);
	const is32 = (attributes & TYPE_AND_S) === (TSS_32 | TSS_BUSY);
	const limit = segmentLimit(state, TR);
	if (!isUsable(attributes) || !is32 || limit < TSS_IO_MAP_BASE + 1) {
		return false;
	}
	const base = segmentBase(state, TR);
	const map = mmu.readU16((base + TSS_IO_MAP_BASE) >>> 0, false);
	const at = map + (port >>> 3);
	if (at + 1 > limit) return false;
	const bits = mmu.readU16((base + at) >>> 0, false) >>> (port & 7);
	return (bits & ((1 << bytes) - 1)) === 0;
}

export function input(cpu: SystemContext, port: number, bytes: number): Status {
	checkPort(cpu, port, bytes);
	const value = cpu.bus.readPort(port & 0xffff, bytes as PortSize);
	setSlot(cpu.state, SYSTEM_RESULT, value);
	leaveForInterrupt(cpu.state);
	return STATUS_NEXT;
}

/** A device may answer with an interrupt at once; the instruction ends first. */
function leaveForInterrupt(state: StateView): void {
	const open = (state.get32(EFLAGS) & EFLAGS_IF) !== 0;
	if (open && state.get32(INTERRUPT_PENDING) !== 0) state.set32(LEAVE, 1);
}

export function output(
	cpu: SystemContext,
	port: number,
	bytes: number,
	value: number,
): Status {
	checkPort(cpu, port, bytes);
	const kept =
		bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff);
	cpu.bus.writePort(port & 0xffff, bytes as PortSize, kept);
	leaveForInterrupt(cpu.state);
	return STATUS_NEXT;
}

/** The run loop finds HALTED and waits. */
export function halt(cpu: SystemContext): Status {
	requireLevel0(cpu.state);
	cpu.state.set32(HALTED, HALTED_WAITING);
	return STATUS_STOP;
}

/** #GP(0) unless CPL is 0. */
export function requireLevel0(state: StateView): void {
	if (state.get32(CPL) !== 0) raise(VECTOR_GP, 0);
}

export function readTimeStampCounter(cpu: SystemContext): Status {
	const state = cpu.state;
	if ((state.get32(CR4) & CR4_TSD) !== 0 && state.get32(CPL) !== 0) {
		raise(VECTOR_GP, 0);
	}
	// In halves: loops that wait for time ask a million times, and a large number
	// is garbage each time.
	const ticks = cpu.bus.timeStampCounter();
	const low = (ticks % TWO_32) + state.getU32(TSC_OFFSET);
	const carry = low < TWO_32 ? 0 : 1;
	const highOffset = state.view.getUint32(
		state.base + TSC_OFFSET.offset + 4,
		true,
	);
	const high = Math.floor(ticks / TWO_32) + highOffset + carry;
	state.setHalves(SYSTEM_RESULT, low, high);
	return STATUS_NEXT;
}

/** The counter as the guest has set it. */
export function timeStamp(cpu: SystemContext): bigint {
	const ticks = BigInt(cpu.bus.timeStampCounter());
	return (ticks + cpu.state.getBig(TSC_OFFSET)) & LOW_64;
}

/** No counters are offered, so every number is wrong. */
export function readPerformanceCounter(): never {
	return raise(VECTOR_GP, 0);
}

export function random(cpu: SystemContext, sizeBits: number): Status {
	const { state, bus } = cpu;
	const low = bus.random();
	setSlot(state, SYSTEM_RESULT, sizeBits === 16 ? low & 0xffff : low);
	if (sizeBits === 64) {
		const high = BigInt(bus.random() >>> 0) << 32n;
		state.setBig(SYSTEM_RESULT, high | BigInt(low >>> 0));
	}
	return STATUS_NEXT;
}

/** The machine's paravirtual call, where it has one. */
export function hypercall(cpu: SystemContext): Status {
	if (cpu.hypercall?.() !== true) raise(VECTOR_UD);
	return STATUS_NEXT;
}
