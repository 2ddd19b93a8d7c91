/**
 * Far jumps, calls and returns while long mode is active: between 64-bit code
 * and compatibility mode, with 64-bit stacks, and IRET as 64-bit code does it
 * (AMD64 Architecture Programmer's Manual vol. 2, "Control Transfers in Long
 * Mode"; Intel SDM vol. 2, RET, IRET).
 *
 * Deviation: system descriptors (call gates of 16 bytes) are #GP until long
 * mode has its system state.
 *
 * Relies on `segments.ts` and `return-frames.ts`; `far-transfers.ts` and
 * `interrupt-return.ts` come here first.
 *
 * @journey E:533 Far away in long mode
 */

import { STATUS_STOP_JUMP, type Status } from "../engine/status.ts";
import { raise, VECTOR_GP, VECTOR_NP, VECTOR_SS } from "../exceptions.ts";
import { isCanonical } from "../mmu/linear-address.ts";
import { modeCodeSize } from "../mode.ts";
import { CPL, EFER, GPR, MODE, NEXT_RIP, RIP } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import { EFER_LMA } from "./control-bits.ts";
import {
	ATTRIBUTE_BIG,
	ATTRIBUTE_LONG,
	attributesOf,
	CS,
	dplOf,
	isCode,
	isConformingCode,
	isPresent,
	isWritableData,
	limitOf,
	SS,
} from "./descriptors.ts";
import { dropInnerSegments } from "./return-frames.ts";
import { stackMask } from "./segment-access.ts";
import {
	isNull,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_RPL,
	selectorError,
	selectorOf,
	setNullSegment,
	setSegmentFromDescriptor,
} from "./segments.ts";
import { espOf, sameLevelStatus, setEsp } from "./slots.ts";
import { peekStack, StackFrame } from "./stack-frame.ts";

const RSP = 4;
const LOW_48 = (1n << 48n) - 1n;
const frame = new StackFrame();

/** A descriptor that has passed its checks. */
interface Descriptor {
	readonly selector: number;
	readonly low: number;
	readonly high: number;
}

export function isLongActive(state: StateView): boolean {
	return (state.get32(EFER) & EFER_LMA) !== 0;
}

function isLongCode(state: StateView): boolean {
	return modeCodeSize(state.get32(MODE)) === 64;
}

/** JMP and CALL; `bytes` = size of what CALL pushes, 0 for JMP. */
export function transferLong(
	cpu: SystemContext,
	selector: number,
	offset: number,
	bytes: number,
): Status {
	const { state } = cpu;
	const code = directCode(cpu, selector);
	checkOffset(code, BigInt(offset));
	if (bytes !== 0) pushReturnAddress(cpu, bytes);
	const level = state.get32(CPL);
	const visible = (selector & ~SELECTOR_RPL) | level;
	enterCode(cpu, { ...code, selector: visible }, BigInt(offset));
	return sameLevelStatus(state);
}

/** RET FAR. */
export function returnFarLong(
	cpu: SystemContext,
	bytes: number,
	popBytes: number,
): Status {
	const { state } = cpu;
	const long = isLongCode(state);
	const offset = peek(cpu, 0, bytes);
	const selector = Number(peek(cpu, bytes, bytes) & 0xffffn);
	const code = returnCode(cpu, selector, offset);
	const released = 2 * bytes + popBytes;
	if ((selector & SELECTOR_RPL) === state.get32(CPL)) {
		enterCode(cpu, code, offset);
		if (long) state.setBig(GPR, state.getBig(GPR, RSP) + BigInt(released), RSP);
		else setEsp(state, espOf(state) + released, stackMask(state));
		return sameLevelStatus(state);
	}
	const pointer = peek(cpu, released, bytes) + BigInt(popBytes);
	const stack = Number(peek(cpu, released + bytes, bytes) & 0xffffn);
	const stackSegment = returnStack(cpu, stack, code);
	enterCode(cpu, code, offset);
	enterStack(cpu, stackSegment, pointer, selector & SELECTOR_RPL);
	return STATUS_STOP_JUMP;
}

