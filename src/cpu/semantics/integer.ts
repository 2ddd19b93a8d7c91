/**
 * Arithmetic, logic and data movement on general registers.
 *
 * Each family shares one shape: read the source, combine inside `modify` (so
 * that a memory destination is checked before anything happens), set flags.
 * Relies on the emitter and `integer-values.ts`; `index.ts` collects the table.
 *
 * @journey E:312 ADD, MOV and their kin
 */

import type {
	Emitter,
	Form,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import {
	first,
	pair,
	RAX,
	RBX,
	RDX,
	readAs,
	signedAs,
} from "./integer-values.ts";
import { moveSystemRegister } from "./system-registers.ts";

type Binary = (e: Emitter, width: number, a: Integer, b: Integer) => Integer;

/** a + b, or a + b + CF, and its flags. */
export const sum =
	(withCarry: boolean): Binary =>
	(e, width, a, b) => {
		const plain = e.add(a, b);
		const result = e.let(
			withCarry ? e.add(plain, e.toWidth(width, e.getFlag("CF"))) : plain,
		);
		e.setAddFlags(width, a, b, result);
		return result;
	};

/** a - b, or a - b - CF, and its flags. */
export const difference =
	(withBorrow: boolean): Binary =>
	(e, width, a, b) => {
		const plain = e.sub(a, b);
		const result = e.let(
			withBorrow ? e.sub(plain, e.toWidth(width, e.getFlag("CF"))) : plain,
		);
		e.setSubFlags(width, a, b, result);
		return result;
	};

/** A bitwise operation and its flags. */
const bitwise =
	(operation: "and" | "or" | "xor"): Binary =>
	(e, width, a, b) => {
		const result = e.let(e[operation](a, b));
		e.setLogicFlags(width, result);
		return result;
	};

/** destination = destination op source. */
const update =
	(combine: Binary): Semantics =>
	(e, form) => {
		const [destination, source] = pair(form);
		const { width } = destination;
		const b = readAs(e, source, width);
		destination.modify((a) => combine(e, width, a, b));
	};

/** CMP and TEST: only the flags of destination op source. */
const probe =
	(combine: Binary): Semantics =>
	(e, form) => {
		const [left, right] = pair(form);
		const { width } = left;
		combine(e, width, left.read(), readAs(e, right, width));
	};

/** INC and DEC leave CF alone, so that loops can carry it along. */
const step =
	(by: 1 | -1): Semantics =>
	(e, form) => {
		const destination = first(form);
		const { width } = destination;
		destination.modify((old) => {
			const result = e.let(e.add(old, e.constant(width, by)));
			if (by > 0) e.setIncFlags(width, result);
			else e.setDecFlags(width, result);
			return result;
		});
	};

const neg: Semantics = (e, form) => {
	const destination = first(form);
	const { width } = destination;
	destination.modify((old) =>
		difference(false)(e, width, e.constant(width, 0), old),
	);
};

const not: Semantics = (e, form) => first(form).modify((old) => e.not(old));

/** Segment, control and debug registers in MOV's rows. */
const SYSTEM_OPERANDS = ["Sw", "Cy", "Dy"];

/** MOV between general registers, memory and immediates; the rest is system work. */
const mov: Semantics = (e, form) => {
	if (form.row.operands.some((spec) => SYSTEM_OPERANDS.includes(spec))) {
		moveSystemRegister(e, form);
		return;
	}
	const [destination, source] = pair(form);
	destination.write(readAs(e, source, destination.width));
};

const movzx: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	destination.write(e.toWidth(destination.width, source.read()));
};

/** MOVSX and MOVSXD. */
const movsx: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	destination.write(signedAs(e, source, destination.width));
};

/** The effective address, cut or zero-extended to the operand size (Intel SDM vol. 2, LEA's table of sizes). */
const lea: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	destination.write(e.toWidth(destination.width, source.address()));
};

/** CBW, CWDE, CDQE: the lower half of rAX, sign-extended into the whole. */
const cbw: Semantics = (e, form) => {
	const size = form.operandSize;
	const half = size / 2;
	const value = e.signExtend(half, e.readGpr(RAX, half));
	e.writeGpr(RAX, size, size === 64 ? e.extendS(e.wrap(value)) : value);
};

/** CWD, CDQ, CQO: rAX's sign in every bit of rDX. */
const cwd: Semantics = (e, form) => {
	const size = form.operandSize;
	const value = e.signExtend(size, e.readGpr(RAX, size));
	const width = size === 64 ? 64 : 32;
	e.writeGpr(RDX, size, e.shrS(value, e.constant(width, width - 1)));
};

/**
 * The source is read, and may fault, whatever the condition; and the register
 * is written in any case, which in 64-bit mode clears its upper half. The
 * condition comes last: only beside the choice do the two become one.
 */
const cmov: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const moved = source.read();
	const kept = destination.read();
	destination.write(e.select(conditionOf(e, form), moved, kept));
};

const setcc: Semantics = (e, form) => first(form).write(conditionOf(e, form));

/** Conditional opcodes carry their condition in the low four bits. */
function conditionOf(e: Emitter, form: Form): I32 {
	return e.condition(form.row.opcode & 15);
}

/** AL = [seg:rBX + AL]. */
const xlat: Semantics = (e, form) => {
	const size = form.addressSize;
	const index = e.toWidth(size, e.readGpr(RAX, 8));
	const sum = e.add(e.readGpr(RBX, size), index);
	const offset = e.let(e.zeroExtend(size, sum));
	e.writeGpr(RAX, 8, e.loadSegment("data", offset, 8));
};

/** Reserved hints, prefetches and fences: nothing the guest can observe here. */
const nothing: Semantics = () => {};

/** For each condition's name, `<prefix>O` to `<prefix>NLE`. */
export function conditional(
	prefix: string,
	semantics: Semantics,
): SemanticsTable {
	const names = "O NO B NB Z NZ BE NBE S NS P NP L NL LE NLE".split(" ");
	return Object.fromEntries(names.map((name) => [prefix + name, semantics]));
}

export const INTEGER: SemanticsTable = {
	ADD: update(sum(false)),
	ADC: update(sum(true)),
	SUB: update(difference(false)),
	SBB: update(difference(true)),
	AND: update(bitwise("and")),
	OR: update(bitwise("or")),
	XOR: update(bitwise("xor")),
	CMP: probe(difference(false)),
	TEST: probe(bitwise("and")),
	INC: step(1),
	DEC: step(-1),
	NEG: neg,
	NOT: not,
	MOV: mov,
	MOVZX: movzx,
	MOVSX: movsx,
	MOVSXD: movsx,
	LEA: lea,
	CBW: cbw,
	CWD: cwd,
	XLAT: xlat,
	...conditional("CMOV", cmov),
	...conditional("SET", setcc),

	NOP: nothing,
	PAUSE: nothing,
	ENDBR32: nothing,
	ENDBR64: nothing,
	PREFETCH: nothing,
	PREFETCHW: nothing,
	PREFETCHNTA: nothing,
	PREFETCHT0: nothing,
	PREFETCHT1: nothing,
	PREFETCHT2: nothing,
	LFENCE: nothing,
	MFENCE: nothing,
	SFENCE: nothing,
};
