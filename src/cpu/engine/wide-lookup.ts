/**
 * Looking up a page in the TLB of 64-bit code (`mmu/wide-tlb.ts`), as generated
 * code does it for data, for branch targets and for regions.
 *
 * @journey E:452 One entry, one tag
 */

import { load } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import {
	WIDE_TLB_BASE,
	WIDE_TLB_ENTRIES,
	WIDE_TLB_ENTRY_BYTES,
} from "../memory-layout.ts";
import type { I32, I64 } from "../semantics/emitter.ts";
import { type ArithmeticEmitter, expr } from "./arithmetic-emitter.ts";

const PAGE = 4096;
const PAGE_BITS = 12;
const SHIFT = PAGE_BITS - Math.log2(WIDE_TLB_ENTRY_BYTES);
const PLACES = (WIDE_TLB_ENTRIES - 1) * WIDE_TLB_ENTRY_BYTES;
/** Offset of an entry's word. */
export const WIDE_WORD = 8;

/** Byte offset of the entry for the page of an address, by its lower half. */
export function wideSlot(e: ArithmeticEmitter, low: I32): I32 {
	return e.let(e.and(e.shrU(low, e.i32(SHIFT)), e.i32(PLACES)));
}

/**
 * The word of the page that has all of `bytes` bytes at a linear address;
 * branches to `miss` where there is none, or none that `mask` allows.
 */
export function emitWideLookup(
	code: FunctionBuilder,
	e: ArithmeticEmitter,
	at: { linear: I64; low: I32; bytes: number },
	mask: () => I32,
	miss: Label,
): I32 {
	const slot = wideSlot(e, at.low);
	const last = e.add(at.linear, e.i64(at.bytes - 1));
	const tag = load("i64.load", expr(slot), WIDE_TLB_BASE) as I64;
	code.brIf(miss, expr(e.ne(tag, e.and(last, e.i64(-PAGE)))));
	const word = load("i32.load", expr(slot), WIDE_TLB_BASE + WIDE_WORD) as I32;
	const entry = e.let(word);
	code.brIf(miss, expr(e.eqz(e.and(entry, mask()))));
	return entry;
}

/** Upper half of a 64-bit value. */
export function highHalf(e: ArithmeticEmitter, value: I64): I32 {
	return e.wrap(e.shrU(value, e.i64(32)));
}
