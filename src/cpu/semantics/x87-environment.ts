/**
 * Control and status words, and the environment in its four memory layouts:
 * 16 or 32 bits, real or protected mode (Intel SDM vol. 1, "Saving the x87
 * FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE").
 *
 * Deviation from Intel, as on AMD: FOP, FIP and FCS follow every x87
 * instruction that is not a control instruction, FDP and FDS every one of
 * those with a memory operand.
 *
 * @journey E:648 Packing up the coprocessor
 */

import {
	CR0,
	EFLAGS,
	type Field,
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
	FPU_B,
	FPU_CONTROL_INITIAL,
	FPU_ES,
	FPU_EXCEPTIONS,
	FPU_SF,
	FPU_TOP_SHIFT,
} from "../x87-bits.ts";
import type {
	Emitter,
	I32,
	I64,
	Operand,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { bit, first, setState64, state32, state64 } from "./integer-values.ts";
import {
	begin,
	checkReadable,
	checkWritable,
	raisePending,
	remember,
	requireX87,
	setRegister,
	signExponent,
	significand,
	stack,
} from "./x87-stack.ts";

const VECTOR_NM = 7;
/** CR0.MP and CR0.TS: what makes FWAIT trap. */
const CR0_WAIT_TRAPS = 0b1010;
const EFLAGS_VM = 17;
/** Control-word bits that exist; bit 6 always reads 1. */
const CONTROL_MASK = 0x1f3f;
const CONTROL_FIXED = 0x40;

function set32(e: Emitter, field: Field, value: I32): void {
	e.writeState(field, value, 0, 0, 4);
}

/** The status word with TOP in its place. */
export function statusWord(e: Emitter): I32 {
	const top = e.shl(state32(e, FPU_TOP), e.i32(FPU_TOP_SHIFT));
	return e.let(e.or(state32(e, FPU_STATUS), top));
}

/** ES and B as flags and masks demand. */
function settle(e: Emitter, status: I32): I32 {
	const bare = e.let(e.and(status, e.i32(~(FPU_ES | FPU_B))));
	const open = e.and(bare, e.not(state32(e, FPU_CONTROL)));
	const pending = e.and(open, e.i32(FPU_EXCEPTIONS));
	const summary = e.select(pending, e.i32(FPU_ES | FPU_B), e.i32(0));
	return e.or(bare, summary);
}

export function setControlWord(e: Emitter, word: I32): void {
	const known = e.and(word, e.i32(CONTROL_MASK));
	set32(e, FPU_CONTROL, e.or(known, e.i32(CONTROL_FIXED)));
}

/** Writes status and TOP; the control word must be in place already. */
export function setStatusWord(e: Emitter, word: I32): void {
	const top = e.shrU(word, e.i32(FPU_TOP_SHIFT));
	set32(e, FPU_TOP, e.and(top, e.i32(7)));
	const rest = e.and(word, e.i32(0xffff & ~(7 << FPU_TOP_SHIFT)));
	set32(e, FPU_STATUS, settle(e, rest));
}

/** FNINIT, and the end of FNSAVE. Registers keep their contents, marked empty. */
function initialise(e: Emitter): void {
	set32(e, FPU_CONTROL, e.i32(FPU_CONTROL_INITIAL));
	for (const field of [
		FPU_STATUS,
		FPU_TOP,
		FPU_TAG,
		FPU_OPCODE,
		FPU_IP_SELECTOR,
		FPU_DATA_SELECTOR,
	]) {
		set32(e, field, e.i32(0));
	}
	setState64(e, FPU_IP, e.i64(0));
	setState64(e, FPU_DATA, e.i64(0));
}

const init: Semantics = (e) => {
	requireX87(e);
	initialise(e);
};

const clearExceptions: Semantics = (e) => {
	requireX87(e);
	const flags = FPU_EXCEPTIONS | FPU_SF | FPU_ES | FPU_B;
	set32(e, FPU_STATUS, e.and(state32(e, FPU_STATUS), e.i32(~flags)));
};

const loadControl: Semantics = (e, form) => {
	begin(e);
	setControlWord(e, first(form).read() as I32);
	set32(e, FPU_STATUS, settle(e, state32(e, FPU_STATUS)));
};

const storeControl: Semantics = (e, form) => {
	requireX87(e);
	first(form).write(state32(e, FPU_CONTROL));
};

const storeStatus: Semantics = (e, form) => {
	requireX87(e);
	first(form).write(statusWord(e));
};

const wait: Semantics = (e) => {
	const traps = e.and(state32(e, CR0), e.i32(CR0_WAIT_TRAPS));
	e.faultIf(e.eq(traps, e.i32(CR0_WAIT_TRAPS)), VECTOR_NM);
	raisePending(e);
};

/** FNENI, FNDISI, FNSETPM: work for chips long gone. */
const nothing: Semantics = (e) => requireX87(e);

const noOperation: Semantics = (e) => {
	begin(e);
	remember(e);
};

/** Whether the real-mode layouts hold: no protected mode, or virtual-8086 mode. */
function usesLinearPointers(e: Emitter): I32 {
	const real = e.eqz(bit(e, state32(e, CR0), 0));
	return e.let(e.or(real, bit(e, state32(e, EFLAGS), EFLAGS_VM)));
}

/** Bytes of the environment: 14 or 28. */
function environmentBytes(operand: Operand, registers: boolean): number {
	return operand.width / 8 - (registers ? 80 : 0);
}

/** Seven words, each in a slot of 2 or 4 bytes. */
function environmentWords(e: Emitter, unit: number): I32[] {
	const linear = usesLinearPointers(e);
	const pointer = (offset: Field, selector: Field, extra: I32): I32[] => {
		const low = e.wrap(state64(e, offset));
		const base = e.shl(state32(e, selector), e.i32(4));
		const flat = e.let(e.add(low, base));
		const high = e.shl(e.shrU(flat, e.i32(16)), e.i32(12));
		const realFirst = e.and(flat, e.i32(0xffff));
		const realSecond = e.or(high, extra);
		const protectedSecond =
			unit === 4
				? e.or(state32(e, selector), e.shl(extra, e.i32(16)))
				: state32(e, selector);
		return [
			e.select(linear, realFirst, low),
			e.select(linear, realSecond, protectedSecond),
		];
	};
	return [
		...[state32(e, FPU_CONTROL), statusWord(e)],
		e.kernel("x87_tag_word", "i32"),
		...pointer(FPU_IP, FPU_IP_SELECTOR, state32(e, FPU_OPCODE)),
		...pointer(FPU_DATA, FPU_DATA_SELECTOR, e.i32(0)),
	].map((word) => e.let(word));
}

/**
 * Where 32-bit slots hold 16 bits, the upper half is all ones: always, in
 * protected mode, or with linear pointers.
 */
const HALF_SLOTS = {
	always: [0, 1, 2],
	selectors: [6],
	linear: [3, 5],
} as const;

function storeEnvironment(e: Emitter, target: Operand, bytes: number): void {
	const unit = bytes / 7;
	const words = environmentWords(e, unit);
	checkWritable(target, bytes, unit * 8);
	const linear = usesLinearPointers(e);
	const has = (slots: readonly number[], i: number) =>
		unit === 4 && slots.includes(i);
	words.forEach((word, i) => {
		const full = e.or(word, e.i32(0xffff_0000));
		let value = word;
		if (has(HALF_SLOTS.always, i)) value = full;
		if (has(HALF_SLOTS.selectors, i)) value = e.select(linear, word, full);
		if (has(HALF_SLOTS.linear, i)) value = e.select(linear, full, word);
		target.at(i * unit, unit * 8).write(value);
	});
}

function loadEnvironment(e: Emitter, source: Operand, bytes: number): void {
	const unit = bytes / 7;
	const words = Array.from(
		{ length: 7 },
		(_, i) => source.at(i * unit, unit * 8).read() as I32,
	);
	const [control, status, tags, ip, code, data, dataSelector] = words as [
		I32,
		I32,
		I32,
		I32,
		I32,
		I32,
		I32,
	];
	setControlWord(e, control);
	setStatusWord(e, status);
	set32(e, FPU_TAG, abridge(e, tags));
	const linear = usesLinearPointers(e);
	const low = (word: I32, width: number) => e.zeroExtend(width, word);
	const top = (word: I32) =>
		e.shl(e.and(e.shrU(word, e.i32(12)), e.i32(0xffff)), e.i32(16));
	const pointer = (offset: I32, second: I32): I64 =>
		e.extendU(e.select(linear, e.or(low(offset, 16), top(second)), offset));
	const selector = (second: I32): I32 =>
		e.select(linear, e.i32(0), low(second, 16));
	setState64(e, FPU_IP, pointer(ip, code));
	set32(e, FPU_IP_SELECTOR, selector(code));
	setState64(e, FPU_DATA, pointer(data, dataSelector));
	set32(e, FPU_DATA_SELECTOR, selector(dataSelector));
	const wide = unit === 4 ? e.shrU(code, e.i32(16)) : state32(e, FPU_OPCODE);
	const opcode = e.and(e.select(linear, code, wide), e.i32(0x7ff));
	set32(e, FPU_OPCODE, opcode);
}

/** One bit for each register out of the full tag word: not 11 = not empty. */
function abridge(e: Emitter, tags: I32): I32 {
	const empty = e.and(tags, e.shrU(tags, e.i32(1)));
	let used = e.let(e.and(e.not(empty), e.i32(0x5555)));
	for (const [shift, mask] of [
		[1, 0x3333],
		[2, 0x0f0f],
		[4, 0x00ff],
	] as const) {
		const merged = e.or(used, e.shrU(used, e.i32(shift)));
		used = e.let(e.and(merged, e.i32(mask)));
	}
	return used;
}

const storeOnlyEnvironment: Semantics = (e, form) => {
	requireX87(e);
	const target = first(form);
	storeEnvironment(e, target, environmentBytes(target, false));
	const masked = e.or(state32(e, FPU_CONTROL), e.i32(FPU_EXCEPTIONS));
	set32(e, FPU_CONTROL, masked);
	set32(e, FPU_STATUS, settle(e, state32(e, FPU_STATUS)));
};

const loadOnlyEnvironment: Semantics = (e, form) => {
	begin(e);
	const source = first(form);
	loadEnvironment(e, source, environmentBytes(source, false));
};

/**
 * Registers travel in words: the image is aligned if its environment is (Intel
 * SDM vol. 3, "Alignment Check Exception (#AC)"), and ten bytes behind another
 * ten are aligned to no more than two.
 */
const save: Semantics = (e, form) => {
	requireX87(e);
	const target = first(form);
	const bytes = environmentBytes(target, true);
	checkWritable(target, bytes + 80, (bytes / 7) * 8);
	storeEnvironment(e, target, bytes);
	for (let i = 0; i < 8; i++) {
		const register = stack(e, i);
		const m = e.let(significand(e, register));
		for (let part = 0; part < 4; part++) {
			const word = e.wrap(e.shrU(m, e.i64(BigInt(16 * part))));
			target.at(bytes + 10 * i + 2 * part, 16).write(word);
		}
		target.at(bytes + 10 * i + 8, 16).write(signExponent(e, register));
	}
	initialise(e);
};

const restore: Semantics = (e, form) => {
	begin(e);
	const source = first(form);
	const bytes = environmentBytes(source, true);
	checkReadable(source, bytes + 80);
	loadEnvironment(e, source, bytes);
	for (let i = 0; i < 8; i++) {
		const parts = [0, 1, 2, 3].map((part) => {
			const word = source.at(bytes + 10 * i + 2 * part, 16).read() as I32;
			return e.shl(e.extendU(word), e.i64(BigInt(16 * part)));
		});
		const m = e.let(parts.reduce((low, high) => e.or(low, high)));
		const se = source.at(bytes + 10 * i + 8, 16).read() as I32;
		setRegister(e, stack(e, i), m, se);
	}
};

export const X87_ENVIRONMENT: SemanticsTable = {
	FWAIT: wait,
	FNINIT: init,
	FNCLEX: clearExceptions,
	FLDCW: loadControl,
	FNSTCW: storeControl,
	FNSTSW: storeStatus,
	FNSTENV: storeOnlyEnvironment,
	FLDENV: loadOnlyEnvironment,
	FNSAVE: save,
	FRSTOR: restore,
	FNOP: noOperation,
	FNENI: nothing,
	FNDISI: nothing,
	FNSETPM: nothing,
};
