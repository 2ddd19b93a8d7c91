/**
 * Reading from two pages at once, which a copy of unaligned data does at every
 * page's end: a copy of the bytes, for both pages are RAM and may be read.
 *
 * @journey E:518 Half here, half there
 */

import { localGet } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { I32, Integer, Value } from "../semantics/emitter.ts";
import { SCRATCH, TLB_READ_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { filledWideWord, filledWord, type WordOf } from "./filled-word.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;

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
	copyBoth(e, { linear, low: linear, bytes }, filledWord(e, fill));
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
	copyBoth(e, { linear, low, bytes }, filledWideWord(e, fillWide));
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
