/**
 * Instructions whose subject is EFLAGS itself.
 *
 * The interesting part is privilege: IF may be touched only with CPL <= IOPL,
 * and IOPL itself only at CPL 0, where POPF drops what it may not change
 * without a word (Intel SDM vol. 2, POPF, table of effects). Virtual-8086
 * mode extensions (VME) are not offered, so IOPL < 3 always faults there.
 *
 * Relies on `stack.ts` for the flags image's push and pop.
 *
 * @journey E:322 Who may set the interrupt flag
 */

import {
	EFLAGS_AC,
	EFLAGS_DF,
	EFLAGS_ID,
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_NT,
	EFLAGS_RF,
	EFLAGS_TF,
	EFLAGS_VM,
} from "../flags.ts";
import { CPL, EFLAGS, INTERRUPT_PENDING } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import {
	bit,
	isNotZero,
	lacksIoPrivilege,
	RAX,
	state32,
	VECTOR_GP,
} from "./integer-values.ts";
import { openInterruptShadow, peek, push, release } from "./stack.ts";

/** SF ZF AF PF CF at their places in the low byte of EFLAGS. */
const LOW_FLAGS = { SF: 7, ZF: 6, AF: 4, PF: 2, CF: 0 } as const;

const lahf: Semantics = (e) => e.writeHighByte(RAX, e.readEflags());

const sahf: Semantics = (e) => {
	const image = e.readHighByte(RAX);
	e.setFlags({
		SF: bit(e, image, LOW_FLAGS.SF),
		ZF: bit(e, image, LOW_FLAGS.ZF),
		AF: bit(e, image, LOW_FLAGS.AF),
		PF: bit(e, image, LOW_FLAGS.PF),
		CF: bit(e, image, LOW_FLAGS.CF),
	});
};

const setCarry =
	(value: 0 | 1): Semantics =>
	(e) =>
		e.setFlags({ CF: e.i32(value) });

const cmc: Semantics = (e) => e.setFlags({ CF: e.eqz(e.getFlag("CF")) });

/** SALC: AL = 0 or FF by CF, in no manual and in every processor. */
const salc: Semantics = (e) => e.writeGpr(RAX, 8, e.neg(e.getFlag("CF")));

/** Sets or clears one bit that is not an arithmetic flag. */
function assign(e: Emitter, flag: number, on: boolean): void {
	const old = state32(e, EFLAGS);
	const changed = on ? e.or(old, e.i32(flag)) : e.and(old, e.i32(~flag));
	e.writeState(EFLAGS, changed, 0, 0, 4);
}

const cli: Semantics = (e) => {
	e.faultIf(lacksIoPrivilege(e), VECTOR_GP, e.i32(0));
	assign(e, EFLAGS_IF, false);
};

/** The instruction behind STI is still free of interrupts, unless IF was set before. */
const sti: Semantics = (e) => {
	e.faultIf(lacksIoPrivilege(e), VECTOR_GP, e.i32(0));
	e.if(e.eqz(e.and(state32(e, EFLAGS), e.i32(EFLAGS_IF))), () => {
		assign(e, EFLAGS_IF, true);
		openInterruptShadow(e);
		e.if(state32(e, INTERRUPT_PENDING), () => e.stop());
	});
};

/** PUSHF and POPF in VM86 mode below IOPL 3: the monitor's to emulate. */
function checkVirtual8086(e: Emitter): void {
	const eflags = state32(e, EFLAGS);
	const inVm86 = e.and(e.i32(EFLAGS_VM), eflags);
	const iopl = e.and(e.i32(EFLAGS_IOPL), eflags);
	const refused = e.and(isNotZero(e, inVm86), e.ne(iopl, e.i32(EFLAGS_IOPL)));
	e.faultIf(refused, VECTOR_GP, e.i32(0));
}

const pushf: Semantics = (e, form) => {
	if (!form.long) checkVirtual8086(e);
	const image = e.and(e.readEflags(), e.i32(~(EFLAGS_RF | EFLAGS_VM)));
	push(e, form, form.operandSize, e.toWidth(form.operandSize, image));
};

/** The bits POPF may change here: IOPL at CPL 0, IF with CPL <= IOPL, others always. */
function popfMask(e: Emitter, form: Form): I32 {
	const low = EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
	const high = EFLAGS_RF | EFLAGS_AC | EFLAGS_ID;
	const always = form.operandSize === 16 ? low : low | high;
	const none = e.i32(0);
	const kernel = e.eqz(state32(e, CPL));
	const iopl = e.select(kernel, e.i32(EFLAGS_IOPL), none);
	const interrupt = e.select(lacksIoPrivilege(e), none, e.i32(EFLAGS_IF));
	return e.let(e.or(e.or(e.i32(always), iopl), interrupt));
}

/** RF is cleared: it protects exactly one instruction, and that was not this one. */
const popf: Semantics = (e, form) => {
	if (!form.long) checkVirtual8086(e);
	const { operandSize } = form;
	const popped = e.wrap(peek(e, form, operandSize));
	const image = e.let(e.and(popped, e.i32(~EFLAGS_RF)));
	const mask = popfMask(e, form);
	release(e, form, e.constant(form.stackSize, operandSize / 8));
	const before = state32(e, EFLAGS);
	e.writeEflags(image, mask);
	leaveIfWatched(e, before);
};

/** A waiting interrupt, the single-step trap and a changed alignment check are the run loop's. */
function leaveIfWatched(e: Emitter, before: I32): void {
	const eflags = state32(e, EFLAGS);
	const open = isNotZero(e, e.and(eflags, e.i32(EFLAGS_IF)));
	const waiting = isNotZero(e, state32(e, INTERRUPT_PENDING));
	const stepping = e.and(eflags, e.i32(EFLAGS_TF));
	const checking = e.and(e.xor(before, eflags), e.i32(EFLAGS_AC));
	const watched = e.or(stepping, checking);
	e.if(e.or(e.and(open, waiting), watched), () => e.stop());
}

export const FLAG_CONTROL: SemanticsTable = {
	LAHF: lahf,
	SAHF: sahf,
	CLC: setCarry(0),
	STC: setCarry(1),
	CMC: cmc,
	SALC: salc,
	CLD: (e) => assign(e, EFLAGS_DF, false),
	STD: (e) => assign(e, EFLAGS_DF, true),
	CLI: cli,
	STI: sti,
	PUSHF: pushf,
	POPF: popf,
};
