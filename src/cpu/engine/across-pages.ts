/**
 * Reading from two pages at once and writing to them, which a copy of unaligned
 * data does at every page's end: for both pages are RAM and may be read, or
 * written.
 *
 * @journey E:518 Half here, half there
 */

import { localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import { SCRATCH, TLB_READ_MASK, TLB_WRITE_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { filledWideWord, filledWord, type WordOf } from "./filled-word.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { isLongMode } from "./wide-lookup.ts";

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
	const linear = joined(e, low, high);
	copyBoth(e, { linear, low, bytes }, filledWideWord(e, fillWide));
	return code;
}

/**
 * Body of a function (linear low, linear high, bytes, value) → 1 when the value's
 * low bytes have been written to two pages; 0 = not for us, and nothing done.
 */
export function writeAcrossBody(
	context: CodeContext,
	fill: FunctionRef,
	fillWide: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32", "i32", "i64"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [low, high, bytes, value] = [0, 1, 2, 3].map(
		(index) => localGet(code.param(index)) as Value,
	) as [I32, I32, I32, I64];
	code.if(
		expr(isLongMode(e)),
		() => {
			const linear = joined(e, low, high);
			writeBoth(e, { linear, low, bytes }, value, filledWideWord(e, fillWide));
		},
		() => writeBoth(e, { linear: low, low, bytes }, value, filledWord(e, fill)),
	);
	code.return(expr(e.i32(0)));
	return code;
}

function joined(e: StateEmitter, low: I32, high: I32): I64 {
	const upper = e.shl(e.extendU(high), e.i64(32));
	return e.let(e.or(upper, e.extendU(low)));
}

/** An access of a few bytes; `low` is the linear address's low half. */
interface Access<T extends Integer> {
	readonly linear: T;
	readonly low: I32;
	readonly bytes: I32;
}

function copyBoth<T extends Integer>(
	e: StateEmitter,
	access: Access<T>,
	wordOf: WordOf<T>,
): void {
	const { code } = e;
	const mask = e.let(e.readState(TLB_READ_MASK) as I32);
	code.block((leave) => {
		const { head, from, rest } = bothPages(e, access, mask, wordOf, leave);
		const copy = scratch(e);
		code.memoryCopy(expr(copy), expr(from), expr(head));
		const behind = e.add(copy, head);
		const left = e.sub(access.bytes, head);
		code.memoryCopy(expr(behind), expr(rest), expr(left));
		code.return(expr(copy));
	});
	code.return(expr(e.i32(0)));
}

function writeBoth<T extends Integer>(
	e: StateEmitter,
	access: Access<T>,
	value: I64,
	wordOf: WordOf<T>,
): void {
	const { code } = e;
	const mask = e.let(e.readState(TLB_WRITE_MASK) as I32);
	code.block((leave) => {
		const { head, from, rest } = bothPages(e, access, mask, wordOf, leave);
		const copy = scratch(e);
		code.store("i64.store", expr(copy), expr(value));
		code.memoryCopy(expr(from), expr(copy), expr(head));
		const behind = e.add(copy, head);
		const left = e.sub(access.bytes, head);
		code.memoryCopy(expr(rest), expr(behind), expr(left));
		code.return(expr(e.i32(1)));
	});
}

function scratch(e: StateEmitter): I32 {
	return e.i32(e.context.stateBase + SCRATCH.offset);
}

/** Where an access begins, how many bytes of it are there, and where the rest is; branches to `leave` unless it lies in two pages with a bit of `mask`. */
function bothPages<T extends Integer>(
	e: StateEmitter,
	{ linear, low, bytes }: Access<T>,
	mask: I32,
	wordOf: WordOf<T>,
	leave: Label,
): { head: I32; from: I32; rest: I32 } {
	const { code } = e;
	const width = linear.type === "i64" ? 64 : 32;
	const constant = (value: number) => e.constant(width, value) as T;
	const head = e.let(e.sub(e.i32(PAGE), e.and(low, e.i32(PAGE - 1))));
	// All in one page: whoever asks has another reason.
	code.brIf(leave, expr(e.geU(head, bytes)));
	const page = e.and(linear, constant(-PAGE));
	const second = e.let(e.add(page, constant(PAGE))) as T;
	// The end of linear space is another matter.
	code.brIf(leave, expr(e.eqz(second)));
	const hostOf = (address: T): I32 => {
		const word = wordOf(address, mask, leave);
		return e.let(e.add(e.wrap(address), e.and(word, e.i32(-PAGE))));
	};
	return { head, from: hostOf(linear), rest: hostOf(second) };
}
