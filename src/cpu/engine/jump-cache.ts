/**
 * The way from a branch target to its record: linear address → TLB → host
 * address → jump cache → record. Generated code goes it whenever no link in a
 * record says where to go; whoever makes records fills the cache.
 *
 * @journey E:472 From an address to a record
 */

import { load } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import {
	JUMP_CACHE_BASE,
	JUMP_CACHE_ENTRIES,
	JUMP_CACHE_ENTRY_BYTES,
} from "../memory-layout.ts";
import type { I32, I64 } from "../semantics/emitter.ts";
import {
	SEGMENT,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	TLB_EXECUTE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";
import { emitTlbLookup } from "./tlb-lookup.ts";
import { emitWideLookup } from "./wide-lookup.ts";

const CS = 1;
/** Places for the addresses that share a set: together half a line of the host's caches. */
const WAYS = 4;
const SETS = JUMP_CACHE_ENTRIES / WAYS;

/** The linear address of a branch target, whose upper half must be zero. */
export function linearTarget(e: StateEmitter, target: I64): I32 {
	const base = e.readState(SEGMENT, CS, SEGMENT_BASE, 4) as I32;
	return e.let(e.add(e.wrap(target), base));
}

/** Sets `record` to that of a target; branches to `slow` where neither TLB nor cache knows. */
export function emitJumpCache(
	code: FunctionBuilder,
	e: StateEmitter,
	{ target, linear }: { target: I64; linear: I32 },
	record: Local<"i32">,
	slow: Label,
): void {
	code.brIf(slow, expr(e.wrap(e.shrU(target, e.i64(32)))));
	const limit = e.readState(SEGMENT, CS, SEGMENT_LIMIT, 4) as I32;
	code.brIf(slow, expr(e.gtU(e.wrap(target), limit)));
	const mask = () => e.readState(TLB_EXECUTE_MASK) as I32;
	const entry = emitTlbLookup(code, e, linear, mask, slow);
	const host = e.let(e.add(linear, e.and(entry, e.i32(-4096))));
	emitCachedRecord(code, e, host, record, slow);
}

/** The same for 64-bit code, wherever in linear space. */
export function emitWideJumpCache(
	code: FunctionBuilder,
	e: StateEmitter,
	target: I64,
	record: Local<"i32">,
	slow: Label,
): void {
	const low = e.let(e.wrap(target));
	const at = { linear: target, low, bytes: 1 };
	const mask = () => e.readState(TLB_EXECUTE_MASK) as I32;
	const { distance } = emitWideLookup(code, e, at, mask, slow);
	emitCachedRecord(code, e, e.let(e.add(low, distance)), record, slow);
}

function emitCachedRecord(
	code: FunctionBuilder,
	e: StateEmitter,
	host: I32,
	record: Local<"i32">,
	slow: Label,
): void {
	const set = e.let(setOffset(e, host));
	const word = (offset: number) =>
		load("i32.load", expr(set), JUMP_CACHE_BASE + offset) as I32;
	code.block((found) => {
		for (let way = 0; way < WAYS; way++) {
			const at = way * JUMP_CACHE_ENTRY_BYTES;
			const isOther = e.ne(word(at), host);
			const take = () => {
				code.set(record, expr(word(at + 4)));
				code.br(found);
			};
			if (way === WAYS - 1) {
				code.brIf(slow, expr(isOther));
				take();
			} else code.if(expr(e.eqz(isOther)), take);
		}
	});
}

/** Byte offset of the places for a host code address in the jump cache, as generated code. */
function setOffset(e: StateEmitter, host: I32): I32 {
	const mixed = e.xor(host, e.shrU(host, e.i32(12)));
	const first = e.and(mixed, e.i32(SETS - 1));
	return e.shl(first, e.i32(Math.log2(WAYS * JUMP_CACHE_ENTRY_BYTES)));
}

/** The cache as those who fill it see it. */
export class JumpCache {
	/** Host address and record of each entry. */
	readonly #words: Int32Array;

	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(
			buffer,
			JUMP_CACHE_BASE,
			(JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES) / 4,
		);
	}

	clear(): void {
		this.#words.fill(0);
	}

	/** Becomes the first of its set; what was there goes on to the next place, and the last one goes. */
	enter(host: number, record: number): void {
		const words = this.#words;
		const first = ((host ^ (host >>> 12)) & (SETS - 1)) * WAYS * 2;
		let last = first;
		const end = first + 2 * (WAYS - 1);
		while (last < end && words[last] !== host) last += 2;
		words.copyWithin(first + 2, first, last);
		words[first] = host;
		words[first + 1] = record;
	}
}
