/**
 * x87 comparisons, into the status word's condition bits or into EFLAGS, and
 * the conditional moves that use the latter.
 *
 * @journey E:644 FCOM, FCOMI, FCMOVcc
 */

import { FPU_STATUS } from "../state.ts";
import { FPU_C0, FPU_C1, FPU_C2, FPU_C3 } from "../x87-bits.ts";
import type {
	Emitter,
	Form,
	I32,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { bit, first, isNotZero, pair, state32 } from "./integer-values.ts";
import {
	attempt,
	begin,
	isEmpty,
	pop,
	type Real,
	readInteger,
	readReal,
	remember,
	setRegister,
	signExponent,
	significand,
	stack,
} from "./x87-stack.ts";

/** Bit 0 of a comparison's result: an exception is not masked, so nothing is popped. */
const REFUSED = 1;
const CONDITIONS = FPU_C0 | FPU_C2 | FPU_C3;

/** Puts the result into the status word and pops as often as asked. */
function conclude(e: Emitter, result: I32, pops: number): void {
	const conditions = e.and(result, e.i32(CONDITIONS));
	const others = e.and(state32(e, FPU_STATUS), e.i32(~CONDITIONS));
	e.writeState(FPU_STATUS, e.or(others, conditions), 0, 0, 4);
	popUnless(e, result, pops);
}

function popUnless(e: Emitter, result: I32, pops: number): void {
	if (pops === 0) return;
	e.if(e.eqz(e.and(result, e.i32(REFUSED))), () => {
		for (let i = 0; i < pops; i++) pop(e);
	});
}

function compareRegister(e: Emitter, i: I32 | number, quiet: boolean): I32 {
	const other = stack(e, i);
	const flag = e.i32(quiet ? 1 : 0);
	return attempt(e, "x87_compare", stack(e, 0), other, flag);
}

/** FCOM, FUCOM and their popping forms. */
const compare =
	(pops: number, quiet = false): Semantics =>
	(e, form) => {
		begin(e);
		const operand = form.operands[0];
		if (operand?.isMemory) {
			compareMemory(e, form, readReal(e, operand), pops);
			return;
		}
		remember(e);
		const i = operand === undefined ? 1 : operand.index();
		conclude(e, compareRegister(e, i, quiet), pops);
	};

function compareMemory(e: Emitter, form: Form, real: Real, pops: number): void {
	remember(e, first(form));
	conclude(e, attempt(e, "x87_compare_value", real.m, real.se), pops);
}

const compareInteger =
	(pops: number): Semantics =>
	(e, form) => {
		begin(e);
		compareMemory(e, form, readInteger(e, first(form)), pops);
	};

/** FTST compares with +0. */
const test: Semantics = (e) => {
	begin(e);
	remember(e);
	conclude(e, attempt(e, "x87_compare_value", e.i64(0), e.i32(0)), 0);
};

/** AMD's FCOMI leaves C1 alone, as the condition bits; only stack faults clear it. */
function restoreC1(e: Emitter, before: I32, fault: I32): void {
	const kept = e.and(before, e.i32(FPU_C1));
	const c1 = e.select(fault, e.i32(0), kept);
	e.writeState(FPU_STATUS, e.or(state32(e, FPU_STATUS), c1), 0, 0, 4);
}

/** FCOMI, FUCOMI: the same conditions where JB, JZ and JP look for them. */
const compareFlags =
	(pops: number, quiet: boolean): Semantics =>
	(e, form) => {
		begin(e);
		remember(e);
		const [, other] = pair(form);
		const before = state32(e, FPU_STATUS);
		const empty = e.or(
			isEmpty(e, stack(e, 0)),
			isEmpty(e, stack(e, other.index())),
		);
		const fault = e.let(empty);
		const result = compareRegister(e, other.index(), quiet);
		restoreC1(e, before, fault);
		const has = (mask: number) => isNotZero(e, e.and(result, e.i32(mask)));
		e.setFlags({
			CF: has(FPU_C0),
			PF: has(FPU_C2),
			ZF: has(FPU_C3),
			OF: e.i32(0),
			SF: e.i32(0),
			AF: e.i32(0),
		});
		popUnless(e, result, pops);
	};

/** FCMOVcc: the stack is checked whether the condition holds or not. */
const conditionalMove =
	(condition: (e: Emitter) => I32): Semantics =>
	(e, form) => {
		begin(e);
		remember(e);
		const [, source] = pair(form);
		const to = stack(e, 0);
		const from = stack(e, source.index());
		const holds = e.let(condition(e));
		e.if(
			e.or(isEmpty(e, to), isEmpty(e, from)),
			() => attempt(e, "x87_stack_underflow", to),
			() =>
				e.if(holds, () =>
					setRegister(e, to, significand(e, from), signExponent(e, from)),
				),
		);
	};

const CONDITION_B = 2;
const CONDITION_Z = 4;
const CONDITION_BE = 6;
const CONDITION_P = 10;
const holds = (code: number) => (e: Emitter) => e.condition(code);
const fails = (code: number) => (e: Emitter) =>
	bit(e, e.eqz(e.condition(code)), 0);

export const X87_COMPARE: SemanticsTable = {
	FCOM: compare(0),
	FCOMP: compare(1),
	FCOMPP: compare(2),
	FUCOM: compare(0, true),
	FUCOMP: compare(1, true),
	FUCOMPP: compare(2, true),
	FICOM: compareInteger(0),
	FICOMP: compareInteger(1),
	FTST: test,
	FCOMI: compareFlags(0, false),
	FCOMIP: compareFlags(1, false),
	FUCOMI: compareFlags(0, true),
	FUCOMIP: compareFlags(1, true),
	FCMOVB: conditionalMove(holds(CONDITION_B)),
	FCMOVE: conditionalMove(holds(CONDITION_Z)),
	FCMOVBE: conditionalMove(holds(CONDITION_BE)),
	FCMOVU: conditionalMove(holds(CONDITION_P)),
	FCMOVNB: conditionalMove(fails(CONDITION_B)),
	FCMOVNE: conditionalMove(fails(CONDITION_Z)),
	FCMOVNBE: conditionalMove(fails(CONDITION_BE)),
	FCMOVNU: conditionalMove(fails(CONDITION_P)),
};
