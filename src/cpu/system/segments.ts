/**
 * Segment registers: finding descriptors, checking them, filling the hidden
 * part.
 *
 * Relies on `descriptors.ts` for the bits and on the context's MMU for the
 * tables. Far transfers, interrupts and task switches fill CS and SS through
 * here; MOV and POP to a segment register are `loadSegment`.
 *
 * @journey E:522 Filling a segment register
 */

import { STATUS_NEXT, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_NP, VECTOR_SS } from "../exceptions.ts";
import { EFLAGS_VM } from "../flags.ts";
import {
	CPL,
	CR0,
	EFLAGS,
	GDTR_BASE,
	GDTR_LIMIT,
	LDTR,
	LEAVE,
	SEGMENT_ATTRIBUTES,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	SEGMENT_READ_SAFE,
	SEGMENT_SELECTOR,
	SEGMENT_UNUSABLE,
	SEGMENT_WRITE_SAFE,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import { CR0_PE } from "./control-bits.ts";
import {
	ATTRIBUTE_CODE_OR_DATA,
	ATTRIBUTE_PRESENT,
	attributesOf,
	baseOf,
	dplOf,
	FS,
	isConformingCode,
	isPresent,
	isReadable,
	isWritableData,
	limitOf,
	SS,
	TYPE_ACCESSED,
	TYPE_CODE,
	TYPE_EXPAND_DOWN,
	TYPE_READABLE,
	TYPE_WRITABLE,
} from "./descriptors.ts";
import { modeChanged } from "./mode-control.ts";

/** Selector bits (Intel SDM vol. 3, "Segment Selectors"). */
export const SELECTOR_RPL = 3;
export const SELECTOR_LDT = 4;
/** What an error code keeps of a selector; bit 0 is then EXT. */
const SELECTOR_ERROR = 0xfffc;

/** Accessed, writable data, present, DPL 0: what real mode's segments are. */
const REAL_ATTRIBUTES =
	TYPE_ACCESSED | TYPE_WRITABLE | ATTRIBUTE_CODE_OR_DATA | ATTRIBUTE_PRESENT;
/** The same at DPL 3. */
const VIRTUAL_8086_ATTRIBUTES = REAL_ATTRIBUTES | (3 << 5);
/** Attribute bits below AVL, L, D/B and G. */
const ACCESS_RIGHTS = 0xff;
const REAL_LIMIT = 0xffff;

/** How many bytes below the limit the last offset of a 16-byte access lies. */
const WIDEST_ACCESS_TAIL = 14;

export function isNull(selector: number): boolean {
	return (selector & SELECTOR_ERROR) === 0;
}

/** Real or virtual-8086 mode: selectors are paragraph numbers. */
export function usesParagraphs(state: StateView): boolean {
	return !isProtected(state) || (state.get32(EFLAGS) & EFLAGS_VM) !== 0;
}

export function isProtected(state: StateView): boolean {
	return (state.get32(CR0) & CR0_PE) !== 0;
}

// Reading the registers

export function selectorOf(state: StateView, index: number): number {
	return state.view.getUint16(state.segmentAt(index, SEGMENT_SELECTOR), true);
}

export function segmentAttributes(state: StateView, index: number): number {
	return state.view.getInt32(state.segmentAt(index, SEGMENT_ATTRIBUTES), true);
}

/** Low 32 bits, unsigned. */
export function segmentBase(state: StateView, index: number): number {
	return state.view.getUint32(state.segmentAt(index, SEGMENT_BASE), true);
}

export function segmentLimit(state: StateView, index: number): number {
	return state.view.getUint32(state.segmentAt(index, SEGMENT_LIMIT), true);
}

export function isUsable(attributes: number): boolean {
	return (attributes & SEGMENT_UNUSABLE) === 0;
}

// Writing them

/** Fills a register from parts; `limit` in bytes. No checks. */
export function setSegment(
	state: StateView,
	index: number,
	selector: number,
	base: number,
	limit: number,
	attributes: number,
): void {
	const view = state.view;
	const at = state.segmentAt(index, 0);
	const safe = safeBelow(limit, attributes);
	view.setInt32(at + SEGMENT_SELECTOR, selector, true);
	view.setInt32(at + SEGMENT_ATTRIBUTES, attributes, true);
	view.setInt32(at + SEGMENT_BASE, base, true);
	view.setInt32(at + SEGMENT_BASE + 4, 0, true);
	view.setInt32(at + SEGMENT_LIMIT, limit, true);
	view.setInt32(at + SEGMENT_READ_SAFE, mayRead(attributes) ? safe : 0, true);
	view.setInt32(at + SEGMENT_WRITE_SAFE, mayWrite(attributes) ? safe : 0, true);
}

/** Offsets below need no limit check for 16 bytes; 0 where every access is checked. */
function safeBelow(limit: number, attributes: number): number {
	const direct = ATTRIBUTE_PRESENT | ATTRIBUTE_CODE_OR_DATA;
	if ((attributes & (direct | SEGMENT_UNUSABLE)) !== direct) return 0;
	const expandDown =
		(attributes & (TYPE_CODE | TYPE_EXPAND_DOWN)) === TYPE_EXPAND_DOWN;
	if (expandDown || limit <= WIDEST_ACCESS_TAIL) return 0;
	return limit - WIDEST_ACCESS_TAIL;
}

/** Type only; presence is the caller's. */
export function mayRead(attributes: number): boolean {
	return (attributes & (TYPE_CODE | TYPE_READABLE)) !== TYPE_CODE;
}

export function mayWrite(attributes: number): boolean {
	return (attributes & (TYPE_CODE | TYPE_WRITABLE)) === TYPE_WRITABLE;
}

/** Fills a register from a descriptor that has passed its checks. */
export function setSegmentFromDescriptor(
	state: StateView,
	index: number,
	selector: number,
	low: number,
	high: number,
): void {
	setSegment(
		state,
		index,
		selector,
		baseOf(low, high),
		limitOf(low, high),
		attributesOf(high),
	);
}

/** Makes a register unusable: any access through it is #GP(0). `level` keeps SS's privilege. */
export function setNullSegment(
	state: StateView,
	index: number,
	selector: number,
	level = 0,
): void {
	setSegment(state, index, selector, 0, 0, SEGMENT_UNUSABLE | (level << 5));
}

/**
 * A load in real mode changes selector, base and access rights; the limit and
 * the D/B bit stay what they were, which is what "unreal mode" lives on.
 */
export function setRealModeSegment(
	state: StateView,
	index: number,
	selector: number,
): void {
	const old = segmentAttributes(state, index);
	const kept = isUsable(old) ? old & ~ACCESS_RIGHTS : 0;
	const limit = isUsable(old) ? segmentLimit(state, index) : REAL_LIMIT;
	setSegment(
		state,
		index,
		selector,
		selector * 16,
		limit,
		kept | REAL_ATTRIBUTES,
	);
}

export function setVirtual8086Segment(
	state: StateView,
	index: number,
	selector: number,
): void {
	setSegment(
		state,
		index,
		selector,
		selector * 16,
		REAL_LIMIT,
		VIRTUAL_8086_ATTRIBUTES,
	);
}

/** Loads by paragraph number, in real or virtual-8086 mode. */
export function setParagraphSegment(
	state: StateView,
	index: number,
	selector: number,
): void {
	if (isProtected(state)) setVirtual8086Segment(state, index, selector);
	else setRealModeSegment(state, index, selector);
}

/** All segment registers, LDTR and TR as after RESET, but for CS's base. */
export function resetSegments(state: StateView): void {
	for (let index = 0; index < LDTR; index++) {
		setSegment(state, index, 0, 0, REAL_LIMIT, REAL_ATTRIBUTES);
	}
	setSegment(state, LDTR, 0, 0, REAL_LIMIT, ATTRIBUTE_PRESENT | 2);
	setSegment(state, LDTR + 1, 0, 0, REAL_LIMIT, ATTRIBUTE_PRESENT | 11);
}

// Descriptor tables

/** Linear address of a selector's descriptor, or -1 beyond its table. Null selectors are the caller's. */
export function descriptorAddress(state: StateView, selector: number): number {
	const last = selector | 7;
	if (selector & SELECTOR_LDT) {
		if (!isUsable(segmentAttributes(state, LDTR))) return -1;
		if (last > segmentLimit(state, LDTR)) return -1;
		return (segmentBase(state, LDTR) + (selector & ~7)) >>> 0;
	}
	if (last > state.getU32(GDTR_LIMIT)) return -1;
	return (state.getU32(GDTR_BASE) + (selector & ~7)) >>> 0;
}

/** The descriptor's address, or the exception `vector` with the selector as its error code. */
export function requireDescriptor(
	state: StateView,
	selector: number,
	vector: number,
	ext = 0,
): number {
	const address = descriptorAddress(state, selector);
	if (address < 0) raise(vector, selectorError(selector, ext));
	return address;
}

/** The error code that names a selector. */
export function selectorError(selector: number, ext = 0): number {
	return (selector & SELECTOR_ERROR) | ext;
}

/**
 * Low half of the descriptor at `address`; tables are read with supervisor
 * rights at any CPL. A supervisor keeps the table itself: from address 0 on.
 */
export function readLow(cpu: SystemContext, address: number): number {
	const table = cpu.supervisor?.descriptors;
	if (table !== undefined) return table[address >>> 2] ?? 0;
	return cpu.mmu.readU32(address, false);
}

export function readHigh(cpu: SystemContext, address: number): number {
	return readLow(cpu, (address + 4) >>> 0);
}

/** Sets the accessed bit in memory where it is clear; the high half with it set. */
export function markAccessed(
	cpu: SystemContext,
	address: number,
	high: number,
): number {
	const accessed = TYPE_ACCESSED << 8;
	if (high & accessed) return high;
	const marked = high | accessed;
	if (cpu.supervisor !== undefined) return marked;
	cpu.mmu.writeU8((address + 5) >>> 0, (marked >>> 8) & 0xff, false);
	return marked;
}

// MOV, POP, LDS and relatives

/**
 * The LOAD_SEGMENT operation. The instruction around it has more to do, so a
 * changed mode key is noted in LEAVE instead of ending it.
 */
export function loadSegment(
	cpu: SystemContext,
	index: number,
	selector: number,
): Status {
	const state = cpu.state;
	const value = selector & 0xffff;
	if (usesParagraphs(state)) setParagraphSegment(state, index, value);
	else if (index === SS) loadStackSegment(cpu, value);
	else loadDataSegment(cpu, index, value);
	if (index < FS && modeChanged(state)) state.set32(LEAVE, 1);
	return STATUS_NEXT;
}

function loadStackSegment(cpu: SystemContext, selector: number): void {
	const state = cpu.state;
	if (isNull(selector)) raise(VECTOR_GP, 0);
	const cpl = state.get32(CPL);
	const address = requireDescriptor(state, selector, VECTOR_GP);
	const low = readLow(cpu, address);
	const high = readHigh(cpu, address);
	if (
		(selector & SELECTOR_RPL) !== cpl ||
		dplOf(high) !== cpl ||
		!isWritableData(high)
	) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_SS, selectorError(selector));
	const marked = markAccessed(cpu, address, high);
	setSegmentFromDescriptor(state, SS, selector, low, marked);
}

function loadDataSegment(
	cpu: SystemContext,
	index: number,
	selector: number,
): void {
	const state = cpu.state;
	if (isNull(selector)) {
		setNullSegment(state, index, selector);
		return;
	}
	const address = requireDescriptor(state, selector, VECTOR_GP);
	const low = readLow(cpu, address);
	const high = readHigh(cpu, address);
	const privilege = Math.max(state.get32(CPL), selector & SELECTOR_RPL);
	if (
		!isReadable(high) ||
		(!isConformingCode(high) && privilege > dplOf(high))
	) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	const marked = markAccessed(cpu, address, high);
	setSegmentFromDescriptor(state, index, selector, low, marked);
}
