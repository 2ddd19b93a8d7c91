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
import { JUMP_CACHE_BASE, JUMP_CACHE_ENTRIES } from "../memory-layout.ts";
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
	const cached = e.let(jumpCacheOffset(e, host));
	const key = load("i32.load", expr(cached), JUMP_CACHE_BASE) as I32;
	code.brIf(slow, expr(e.ne(key, host)));
	code.set(record, load("i32.load", expr(cached), JUMP_CACHE_BASE + 4));
}

/** Byte offset of a host code address's entry in the jump cache, as generated code. */
function jumpCacheOffset(e: StateEmitter, host: I32): I32 {
	const mixed = e.xor(host, e.shrU(host, e.i32(12)));
	return e.shl(e.and(mixed, e.i32(JUMP_CACHE_ENTRIES - 1)), e.i32(3));
}

/** The same hash in TypeScript, for whoever fills the cache. */
export function jumpCacheIndex(host: number): number {
	return (host ^ (host >>> 12)) & (JUMP_CACHE_ENTRIES - 1);
}
