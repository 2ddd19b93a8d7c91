/**
 * What nearly every x87 instruction does around its own work: may it run at
 * all, which register is ST(i), pop, and what is remembered for a handler of
 * numeric exceptions.
 *
 * Relies on the emitter and on kernels by name (`float/`); all `x87-*.ts` rely
 * on it.
 *
 * @journey E:640 The stack that is a ring
 * Eight registers, a number TOP, and a bit for each register that says
 * "something is in it". ST(i) is the register i above TOP, modulo 8; a push
 * into a register in use, or the use of an empty one, is a *stack fault*: an
 * invalid operation with one more flag.
 */

import {
	CR0,
	FLOAT_SCRATCH,
	FPR,
	FPR_EXPONENT,
	FPU_CONTROL,
	FPU_DATA,
	FPU_DATA_SELECTOR,
	FPU_IP,
	FPU_IP_SELECTOR,
	FPU_OPCODE,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
} from "../state.ts";
import {
	F80_BIAS,
	F80_SIGN,
	FPU_C1,
	FPU_CONTROL_PLAIN,
	FPU_CONTROL_PLAIN_MASK,
	FPU_ES,
	NARROW_DOUBLE,
	NARROW_SINGLE,
	type NarrowFormat,
} from "../x87-bits.ts";
import type { Emitter, I32, I64, Operand } from "./emitter.ts";
import { readSelector, setState64, state32 } from "./integer-values.ts";

const VECTOR_NM = 7;
const VECTOR_MF = 16;
const CS = 1;
/** CR0.EM and CR0.TS. */
const CR0_NO_X87 = 0b1100;
const CR0_NE = 1 << 5;

/** The coprocessor is there and this task's: else #NM. */
export function requireX87(e: Emitter): void {
	e.ensure("x87", () => {
		const trapped = e.and(state32(e, CR0), e.i32(CR0_NO_X87));
		e.faultIf(trapped, VECTOR_NM);
	});
}

/**
 * #MF for an exception that an earlier instruction left pending.
 *
 * Deviation: with CR0.NE clear a PC of old raised IRQ 13 instead, and the
 * instruction waited; here it goes on as if IGNNE# were asserted. Linux sets
 * NE on every processor since the 486.
 */
export function raisePending(e: Emitter): void {
	const pending = e.and(state32(e, FPU_STATUS), e.i32(FPU_ES));
	const fault = () =>
		e.faultIf(e.and(state32(e, CR0), e.i32(CR0_NE)), VECTOR_MF);
	e.if(pending, fault, undefined, "rare");
}

/** The start of all instructions but the no-wait ones. */
export function begin(e: Emitter): void {
	requireX87(e);
	raisePending(e);
}

/** Notes instruction and operand for the saved environment; behind the last access to memory that can fault. */
export function remember(e: Emitter, memory?: Operand): void {
	setState64(e, FPU_IP, e.currentRip());
	e.writeState(FPU_IP_SELECTOR, readSelector(e, e.i32(CS)), 0, 0, 4);
	e.writeState(FPU_OPCODE, e.x87Opcode(), 0, 0, 4);
	if (memory === undefined) return;
	setState64(e, FPU_DATA, memory.address());
	e.writeState(FPU_DATA_SELECTOR, e.dataSelector(), 0, 0, 4);
}

/** Physical number of ST(i). */
export function stack(e: Emitter, i: I32 | number): I32 {
	const top = state32(e, FPU_TOP);
	if (i === 0) return top;
	const offset = typeof i === "number" ? e.i32(i) : i;
	return e.let(e.and(e.add(top, offset), e.i32(7)));
}

export function isEmpty(e: Emitter, index: I32): I32 {
	const tag = e.shrU(state32(e, FPU_TAG), index);
	return e.eqz(e.and(tag, e.i32(1)));
}

export function markEmpty(e: Emitter, index: I32): void {
	const bit = e.shl(e.i32(1), index);
	const tag = e.and(state32(e, FPU_TAG), e.not(bit));
	e.writeState(FPU_TAG, tag, 0, 0, 4);
}

export function markValid(e: Emitter, index: I32): void {
	const bit = e.shl(e.i32(1), index);
	e.writeState(FPU_TAG, e.or(state32(e, FPU_TAG), bit), 0, 0, 4);
}

/** Adds to TOP, modulo 8. */
export function moveTop(e: Emitter, by: number): void {
	const moved = e.and(e.add(state32(e, FPU_TOP), e.i32(by)), e.i32(7));
	e.writeState(FPU_TOP, moved, 0, 0, 4);
}

export function pop(e: Emitter): void {
	markEmpty(e, stack(e, 0));
	moveTop(e, 1);
}

export function clearC1(e: Emitter): void {
	const status = e.and(state32(e, FPU_STATUS), e.i32(~FPU_C1));
	e.writeState(FPU_STATUS, status, 0, 0, 4);
}

export function significand(e: Emitter, index: I32): I64 {
	return e.readStateAt(FPR, index, 0, 8) as I64;
}

export function signExponent(e: Emitter, index: I32): I32 {
	return e.readStateAt(FPR, index, FPR_EXPONENT, 4) as I32;
}

export function setRegister(e: Emitter, index: I32, m: I64, se: I32): void {
	e.writeStateAt(FPR, index, 0, 8, m);
	e.writeStateAt(FPR, index, FPR_EXPONENT, 4, se);
}

/** Second result of the kernel just called: sign and exponent beside a significand. */
export function exponentResult(e: Emitter): I32 {
	return e.readState(FLOAT_SCRATCH, 0, 0, 4) as I32;
}

