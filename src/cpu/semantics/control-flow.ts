/**
 * Where execution goes next: jumps, calls, returns, loops, interrupts.
 *
 * Near transfers are written here in full; far ones check descriptors and may
 * switch stacks or tasks, so they are system operations. Relies on `stack.ts`.
 *
 * @journey E:324 Jumping, calling, returning
 */

import { SYSTEM_ARGUMENT } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { conditional } from "./integer.ts";
import {
	first,
	isNotZero,
	RCX,
	ripWidth,
	setState64,
	VECTOR_UD,
} from "./integer-values.ts";
import { peek, preparePush, push, release } from "./stack.ts";

/** Near and relative when the operand is an offset (J), else absolute. */
const isRelative = (form: Form): boolean =>
	form.row.operands[0]?.startsWith("J") === true;

/** An absolute target of `form.operandSize` bits as RIP, checked: a bad one faults here, not where it leads. */
function readTarget(e: Emitter, form: Form, target: Integer): Integer {
	const rip = e.let(e.toWidth(ripWidth(form), target));
	e.checkTarget(rip);
	return rip;
}

const jmp: Semantics = (e, form) => {
	if (isRelative(form)) e.jumpRelative();
	else e.jump(readTarget(e, form, first(form).read()));
};

/**
 * The target is read before the push, which may overwrite what it depends on
 * (CALL [rSP]), but checked after the push has been, as processors do.
 */
const call: Semantics = (e, form) => {
	const size = form.operandSize;
	if (isRelative(form)) {
		push(e, form, size, e.toWidth(size, e.nextRip()));
		e.jumpRelative();
		return;
	}
	const value = e.let(first(form).read());
	const put = preparePush(e, form, size);
	const target = readTarget(e, form, value);
	put(e.toWidth(size, e.nextRip()));
	e.jump(target);
};

/** Bytes of arguments that RET n and RETF n release. */
function releasedBytes(e: Emitter, form: Form): I32 {
	const count = form.operands[0];
	return count === undefined ? e.i32(0) : e.wrap(count.read());
}

const ret: Semantics = (e, form) => {
	const size = form.operandSize;
	const target = readTarget(e, form, peek(e, form, size));
	const bytes = e.add(releasedBytes(e, form), e.i32(size / 8));
	release(e, form, e.toWidth(form.stackSize, bytes));
	e.jump(target);
};

const jcc: Semantics = (e, form) => {
	e.if(e.condition(form.row.opcode & 15), () => e.jumpRelative());
};

/** Counts rCX down by address size; `also` is what LOOPZ and LOOPNZ ask of ZF. */
const loop =
	(also?: (e: Emitter) => I32): Semantics =>
	(e, form) => {
		const size = form.addressSize;
		const less = e.sub(e.readGpr(RCX, size), e.constant(size, 1));
		const count = e.let(e.zeroExtend(size, less));
		e.writeGpr(RCX, size, count);
		const counting = isNotZero(e, count);
		const goesOn = also === undefined ? counting : e.and(counting, also(e));
		e.if(goesOn, () => e.jumpRelative());
	};

const jcxz: Semantics = (e, form) => {
	e.if(e.eqz(e.readGpr(RCX, form.addressSize)), () => e.jumpRelative());
};

/** Direct far pointers carry the selector beside the offset, indirect ones behind it. */
const far =
	(operation: "JMP_FAR" | "CALL_FAR"): Semantics =>
	(e, form) => {
		const pointer = first(form);
		const size = form.operandSize;
		const direct = !pointer.isMemory;
		const offset = direct ? pointer.read() : pointer.at(0, size).read();
		const selector = direct
			? pointer.index()
			: e.wrap(pointer.at(size / 8, 16).read());
		setState64(e, SYSTEM_ARGUMENT, e.zeroExtend(size, offset));
		e.system(operation, selector, e.i32(size));
	};

const retf: Semantics = (e, form) =>
	e.system("RET_FAR", e.i32(form.operandSize), releasedBytes(e, form));

/** Kinds of software interrupt, as the INT operation knows them. */
const KIND_INT_N = 0;
const KIND_INT3 = 1;
const KIND_INTO = 2;
const KIND_INT1 = 3;

const interrupt: Semantics = (e, form) =>
	e.system("INT", e.wrap(first(form).read()), e.i32(KIND_INT_N));

const interruptAt =
	(vector: number, kind: number): Semantics =>
	(e) =>
		e.system("INT", e.i32(vector), e.i32(kind));

const into: Semantics = (e, form) => {
	e.if(e.getFlag("OF"), () => interruptAt(4, KIND_INTO)(e, form));
};

const iret: Semantics = (e, form) => e.system("IRET", e.i32(form.operandSize));

/** UD0, UD1, UD2: undefined for ever, by promise. RSM: outside system management mode. */
const undefinedOpcode: Semantics = (e) => e.fault(VECTOR_UD);

export const CONTROL_FLOW: SemanticsTable = {
	JMP: jmp,
	CALL: call,
	RET: ret,
	...conditional("J", jcc),
	LOOP: loop(),
	LOOPZ: loop((e) => e.getFlag("ZF")),
	LOOPNZ: loop((e) => e.eqz(e.getFlag("ZF"))),
	JCXZ: jcxz,
	JMPF: far("JMP_FAR"),
	CALLF: far("CALL_FAR"),
	RETF: retf,
	INT: interrupt,
	INT3: interruptAt(3, KIND_INT3),
	INT1: interruptAt(1, KIND_INT1),
	INTO: into,
	IRET: iret,
	UD0: undefinedOpcode,
	UD1: undefinedOpcode,
	UD2: undefinedOpcode,
	RSM: undefinedOpcode,
};
