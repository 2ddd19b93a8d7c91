/**
 * x87 arithmetic: FADD to FDIVRP, their integer forms, and the operations on
 * ST(0) (and ST(1)) alone.
 *
 * Each fetches operands and calls the kernel of its operation, which answers
 * whether the instruction may go on to pop.
 *
 * @journey E:642 FADD and its family
 */

import { FPU_STATUS } from "../state.ts";
import { F80_SIGN, FPU_C0, FPU_C1, FPU_C2, FPU_C3 } from "../x87-bits.ts";
import type { Emitter, I32, Semantics, SemanticsTable } from "./emitter.ts";
import { first, pair, state32 } from "./integer-values.ts";
import {
	attempt,
	begin,
	clearC1,
	isEmpty,
	pop,
	readInteger,
	readReal,
	remember,
	setRegister,
	signExponent,
	significand,
	stack,
} from "./x87-stack.ts";

type Operation = "add" | "sub" | "mul" | "div";

interface Variant {
	/** source op destination. */
	readonly reversed?: boolean;
	readonly pops?: boolean;
}

const binary =
	(operation: Operation, { reversed = false, pops = false }: Variant = {}) =>
	(...[e, form]: Parameters<Semantics>) => {
		begin(e);
		if (first(form).isMemory) {
			const { m, se } = readReal(e, first(form));
			remember(e, first(form));
			attempt(e, `x87_${operation}${reversed ? "r" : ""}_value`, m, se);
			return;
		}
		const [destination, source] = pair(form).map((operand) =>
			stack(e, operand.index()),
		) as [I32, I32];
		remember(e);
		const operands = reversed ? [source, destination] : [destination, source];
		const done = attempt(e, `x87_${operation}`, destination, ...operands);
		if (pops) e.if(done, () => pop(e));
	};

/** With an integer in memory. */
const withInteger =
	(operation: Operation, reversed = false): Semantics =>
	(e, form) => {
		begin(e);
		const { m, se } = readInteger(e, first(form));
		remember(e, first(form));
		attempt(e, `x87_${operation}${reversed ? "r" : ""}_value`, m, se);
	};

/** A kernel on ST(0), or on ST(0) and ST(1), that does everything. */
const unary =
	(kernel: string): Semantics =>
	(e) => {
		begin(e);
		remember(e);
		attempt(e, kernel);
	};

/** FCHS and FABS touch the sign of anything, even of what is no number. */
const onSign =
	(change: (e: Emitter, se: I32) => I32): Semantics =>
	(e) => {
		begin(e);
		remember(e);
		const top = stack(e, 0);
		e.if(
			isEmpty(e, top),
			() => attempt(e, "x87_stack_underflow", top),
			() => {
				const se = change(e, signExponent(e, top));
				setRegister(e, top, significand(e, top), se);
				clearC1(e);
			},
		);
	};

/** FXAM: the kind of ST(0) in C3 C2 C0, its sign in C1. */
const examine: Semantics = (e) => {
	begin(e);
	remember(e);
	const conditions = e.kernel("x87_examine", "i32");
	const others = e.i32(~(FPU_C0 | FPU_C1 | FPU_C2 | FPU_C3));
	const status = e.or(e.and(state32(e, FPU_STATUS), others), conditions);
	e.writeState(FPU_STATUS, status, 0, 0, 4);
};

const reversed = { reversed: true };
const pops = { pops: true };

export const X87_ARITHMETIC: SemanticsTable = {
	FADD: binary("add"),
	FADDP: binary("add", pops),
	FIADD: withInteger("add"),
	FSUB: binary("sub"),
	FSUBP: binary("sub", pops),
	FISUB: withInteger("sub"),
	FSUBR: binary("sub", reversed),
	FSUBRP: binary("sub", { ...reversed, ...pops }),
	FISUBR: withInteger("sub", true),
	FMUL: binary("mul"),
	FMULP: binary("mul", pops),
	FIMUL: withInteger("mul"),
	FDIV: binary("div"),
	FDIVP: binary("div", pops),
	FIDIV: withInteger("div"),
	FDIVR: binary("div", reversed),
	FDIVRP: binary("div", { ...reversed, ...pops }),
	FIDIVR: withInteger("div", true),
	FSQRT: unary("x87_sqrt"),
	FRNDINT: unary("x87_round_to_integer"),
	FSCALE: unary("x87_scale"),
	FXTRACT: unary("x87_extract"),
	FPREM: unary("x87_remainder"),
	FPREM1: unary("x87_remainder_nearest"),
	F2XM1: unary("x87_exponential"),
	FYL2X: unary("x87_logarithm"),
	FYL2XP1: unary("x87_logarithm_plus_one"),
	FPTAN: unary("x87_tangent"),
	FPATAN: unary("x87_arctangent"),
	FSIN: unary("x87_sine"),
	FCOS: unary("x87_cosine"),
	FSINCOS: unary("x87_sine_cosine"),
	FCHS: onSign((e, se) => e.xor(se, e.i32(F80_SIGN))),
	FABS: onSign((e, se) => e.and(se, e.i32(~F80_SIGN))),
	FXAM: examine,
};
