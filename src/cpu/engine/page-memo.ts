/**
 * Finding a page by a memo (`mmu/page-memos.ts`): four instructions of the
 * machine instead of ten, none of which waits for a table that the address
 * selects. Where the memo is of another page, a function asks the TLB, fills it
 * if need be, and makes a memo of what it finds.
 *
 * @journey E:453 The page it was last time
 */

import { call, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import {
	MEMOS,
	NO_PAGE,
	REACH_DOWN,
	REACH_UP,
	WHOLE_REACH,
	WRITE_MEMO,
} from "../mmu/page-memos.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import {
	MEMO,
	MEMO_HOST,
	MEMO_PAGE,
	MEMO_REACH,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { filledWideWord, filledWord, type WordOf } from "./filled-word.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;
/** How the function is told what it is for: bytes, and above them the memo's number and whether a write is meant. */
const HOW_MEMO_SHIFT = 8;
const HOW_WRITES = 1 << 16;
const HOW_BYTES = 0xff;
/** Bits of an address that are zero for one in sixteen elements of a table. */
const OCCASION = 0x3c;
/** As many occasions long a memo rests: four thousand accesses, by which the rest of a loop is not missed. */
const REST_OCCASIONS = 255;

/** An access by memo number `memo`. */
export interface MemoAccess {
	readonly memo: number;
	/** 32-bit code's as i32, 64-bit code's as i64. */
	readonly linear: Integer;
	readonly bytes: number;
}

/** Host address of an access, from `elsewhere` if the memo is of another page. */
export function emitMemoAccess(
	e: StateEmitter,
	{ memo, linear, bytes }: MemoAccess,
	elsewhere: () => I32,
): I32 {
	const field = (offset: number, size: number) =>
		e.readState(MEMO, memo, offset, size);
	const page = field(MEMO_PAGE, 8) as I64;
	const inPage = e.let(e.sub(e.toWidth(64, linear) as I64, page));
	const reach =
		linear.type === "i32"
			? e.i64(PAGE - bytes + 1)
			: e.extendU(field(MEMO_REACH, 4) as I32);
	const host = e.variable(e.i32(0));
	e.code.if(
		expr(e.geU(inPage, reach)),
		() => host.set(elsewhere()),
		() => host.set(e.add(e.wrap(inPage), field(MEMO_HOST, 4) as I32)),
		"rare",
	);
	return host.get();
}

/** Host address from `find`, the function for code of that width, which makes a memo; branches to `slow` if it has none. */
export function emitSearch(
	e: StateEmitter,
	{ memo, linear, bytes }: MemoAccess,
	find: FunctionRef,
	writes: boolean,
	slow: Label,
): I32 {
	const how = bytes | (memo << HOW_MEMO_SHIFT) | (writes ? HOW_WRITES : 0);
	const answer = call(find, expr(linear), expr(e.i32(how)));
	const host = e.let(answer as Value as I32);
	e.code.brIf(slow, expr(e.eqz(host)));
	return host;
}

/**
 * Makes a memo of where an access in a table has gone, now and then: a small
 * table is soon found by it, and for a large one it would be made each time. A
 * table across the end of a page would have it hold for half of the accesses,
 * and the processor guess which: a memo that goes to the next page and back
 * rests, and every access asks the TLB.
 */
export function emitOccasionalMemo(
	e: StateEmitter,
	{ memo: number, linear }: MemoAccess,
	host: I32,
): void {
	const { code } = e;
	const memo = e.i32(number);
	const low = e.let(e.wrap(linear));
	const isTurn = e.eqz(e.and(low, e.i32(OCCASION)));
	const field = (at: number) => e.readState(MEMO, number, at, 4) as I32;
	const make = () => {
		const offset = e.let(e.and(low, e.i32(PAGE - 1)));
		const page = e.let(e.sub(e.toWidth(64, linear) as I64, e.extendU(offset)));
		const before = e.readState(MEMO, number, MEMO_PAGE, 8) as I64;
		const reach = e.let(reachAfter(e, e.sub(page, before)));
		const old = e.let(field(MEMO_REACH));
		const isBack = e.eq(e.add(old, reach), e.i32(REACH_UP + REACH_DOWN));
		// Only where it does not reach at all is it one that rests.
		const left = e.let(e.select(old, e.i32(0), field(MEMO_HOST)) as I32);
		code.if(
			expr(e.or(isBack, left)),
			() => {
				const next = e.sub(left, e.i32(1));
				const all = e.i32(REST_OCCASIONS);
				writeRest(e, memo, e.select(left, next, all) as I32);
			},
			() => writeMemo(e, memo, page, e.sub(host, offset), reach),
		);
	};
	code.if(expr(isTurn), make, undefined, "rare");
}

/** The reach of a memo that has moved so far: whether it did to the next page, and which. */
function reachAfter(e: StateEmitter, distance: I64): I32 {
	const isBy = (bytes: number) => e.eq(distance, e.i64(bytes));
	const elsewhere = e.select(
		isBy(-PAGE),
		e.i32(REACH_DOWN),
		e.i32(WHOLE_REACH),
	) as I32;
	return e.select(isBy(PAGE), e.i32(REACH_UP), elsewhere) as I32;
}

function writeMemo(
	e: StateEmitter,
	memo: I32,
	page: I64,
	host: I32,
	reach = e.i32(WHOLE_REACH),
): void {
	e.writeStateAt(MEMO, memo, MEMO_PAGE, 8, page);
	e.writeStateAt(MEMO, memo, MEMO_REACH, 4, reach);
	e.writeStateAt(MEMO, memo, MEMO_HOST, 4, host);
}

/** A memo that holds nothing, and for how many more occasions. */
function writeRest(e: StateEmitter, memo: I32, occasions: I32): void {
	writeMemo(e, memo, e.i64(NO_PAGE), occasions, e.i32(0));
}

/** Forgets all memos. */
export function emitForgetMemos(e: StateEmitter): void {
	const page = e.op("i64x2.splat", e.i64(NO_PAGE));
	const none = e.let(e.lane("i64x2.replace_lane", 1, page, e.i64(0)));
	for (let memo = 0; memo < MEMOS; memo++) e.writeState(MEMO, none, memo);
}

/** Body of a function (linear, how) → host address, with a memo made; 0 = not for us. `fill` is that of `tlb-fill.ts`. */
export function findPageBody(
	context: CodeContext,
	fill: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	emitFind<I32>(e, filledWord(e, fill));
	return code;
}

/** The same for 64-bit code. */
export function findWidePageBody(
	context: CodeContext,
	fillWide: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i64", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	emitFind<I64>(e, filledWideWord(e, fillWide));
	return code;
}

function emitFind<T extends Integer>(e: StateEmitter, wordOf: WordOf<T>): void {
	const { code } = e;
	const [linear, how] = [0, 1].map((index) =>
		localGet(code.param(index)),
	) as Value[] as [T, I32];
	code.block((leave) => {
		const low = e.let(e.wrap(linear));
		const offset = e.let(e.and(low, e.i32(PAGE - 1)));
		const bytes = e.and(how, e.i32(HOW_BYTES));
		const across = e.gtU(offset, e.sub(e.i32(PAGE), bytes));
		code.brIf(leave, expr(across));
		const needed = maskFor(e, e.and(how, e.i32(HOW_WRITES)));
		const word = e.let(wordOf(linear, needed, leave));
		const host = e.let(e.add(low, e.and(word, e.i32(-PAGE))));
		const number = e.shrU(how, e.i32(HOW_MEMO_SHIFT));
		const memo = e.let(e.and(number, e.i32(MEMOS - 1)));
		// A page that may be read need not be one that a memo of writes may stand for.
		const rights = maskFor(e, e.geU(memo, e.i32(WRITE_MEMO)));
		code.if(expr(e.and(word, rights)), () => {
			const wide = e.toWidth(64, linear) as I64;
			const page = e.sub(wide, e.extendU(offset));
			writeMemo(e, memo, page, e.sub(host, offset));
		});
		code.return(expr(host));
	});
	code.return(expr(e.i32(0)));
}

/** The TLB's bit for writing, or for reading. */
function maskFor(e: StateEmitter, writes: I32): I32 {
	const write = e.readState(TLB_WRITE_MASK) as I32;
	return e.let(e.select(writes, write, e.readState(TLB_READ_MASK) as I32));
}
