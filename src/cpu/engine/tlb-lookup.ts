/**
 * Looking up a page in the TLB of 32-bit linear space (`mmu/tlb.ts`), as
 * generated code does it for data, for branch targets and for regions.
 *
 * @journey E:451 One word, one page
 */

import { load } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import { TLB_BASE } from "../memory-layout.ts";
import type { I32 } from "../semantics/emitter.ts";
import { type ArithmeticEmitter, expr } from "./arithmetic-emitter.ts";

/** Byte offset of the page's word behind TLB_BASE. */
export function tlbSlot(e: ArithmeticEmitter, linear: I32): I32 {
	return e.and(e.shrU(linear, e.i32(10)), e.i32(0x3f_fffc));
}

/** The word of the page that a linear address is in. */
export function tlbWord(e: ArithmeticEmitter, linear: I32): I32 {
	return load("i32.load", expr(tlbSlot(e, linear)), TLB_BASE) as I32;
}

/** The same, named; branches to `miss` where it does not have a bit of `mask`. */
export function emitTlbLookup(
	code: FunctionBuilder,
	e: ArithmeticEmitter,
	linear: I32,
	mask: () => I32,
	miss: Label,
): I32 {
	const word = e.let(tlbWord(e, linear));
	code.brIf(miss, expr(e.eqz(e.and(word, mask()))));
	return word;
}
