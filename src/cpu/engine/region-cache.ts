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
 * | 4 | epoch of the mappings, exclusive-or TLB_EXECUTE_MASK (the privilege level) |
 * | 8 | table slot of the region |
 * | 12 | its record |
 *
 * An entry is made when all pages of the region have been found where they were
 * when it was compiled, and stands for that, too: regions do not look for
 * themselves. For code whose segment base is zero, which regions' code is.
 *
 * @journey E:476 From an address to a region
 */

import { call, load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import {
	CODE_EPOCHS,
	REGION_CACHE_BASE,
	REGION_CACHE_ENTRIES,
	REGION_CACHE_ENTRY_BYTES,
	TLB_BASE,
} from "../memory-layout.ts";
import { TLB_GLOBAL } from "../mmu/tlb.ts";
import type { I32, Value } from "../semantics/emitter.ts";
import { TLB_EXECUTE_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { LoopContext } from "./cold-loop.ts";
import {
	PAGE_ENTRY_BYTES,
	RECORD_DISPLACEMENT,
	RECORD_PAGE_COUNT,
	RECORD_PAGES,
} from "./record.ts";
import { StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;

const EIP = REGION_CACHE_BASE;
const EPOCH = REGION_CACHE_BASE + 4;
const SLOT = REGION_CACHE_BASE + 8;
const RECORD = REGION_CACHE_BASE + 12;

/** Byte offset of the entry that is `eip`'s. */
function entryOf(e: StateEmitter, eip: I32): I32 {
	const mixed = e.xor(eip, e.shrU(eip, e.i32(12)));
	const index = e.and(mixed, e.i32(REGION_CACHE_ENTRIES - 1));
	return e.let(e.shl(index, e.i32(Math.log2(REGION_CACHE_ENTRY_BYTES))));
}

/** Sets slot and record of the region at `eip`; branches to `miss` where the cache does not know. */
export function emitRegionCache(
	code: FunctionBuilder,
	e: StateEmitter,
	eip: I32,
	{ slot, record }: Record<"slot" | "record", Local<"i32">>,
	miss: Label,
): void {
	const at = expr(entryOf(e, eip));
	code.brIf(miss, expr(e.ne(load("i32.load", at, EIP) as I32, eip)));
	const noted = e.let(load("i32.load", at, EPOCH) as I32);
	const isOld = (epoch: number) => e.ne(noted, epochNow(e, epoch));
	code.brIf(miss, expr(e.and(isOld(CODE_EPOCHS), isOld(CODE_EPOCHS + 4))));
	code.set(slot, load("i32.load", at, SLOT));
	code.set(record, load("i32.load", at, RECORD));
}

/** Of the function below. */
export const ADMIT_PARAMS = ["i32", "i32"] as const;

/**
 * Body of a function (record of a region, EIP it is come to at) → 1 if all of
 * its pages are where they were, and the cache knows it; else 0, and whoever
 * cares has been told.
 */
export function admitRegion(context: LoopContext): FunctionBuilder {
	const code = new FunctionBuilder(ADMIT_PARAMS, ["i32"]);
	const e = new StateEmitter(code, context);
	const [record, eip] = [0, 1].map((i) =>
		localGet(code.param(i)),
	) as unknown as [I32, I32];
	const field = (offset: number) =>
		e.let(load("i32.load", expr(record), offset) as I32);
	const slot = field(RECORD_DISPLACEMENT);
	const bits = e.variable(e.i32(-1));
	code.block((misplaced) => {
		const first = e.let(e.and(eip, e.i32(-PAGE)));
		const list = e.variable(field(RECORD_PAGES));
		const count = e.variable(field(RECORD_PAGE_COUNT));
		e.loop((again) => {
			const at = expr(list.get());
			const distance = load("i32.load", at, 0) as I32;
			const linear = e.let(e.add(first, distance));
			const host = e.let(load("i32.load", at, 4) as I32);
			const mapping = checkedMapping(code, e, context, linear, host, misplaced);
			bits.set(e.and(bits.get(), mapping));
			list.set(e.add(list.get(), e.i32(PAGE_ENTRY_BYTES)));
			count.set(e.sub(count.get(), e.i32(1)));
			again(count.get());
		});
		note(code, e, { eip, slot, record, isGlobal: bits.get() });
		code.return(expr(e.i32(1)));
	});
	code.evaluate(call(context.misplaced, expr(slot)));
	code.return(expr(e.i32(0)));
	return code;
}

/** The TLB's word for a page that is mapped to `host` for fetching; branches to `misplaced` if it is not. */
function checkedMapping(
	code: FunctionBuilder,
	e: StateEmitter,
	context: LoopContext,
	linear: I32,
	host: I32,
	misplaced: Label,
): I32 {
	const word = () => e.let(mappingOf(e, linear));
	code.block((good) => {
		code.block((bad) => {
			const entry = word();
			const mask = e.readState(TLB_EXECUTE_MASK) as I32;
			code.brIf(bad, expr(e.eqz(e.and(entry, mask))));
			const found = e.add(linear, e.and(entry, e.i32(-PAGE)));
			code.brIf(good, expr(e.eq(found, host)));
		});
		const ok = call(context.fetchPage, expr(linear), expr(host));
		code.brIf(misplaced, expr(e.eqz(ok as Value as I32)));
	});
	return word();
}

/** Makes an entry; `isGlobal`: what the TLB has of all pages. */
function note(
	code: FunctionBuilder,
	e: StateEmitter,
	{
		eip,
		slot,
		record,
		isGlobal,
	}: Record<"eip" | "slot" | "record" | "isGlobal", I32>,
): void {
	const [local, global] = [CODE_EPOCHS, CODE_EPOCHS + 4].map((epoch) =>
		epochNow(e, epoch),
	) as [I32, I32];
	const epoch = e.select(e.and(isGlobal, e.i32(TLB_GLOBAL)), global, local);
	const entry = entryOf(e, eip);
	const put = (value: I32, at: number) =>
		code.store("i32.store", expr(entry), expr(value), at);
	put(eip, EIP);
	put(epoch, EPOCH);
	put(slot, SLOT);
	put(record, RECORD);
}

function mappingOf(e: StateEmitter, linear: I32): I32 {
	const page = e.and(e.shrU(linear, e.i32(10)), e.i32(0x3f_fffc));
	return load("i32.load", expr(page), TLB_BASE) as I32;
}

function epochNow(e: StateEmitter, address: number): I32 {
	const epoch = load("i32.load", expr(e.i32(0)), address) as I32;
	return e.xor(epoch, e.readState(TLB_EXECUTE_MASK) as I32);
}
