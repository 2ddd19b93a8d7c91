/**
 * MOV to and from segment, control and debug registers, and the loads of full
 * far pointers.
 *
 * What a value may be and what changes with it is the system operation's
 * business; here it is only fetched and delivered. `integer.ts` hands MOV's
 * system rows over to this file.
 *
 * @journey E:340 MOV, where it is not a move
 */

import { SYSTEM_ARGUMENT, SYSTEM_RESULT } from "../state.ts";
import type { Emitter, Form, Semantics, SemanticsTable } from "./emitter.ts";
import { pair, readSelector, setState64, state64 } from "./integer-values.ts";
import { leaveIfAsked, openInterruptShadow } from "./stack.ts";

const SS = 2;

/** MOV's rows with a segment (S), control (C) or debug (D) register, by opcode. */
export function moveSystemRegister(e: Emitter, form: Form): void {
	switch (form.row.opcode) {
		case 0x8c:
			moveFromSegment(e, form);
			break;
		case 0x8e:
			moveToSegment(e, form);
			break;
		case 0x20:
			moveFrom(e, form, "MOV_FROM_CR");
			break;
		case 0x21:
			moveFrom(e, form, "MOV_FROM_DR");
			break;
		case 0x22:
			moveTo(e, form, "MOV_TO_CR");
			break;
		case 0x23:
			moveTo(e, form, "MOV_TO_DR");
			break;
		default:
			throw new Error(`MOV opcode ${form.row.opcode} is not a system move`);
	}
}

/** Memory receives 16 bits, a register the selector zero-extended. */
function moveFromSegment(e: Emitter, form: Form): void {
	const [destination, segment] = pair(form);
	const selector = readSelector(e, segment.index());
	destination.write(e.toWidth(destination.width, selector));
}

/** CS is no destination; the decoder refuses it. */
function moveToSegment(e: Emitter, form: Form): void {
	const [segment, source] = pair(form);
	const index = segment.index();
	e.system("LOAD_SEGMENT", index, e.wrap(source.read()));
	e.if(e.eq(index, e.i32(SS)), () => openInterruptShadow(e));
	leaveIfAsked(e);
}

function moveTo(
	e: Emitter,
	form: Form,
	operation: "MOV_TO_CR" | "MOV_TO_DR",
): void {
	const [register, source] = pair(form);
	setState64(e, SYSTEM_ARGUMENT, source.read());
	e.system(operation, register.index());
}

function moveFrom(
	e: Emitter,
	form: Form,
	operation: "MOV_FROM_CR" | "MOV_FROM_DR",
): void {
	const [destination, register] = pair(form);
	e.system(operation, register.index());
	const value = state64(e, SYSTEM_RESULT);
	destination.write(e.toWidth(destination.width, value));
}

/** LDS, LES, LFS, LGS, LSS: the register is written once the selector was accepted. */
const loadFarPointer =
	(segment: number): Semantics =>
	(e, form) => {
		const [destination, pointer] = pair(form);
		const { width } = destination;
		const offset = pointer.at(0, width).read();
		const selector = e.wrap(pointer.at(width / 8, 16).read());
		e.system("LOAD_SEGMENT", e.i32(segment), selector);
		destination.write(offset);
		leaveIfAsked(e);
	};

export const SYSTEM_REGISTERS: SemanticsTable = {
	LES: loadFarPointer(0),
	LSS: loadFarPointer(SS),
	LDS: loadFarPointer(3),
	LFS: loadFarPointer(4),
	LGS: loadFarPointer(5),
};
