/**
 * Loads, stores, exchanges and constants of the x87.
 *
 * A store checks its memory before the kernel computes flags, so that a page
 * fault leaves the status word as it was.
 *
 * @journey E:646 FLD, FST and what lies between
 */

import { FPU_CONTROL, FPU_STATUS } from "../state.ts";
import {
	F80_EXPONENT_MAX,
	F80_INDEFINITE_EXPONENT,
	F80_INDEFINITE_SIGNIFICAND,
	F80_SIGN,
	FPU_C1,
	FPU_IE,
	FPU_PE,
	FPU_ROUNDING_SHIFT,
	FPU_SF,
	ROUND_NEAREST,
	ROUND_UP,
} from "../x87-bits.ts";
import type {
	Emitter,
	I32,
	I64,
	Integer,
	Operand,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { first, state32 } from "./integer-values.ts";
import {
	attempt,
	begin,
	clearC1,
	doneResult,
	exponentResult,
	isEmpty,
	isNotPlainControl,
	markEmpty,
	markValid,
	moveTop,
	narrowOf,
	pop,
	prepareExtended,
	push,
	readExtended,
	readInteger,
	readNarrow,
	remember,
	setRegister,
	signExponent,
	significand,
	stack,
} from "./x87-stack.ts";

/** FLD: of 80 bits and of registers a plain copy, else a conversion that may object. */
const load: Semantics = (e, form) => {
	begin(e);
	const source = first(form);
	if (!source.isMemory) {
		remember(e);
		pushRegister(e, stack(e, source.index()));
	} else if (source.width === 80) {
		const real = readExtended(source);
		remember(e, source);
		push(e, real);
	} else {
		const real = readNarrow(e, source);
		remember(e, source);
		const special = () => {
			const { m, se } = real.anyhow();
			attempt(e, "x87_load", m, se);
		};
		e.if(e.eqz(real.isNormal), special, () => push(e, real), "rare");
	}
};

/** Of an empty register it is a stack underflow. */
function pushRegister(e: Emitter, register: I32): void {
	const m = significand(e, register);
	const se = signExponent(e, register);
	const special = () => attempt(e, "x87_push_register", register);
	e.if(isEmpty(e, register), special, () => push(e, { m, se }), "rare");
}

const loadInteger: Semantics = (e, form) => {
	begin(e);
	const real = readInteger(e, first(form));
	remember(e, first(form));
	push(e, real);
};

const loadDecimal: Semantics = (e, form) => {
	begin(e);
	const source = first(form);
	const digits = readExtended(source);
	remember(e, source);
	const m = e.kernel("f80_from_decimal", "i64", digits.m, digits.se);
	push(e, { m, se: exponentResult(e) });
};

/**
 * FLDPI and the other irrational constants: kept with more bits inside, so
 * that the rounding mode decides about the last one. `significand` is the
 * number cut off; `next` says whether its next bit is set.
 */
const loadIrrational =
	(truncated: bigint, exponent: number, next: 0 | 1): Semantics =>
	(e) => {
		begin(e);
		remember(e);
		const control = state32(e, FPU_CONTROL);
		const mode = e.let(
			e.and(e.shrU(control, e.i32(FPU_ROUNDING_SHIFT)), e.i32(3)),
		);
		const nearest = e.and(e.eq(mode, e.i32(ROUND_NEAREST)), e.i32(next));
		const up = e.or(nearest, e.eq(mode, e.i32(ROUND_UP)));
		const m = e.let(e.add(e.i64(truncated), e.extendU(up)));
		push(e, { m, se: e.i32(exponent) });
	};

const loadExact =
	(m: bigint, exponent: number): Semantics =>
	(e) => {
		begin(e);
		remember(e);
		push(e, { m: e.i64(m), se: e.i32(exponent) });
	};

/** Stores what a conversion kernel makes of ST(0). */
function storeConverted(
	e: Emitter,
	target: Operand,
	pops: boolean,
	convert: (top: I32) => Integer,
): void {
	begin(e);
	const put = target.prepareWrite();
	remember(e, target);
	const value = convert(stack(e, 0));
	e.if(doneResult(e), () => {
		put(value);
		if (pops) pop(e);
	});
}

const store =
	(pops: boolean): Semantics =>
	(e, form) => {
		const target = first(form);
		if (!target.isMemory) storeRegister(e, target, pops);
		else if (target.width === 80) storeWhole(e, target);
		else storeNarrow(e, target, pops);
	};

/** A normal number that stays one, under the usual control word, is rounded here; the kernel does the others. */
function storeNarrow(e: Emitter, target: Operand, pops: boolean): void {
	begin(e);
	const put = target.prepareWrite();
	remember(e, target);
	const { fraction, most, rebias } = narrowOf(target);
	const top = stack(e, 0);
	const m = significand(e, top);
	const se = signExponent(e, top);
	const field = e.let(
		e.sub(e.and(se, e.i32(F80_EXPONENT_MAX)), e.i32(rebias + 1)),
	);
	// A carry may still reach the exponent.
	const inRange = e.ltU(field, e.i32(most - 2));
	const unusual = [
		e.eqz(inRange),
		e.geS(m, e.i64(0)),
		isEmpty(e, top),
		isNotPlainControl(e),
	];
	const byKernel = () => {
		const kernel = `x87_to_f${target.width}`;
		const value = e.kernel(kernel, target.width === 32 ? "i32" : "i64", top);
		e.if(doneResult(e), () => {
			put(value as Integer);
			if (pops) pop(e);
		});
	};
	e.ifAny(unusual, byKernel, () => {
		const kept = e.let(e.shrU(m, e.i64(63 - fraction)));
		const rest = e.let(e.shl(m, e.i64(fraction + 1)));
		const odd = e.and(e.wrap(kept), e.i32(1));
		const more = e.ne(e.shl(rest, e.i64(1)), e.i64(0));
		const half = e.ltS(rest, e.i64(0));
		const away = e.let(e.and(half, e.or(more, odd)));
		const digits = e.add(kept, e.extendU(away));
		const exponent = e.shl(e.extendU(field), e.i64(fraction));
		const sign = e.extendU(e.and(se, e.i32(F80_SIGN)));
		const signed = e.shl(sign, e.i64(target.width - 16));
		put(e.toWidth(target.width, e.or(e.add(digits, exponent), signed)));
		reportRounding(e, e.ne(rest, e.i64(0)), away);
		if (pops) pop(e);
	});
}

/** PE and C1 where all exceptions are masked. */
function reportRounding(e: Emitter, inexact: I32, away: I32): void {
	const flag = (bit: I32, value: number) => e.mul(bit, e.i32(value));
	const others = e.and(state32(e, FPU_STATUS), e.i32(~FPU_C1));
	const flags = e.or(flag(inexact, FPU_PE), flag(away, FPU_C1));
	e.writeState(FPU_STATUS, e.or(others, flags), 0, 0, 4);
}

function storeRegister(e: Emitter, target: Operand, pops: boolean): void {
	begin(e);
	remember(e);
	const from = stack(e, 0);
	const to = stack(e, target.index());
	const done = e.variable(e.i32(1));
	e.if(
		isEmpty(e, from),
		() => done.set(attempt(e, "x87_stack_underflow", to)),
		() => {
			setRegister(e, to, significand(e, from), signExponent(e, from));
			markValid(e, to);
			clearC1(e);
		},
	);
	if (pops) e.if(done.get(), () => pop(e));
}

/** The undocumented FSTP of D9 /3: an empty register is no error, it is only not copied. */
const storeUnchecked: Semantics = (e, form) => {
	begin(e);
	remember(e);
	const from = stack(e, 0);
	const to = stack(e, first(form).index());
	e.if(e.eqz(isEmpty(e, from)), () => {
		setRegister(e, to, significand(e, from), signExponent(e, from));
		markValid(e, to);
	});
	clearC1(e);
	pop(e);
};

/** FSTP of 80 bits copies anything. */
function storeWhole(e: Emitter, target: Operand): void {
	begin(e);
	const put = prepareExtended(target);
	remember(e, target);
	const top = stack(e, 0);
	const m = e.variable(significand(e, top));
	const se = e.variable(signExponent(e, top));
	const done = e.variable(e.i32(1));
	e.if(
		isEmpty(e, top),
		() => {
			done.set(attempt(e, "x87_raise", e.i32(FPU_IE | FPU_SF)));
			m.set(e.i64(F80_INDEFINITE_SIGNIFICAND));
			se.set(e.i32(F80_INDEFINITE_EXPONENT));
		},
		() => clearC1(e),
	);
	e.if(done.get(), () => {
		put({ m: m.get() as I64, se: se.get() as I32 });
		pop(e);
	});
}

const storeInteger =
	(pops: boolean, truncates = false): Semantics =>
	(e, form) => {
		const target = first(form);
		const width = e.i32(target.width);
		storeConverted(e, target, pops, (top) => {
			const chop = e.i32(truncates ? 1 : 0);
			const value = e.kernel("x87_to_integer", "i64", top, width, chop);
			return e.toWidth(target.width, value);
		});
	};

const storeDecimal: Semantics = (e, form) => {
	begin(e);
	const target = first(form);
	const put = prepareExtended(target);
	remember(e, target);
	const m = e.kernel("x87_to_decimal", "i64", stack(e, 0));
	const se = exponentResult(e);
	e.if(doneResult(e), () => {
		put({ m, se });
		pop(e);
	});
};

/** FXCH: empty registers first become the indefinite. */
const exchange: Semantics = (e, form) => {
	begin(e);
	remember(e);
	const a = stack(e, 0);
	const b = stack(e, first(form).index());
	const done = e.variable(e.i32(1));
	clearC1(e);
	for (const register of [a, b]) {
		e.if(e.and(done.get(), isEmpty(e, register)), () =>
			done.set(attempt(e, "x87_stack_underflow", register)),
		);
	}
	e.if(done.get(), () => {
		const [ma, mb] = [significand(e, a), significand(e, b)];
		const [sa, sb] = [signExponent(e, a), signExponent(e, b)];
		setRegister(e, a, mb, sb);
		setRegister(e, b, ma, sa);
	});
};

const free =
	(pops: boolean): Semantics =>
	(e, form) => {
		begin(e);
		remember(e);
		markEmpty(e, stack(e, first(form).index()));
		clearC1(e);
		if (pops) pop(e);
	};

const rotate =
	(by: number): Semantics =>
	(e) => {
		begin(e);
		remember(e);
		moveTop(e, by);
		clearC1(e);
	};

export const X87_TRANSFER: SemanticsTable = {
	FLD: load,
	FILD: loadInteger,
	FBLD: loadDecimal,
	FLDZ: loadExact(0n, 0),
	FLD1: loadExact(1n << 63n, 0x3fff),
	FLDL2T: loadIrrational(0xd49a_784b_cd1b_8afen, 0x4000, 0),
	FLDL2E: loadIrrational(0xb8aa_3b29_5c17_f0bbn, 0x3fff, 1),
	FLDPI: loadIrrational(0xc90f_daa2_2168_c234n, 0x4000, 1),
	FLDLG2: loadIrrational(0x9a20_9a84_fbcf_f798n, 0x3ffd, 1),
	FLDLN2: loadIrrational(0xb172_17f7_d1cf_79abn, 0x3ffe, 1),
	FST: store(false),
	FSTP: store(true),
	FSTPNCE: storeUnchecked,
	FIST: storeInteger(false),
	FISTP: storeInteger(true),
	FISTTP: storeInteger(true, true),
	FBSTP: storeDecimal,
	FXCH: exchange,
	FFREE: free(false),
	FFREEP: free(true),
	FINCSTP: rotate(1),
	FDECSTP: rotate(-1),
};
