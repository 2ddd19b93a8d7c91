/**
 * Many iterations of a REP string instruction at once.
 *
 * A run stays within one page on each side, so one check by `fastAddress`
 * holds for all of it. Host addresses agree with linear ones in their low
 * twelve bits, so they tell where the page ends, and where it begins: C
 * libraries and kernels move blocks downwards as a matter of course, so MOVS
 * does that by runs, too. The others only run upwards.
 *
 * Relies on the emitter's raw memory operations; `string.ts` decides when a
 * run is taken.
 *
 * @journey E:336 A page at a time
 */

import { EFLAGS_DF } from "../flags.ts";
import { EFLAGS, REP_LIMIT } from "../state.ts";
import type { Emitter, Form, I32, Integer } from "./emitter.ts";
import { RAX, RDI, RSI, state32 } from "./integer-values.ts";

const ES = 0;
const PAGE_BYTES = 4096;

/** Decides about a run of at most `count` iterations; `execute` emits it and gives the number done, at least 1. */
export type Run = (
	e: Emitter,
	form: Form,
	count: Integer,
) => { readonly possible: I32; execute(): I32 };

/** One side of the string: which pointer, where it points, as offset and as host address (0 = not plain RAM). */
interface Side {
	readonly pointer: number;
	readonly offset: Integer;
	readonly host: I32;
}

function sourceSide(e: Emitter, form: Form, width: number): Side {
	const offset = e.readGpr(RSI, form.addressSize);
	const host = e.let(e.fastAddress("data", offset, width, "read"));
	return { pointer: RSI, offset, host };
}

function destinationSide(
	e: Emitter,
	form: Form,
	width: number,
	intent: "read" | "write",
): Side {
	const offset = e.readGpr(RDI, form.addressSize);
	const host = e.let(e.fastAddress(ES, offset, width, intent));
	return { pointer: RDI, offset, host };
}

/** Upwards, and every side plain RAM. */
function isPossible(e: Emitter, sides: readonly Side[]): I32 {
	return e.and(e.eqz(isDown(e)), areRam(e, sides));
}

/** The direction flag: not zero = downwards. */
function isDown(e: Emitter): I32 {
	return e.and(state32(e, EFLAGS), e.i32(EFLAGS_DF));
}

function areRam(e: Emitter, sides: readonly Side[]): I32 {
	return sides
		.map(({ host }) => e.ne(host, e.i32(0)))
		.reduce((all, isRam) => e.and(all, isRam));
}

function smaller(e: Emitter, a: I32, b: I32): I32 {
	return e.let(e.select(e.ltU(a, b), a, b));
}

/** Iterations of this run: the count, the step's limit, and each side's room, whichever is least. */
function runLength(
	e: Emitter,
	form: Form,
	width: number,
	count: Integer,
	sides: readonly Side[],
	room = roomOf,
): I32 {
	const limit = state32(e, REP_LIMIT);
	const wide = e.toWidth(form.addressSize, limit);
	const few = e.ltU(count, wide);
	let length: I32 = e.let(e.select(few, e.wrap(count), limit));
	for (const side of sides) {
		length = smaller(e, length, room(e, width, side));
	}
	return length;
}

/** Whole elements to the page's end, of which the first is known to be one. */
function roomOf(e: Emitter, width: number, side: Side): I32 {
	const bytes = e.sub(e.i32(PAGE_BYTES), positionOf(e, side));
	return e.let(e.shrU(bytes, e.i32(Math.log2(width / 8))));
}

/** Whole elements from the page's start to the end of the first one. */
function roomBelow(e: Emitter, width: number, side: Side): I32 {
	const before = e.shrU(positionOf(e, side), e.i32(Math.log2(width / 8)));
	return e.let(e.add(before, e.i32(1)));
}

function positionOf(e: Emitter, { host }: Side): I32 {
	return e.and(host, e.i32(PAGE_BYTES - 1));
}

/** Moves the side's pointer by `bytes`, which may be negative. */
function advance(e: Emitter, form: Form, side: Side, bytes: I32): void {
	const size = form.addressSize;
	const distance = size === 64 ? e.extendS(bytes) : bytes;
	e.writeGpr(side.pointer, size, e.add(side.offset, distance));
}

/** Runs `body` for each byte position of an element in 0 ... lengthBytes. */
function eachElement(
	e: Emitter,
	width: number,
	lengthBytes: I32,
	body: (position: I32) => void,
): void {
	const next = e.variable(e.i32(0));
	e.loop((again) => {
		const position = e.let(next.get());
		body(position);
		next.set(e.add(position, e.i32(width / 8)));
		again(e.ltU(next.get(), lengthBytes));
	});
}

/** Shift that turns elements into bytes. */
const scaled = (e: Emitter, width: number, elements: I32): I32 =>
	e.let(e.shl(elements, e.i32(Math.log2(width / 8))));

const widthOf = (form: Form): number => form.operands[0]?.width ?? 8;

/**
 * MOVS. When the destination starts inside the source on the way, elements
 * written early are read again later (programs fill memory that way), which a
 * block copy would get wrong.
 */
export const moveRun: Run = (e, form, count) => {
	const width = widthOf(form);
	const from = sourceSide(e, form, width);
	const to = destinationSide(e, form, width, "write");
	const sides = [from, to];
	const down = e.let(isDown(e));
	const move = { e, form, width, count, from, to };
	const execute = () => {
		const length = e.variable(e.i32(0));
		e.if(
			down,
			() => length.set(moveDown(move)),
			() => length.set(moveUp(move)),
		);
		return length.get();
	};
	// Below the page's start the offset may be, too, and wrap.
	const stays = sides
		.map((side) => staysAboveZero(e, form, side))
		.reduce((all, one) => e.and(all, one));
	const isAllowed = e.or(e.eqz(down), stays);
	return { possible: e.and(areRam(e, sides), isAllowed), execute };
};

