/**
 * The TLB's word for an address, out of the tables where it is not there yet: for
 * functions of generated code that must not leave for that.
 *
 * @journey E:517 Looked up or filled in
 */

import { call, type Expression } from "../../wasm/expression.ts";
import type { Label } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";
import { tlbWord } from "./tlb-lookup.ts";
import { emitWideLookup, highHalf } from "./wide-lookup.ts";

/** The word of an address' page, which has a bit of `needed`; branches to `leave` where there is none. */
export type WordOf<T extends Integer> = (
	address: T,
	needed: I32,
	leave: Label,
) => I32;

/** For 32-bit code; `fill` is that of `tlb-fill.ts`. */
export function filledWord(e: StateEmitter, fill: FunctionRef): WordOf<I32> {
	return (address, needed, leave) => {
		const word = e.variable(tlbWord(e, address));
		const ask = () => {
			word.set(call(fill, expr(address), expr(needed)) as Value as I32);
			e.code.brIf(leave, expr(e.eqz(word.get())));
		};
		e.code.if(expr(e.eqz(e.and(word.get(), needed))), ask);
		return word.get();
	};
}

/** For 64-bit code, likewise. */
export function filledWideWord(
	e: StateEmitter,
	fillWide: FunctionRef,
): WordOf<I64> {
	return (address, needed, leave) => {
		const word = e.variable(e.i32(0));
		const low = e.let(e.wrap(address));
		e.code.block((found) => {
			e.code.block((miss) => {
				const at = { linear: address, low, bytes: 1 };
				word.set(emitWideLookup(e.code, e, at, () => needed, miss).word);
				e.code.br(found);
			});
			const args: Expression[] = [low, highHalf(e, address), needed].map(expr);
			word.set(call(fillWide, ...args) as Value as I32);
			e.code.brIf(leave, expr(e.eqz(word.get())));
		});
		return word.get();
	};
}
