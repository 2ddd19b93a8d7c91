/**
 * How kernels report: exception flags into the status word, the summary bit
 * kept in step, results into x87 registers.
 *
 * The summary bit ES always equals "some flag is set whose mask is clear";
 * whatever writes status or control word restores that (`raise` here, FLDCW
 * and the loads of whole environments in `semantics/`).
 *
 * Relies on `terms.ts` and the x87 fields of the state; every x87 kernel
 * relies on it.
 *
 * @journey E:616 Blame now, fault later
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import {
	FLOAT_SCRATCH,
	FPR,
	FPR_EXPONENT,
	FPU_CONTROL,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
} from "../state.ts";
import {
	F80_INDEFINITE_EXPONENT,
	F80_INDEFINITE_SIGNIFICAND,
	FPU_B,
	FPU_C1,
	FPU_ES,
	FPU_EXCEPTIONS,
	FPU_IE,
	FPU_SF,
} from "../x87-bits.ts";
import type { Kernel } from "./kernel.ts";
import { Terms } from "./terms.ts";

/**
 * Second results: sign and exponent beside a significand that a kernel
 * returned, with bit 16 set when the operand in memory was denormal.
 */
export const SCRATCH_EXPONENT = 0;
/** Second result of a rounding to memory: its exception flags, C1 among them. */
export const SCRATCH_FLAGS = 1;
/** Second result of a conversion to memory: 1 when the store may happen. */
export const SCRATCH_DONE = 2;

/** A sign-and-exponent word whose source was a denormal of a narrower format. */
export const WAS_DENORMAL = 0x1_0000;

/** Sets flags (C1 by `flags`, else cleared) and the summary. */
export function report(t: Terms, flags: I32): void {
	const kept = t.and(t.state32(FPU_STATUS), ~FPU_C1);
	writeStatus(t, t.let(t.or(kept, flags)));
}

/** Writes the status word (without TOP) with the summary that belongs to it. */
export function writeStatus(t: Terms, status: I32): void {
	const bare = t.let(t.and(status, ~(FPU_ES | FPU_B)));
	t.setState32(
		FPU_STATUS,
		t.or(bare, t.select(unmasked(t, bare), FPU_ES | FPU_B, t.i32(0))),
	);
}

/** The exception flags in `flags` that the control word does not mask. */
export function unmasked(t: Terms, flags: I32): I32 {
	const masks = t.not(t.state32(FPU_CONTROL));
	return t.and(t.and(flags, FPU_EXCEPTIONS), masks);
}

/** Sets flags; 1 when all of them are masked, so that the operation may go on. */
export function raise(t: Terms, flags: I32 | number): I32 {
	const word = typeof flags === "number" ? t.i32(flags) : flags;
	return t.kernel32("x87_raise", word);
}

export function writeRegister(t: Terms, index: I32, m: I64, se: I32): void {
	t.e.writeStateAt(FPR, index, 0, 8, m);
	t.e.writeStateAt(FPR, index, FPR_EXPONENT, 4, se);
}

export function writeIndefinite(t: Terms, index: I32): void {
	const m = t.i64(F80_INDEFINITE_SIGNIFICAND);
	writeRegister(t, index, m, t.i32(F80_INDEFINITE_EXPONENT));
}

export function significandOf(t: Terms, index: I32): I64 {
	return t.e.readStateAt(FPR, index, 0, 8) as I64;
}

export function exponentOf(t: Terms, index: I32): I32 {
	return t.e.readStateAt(FPR, index, FPR_EXPONENT, 4) as I32;
}

/** Physical number of ST(i). */
export function stackRegister(t: Terms, i: I32 | number): I32 {
	const top = t.state32(FPU_TOP);
	if (i === 0) return top;
	return t.let(t.and(t.add(top, i as I32), 7));
}

/** 1 when the register is tagged empty. */
export function isEmpty(t: Terms, index: I32): I32 {
	const tag = t.state32(FPU_TAG);
	return t.eqz(t.and(t.shrU(tag, index), 1));
}

/** 1 when a push would not overflow the stack. */
export function hasRoom(t: Terms): I32 {
	const above = t.let(t.and(t.sub(t.state32(FPU_TOP), 1), 7));
	return t.let(isEmpty(t, above));
}

export function markValid(t: Terms, index: I32): void {
	const tag = t.state32(FPU_TAG);
	t.setState32(FPU_TAG, t.or(tag, t.shl(t.i32(1), index)));
}

export function setExponentResult(t: Terms, se: I32): void {
	t.e.writeState(FLOAT_SCRATCH, se, SCRATCH_EXPONENT, 0, 4);
}

export function setFlagsResult(t: Terms, flags: I32): void {
	t.e.writeState(FLOAT_SCRATCH, flags, SCRATCH_FLAGS, 0, 4);
}

