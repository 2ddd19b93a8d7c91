/**
 * The stack: PUSH and POP in all forms, frames, and the flags image.
 *
 * Every instruction touches memory first and moves the stack pointer last, so
 * a fault leaves the pointer where the handler expects it. The pointer's own
 * width is the stack's, not the instruction's: a 16-bit stack moves SP only.
 *
 * Relies on `integer-values.ts`; calls and returns rely on `push` and `peek`.
 *
 * @journey E:320 Pushing and popping
 */

import { BUDGET, LEAVE, SHADOW } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
	Variable,
} from "./emitter.ts";
import {
	first,
	pair,
	RAX,
	RBP,
	RDI,
	RSP,
	readSelector,
	signedAs,
} from "./integer-values.ts";

/** Segment numbers by name, as far as stack instructions speak of them. */
const SS = 2;
const SEGMENT_NAMES = ["ES", "CS", "SS", "DS", "FS", "GS"];

/** `pointer + delta` as an offset into the stack segment, wrapped to its size. */
export function stackOffset(
	e: Emitter,
	form: Form,
	pointer: Integer,
	delta: Integer,
): Integer {
	const { stackSize } = form;
	const moved = e.add(pointer, e.toWidth(stackSize, delta));
	return e.let(e.zeroExtend(stackSize, moved));
}

/** Offset of the stack's top now. */
export function stackTop(e: Emitter, form: Form): Integer {
	return e.readGpr(RSP, form.stackSize);
}

/** Checks a push of `width` bits; the function returned performs it. */
export function preparePush(
	e: Emitter,
	form: Form,
	width: number,
): (value: Integer) => void {
	const bytes = e.constant(form.stackSize, -width / 8);
	const top = stackOffset(e, form, stackTop(e, form), bytes);
	const put = e.prepareStore(SS, top, width);
	return (value) => {
		put(value);
		e.writeGpr(RSP, form.stackSize, top);
	};
}

/** Writes the low `width` bits of `value` below the top, then moves the top there. */
export function push(
	e: Emitter,
	form: Form,
	width: number,
	value: Integer,
): void {
	const bytes = e.constant(form.stackSize, -width / 8);
	const top = stackOffset(e, form, stackTop(e, form), bytes);
	e.storeSegment(SS, top, width, value);
	e.writeGpr(RSP, form.stackSize, top);
}

/** Reads `width` bits `skipped` bytes above the top, moving nothing. */
export function peek(
	e: Emitter,
	form: Form,
	width: number,
	skipped = 0,
): Integer {
	const distance = e.constant(form.stackSize, skipped);
	const offset = stackOffset(e, form, stackTop(e, form), distance);
	return e.loadSegment(SS, offset, width);
}

/** Moves the top up by `bytes`. */
export function release(e: Emitter, form: Form, bytes: Integer): void {
	const top = stackOffset(e, form, stackTop(e, form), bytes);
	e.writeGpr(RSP, form.stackSize, top);
}

function releaseBytes(e: Emitter, form: Form, bytes: number): void {
	release(e, form, e.constant(form.stackSize, bytes));
}

/** The segment register an operand such as "FS" names, or undefined. */
function segmentOperand(form: Form): number | undefined {
	const index = SEGMENT_NAMES.indexOf(form.row.operands[0] ?? "");
	return index < 0 ? undefined : index;
}

/** PUSH SP pushes the value before the push (Intel SDM vol. 2, PUSH). Selectors are zero-extended. */
const pushOperand: Semantics = (e, form) => {
	const size = form.operandSize;
	const segment = segmentOperand(form);
	const value =
		segment === undefined
			? signedAs(e, first(form), size)
			: e.toWidth(size, readSelector(e, e.i32(segment)));
	push(e, form, size, value);
};

/**
 * A memory destination based on rSP is addressed with rSP as it is *after* the
 * pop; records carry a displacement moved by the operand's size, so that
 * nothing changes here before the last check.
 */
const popOperand: Semantics = (e, form) => {
	const segment = segmentOperand(form);
	if (segment !== undefined) {
		popSegment(e, form, segment);
		return;
	}
	const destination = first(form);
	const value = peek(e, form, form.operandSize);
	const put = destination.prepareWrite();
	releaseBytes(e, form, form.operandSize / 8);
	put(value);
};

function popSegment(e: Emitter, form: Form, segment: number): void {
	const { operandSize } = form;
	const selector = e.and(e.wrap(peek(e, form, operandSize)), e.i32(0xffff));
	e.system("LOAD_SEGMENT", e.i32(segment), selector);
	releaseBytes(e, form, operandSize / 8);
	if (segment === SS) openInterruptShadow(e);
	leaveIfAsked(e);
}

/** Ends an instruction whose operation wants the run loop, when all of it is done. */
export function leaveIfAsked(e: Emitter): void {
	e.if(e.readState(LEAVE, 0, 0, 4) as I32, () => e.stop());
}

