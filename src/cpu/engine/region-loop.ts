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

import {
	call,
	callIndirect,
	i32Const,
	load,
	localGet,
} from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { LoadOpName } from "../../wasm/opcodes.ts";
import type { FunctionRef, Local } from "../../wasm/references.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import {
	BUDGET,
	HOT_RETIRED,
	REGION_ENTRIES,
	REGION_EXIT,
	RIP,
} from "../state.ts";
import { expr, typeBits } from "./arithmetic-emitter.ts";
import type { LoopContext } from "./cold-loop.ts";
import { emitJumpCache, emitWideJumpCache } from "./jump-cache.ts";
import {
	HANDLER_REGION,
	RECORD_COUNT,
	RECORD_DISPLACEMENT,
	RECORD_HANDLER,
	RECORD_LINK,
	RECORD_PAGE_OFFSET,
} from "./record.ts";
import { emitRegionCache } from "./region-cache.ts";
import { StateEmitter } from "./state-emitter.ts";
import { STATUS_COLD, STATUS_JUMP } from "./status.ts";
import { highHalf } from "./wide-lookup.ts";

/** 2^32 divided by it. */
const GOLDEN_RATIO = 0x9e37_79b1;
/** Regions are left so often that they grow soon: more tells of it cost more than that brings. */
const CHANGES_PER_ARRIVAL = 2;

/** Of the function. */
export const REGION_LOOP_PARAMS = ["i32", "i64"] as const;
export const REGION_LOOP_RESULTS = ["i32", "i64"] as const;

/** The function's variables. */
interface Stay {
	/** Of the region to be run next; 0 = to be looked up. */
	readonly record: Local<"i32">;
	readonly ripPage: Local<"i64">;
	/** EIP; all of RIP for 64-bit code. */
	readonly rip: Local<"i32"> | Local<"i64">;
	readonly slot: Local<"i32">;
	readonly status: Local<"i32">;
	/** How often regions were entered, modulo 2^32. */
	readonly entries: Local<"i32">;
}

