/**
 * The short way from a branch target to its region: linear address → region,
 * as long as nothing has happened to mappings or translated code (see
 * `mmu/code-epochs.ts`). Regions go from one to the next tens of millions of
 * times a second, each time through memory that no cache holds whole; one entry
 * is one line of it, where TLB, jump cache and record are three.
 *
 * | offset | of an entry |
 * | --- | --- |
 * | 0 | EIP |
 * | 4 | epoch of the mapping, exclusive-or TLB_EXECUTE_MASK (the privilege level) |
 * | 8 | table slot of the region |
 * | 12 | its record |
 *
 * For code whose segment base is zero, which regions' code is.
 *
 * @journey E:473 From an address to a region
 */

import { load } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import {
	CODE_EPOCHS,
	REGION_CACHE_BASE,
	REGION_CACHE_ENTRIES,
	REGION_CACHE_ENTRY_BYTES,
	TLB_BASE,
} from "../memory-layout.ts";
import { TLB_GLOBAL } from "../mmu/tlb.ts";
import type { I32 } from "../semantics/emitter.ts";
import { TLB_EXECUTE_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";

const EIP = REGION_CACHE_BASE;
const EPOCH = REGION_CACHE_BASE + 4;
const SLOT = REGION_CACHE_BASE + 8;
const RECORD = REGION_CACHE_BASE + 12;

/** What an entry leads to. */
export interface CachedRegion {
	readonly slot: Local<"i32">;
	readonly record: Local<"i32">;
}

/** Byte offset of the entry that is `eip`'s. */
export function regionCacheEntry(e: StateEmitter, eip: I32): I32 {
	const mixed = e.xor(eip, e.shrU(eip, e.i32(12)));
	const index = e.and(mixed, e.i32(REGION_CACHE_ENTRIES - 1));
	return e.let(e.shl(index, e.i32(Math.log2(REGION_CACHE_ENTRY_BYTES))));
}

/** Sets slot and record from an entry; branches to `miss` if it is another's or has expired. */
export function emitRegionCache(
	code: FunctionBuilder,
	e: StateEmitter,
	{ eip, entry }: { eip: I32; entry: I32 },
	{ slot, record }: CachedRegion,
	miss: Label,
): void {
	const at = expr(entry);
	code.brIf(miss, expr(e.ne(load("i32.load", at, EIP) as I32, eip)));
	const noted = e.let(load("i32.load", at, EPOCH) as I32);
	const isOld = (epoch: number) => e.ne(noted, epochNow(e, epoch));
	code.brIf(miss, expr(e.and(isOld(CODE_EPOCHS), isOld(CODE_EPOCHS + 4))));
	code.set(slot, load("i32.load", at, SLOT));
	code.set(record, load("i32.load", at, RECORD));
}

/** Notes a region at `eip`, which the TLB knows. */
export function fillRegionCache(
	code: FunctionBuilder,
	e: StateEmitter,
	{ eip, entry }: { eip: I32; entry: I32 },
	{ slot, record }: { slot: I32; record: I32 },
): void {
	const page = e.and(e.shrU(eip, e.i32(10)), e.i32(0x3f_fffc));
	const mapping = load("i32.load", expr(page), TLB_BASE) as I32;
	const [local, global] = [CODE_EPOCHS, CODE_EPOCHS + 4].map((epoch) =>
		epochNow(e, epoch),
	) as [I32, I32];
	const isGlobal = e.and(mapping, e.i32(TLB_GLOBAL));
	const epoch = e.select(isGlobal, global, local);
	const put = (value: I32, at: number) =>
		code.store("i32.store", expr(entry), expr(value), at);
	put(eip, EIP);
	put(epoch, EPOCH);
	put(slot, SLOT);
	put(record, RECORD);
}

function epochNow(e: StateEmitter, address: number): I32 {
	const epoch = load("i32.load", expr(e.i32(0)), address) as I32;
	return e.xor(epoch, e.readState(TLB_EXECUTE_MASK) as I32);
}
