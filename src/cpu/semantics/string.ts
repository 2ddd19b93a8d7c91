/**
 * String instructions and the REP protocol.
 *
 * Without REP each is one element: read, write, move rSI and rDI. With REP
 * the instruction runs in *steps*. A step does some iterations, accounts for
 * them in rCX, rSI and rDI, and counts as one retired instruction; while any
 * are left, the instruction repeats. So a fault or an interrupt between steps
 * finds registers that say exactly how far it got, and no instruction runs
 * for longer than one page takes.
 *
 * A step is a whole run within the current pages when everything is plain RAM
 * and the direction is up, and exactly one iteration otherwise.
 *
 * Relies on `string-run.ts` for runs; `index.ts` collects the table.
 *
 * @journey E:335 One step of REP
 */

import { EFLAGS_DF } from "../flags.ts";
import { EFLAGS, SYSTEM_RESULT } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import {
	isNotZero,
	RAX,
	RCX,
	RDI,
	RDX,
	RSI,
	state32,
} from "./integer-values.ts";
import {
	compareRun,
	fillRun,
	moveRun,
	type Run,
	scanRun,
} from "./string-run.ts";

const ES = 0;

/** Bits of one element: whichever operand is the string. */
export function elementWidth(form: Form): number {
	const index = form.row.operands.findIndex((spec) => /^[XY]/.test(spec));
	return form.operands[index]?.width ?? 8;
}

/** One element: all accesses, then flags. Pointers are moved by `string`. */
type Element = (e: Emitter, form: Form, width: number) => void;

/** A string instruction's description. */
interface StringInstruction {
	readonly element: Element;
	/** Checks that hold for the whole instruction, even for a count of zero. */
	readonly before?: Element;
	/** Pointers it moves. */
	readonly pointers: readonly number[];
	/** Iterations at once, where that is possible. */
	readonly run?: Run;
	/** CMPS and SCAS stop early by ZF; for the others F2 means the same as F3. */
	readonly compares?: boolean;
}

/** +size or -size by DF, in the address's type. */
function stride(e: Emitter, form: Form, width: number): Integer {
	const down = e.and(state32(e, EFLAGS), e.i32(EFLAGS_DF));
	const up = e.constant(form.addressSize, width / 8);
	const back = e.constant(form.addressSize, -width / 8);
	return e.let(e.select(down, back, up));
}

/** Does one element and moves the pointers behind or before it. */
function iterate(e: Emitter, form: Form, string: StringInstruction): void {
	const width = elementWidth(form);
	string.element(e, form, width);
	const distance = stride(e, form, width);
	for (const pointer of string.pointers) {
		const old = e.readGpr(pointer, form.addressSize);
		e.writeGpr(pointer, form.addressSize, e.add(old, distance));
	}
}

const stringInstruction =
	(string: StringInstruction): Semantics =>
	(e, form) => {
		string.before?.(e, form, elementWidth(form));
		if (form.rep === "none") {
			iterate(e, form, string);
			return;
		}
		const count = e.readGpr(RCX, form.addressSize);
		e.if(isNotZero(e, count), () => {
			const done = repStep(e, form, string, count);
			const left = e.let(e.sub(count, done));
			e.writeGpr(RCX, form.addressSize, left);
			e.if(goesOn(e, form, string, left), () => e.repeat());
		});
	};

/** One step; how many iterations it did, in rCX's type. */
function repStep(
	e: Emitter,
	form: Form,
	string: StringInstruction,
	count: Integer,
): Integer {
	const size = form.addressSize;
	if (string.run === undefined) {
		iterate(e, form, string);
		return e.constant(size, 1);
	}
	const done = e.variable(e.i32(1));
	const { possible, execute } = string.run(e, form, count);
	e.if(
		possible,
		() => done.set(execute()),
		() => iterate(e, form, string),
	);
	return e.toWidth(size, done.get());
}

/** `left` has no bits above the address size: the count was not zero and at least one iteration was done. */
function goesOn(
	e: Emitter,
	form: Form,
	string: StringInstruction,
	left: Integer,
): I32 {
	const more = isNotZero(e, left);
	if (string.compares !== true) return more;
	const equal = e.getFlag("ZF");
	return e.and(more, form.rep === "repz" ? equal : e.eqz(equal));
}

const offsetOf = (e: Emitter, form: Form, pointer: number): Integer =>
	e.readGpr(pointer, form.addressSize);

const readSource = (e: Emitter, form: Form, width: number): Integer =>
	e.loadSegment("data", offsetOf(e, form, RSI), width);

const readDestination = (e: Emitter, form: Form, width: number): Integer =>
	e.loadSegment(ES, offsetOf(e, form, RDI), width);

function compare(e: Emitter, width: number, a: Integer, b: Integer): void {
	e.setSubFlags(width, a, b, e.let(e.sub(a, b)));
}

const move: Element = (e, form, width) => {
	const value = readSource(e, form, width);
	e.storeSegment(ES, offsetOf(e, form, RDI), width, value);
};

const store: Element = (e, form, width) =>
	e.storeSegment(ES, offsetOf(e, form, RDI), width, e.readGpr(RAX, width));

const load: Element = (e, form, width) =>
	e.writeGpr(RAX, width, readSource(e, form, width));

/** Of two bad addresses the destination's is the one that faults; REPE CMPSB alone starts with the source (AMD Zen 4). */
const compareElements: Element = (e, form, width) => {
	const early =
		form.rep === "repz" && width === 8 ? readSource(e, form, width) : undefined;
	const destination = readDestination(e, form, width);
	compare(e, width, early ?? readSource(e, form, width), destination);
};

const scanElement: Element = (e, form, width) => {
	const element = readDestination(e, form, width);
	compare(e, width, e.readGpr(RAX, width), element);
};

const checkPort: Element = (e, _, width) =>
	e.system("IO_CHECK", e.readGpr(RDX, 16) as I32, e.i32(width / 8));

/** The port is read last of all checks, for reading it may change the device. */
const input: Element = (e, form, width) => {
	const port = e.readGpr(RDX, 16) as I32;
	const bytes = e.i32(width / 8);
	const put = e.prepareStore(ES, offsetOf(e, form, RDI), width);
	e.system("IN", port, bytes);
	put(state32(e, SYSTEM_RESULT));
};

const output: Element = (e, form, width) => {
	const port = e.readGpr(RDX, 16) as I32;
	const bytes = e.i32(width / 8);
	e.system("OUT", port, bytes, e.wrap(readSource(e, form, width)));
};

export const STRING: SemanticsTable = {
	MOVS: stringInstruction({
		element: move,
		pointers: [RSI, RDI],
		run: moveRun,
	}),
	STOS: stringInstruction({ element: store, pointers: [RDI], run: fillRun }),
	LODS: stringInstruction({ element: load, pointers: [RSI] }),
	CMPS: stringInstruction({
		element: compareElements,
		pointers: [RSI, RDI],
		run: compareRun,
		compares: true,
	}),
	SCAS: stringInstruction({
		element: scanElement,
		pointers: [RDI],
		run: scanRun,
		compares: true,
	}),
	INS: stringInstruction({
		element: input,
		before: checkPort,
		pointers: [RDI],
	}),
	OUTS: stringInstruction({
		element: output,
		before: checkPort,
		pointers: [RSI],
	}),
};
