/**
 * From region to region: a small function of the cold engine's module,
 * (record of a region, page part of RIP) → status and page part. It runs the
 * region, and whatever region the way out of it leads to, until something else
 * is to be done; then RIP, the budget and the last way out are in the state.
 *
 * A change of regions is the most frequent thing there is in hot code. Here it
 * need not ask what the cold loop must, and counts once for the whole stay.
 *
 * @journey E:474 From region to region
 */

import { call, callIndirect, load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import {
	BUDGET,
	HOT_RETIRED,
	REGION_ENTRIES,
	REGION_EXIT,
	RIP,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { LoopContext } from "./cold-loop.ts";
import { emitJumpCache } from "./jump-cache.ts";
import {
	HANDLER_REGION,
	RECORD_COUNT,
	RECORD_DISPLACEMENT,
	RECORD_HANDLER,
} from "./record.ts";
import {
	emitRegionCache,
	fillRegionCache,
	regionCacheEntry,
} from "./region-cache.ts";
import { StateEmitter } from "./state-emitter.ts";
import { STATUS_JUMP } from "./status.ts";

/** 2^32 divided by it. */
const GOLDEN_RATIO = 0x9e37_79b1;

/** Of the function. */
export const REGION_LOOP_PARAMS = ["i32", "i64"] as const;
export const REGION_LOOP_RESULTS = ["i32", "i64"] as const;

/** Its body. */
export function regionLoop(context: LoopContext): FunctionBuilder {
	const code = new FunctionBuilder(REGION_LOOP_PARAMS, REGION_LOOP_RESULTS);
	const e = new StateEmitter(code, context);
	const record = code.param(0) as Local<"i32">;
	const ripPage = code.param(1) as Local<"i64">;
	const status = code.local("i32");
	const slot = code.local("i32");
	const entries = code.local("i32");
	const budget = e.let(e.readState(BUDGET) as I32);
	const entered = e.let(e.readState(REGION_ENTRIES) as I64);
	code.set(slot, load("i32.load", localGet(record), RECORD_DISPLACEMENT));
	code.set(entries, expr(e.wrap(entered)));
	code.block((done) => {
		code.loop((again) => {
			const args = [localGet(record), localGet(ripPage)];
			const { handlerType } = context;
			code.set(status, callIndirect(handlerType, localGet(slot), ...args));
			const one = e.i32(1);
			code.set(entries, expr(e.add(get(entries) as I32, one)));
			const isJump = e.eq(get(status) as I32, e.i32(STATUS_JUMP));
			code.brIf(done, expr(e.eqz(isJump)));
			followJump(code, e, context, { record, ripPage, slot, entries, done });
			code.br(again);
		});
	});
	const retired = e.extendU(e.sub(budget, e.readState(BUDGET) as I32));
	e.writeState(HOT_RETIRED, e.add(e.readState(HOT_RETIRED) as I64, retired));
	const more = e.sub(get(entries) as I32, e.wrap(entered));
	e.writeState(REGION_ENTRIES, e.add(entered, e.extendU(more)));
	code.return(localGet(status), localGet(ripPage));
	return code;
}

/** Sets slot, record and page if RIP leads to a region; `done` if not, or if nobody knows. */
function followJump(
	code: FunctionBuilder,
	e: StateEmitter,
	context: LoopContext,
	at: {
		record: Local<"i32">;
		ripPage: Local<"i64">;
		slot: Local<"i32">;
		entries: Local<"i32">;
		done: Label;
	},
): void {
	const { record, ripPage, slot, entries, done } = at;
	const eip = e.let(e.readState(RIP, 0, 0, 4) as I32);
	const entry = regionCacheEntry(e, eip);
	code.block((found) => {
		code.block((miss) => {
			emitRegionCache(code, e, { eip, entry }, { slot, record }, miss);
			code.br(found);
		});
		const target = e.readState(RIP) as I64;
		emitJumpCache(code, e, { target, linear: eip }, record, done);
		const handler = load(
			"i32.load16_u",
			localGet(record),
			RECORD_HANDLER,
		) as I32;
		code.brIf(done, expr(e.ne(handler, e.i32(HANDLER_REGION))));
		code.set(slot, load("i32.load", localGet(record), RECORD_DISPLACEMENT));
		const region = { slot: get(slot) as I32, record: get(record) as I32 };
		fillRegionCache(code, e, { eip, entry }, region);
	});
	const from = e.let(e.wrap(get(ripPage) as I64));
	code.set(ripPage, expr(e.extendU(e.and(eip, e.i32(-4096)))));
	tellSample(code, e, context, { eip, entries, from, done });
}

/**
 * Tells of one change of regions in as many as make code hot. Which one is
 * drawn by multiples of the golden ratio, which fall in step with no loop.
 */
function tellSample(
	code: FunctionBuilder,
	e: StateEmitter,
	{ hot, hotArrivals }: LoopContext,
	at: { eip: I32; entries: Local<"i32">; from: I32; done: Label },
): void {
	if (hot === undefined) return;
	const { eip, entries, from, done } = at;
	const drawn = e.mul(get(entries) as I32, e.i32(GOLDEN_RATIO));
	const rarely = e.ltU(drawn, e.i32(Math.floor(2 ** 32 / hotArrivals)));
	const isDue = hotArrivals === 1 ? e.i32(1) : rarely;
	code.if(expr(isDue), () => {
		const exit = e.readState(REGION_EXIT) as I32;
		code.evaluate(call(hot, ...[eip, exit, from].map(expr)));
		// Whoever was told may have done away with the region.
		code.br(done);
	});
}

/** Counts an arrival by branch at a record; tells when it is hot, and whence it came. */
export function emitArrival(
	code: FunctionBuilder,
	e: StateEmitter,
	{ hot, hotArrivals }: LoopContext,
	at: {
		record: Local<"i32">;
		target: I64;
		source: () => { exit: I32; page: I32 };
		/** As how many it counts. */
		weight: I32;
	},
): void {
	if (hot === undefined) return;
	const { record, target, source, weight } = at;
	const counted = load("i32.load16_u", localGet(record), RECORD_COUNT) as I32;
	const before = e.let(counted);
	const count = e.let(e.add(before, weight));
	code.store("i32.store16", localGet(record), expr(count), RECORD_COUNT);
	// A power of two has been passed when its bit has changed.
	const due = e.and(e.xor(before, count), e.i32(hotArrivals));
	code.if(expr(due), () => {
		const { exit, page } = source();
		code.evaluate(call(hot, expr(e.wrap(target)), expr(exit), expr(page)));
	});
}

function get(local: Local): Value {
	return localGet(local) as Value;
}