/** Its body, for code of 32 bits or 64. */
export function regionLoop(
	context: LoopContext,
	width: 32 | 64,
): FunctionBuilder {
	const code = new FunctionBuilder(REGION_LOOP_PARAMS, REGION_LOOP_RESULTS);
	const e = new StateEmitter(code, context);
	const stay: Stay = {
		record: code.param(0) as Local<"i32">,
		ripPage: code.param(1) as Local<"i64">,
		rip: width === 64 ? code.local("i64") : code.local("i32"),
		slot: code.local("i32"),
		status: code.local("i32"),
		entries: code.local("i32"),
	};
	const { record, ripPage, rip, status, entries } = stay;
	const budget = e.let(e.readState(BUDGET) as I32);
	const entered = e.let(e.readState(REGION_ENTRIES) as I64);
	code.set(entries, expr(e.wrap(entered)));
	const inPage = load("i32.load16_u", localGet(record), RECORD_PAGE_OFFSET);
	const page = e.toWidth(width, get(ripPage) as I64);
	code.set(rip, expr(e.add(page, e.toWidth(width, inPage as I32))));
	code.block((done) => {
		code.loop((again) => {
			findRegion(code, e, context, stay, done);
			runRegion(code, e, context, stay, done);
			tellSample(code, e, context, stay, done);
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

/** Sets slot, record and page of the region at RIP; `done` if there is none, or none that can be entered. */
function findRegion(
	code: FunctionBuilder,
	e: StateEmitter,
	context: LoopContext,
	{ record, ripPage, rip, slot, status }: Stay,
	done: Label,
): void {
	const at = e.let(get(rip)) as Integer;
	const width = typeBits(at) as 32 | 64;
	const field = (name: LoadOpName, offset: number) =>
		load(name, localGet(record), offset) as I32;
	code.block((found) => {
		code.block((miss) => {
			emitRegionCache(code, e, at, { slot, record }, miss);
			code.br(found);
		}, "rare");
		code.if(expr(e.eqz(get(record) as I32)), () => {
			if (width === 64) emitWideJumpCache(code, e, at as I64, record, done);
			else {
				const target = e.readState(RIP) as I64;
				const linear = at as I32;
				emitJumpCache(code, e, { target, linear }, record, done);
			}
			const handler = field("i32.load16_u", RECORD_HANDLER);
			code.brIf(done, expr(e.ne(handler, e.i32(HANDLER_REGION))));
		});
		code.set(slot, expr(field("i32.load", RECORD_DISPLACEMENT)));
		const admit = context.admit[width];
		code.brIf(found, call(admit, localGet(record), expr(at)));
		// The cold engine finds its own way.
		e.writeState(RIP, e.toWidth(64, at));
		e.writeState(REGION_EXIT, field("i32.load", RECORD_LINK));
		code.set(status, i32Const(STATUS_COLD));
		code.br(done);
	});
	const page = e.and(at, e.constant(width, -4096));
	code.set(ripPage, expr(e.toWidth(64, page) as I64));
}

/** Runs the region; `done` unless it ends with a jump, whose target is RIP then. */
function runRegion(
	code: FunctionBuilder,
	e: StateEmitter,
	{ handlerType }: LoopContext,
	{ record, ripPage, rip, slot, status, entries }: Stay,
	done: Label,
): void {
	const args = [localGet(record), localGet(ripPage)];
	code.set(status, callIndirect(handlerType, localGet(slot), ...args));
	code.set(entries, expr(e.add(get(entries) as I32, e.i32(1))));
	code.brIf(done, expr(e.ne(get(status) as I32, e.i32(STATUS_JUMP))));
	const bytes = rip.type === "i64" ? 8 : 4;
	code.set(rip, expr(e.readState(RIP, 0, 0, bytes)));
	code.set(record, i32Const(0));
}

/**
 * Tells of one change of regions in half as many as make code hot. Which one is
 * drawn by multiples of the golden ratio, which fall in step with no loop.
 */
function tellSample(
	code: FunctionBuilder,
	e: StateEmitter,
	{ hot, hotArrivals }: LoopContext,
	{ ripPage, rip, entries }: Stay,
	done: Label,
): void {
	if (hot === undefined) return;
	const drawn = e.mul(get(entries) as I32, e.i32(GOLDEN_RATIO));
	const every = hotArrivals / CHANGES_PER_ARRIVAL;
	const rarely = e.ltU(drawn, e.i32(Math.floor(2 ** 32 / every)));
	const isDue = hotArrivals === 1 ? e.i32(1) : rarely;
	const leave = () => {
		const exit = e.readState(REGION_EXIT) as I32;
		const at = e.toWidth(64, get(rip) as Integer) as I64;
		tell(code, e, hot, { at, exit, page: get(ripPage) as I64 });
		code.br(done);
	};
	code.if(expr(isDue), leave, undefined, "rare");
}

/** Calls `LoopContext.hot`. */
function tell(
	code: FunctionBuilder,
	e: StateEmitter,
	hot: FunctionRef,
	{ at, exit, page }: { at: I64; exit: I32; page: I64 },
): void {
	const halves = (rip: I64) => [e.wrap(rip), highHalf(e, rip)];
	const args = [...halves(at), exit, ...halves(page)];
	code.evaluate(call(hot, ...args.map(expr)));
}

/** Counts an arrival by branch at a record; tells when it is hot, and whence it came. */
export function emitArrival(
	code: FunctionBuilder,
	e: StateEmitter,
	{ hot, hotArrivals }: LoopContext,
	at: {
		record: Local<"i32">;
		target: I64;
		source: () => { exit: I32; page: I64 };
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
	const tellOf = () => tell(code, e, hot, { at: target, ...source() });
	code.if(expr(due), tellOf, undefined, "rare");
}

function get(local: Local): Value {
	return localGet(local) as Value;
}