/** One run of MOVS. */
interface Move {
	readonly e: Emitter;
	readonly form: Form;
	readonly width: number;
	readonly count: Integer;
	readonly from: Side;
	readonly to: Side;
}

/** How many elements it moved. */
function moveUp({ e, form, width, count, from, to }: Move): I32 {
	const length = runLength(e, form, width, count, [from, to]);
	const bytes = scaled(e, width, length);
	const one = e.i32(1);
	const ahead = e.sub(e.sub(to.host, from.host), one);
	e.if(
		e.ltU(ahead, e.sub(bytes, one)),
		() =>
			eachElement(e, width, bytes, (position) =>
				copyElement(
					e,
					width,
					e.add(to.host, position),
					e.add(from.host, position),
				),
			),
		() => e.copyFast(to.host, from.host, bytes),
	);
	advance(e, form, from, bytes);
	advance(e, form, to, bytes);
	return length;
}

/** The same towards lower addresses; the first element is the highest. */
function moveDown({ e, form, width, count, from, to }: Move): I32 {
	const length = runLength(e, form, width, count, [from, to], roomBelow);
	const bytes = scaled(e, width, length);
	const one = e.i32(1);
	const behind = e.sub(e.sub(from.host, to.host), one);
	const lowest = e.let(e.sub(e.i32(width / 8), bytes));
	e.if(
		e.ltU(behind, e.sub(bytes, one)),
		() =>
			eachElement(e, width, bytes, (position) =>
				copyElement(
					e,
					width,
					e.sub(to.host, position),
					e.sub(from.host, position),
				),
			),
		() => e.copyFast(e.add(to.host, lowest), e.add(from.host, lowest), bytes),
	);
	const back = e.let(e.neg(bytes));
	advance(e, form, from, back);
	advance(e, form, to, back);
	return length;
}

/** Whether going down to the page's start does not take the offset below zero. */
function staysAboveZero(e: Emitter, form: Form, side: Side): I32 {
	const position = e.toWidth(form.addressSize, positionOf(e, side));
	return e.geU(side.offset, position);
}

function copyElement(e: Emitter, width: number, to: I32, from: I32): void {
	e.storeFast(to, width, e.loadFast(from, width));
}

/** STOS. */
export const fillRun: Run = (e, form, count) => {
	const width = widthOf(form);
	const to = destinationSide(e, form, width, "write");
	const execute = () => {
		const value = e.readGpr(RAX, width);
		const length = runLength(e, form, width, count, [to]);
		const bytes = scaled(e, width, length);
		e.if(
			bytesAreEqual(e, width, value),
			() => e.fillFast(to.host, e.wrap(e.zeroExtend(8, value)), bytes),
			() =>
				eachElement(e, width, bytes, (position) =>
					e.storeFast(e.add(to.host, position), width, value),
				),
		);
		advance(e, form, to, bytes);
		return length;
	};
	return { possible: isPossible(e, [to]), execute };
};

/** A value of equal bytes is the same when rotated by one. */
function bytesAreEqual(e: Emitter, width: number, value: Integer): I32 {
	if (width === 8) return e.i32(1);
	if (width === 16) {
		return e.eq(e.zeroExtend(8, value), e.shrU(value, e.constant(16, 8)));
	}
	return e.eq(value, e.rotl(value, e.constant(width, 8)));
}

/** What a comparing run looks at: elements `a` and `b` at a byte position. */
type Elements = (position: I32) => { readonly a: Integer; readonly b: Integer };

/** Compares until the elements differ (REPZ) or agree (REPNZ); how many were compared, the last one's flags set. */
function compareElements(
	e: Emitter,
	form: Form,
	width: number,
	length: I32,
	elements: Elements,
): I32 {
	const end = scaled(e, width, length);
	const size = e.i32(width / 8);
	const next = e.variable(e.i32(0));
	e.loop((again) => {
		const position = e.let(next.get());
		const { a, b } = elements(position);
		const goesOn = form.rep === "repz" ? e.eq(a, b) : e.ne(a, b);
		next.set(e.add(position, size));
		again(e.and(goesOn, e.ltU(next.get(), end)));
	});
	const compared = e.let(next.get());
	const { a, b } = elements(e.sub(compared, size));
	e.setSubFlags(width, a, b, e.let(e.sub(a, b)));
	return compared;
}

/** CMPS: source minus destination. */
export const compareRun: Run = (e, form, count) => {
	const width = widthOf(form);
	const from = sourceSide(e, form, width);
	const to = destinationSide(e, form, width, "read");
	const execute = () => {
		const length = runLength(e, form, width, count, [from, to]);
		const bytes = compareElements(e, form, width, length, (position) => ({
			a: e.loadFast(e.add(from.host, position), width),
			b: e.loadFast(e.add(to.host, position), width),
		}));
		advance(e, form, from, bytes);
		advance(e, form, to, bytes);
		return e.let(e.shrU(bytes, e.i32(Math.log2(width / 8))));
	};
	return { possible: isPossible(e, [from, to]), execute };
};

/** SCAS: accumulator minus destination. */
export const scanRun: Run = (e, form, count) => {
	const width = widthOf(form);
	const to = destinationSide(e, form, width, "read");
	const execute = () => {
		const a = e.readGpr(RAX, width);
		const length = runLength(e, form, width, count, [to]);
		const bytes = compareElements(e, form, width, length, (position) => ({
			a,
			b: e.loadFast(e.add(to.host, position), width),
		}));
		advance(e, form, to, bytes);
		return e.let(e.shrU(bytes, e.i32(Math.log2(width / 8))));
	};
	return { possible: isPossible(e, [to]), execute };
};