/** Second result of a conversion to memory: whether to store and pop. */
export function doneResult(e: Emitter): I32 {
	return e.readState(FLOAT_SCRATCH, 2, 0, 4) as I32;
}

/**
 * Faults of a long operand come before any of it is written: its start is
 * checked, a unit as it is written, then its end, for it lies in two pages at
 * most.
 */
export function checkWritable(
	target: Operand,
	bytes: number,
	unitBits: number,
): void {
	target.at(0, unitBits).prepareWrite();
	target.at(bytes - 1, 8).prepareWrite();
}

/** The same for loads, which must not have changed the state by halves. */
export function checkReadable(source: Operand, bytes: number): void {
	source.at(0, 8).read();
	source.at(bytes - 1, 8).read();
}

/** A call of a kernel that returns "done". */
export function attempt(
	e: Emitter,
	kernel: string,
	...args: readonly (I32 | I64)[]
): I32 {
	return e.kernel(kernel, "i32", ...args);
}

/** A value as kernels take it. */
export interface Real {
	readonly m: I64;
	readonly se: I32;
}

/** The format of a single or double in memory. */
export function narrowOf({ width }: Operand): NarrowFormat {
	return width === 32 ? NARROW_SINGLE : NARROW_DOUBLE;
}

/** A single or double as it came from memory. */
export interface NarrowReal extends Real {
	/** 1 when it is a normal number; `m` and `se` are right only then. */
	readonly isNormal: I32;
	/** What they are in all cases, by kernel. */
	readonly anyhow: () => Real;
}

/** Reads a single or double. */
export function readNarrow(e: Emitter, operand: Operand): NarrowReal {
	const { bits, fraction, most, rebias } = narrowOf(operand);
	const read = operand.read();
	const word = e.let(e.toWidth(64, read)) as I64;
	const top = e.let(e.wrap(e.shrU(word, e.i64(fraction)))) as I32;
	const field = e.let(e.and(top, e.i32(most)));
	const digits = e.shl(word, e.i64(63 - fraction));
	const sign = e.wrap(e.shrU(word, e.i64(bits - 16)));
	const exponent = e.add(field, e.i32(rebias));
	return {
		isNormal: e.ltU(e.sub(field, e.i32(1)), e.i32(most - 1)),
		m: e.or(digits, e.i64(1n << 63n)),
		se: e.or(e.and(sign, e.i32(F80_SIGN)), exponent),
		anyhow: () => {
			const m = e.kernel(`f80_from_f${bits}`, "i64", read);
			return { m, se: exponentResult(e) };
		},
	};
}

/** A number from memory, in 80 bits: floating point of 32, 64 or 80 bits. */
export function readReal(e: Emitter, operand: Operand): Real {
	if (operand.width === 80) return readExtended(operand);
	const real = readNarrow(e, operand);
	const m = e.variable(real.m);
	const se = e.variable(real.se);
	const special = () => {
		const converted = real.anyhow();
		m.set(converted.m);
		se.set(converted.se);
	};
	e.if(e.eqz(real.isNormal), special, undefined, "rare");
	return { m: m.get(), se: se.get() };
}

/** Ten bytes as they are; processors read the lower eight first, and fault for those first. */
export function readExtended(operand: Operand): Real {
	const m = operand.at(0, 64).read() as I64;
	return { m, se: operand.at(8, 16).read() as I32 };
}

/** Checks a write of ten bytes in the same order; the writer returned performs it. */
export function prepareExtended(operand: Operand): (real: Real) => void {
	operand.at(0, 64).prepareWrite();
	operand.at(8, 16).prepareWrite();
	return ({ m, se }) => {
		operand.at(0, 64).write(m);
		operand.at(8, 16).write(se);
	};
}

/** An integer from memory, in 80 bits. */
export function readInteger(e: Emitter, operand: Operand): Real {
	const read = operand.readSigned();
	const value = e.let(read.type === "i64" ? read : e.extendS(read as I32));
	const sign = e.let(e.shrS(value as I64, e.i64(63)));
	const size = e.let(e.sub(e.xor(value as I64, sign), sign));
	const zeros = e.let(e.clz(size));
	const exponent = e.sub(e.i32(F80_BIAS + 63), e.wrap(zeros));
	const signed = e.or(e.and(e.wrap(sign), e.i32(F80_SIGN)), exponent);
	const se = e.select(e.eqz(size), e.i32(0), signed);
	return { m: e.let(e.shl(size, zeros)), se: e.let(se) };
}

/** Pushes a value as it is. A register in use is a stack overflow, which the kernel answers. */
export function push(e: Emitter, { m, se }: Real): void {
	const below = e.sub(state32(e, FPU_TOP), e.i32(1));
	const top = e.let(e.and(below, e.i32(7)));
	e.if(
		e.eqz(isEmpty(e, top)),
		() => attempt(e, "x87_push", m, se),
		() => {
			setRegister(e, top, m, se);
			markValid(e, top);
			e.writeState(FPU_TOP, top, 0, 0, 4);
			clearC1(e);
		},
		"rare",
	);
}

/** Nonzero unless the control word is as compilers expect; see `FPU_CONTROL_PLAIN`. */
export function isNotPlainControl(e: Emitter): I32 {
	const control = state32(e, FPU_CONTROL);
	const bits = e.and(control, e.i32(FPU_CONTROL_PLAIN_MASK));
	return e.xor(bits, e.i32(FPU_CONTROL_PLAIN));
}