export function flagsResult(t: Terms): I32 {
	return t.e.readState(FLOAT_SCRATCH, SCRATCH_FLAGS, 0, 4) as I32;
}

export function setDoneResult(t: Terms, done: I32): void {
	t.e.writeState(FLOAT_SCRATCH, done, SCRATCH_DONE, 0, 4);
}

/** (flags) → 1 when all are masked. */
const raiseKernel: Kernel = {
	name: "x87_raise",
	params: ["i32"],
	result: "i32",
	build(e, flags) {
		const t = new Terms(e);
		report(t, flags as I32);
		return t.eqz(unmasked(t, flags as I32));
	},
};

/** (flags): sets them beside what was reported already. */
const addFlags: Kernel = {
	name: "x87_add_flags",
	params: ["i32"],
	build(e, flags) {
		const t = new Terms(e);
		writeStatus(t, t.or(t.state32(FPU_STATUS), flags as I32));
	},
};

/** (destination) → done: an invalid operation; masked, it gives the indefinite. */
const invalid: Kernel = {
	name: "f80_invalid",
	params: ["i32"],
	result: "i32",
	build(e, destination) {
		const t = new Terms(e);
		const done = raise(t, FPU_IE);
		t.if(done, () => writeIndefinite(t, destination as I32));
		return done;
	},
};

/** (destination) → done: a register needed was empty. */
const underflow: Kernel = {
	name: "x87_stack_underflow",
	params: ["i32"],
	result: "i32",
	build(e, destination) {
		const t = new Terms(e);
		const done = raise(t, FPU_IE | FPU_SF);
		t.if(done, () => {
			writeIndefinite(t, destination as I32);
			markValid(t, destination as I32);
		});
		return done;
	},
};

/**
 * (significand, sign and exponent) → done: pushes a value as it is. Onto a
 * register in use that is a stack overflow, and masked, it pushes the
 * indefinite.
 */
const push: Kernel = {
	name: "x87_push",
	params: ["i64", "i32"],
	result: "i32",
	build(e, significand, exponent) {
		const t = new Terms(e);
		const top = t.let(t.and(t.sub(t.state32(FPU_TOP), 1), 7));
		const done = t.var32(1);
		t.ifRarely(
			t.eqz(isEmpty(t, top)),
			() => {
				done.set(raise(t, FPU_IE | FPU_SF | FPU_C1));
				t.if(done.get(), () => writeIndefinite(t, top));
			},
			() => {
				report(t, t.i32(0));
				writeRegister(t, top, significand as I64, exponent as I32);
			},
		);
		t.if(done.get(), () => {
			markValid(t, top);
			t.setState32(FPU_TOP, top);
		});
		return done.get();
	},
};

/** (physical register) → done: FLD of a register, empty or not. */
const pushRegister: Kernel = {
	name: "x87_push_register",
	params: ["i32"],
	result: "i32",
	build(e, source) {
		const t = new Terms(e);
		const done = t.var32(1);
		const m = t.var64(significandOf(t, source as I32));
		const se = t.var32(exponentOf(t, source as I32));
		const empty = t.let(isEmpty(t, source as I32));
		t.if(empty, () => {
			done.set(raise(t, FPU_IE | FPU_SF));
			m.set(t.i64(F80_INDEFINITE_SIGNIFICAND));
			se.set(t.i32(F80_INDEFINITE_EXPONENT));
		});
		t.if(done.get(), () => done.set(t.kernel32("x87_push", m.get(), se.get())));
		// The underflow counts, even if the push overflowed as well.
		t.if(empty, () => report(t, t.i32(0)));
		return done.get();
	},
};

/** () → the full tag word: valid 0, zero 1, special 2, empty 3 for each register. */
const tagWord: Kernel = {
	name: "x87_tag_word",
	params: [],
	result: "i32",
	build(e) {
		const t = new Terms(e);
		let word = t.i32(0);
		for (let i = 0; i < 8; i++) {
			const register = t.i32(i);
			const m = significandOf(t, register);
			const exponent = t.and(exponentOf(t, register), 0x7fff);
			const zero = t.eqz(t.or(m, t.wide(exponent)));
			const normal = t.and(t.ltU(t.sub(exponent, 1), 0x7ffe), t.ltS(m, 0));
			const content = t.select(normal, 0, t.select(zero, 1, t.i32(2)));
			const tag = t.select(isEmpty(t, register), 3, content);
			word = t.let(t.or(word, t.shl(tag, 2 * i)));
		}
		return word;
	},
};

export const STATUS_KERNELS: readonly Kernel[] = [
	raiseKernel,
	addFlags,
	invalid,
	underflow,
	push,
	pushRegister,
	tagWord,
];