/**
 * IRET but for the flags, whose image is returned. 64-bit code pops SS:rSP
 * even to its own level.
 */
export function interruptReturnLong(cpu: SystemContext, bytes: number): number {
	const { state } = cpu;
	const offset = peek(cpu, 0, bytes);
	const selector = Number(peek(cpu, bytes, bytes) & 0xffffn);
	const image = Number(peek(cpu, 2 * bytes, bytes) & 0xffff_ffffn);
	const level = selector & SELECTOR_RPL;
	const inner = level !== state.get32(CPL);
	if (!isLongCode(state) && !inner) {
		const code = returnCode(cpu, selector, offset);
		enterCode(cpu, code, offset);
		setEsp(state, espOf(state) + 3 * bytes, stackMask(state));
		return image;
	}
	const pointer = peek(cpu, 3 * bytes, bytes);
	const stack = Number(peek(cpu, 4 * bytes, bytes) & 0xffffn);
	const code = returnCode(cpu, selector, offset);
	const stackSegment = returnStack(cpu, stack, code);
	enterCode(cpu, code, offset);
	enterStack(cpu, stackSegment, pointer, level);
	return image;
}

// Stacks

/** `bytes` bytes of the stack, `skip` above its top. */
function peek(cpu: SystemContext, skip: number, bytes: number): bigint {
	const { state } = cpu;
	if (!isLongCode(state) && bytes < 8) {
		return BigInt(peekStack(cpu, skip, bytes));
	}
	const top = state.getBig(GPR, RSP);
	const linear = stackLinear(top + BigInt(skip), bytes);
	const user = state.get32(CPL) === 3;
	if (bytes === 8) return cpu.mmu.readU64(linear, user);
	return BigInt(
		bytes === 4 ? cpu.mmu.readU32(linear, user) : cpu.mmu.readU16(linear, user),
	);
}

/** #SS(0) unless both ends are canonical. */
function stackLinear(address: bigint, bytes: number): number {
	const last = address + BigInt(bytes - 1);
	if (!isCanonicalAddress(address) || !isCanonicalAddress(last)) {
		raise(VECTOR_SS, 0);
	}
	return Number(address & LOW_48);
}

function isCanonicalAddress(address: bigint): boolean {
	return isCanonical(Number(BigInt.asIntN(32, address >> 32n)));
}

function pushReturnAddress(cpu: SystemContext, bytes: number): void {
	const { state, mmu } = cpu;
	const selector = selectorOf(state, CS);
	if (!isLongCode(state)) {
		frame.useCurrent(state, 0);
		frame.push(mmu, selector, bytes);
		frame.push(mmu, state.getU32(NEXT_RIP), bytes);
		frame.commit(state);
		return;
	}
	const top = state.getBig(GPR, RSP);
	const size = BigInt(bytes);
	write(cpu, top - size, BigInt(selector), bytes);
	write(cpu, top - 2n * size, state.getBig(NEXT_RIP), bytes);
	state.setBig(GPR, top - 2n * size, RSP);
}

function write(
	cpu: SystemContext,
	address: bigint,
	value: bigint,
	bytes: number,
): void {
	const linear = stackLinear(address, bytes);
	const user = cpu.state.get32(CPL) === 3;
	if (bytes === 8) cpu.mmu.writeU64(linear, BigInt.asUintN(64, value), user);
	else if (bytes === 4) {
		cpu.mmu.writeU32(linear, Number(value & 0xffff_ffffn), user);
	} else cpu.mmu.writeU16(linear, Number(value & 0xffffn), user);
}

// Code segments

