/**
 * Looking up a page in the TLB of 64-bit code (`mmu/wide-tlb.ts`), as generated
 * code does it for data, for branch targets and for regions.
 *
 * @journey E:452 One entry, one tag
 */

import { load, localGet } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import {
	WIDE_TLB_BASE,
	WIDE_TLB_ENTRIES,
	WIDE_TLB_ENTRY_BYTES,
} from "../memory-layout.ts";
import { MODE_CODE_64, MODE_CODE_SIZE } from "../mode.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import { MODE } from "../state.ts";
import { type ArithmeticEmitter, expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;
const PAGE_BITS = 12;
const ENTRY_BITS = Math.log2(WIDE_TLB_ENTRY_BYTES);
const PLACES = (WIDE_TLB_ENTRIES - 1) * WIDE_TLB_ENTRY_BYTES;
const SECOND_HALF = WIDE_TLB_ENTRIES * WIDE_TLB_ENTRY_BYTES;
/** Offsets of an entry's word, and of its upper bits alone. */
export const WIDE_WORD = 8;
export const WIDE_DISTANCE = 12;

/** What an entry says. */
export interface WideEntry {
	readonly word: I32;
	/** From the lower half of a linear address to the host address. */
	readonly distance: I32;
}

/**
 * The entry of the page that has all of `bytes` bytes at a linear address;
 * branches to `miss` where there is none, or none that `mask` allows. The
 * second half of the table is for the few whose place in the first another has.
 */
export function emitWideLookup(
	code: FunctionBuilder,
	e: ArithmeticEmitter,
	at: { linear: I64; low: I32; bytes: number },
	mask: () => I32,
	miss: Label,
): WideEntry {
	const last = e.add(at.linear, e.i64(at.bytes - 1));
	const page = e.let(e.and(last, e.i64(-PAGE)));
	const slot = code.local("i32");
	const get = () => localGet(slot) as Value as I32;
	const isOther = () => e.ne(tagAt(get()), page);
	code.set(slot, expr(firstPlace(e, at.low)));
	const tryOther = () => {
		code.set(slot, expr(secondPlace(e, at.linear)));
		code.brIf(miss, expr(isOther()));
	};
	code.if(expr(isOther()), tryOther, undefined, "rare");
	const field = (offset: number) =>
		load("i32.load", expr(get()), WIDE_TLB_BASE + offset) as I32;
	const word = e.let(field(WIDE_WORD));
	code.brIf(miss, expr(e.eqz(e.and(word, mask()))));
	return { word, distance: field(WIDE_DISTANCE) };
}

function tagAt(slot: I32): I64 {
	return load("i64.load", expr(slot), WIDE_TLB_BASE) as I64;
}

/** Byte offset of a page's entry in the first half, as in `mmu/wide-tlb.ts`; by the lower half of an address. */
export function firstPlace(e: ArithmeticEmitter, low: I32): I32 {
	return e.and(e.shrU(low, e.i32(PAGE_BITS - ENTRY_BITS)), e.i32(PLACES));
}

/** The same in the second half, by a whole address. */
export function secondPlace(e: ArithmeticEmitter, linear: I64): I32 {
	const number = e.wrap(e.shrU(linear, e.i64(PAGE_BITS)));
	const far = e.wrap(e.shrU(linear, e.i64(2 * PAGE_BITS)));
	const sum = e.shl(e.add(number, far), e.i32(ENTRY_BITS));
	return e.or(e.and(sum, e.i32(PLACES)), e.i32(SECOND_HALF));
}

/** Upper half of a 64-bit value. */
export function highHalf(e: ArithmeticEmitter, value: I64): I32 {
	return e.wrap(e.shrU(value, e.i64(32)));
}

/** Whether 64-bit code is running. */
export function isLongMode(e: StateEmitter): I32 {
	const size = e.and(e.readState(MODE) as I32, e.i32(MODE_CODE_SIZE));
	return e.eq(size, e.i32(MODE_CODE_64));
}