/**
 * No interrupt is taken before the *next* instruction is done: loading SS and
 * rSP, or STI and HLT, stay together. BUDGET tells which instruction that is.
 */
export function openInterruptShadow(e: Emitter): void {
	e.writeState(SHADOW, e.readState(BUDGET, 0, 0, 4), 0, 0, 4);
}

/** AX CX DX BX, SP as it was, BP SI DI, downwards. */
const pusha: Semantics = (e, form) => {
	const size = form.operandSize;
	const top = stackTop(e, form);
	for (let register = 0; register < 8; register++) {
		const value = e.readGpr(register, size);
		const offset = frameSlot(e, form, top, register + 1);
		e.storeSegment(SS, offset, size, value);
	}
	e.writeGpr(RSP, form.stackSize, frameSlot(e, form, top, 8));
};

/** The offset `count` operands below `top`. */
function frameSlot(e: Emitter, form: Form, top: Integer, count: number) {
	const distance = (-count * form.operandSize) / 8;
	return stackOffset(e, form, top, e.constant(form.stackSize, distance));
}

/** DI SI BP, nothing for SP, BX DX CX AX, upwards; all read before one is written. */
const popa: Semantics = (e, form) => {
	const size = form.operandSize;
	const popped: [register: number, value: Integer][] = [];
	for (let register = RDI; register >= RAX; register--) {
		if (register === RSP) continue;
		const skipped = ((RDI - register) * size) / 8;
		popped.push([register, peek(e, form, size, skipped)]);
	}
	for (const [register, value] of popped) e.writeGpr(register, size, value);
	releaseBytes(e, form, size);
};

/**
 * ENTER copies `level - 1` frame pointers of the enclosing procedures, then
 * adds its own (Intel SDM vol. 1, "ENTER Instruction"). Until the last write
 * succeeds only dead stack below rSP has changed, so it restarts.
 */
const enter: Semantics = (e, form) => {
	const [storage, nesting] = pair(form);
	const { operandSize, stackSize } = form;
	const level = e.let(e.and(e.wrap(nesting.read()), e.i32(31)));
	const bytes = e.constant(stackSize, -operandSize / 8);
	const base = e.readGpr(RBP, operandSize);
	const frame = stackOffset(e, form, stackTop(e, form), bytes);
	const pointer = framePointer(e, form, frame);
	e.storeSegment(SS, frame, operandSize, base);
	const top = e.variable(frame);
	e.if(level, () => {
		copyDisplay(e, form, level, top);
		top.set(stackOffset(e, form, top.get(), bytes));
		e.storeSegment(SS, top.get(), operandSize, pointer);
	});
	const locals = e.neg(e.toWidth(stackSize, storage.read()));
	const newTop = stackOffset(e, form, top.get(), locals);
	e.prepareStore(SS, newTop, operandSize);
	e.writeGpr(RSP, stackSize, newTop);
	e.writeGpr(RBP, operandSize, pointer);
};

/** rSP at `frame` in the operand's size: a 16-bit stack leaves the upper half of ESP alone, and ENTER copies all of it. */
function framePointer(e: Emitter, form: Form, frame: Integer): Integer {
	const { operandSize, stackSize } = form;
	if (stackSize !== 16 || operandSize === 16) return frame;
	const esp = e.readGpr(RSP, 32) as I32;
	const kept = e.and(esp, e.i32(-0x1_0000));
	return e.let(e.or(kept, e.toWidth(32, frame) as I32));
}

/** Pushes the `level - 1` frame pointers that lie below the caller's. */
function copyDisplay(
	e: Emitter,
	form: Form,
	level: I32,
	top: Variable<"i32" | "i64">,
): void {
	const { operandSize, stackSize } = form;
	const bytes = e.constant(stackSize, -operandSize / 8);
	const source = e.variable(e.readGpr(RBP, stackSize));
	const left = e.variable(level);
	e.loop((again) => {
		left.set(e.sub(left.get(), e.i32(1)));
		e.if(left.get(), () => {
			source.set(stackOffset(e, form, source.get(), bytes));
			top.set(stackOffset(e, form, top.get(), bytes));
			const pointer = e.loadSegment(SS, source.get(), operandSize);
			e.storeSegment(SS, top.get(), operandSize, pointer);
			again();
		});
	});
}

/** The saved rBP lies where rBP points. */
const leave: Semantics = (e, form) => {
	const { operandSize, stackSize } = form;
	const frame = e.readGpr(RBP, stackSize);
	const saved = e.loadSegment(SS, frame, operandSize);
	const bytes = e.constant(stackSize, operandSize / 8);
	e.writeGpr(RSP, stackSize, stackOffset(e, form, frame, bytes));
	e.writeGpr(RBP, operandSize, saved);
};

export const STACK: SemanticsTable = {
	PUSH: pushOperand,
	POP: popOperand,
	PUSHA: pusha,
	POPA: popa,
	ENTER: enter,
	LEAVE: leave,
};