/** The target of a direct JMP or CALL. */
function directCode(cpu: SystemContext, selector: number): Descriptor {
	const code = readDescriptor(cpu, selector);
	const { high } = code;
	const cpl = cpu.state.get32(CPL);
	const dpl = dplOf(high);
	const allowed = isConformingCode(high)
		? dpl <= cpl
		: dpl === cpl && (selector & SELECTOR_RPL) <= cpl;
	if (!isCode(high) || !allowed || isBothSizes(high)) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	return code;
}

/** Where a return leads; the selector's RPL is the level returned to. */
function returnCode(
	cpu: SystemContext,
	selector: number,
	offset: bigint,
): Descriptor {
	const code = readDescriptor(cpu, selector);
	const { high } = code;
	const level = selector & SELECTOR_RPL;
	const dpl = dplOf(high);
	const allowed = isConformingCode(high) ? dpl <= level : dpl === level;
	const outwards = level >= cpu.state.get32(CPL);
	if (!outwards || !isCode(high) || !allowed || isBothSizes(high)) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
	checkOffset(code, offset);
	return code;
}

/** L and D together are reserved. */
function isBothSizes(high: number): boolean {
	const both = ATTRIBUTE_LONG | ATTRIBUTE_BIG;
	return (attributesOf(high) & both) === both;
}

function isLongDescriptor(high: number): boolean {
	return (attributesOf(high) & ATTRIBUTE_LONG) !== 0;
}

/** 64-bit code knows no limit, but its addresses are canonical. */
function checkOffset({ low, high }: Descriptor, offset: bigint): void {
	const inside = isLongDescriptor(high)
		? isCanonicalAddress(offset)
		: offset <= BigInt(limitOf(low, high));
	if (!inside) raise(VECTOR_GP, 0);
}

function enterCode(cpu: SystemContext, code: Descriptor, offset: bigint): void {
	const { state } = cpu;
	const { selector, low } = code;
	const marked = mark(cpu, code);
	setSegmentFromDescriptor(state, CS, selector, low, marked);
	state.setBig(RIP, offset);
}

function readDescriptor(cpu: SystemContext, selector: number): Descriptor {
	if (isNull(selector)) raise(VECTOR_GP, 0);
	const address = requireDescriptor(cpu.state, selector, VECTOR_GP);
	const low = readLow(cpu, address);
	return { selector, low, high: readHigh(cpu, address) };
}

function mark(cpu: SystemContext, { selector, high }: Descriptor): number {
	const address = requireDescriptor(cpu.state, selector, VECTOR_GP);
	return markAccessed(cpu, address, high);
}

// Stack segments

/** The stack that comes with a return; undefined = null, which 64-bit code inside may use. */
function returnStack(
	cpu: SystemContext,
	selector: number,
	code: Descriptor,
): Descriptor | undefined {
	const level = code.selector & SELECTOR_RPL;
	const mayBeNull = isLongDescriptor(code.high) && level !== 3;
	if (isNull(selector) && mayBeNull && (selector & SELECTOR_RPL) === level) {
		return undefined;
	}
	const stack = readDescriptor(cpu, selector);
	if (
		(selector & SELECTOR_RPL) !== level ||
		dplOf(stack.high) !== level ||
		!isWritableData(stack.high)
	) {
		raise(VECTOR_GP, selectorError(selector));
	}
	if (!isPresent(stack.high)) raise(VECTOR_SS, selectorError(selector));
	return stack;
}

function enterStack(
	cpu: SystemContext,
	stack: Descriptor | undefined,
	pointer: bigint,
	level: number,
): void {
	const { state } = cpu;
	const outwards = level > state.get32(CPL);
	if (stack === undefined) setNullSegment(state, SS, level, level);
	else {
		const { selector, low } = stack;
		setSegmentFromDescriptor(state, SS, selector, low, mark(cpu, stack));
	}
	state.setBig(GPR, pointer, RSP);
	state.set32(CPL, level);
	if (outwards) dropInnerSegments(state, level);
}
