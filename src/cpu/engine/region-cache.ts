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
 * Of 64-bit code an entry takes two places, for RIP's upper half is in the
 * second one, at offset 16. The epochs that a change of mode ends keep the two
 * kinds apart: offset 4 of every place is an epoch or has been one.
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
} from "../memory-layout.ts";
import { TLB_GLOBAL } from "../mmu/tlb.ts";
import type {
	I32,
	I64,
	Integer,
	Value,
	ValueType,
} from "../semantics/emitter.ts";
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
import { emitTlbLookup } from "./tlb-lookup.ts";
import { emitWideLookup, highHalf } from "./wide-lookup.ts";

const PAGE = 4096;

const EIP = REGION_CACHE_BASE;
const EPOCH = REGION_CACHE_BASE + 4;
const SLOT = REGION_CACHE_BASE + 8;
const RECORD = REGION_CACHE_BASE + 12;
const HIGH = REGION_CACHE_BASE + 16;

/** Byte offset of the entry that is `rip`'s. */
function entryOf(e: StateEmitter, rip: Integer): I32 {
	const low = e.let(e.wrap(rip));
	const mixed = e.xor(low, e.shrU(low, e.i32(12)));
	const places = isWide(rip) ? 2 : 1;
	const index = e.and(mixed, e.i32(REGION_CACHE_ENTRIES / places - 1));
	const bytes = REGION_CACHE_ENTRY_BYTES * places;
	return e.let(e.shl(index, e.i32(Math.log2(bytes))));
}

/** Of 64-bit code. */
function isWide(rip: Integer): rip is I64 {
	return rip.type === "i64";
}

/** Sets slot and record of the region at `rip`, EIP or all of it; branches to `miss` where the cache does not know. */
export function emitRegionCache(
	code: FunctionBuilder,
	e: StateEmitter,
	rip: Integer,
	{ slot, record }: Record<"slot" | "record", Local<"i32">>,
	miss: Label,
): void {
	const at = expr(entryOf(e, rip));
	const is = (value: I32, offset: number) =>
		code.brIf(miss, expr(e.ne(load("i32.load", at, offset) as I32, value)));
	is(e.wrap(rip), EIP);
	if (isWide(rip)) is(highHalf(e, rip), HIGH);
	const noted = e.let(load("i32.load", at, EPOCH) as I32);
	code.block((holds) => {
		code.brIf(holds, expr(e.eq(noted, epochNow(e, CODE_EPOCHS))));
		code.brIf(miss, expr(e.ne(noted, epochNow(e, CODE_EPOCHS + 4))));
	});
	code.set(slot, load("i32.load", at, SLOT));
	code.set(record, load("i32.load", at, RECORD));
}

/** Parameters of the function below. */
export function admitParams(width: 32 | 64): readonly ValueType[] {
	return ["i32", width === 64 ? "i64" : "i32"];
}

/**
 * Body of a function (record of a region, EIP or RIP it is come to at) → 1 if
 * all of its pages are where they were, and the cache knows it; else 0, and
 * whoever cares has been told.
 */
export function admitRegion(
	context: LoopContext,
	width: 32 | 64,
): FunctionBuilder {
	const code = new FunctionBuilder(admitParams(width), ["i32"]);
	const e = new StateEmitter(code, context);
	const record = localGet(code.param(0)) as Value as I32;
	const rip = localGet(code.param(1)) as Value as Integer;
	const field = (offset: number) =>
		e.let(load("i32.load", expr(record), offset) as I32);
	const slot = field(RECORD_DISPLACEMENT);
	const bits = e.variable(e.i32(-1));
	code.block((misplaced) => {
		const first = e.let(e.and(rip, e.constant(width, -PAGE))) as Integer;
		const list = e.variable(field(RECORD_PAGES));
		const count = e.variable(field(RECORD_PAGE_COUNT));
		e.loop((again) => {
			const at = expr(list.get());
			const distance = load("i32.load", at, 0) as I32;
			const far = width === 64 ? e.extendS(distance) : distance;
			const linear = e.let(e.add(first, far)) as Integer;
			const host = e.let(load("i32.load", at, 4) as I32);
			const mapping = checkedMapping(code, e, context, linear, host, misplaced);
			bits.set(e.and(bits.get(), mapping));
			list.set(e.add(list.get(), e.i32(PAGE_ENTRY_BYTES)));
			count.set(e.sub(count.get(), e.i32(1)));
			again(count.get());
		});
		note(code, e, { rip, slot, record, isGlobal: bits.get() });
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
	linear: Integer,
	host: I32,
	misplaced: Label,
): I32 {
	const found = e.variable(e.i32(0));
	const look = (missing: Label) => {
		const entry = mappingOf(code, e, linear, missing);
		found.set(entry);
		const there = e.add(e.wrap(linear), e.and(entry, e.i32(-PAGE)));
		return e.eq(there, host);
	};
	code.block((good) => {
		code.block((bad) => code.brIf(good, expr(look(bad))));
		const halves = isWide(linear)
			? [e.wrap(linear), highHalf(e, linear)]
			: [linear];
		const fetch = isWide(linear) ? context.fetchWidePage : context.fetchPage;
		const ok = call(fetch, ...[...halves, host].map(expr));
		code.brIf(misplaced, expr(e.eqz(ok as Value as I32)));
		look(misplaced);
	});
	return found.get();
}

/** Makes an entry; `isGlobal`: what the TLB has of all pages. */
function note(
	code: FunctionBuilder,
	e: StateEmitter,
	{
		rip,
		slot,
		record,
		isGlobal,
	}: Record<"slot" | "record" | "isGlobal", I32> & { rip: Integer },
): void {
	const [local, global] = [CODE_EPOCHS, CODE_EPOCHS + 4].map((epoch) =>
		epochNow(e, epoch),
	) as [I32, I32];
	const epoch = e.select(e.and(isGlobal, e.i32(TLB_GLOBAL)), global, local);
	const entry = entryOf(e, rip);
	const put = (value: I32, at: number) =>
		code.store("i32.store", expr(entry), expr(value), at);
	put(e.wrap(rip), EIP);
	put(epoch, EPOCH);
	put(slot, SLOT);
	put(record, RECORD);
	if (isWide(rip)) put(highHalf(e, rip), HIGH);
}

/** The TLB's word for a page that can be fetched from; branches to `missing` where there is none. */
function mappingOf(
	code: FunctionBuilder,
	e: StateEmitter,
	linear: Integer,
	missing: Label,
): I32 {
	const mask = () => e.readState(TLB_EXECUTE_MASK) as I32;
	if (isWide(linear)) {
		const at = { linear, low: e.let(e.wrap(linear)), bytes: 1 };
		return emitWideLookup(code, e, at, mask, missing).word;
	}
	return emitTlbLookup(code, e, linear, mask, missing);
}

function epochNow(e: StateEmitter, address: number): I32 {
	const epoch = load("i32.load", expr(e.i32(0)), address) as I32;
	return e.xor(epoch, e.readState(TLB_EXECUTE_MASK) as I32);
}
