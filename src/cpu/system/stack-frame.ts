/**
 * A stack being written for a far call, a gate or an interrupt: the current
 * one, or the one the TSS names for an inner level.
 *
 * Values are pushed into memory at once, but SS and ESP change only with
 * `commit`, after the last check: a fault in the middle leaves the guest its
 * old stack. Relies on `segments.ts` and `segment-access.ts`.
 *
 * @journey E:530 Changing stacks in mid-push
 */

import { raise, VECTOR_SS, VECTOR_TS } from "../exceptions.ts";
import { CPL, GPR, TR } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext, SystemMmu } from "./context.ts";
import {
	attributesOf,
	baseOf,
	dplOf,
	isPresent,
	isWritableData,
	limitOf,
	SS,
	SYSTEM_32,
} from "./descriptors.ts";
import {
	stackAddress,
	stackMask,
	stackMaskOf,
	withinLimit,
} from "./segment-access.ts";
import {
	isNull,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_RPL,
	segmentAttributes,
	segmentBase,
	segmentLimit,
	selectorError,
	selectorOf,
	setSegment,
} from "./segments.ts";
import { espOf, setSlot } from "./slots.ts";

const RSP = 4;

export class StackFrame {
	#selector = 0;
	#base = 0;
	#limit = 0;
	#attributes = 0;
	#mask = 0;
	#errorCode = 0;
	#isNew = false;
	#user = false;
	/** Bits of ESP that a 16-bit stack leaves alone. */
	#kept = 0;
	#pointer = 0;

	/** Goes on with the stack in use; `ext` is the error code of #SS. */
	useCurrent(state: StateView, ext: number): void {
		this.#base = segmentBase(state, SS);
		this.#limit = segmentLimit(state, SS);
		this.#attributes = segmentAttributes(state, SS);
		this.#mask = stackMask(state);
		this.#errorCode = ext;
		this.#isNew = false;
		this.#user = state.get32(CPL) === 3;
		this.#setPointer(espOf(state));
	}

	/** Takes the stack of `level` from the TSS (Intel SDM vol. 3, "Stack Switching"). */
	useInner(cpu: SystemContext, level: number, ext: number): void {
		const state = cpu.state;
		const wide = (segmentAttributes(state, TR) & SYSTEM_32) !== 0;
		const at = wide ? 4 + level * 8 : 2 + level * 4;
		const bytes = wide ? 6 : 4;
		if (at + bytes - 1 > segmentLimit(state, TR)) {
			raise(VECTOR_TS, selectorError(selectorOf(state, TR), ext));
		}
		const entry = (segmentBase(state, TR) + at) >>> 0;
		const pointer = wide
			? cpu.mmu.readU32(entry, false)
			: cpu.mmu.readU16(entry, false);
		const selectorAt = (entry + (wide ? 4 : 2)) >>> 0;
		const selector = cpu.mmu.readU16(selectorAt, false);
		this.#useSegment(cpu, selector, level, ext);
		this.#setPointer(pointer);
	}

	#useSegment(
		cpu: SystemContext,
		selector: number,
		level: number,
		ext: number,
	): void {
		if (isNull(selector)) raise(VECTOR_TS, ext);
		const address = requireDescriptor(cpu.state, selector, VECTOR_TS, ext);
		const low = readLow(cpu, address);
		const high = readHigh(cpu, address);
		const errorCode = selectorError(selector, ext);
		if (
			(selector & SELECTOR_RPL) !== level ||
			dplOf(high) !== level ||
			!isWritableData(high)
		) {
			raise(VECTOR_TS, errorCode);
		}
		if (!isPresent(high)) raise(VECTOR_SS, errorCode);
		this.#selector = selector;
		this.#base = baseOf(low, high);
		this.#limit = limitOf(low, high);
		this.#attributes = attributesOf(markAccessed(cpu, address, high));
		this.#mask = stackMaskOf(this.#attributes);
		this.#errorCode = errorCode;
		this.#isNew = true;
		this.#user = level === 3;
	}

	#setPointer(value: number): void {
		this.#kept = value & ~this.#mask;
		this.#pointer = (value & this.#mask) >>> 0;
	}

	/** Pushes the low `bytes` (2 or 4) bytes of `value`. */
	push(mmu: SystemMmu, value: number, bytes: number): void {
		const offset = ((this.#pointer - bytes) & this.#mask) >>> 0;
		if (!withinLimit(this.#attributes, this.#limit, offset, bytes)) {
			raise(VECTOR_SS, this.#errorCode);
		}
		const linear = (this.#base + offset) >>> 0;
		if (bytes === 4) mmu.writeU32(linear, value, this.#user);
		else mmu.writeU16(linear, value & 0xffff, this.#user);
		this.#pointer = offset;
	}

	/** Makes it the stack: SS if it is new, and ESP. */
	commit(state: StateView): void {
		if (this.#isNew) {
			setSegment(
				state,
				SS,
				this.#selector,
				this.#base,
				this.#limit,
				this.#attributes,
			);
		}
		setSlot(state, GPR, this.#kept | this.#pointer, RSP);
	}
}

/** `bytes` (2 or 4) bytes of the current stack, `skip` above its top; moves nothing. */
export function peekStack(
	cpu: SystemContext,
	skip: number,
	bytes: number,
): number {
	const state = cpu.state;
	const offset = ((espOf(state) + skip) & stackMask(state)) >>> 0;
	const linear = stackAddress(cpu, offset, bytes);
	const user = state.get32(CPL) === 3;
	return bytes === 4
		? cpu.mmu.readU32(linear, user)
		: cpu.mmu.readU16(linear, user);
}
