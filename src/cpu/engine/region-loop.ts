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
import { emitJumpCache, linearTarget } from "./jump-cache.ts";
import {
	HANDLER_REGION,
	RECORD_COUNT,
	RECORD_DISPLACEMENT,
	RECORD_HANDLER,
	RECORD_PAGE_OFFSET,
} from "./record.ts";
import { StateEmitter } from "./state-emitter.ts";
import { STATUS_JUMP } from "./status.ts";

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
	const entries = code.local("i32");
	const before = e.readState(BUDGET) as I32;
	code.block((done) => {
		code.loop((again) => {
			const slot = load("i32.load", localGet(record), RECORD_DISPLACEMENT);
			const args = [localGet(record), localGet(ripPage)];
			const { handlerType } = context;
			code.set(status, callIndirect(handlerType, slot, ...args));
			const one = e.i32(1);
			code.set(entries, expr(e.add(get(entries) as I32, one)));
			const isJump = e.eq(get(status) as I32, e.i32(STATUS_JUMP));
			code.brIf(done, expr(e.eqz(isJump)));
			followJump(code, e, context, { record, ripPage, done });
			code.br(again);
		});
	});
	const after = e.readState(BUDGET) as I32;
	const retired = e.extendU(e.sub(before, after));
	e.writeState(HOT_RETIRED, e.add(e.readState(HOT_RETIRED) as I64, retired));
	const entered = e.extendU(get(entries) as I32);
	const all = e.add(e.readState(REGION_ENTRIES) as I64, entered);
	e.writeState(REGION_ENTRIES, all);
	code.return(localGet(status), localGet(ripPage));
	return code;
}

/** Sets record and page if RIP leads to a region; `done` if not, or if nobody knows. */
function followJump(
	code: FunctionBuilder,
	e: StateEmitter,
	context: LoopContext,
	at: { record: Local<"i32">; ripPage: Local<"i64">; done: Label },
): void {
	const { record, ripPage, done } = at;
	const target = e.readState(RIP) as I64;
	const linear = linearTarget(e, target);
	emitJumpCache(code, e, { target, linear }, record, done);
	const offset = load("i32.load16_u", localGet(record), RECORD_PAGE_OFFSET);
	const handler = load("i32.load16_u", localGet(record), RECORD_HANDLER) as I32;
	code.brIf(done, expr(e.ne(handler, e.i32(HANDLER_REGION))));
	const from = e.let(e.wrap(get(ripPage) as I64));
	const page = e.sub(target, e.extendU(offset as I32));
	code.set(ripPage, expr(page));
	const source = () => ({
		exit: e.readState(REGION_EXIT) as I32,
		page: from,
	});
	// Whoever is told may have done away with the region.
	const weight = e.i32(1);
	emitArrival(code, e, context, { record, target, source, weight, told: done });
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
		/** Where to go on then; default: as always. */
		told?: Label;
	},
): void {
	if (hot === undefined) return;
	const { record, target, source, told, weight } = at;
	const counted = load("i32.load16_u", localGet(record), RECORD_COUNT) as I32;
	const before = e.let(counted);
	const count = e.let(e.add(before, weight));
	code.store("i32.store16", localGet(record), expr(count), RECORD_COUNT);
	// A power of two has been passed when its bit has changed.
	const due = e.and(e.xor(before, count), e.i32(hotArrivals));
	code.if(expr(due), () => {
		const { exit, page } = source();
		code.evaluate(call(hot, expr(e.wrap(target)), expr(exit), expr(page)));
		if (told !== undefined) code.br(told);
	});
}

function get(local: Local): Value {
	return localGet(local) as Value;
}
