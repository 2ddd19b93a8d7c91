/**
 * Reading from two pages at once, which a copy of unaligned data does at every
 * page's end: a copy of the bytes, for both pages are RAM and may be read.
 *
 * @journey E:518 Half here, half there
 */

import { call, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import { SCRATCH, TLB_READ_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { tlbWord } from "./tlb-lookup.ts";
import { emitWideLookup, highHalf } from "./wide-lookup.ts";

const PAGE = 4096;

/** Looks an address up, fills the TLB if need be; the TLB's word. */
type WordOf<T extends Integer> = (address: T, mask: I32, leave: Label) => I32;

/** Body of a function (linear, bytes) → host address of a copy of what lies in two pages that may be read; 0 = not for us. */
export function readAcrossBody(
	context: CodeContext,
	fill: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [linear, bytes] = [0, 1].map(
		(index) => localGet(code.param(index)) as Value as I32,
	) as [I32, I32];
	copyBoth<I32>(e, { linear, low: linear, bytes }, (address, mask, leave) => {
		const entry = e.variable(tlbWord(e, address));
		code.if(expr(e.eqz(e.and(entry.get(), mask))), () => {
			entry.set(call(fill, expr(address), expr(mask)) as Value as I32);
			code.brIf(leave, expr(e.eqz(entry.get())));
		});
		return entry.get();
	});
	return code;
}

/** The same for 64-bit code: (linear low, linear high, bytes). */
export function readAcrossWideBody(
	context: CodeContext,
	fillWide: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [low, high, bytes] = [0, 1, 2].map(
		(index) => localGet(code.param(index)) as Value as I32,
	) as [I32, I32, I32];
	const upper = e.shl(e.extendU(high), e.i64(32));
	const linear = e.let(e.or(upper, e.extendU(low)));
	copyBoth<I64>(e, { linear, low, bytes }, (address, mask, leave) => {
		const entry = e.variable(e.i32(0));
		const half = e.let(e.wrap(address));
		code.block((found) => {
			code.block((miss) => {
				const at = { linear: address, low: half, bytes: 1 };
				entry.set(emitWideLookup(code, e, at, () => mask, miss).word);
				code.br(found);
			});
			const args = [half, highHalf(e, address), mask].map(expr);
			entry.set(call(fillWide, ...args) as Value as I32);
			code.brIf(leave, expr(e.eqz(entry.get())));
		});
		return entry.get();
	});
	return code;
}

function copyBoth<T extends Integer>(
	e: StateEmitter,
	{ linear, low, bytes }: { linear: T; low: I32; bytes: I32 },
	wordOf: WordOf<T>,
): void {
	const { code } = e;
	const wide = linear.type === "i64";
	const width = wide ? 64 : 32;
	const constant = (value: number) => e.constant(width, value) as T;
	code.block((leave) => {
		const head = e.let(e.sub(e.i32(PAGE), e.and(low, e.i32(PAGE - 1))));
		// All in one page: whoever asks has another reason.
		code.brIf(leave, expr(e.geU(head, bytes)));
		const page = e.and(linear, constant(-PAGE));
		const second = e.let(e.add(page, constant(PAGE))) as T;
		// The end of linear space is another matter.
		code.brIf(leave, expr(e.eqz(second)));
		const mask = e.let(e.readState(TLB_READ_MASK) as I32);
		const hostOf = (address: T): I32 => {
			const word = wordOf(address, mask, leave);
			return e.let(e.add(e.wrap(address), e.and(word, e.i32(-PAGE))));
		};
		const from = hostOf(linear);
		const rest = hostOf(second);
		const copy = e.i32(e.context.stateBase + SCRATCH.offset);
		code.memoryCopy(expr(copy), expr(from), expr(head));
		const behind = e.add(copy, head);
		code.memoryCopy(expr(behind), expr(rest), expr(e.sub(bytes, head)));
		code.return(expr(copy));
	});
	code.return(expr(e.i32(0)));
}
