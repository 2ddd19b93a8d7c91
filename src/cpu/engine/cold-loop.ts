/**
 * Generates the cold engine's heart: one WebAssembly function that fetches
 * records and dispatches on their handler numbers.
 *
 * ```
 * transfer: target → physical code address → record       (jump cache, else resolve)
 * next:     budget left? → br_table on the handler number
 *             0..4     pseudo records
 *             inline   frequent forms, fast path only
 *             default  call_indirect: every other form, and whatever an inline
 *                      handler's fast path could not do
 * ```
 *
 * The loop keeps the record, the page part of RIP and the budget in locals; it
 * writes RIP and the budget back when it leaves or calls out.
 *
 * @journey E:470 The loop
 */

import {
	call,
	callIndirect,
	type Expression,
	load,
	localGet,
	op,
} from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type {
	FunctionRef,
	FunctionType,
	Local,
} from "../../wasm/references.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import {
	BUDGET,
	FAULT_ERROR_CODE,
	FAULT_HAS_ERROR_CODE,
	FAULT_VECTOR,
	type Field,
	LEAVE,
	REGION_COLD_EXITS,
	REGION_EXIT,
	RIP,
	TLB_EXECUTE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { ColdEmitter, type Continuation } from "./cold-emitter.ts";
import type { ColdForm } from "./form.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import {
	emitJumpCache,
	emitWideJumpCache,
	linearTarget,
} from "./jump-cache.ts";
import {
	HANDLER_REGION,
	RECORD_BYTES,
	RECORD_DISPLACEMENT,
	RECORD_HANDLER,
	RECORD_IMMEDIATE,
	RECORD_LENGTH,
	RECORD_LINK,
	RECORD_PAGE_OFFSET,
} from "./record.ts";
import { MOST_REGION_INSTRUCTIONS } from "./region.ts";
import { emitArrival } from "./region-loop.ts";
import { StateEmitter } from "./state-emitter.ts";
import {
	STATUS_BUDGET,
	STATUS_FAULT,
	STATUS_JUMP,
	STATUS_NEXT,
	STATUS_REPEAT,
	STATUS_RETRY,
	STATUS_STOP,
	STATUS_STOP_JUMP,
} from "./status.ts";
import { emitStraddleCheck } from "./straddle-check.ts";
import { highHalf, isLongMode } from "./wide-lookup.ts";

/** What the loop needs besides the handlers' context. */
export interface LoopContext extends InstructionContext {
	/** () → record for RIP, or 0 with a fault noted. */
	readonly resolve: FunctionRef;
	/** () → STATUS_JUMP if the fault that is noted has been delivered; see `page-fault-delivery.ts`. */
	readonly deliver: FunctionRef;
	/** See `tlb-fill.ts`. */
	readonly fill: FunctionRef;
	readonly fillWide: FunctionRef;
	/**
	 * (RIP, name of the region's exit that led there or 0, RIP of the region's
	 * first page; each RIP by its halves, low first) → a branch target has become
	 * hot; undefined = no profiling, no regions.
	 */
	readonly hot: FunctionRef | undefined;
	/** Arrivals by branch that make code hot, and again that many later. Power of two. */
	readonly hotArrivals: number;
	/** (record, ripPage) → status: the type of out-of-line handlers. */
	readonly handlerType: FunctionType;
	/** (linear address, host address expected) → 1 if the page is mapped there now and in the TLB. */
	readonly fetchPage: FunctionRef;
	/** The same for 64-bit code: (linear low, linear high, host address expected). */
	readonly fetchWidePage: FunctionRef;
	/** (table slot) → the region there is of no use where it was come to. */
	readonly misplaced: FunctionRef;
	/** See `region-cache.ts`. */
	readonly admit: WidthRefs;
	/** See `region-loop.ts`. */
	readonly regionLoop: WidthRefs;
}

/** A function for 32-bit code, and its twin for 64-bit code. */
export interface WidthRefs {
	readonly 32: FunctionRef;
	readonly 64: FunctionRef;
}

/** Generates the semantics of one form into an emitter. */
export type EmitForm = (emitter: ColdEmitter, form: ColdForm) => void;

/** As many arrivals is one out of a region worth: what hot code leads to will be hot. */
const WEIGHT_FROM_REGION = 8;

export class ColdLoop {
	readonly #code: FunctionBuilder;
	readonly #context: LoopContext;
	readonly #e: StateEmitter;
	readonly #record: Local<"i32">;
	readonly #ripPage: Local<"i64">;
	readonly #budget: Local<"i32">;
	readonly #target: Local<"i64">;
	/** The region's exit that leads to `target`, and the region's page; 0 = none. */
	readonly #source: Local<"i32">;
	readonly #sourcePage: Local<"i64">;
	/** Non-zero: control comes out of a region to `target`. */
	readonly #isWarm: Local<"i32">;
	/** Non-zero: no branch since a region was left for an instruction it could not do. */
	readonly #isAside: Local<"i32">;
	/** What the last regions ended with. */
	readonly #status: Local<"i32">;

	constructor(code: FunctionBuilder, context: LoopContext) {
		this.#code = code;
		this.#context = context;
		this.#e = new StateEmitter(code, context);
		this.#record = code.local("i32");
		this.#ripPage = code.local("i64");
		this.#budget = code.local("i32");
		this.#target = code.local("i64");
		this.#source = code.local("i32");
		this.#sourcePage = code.local("i64");
		this.#isWarm = code.local("i32");
		this.#isAside = code.local("i32");
		this.#status = code.local("i32");
	}

	/** Emits the whole function: () → status. */
	emit(inlineForms: readonly ColdForm[], emitForm: EmitForm): void {
		const code = this.#code;
		code.set(this.#budget, expr(this.#e.readState(BUDGET)));
		code.set(this.#target, expr(this.#e.readState(RIP)));
		code.loop((transfer) => {
			const mark = code.mark();
			this.#emitTransfer(transfer);
			// Most transfers lead to regions: no need to ask the br_table.
			if (this.#context.hot !== undefined) {
				const handler = load(
					"i32.load16_u",
					localGet(this.#record),
					RECORD_HANDLER,
				) as I32;
				const isRegion = this.#e.eq(handler, this.#e.i32(HANDLER_REGION));
				code.if(expr(isRegion), () => this.#emitRegion(transfer));
			}
			code.releaseTo(mark);
			code.loop((next) => {
				this.#emitBudgetCheck();
				this.#emitDispatch(inlineForms, emitForm, next, transfer);
				this.#emitOutOfLine(next, transfer);
			});
		});
	}

	/** Sets record and ripPage for `target`. */
	#emitTransfer(transfer: Label): void {
		const code = this.#code;
		const e = this.#e;
		const target = this.#get(this.#target) as I64;
		const linear = linearTarget(e, target);
		code.block((found) => {
			code.loop((retry) => {
				code.block((slow) => {
					emitJumpCache(code, e, { target, linear }, this.#record, slow);
					code.br(found);
				}, "rare");
				code.if(
					expr(highHalf(e, target)),
					() => this.#emitWideLookup(target, found, retry),
					() => this.#emitFill(linear, retry),
				);
			});
			this.#emitResolve(transfer);
		});
		const offset = e.and(linear, e.i32(0xfff));
		code.set(this.#ripPage, expr(e.sub(target, e.extendU(offset))));
		this.#count();
	}

	/** Above 4 GiB there is only 64-bit code. */
	#emitWideLookup(target: I64, found: Label, retry: Label): void {
		const code = this.#code;
		const e = this.#e;
		code.block((miss) => {
			emitWideJumpCache(code, e, target, this.#record, miss);
			code.br(found);
		}, "rare");
		const mask = e.readState(TLB_EXECUTE_MASK);
		const halves = [e.wrap(target), highHalf(e, target)];
		const fill = call(this.#context.fillWide, ...[...halves, mask].map(expr));
		code.brIf(retry, fill);
	}

	/** After a TLB miss that can be filled, the jump cache may know. */
	#emitFill(linear: I32, retry: Label): void {
		const code = this.#code;
		const e = this.#e;
		const mask = e.readState(TLB_EXECUTE_MASK);
		const fill = call(this.#context.fill, expr(linear), expr(mask));
		const entry = fill as Value as I32;
		code.brIf(retry, expr(entry));
	}

	/** Asks TypeScript for the record of `target`. */
	#emitResolve(transfer: Label): void {
		this.#writeBack(this.#get(this.#target) as I64);
		this.#code.set(this.#record, call(this.#context.resolve));
		this.#code.if(op("i32.eqz", localGet(this.#record)), () =>
			this.#fault(transfer),
		);
	}

	/** To the handler of the fault that is noted, or to the run loop; RIP and budget are written back. */
	#fault(transfer: Label): void {
		const code = this.#code;
		const e = this.#e;
		const status = call(this.#context.deliver) as Value as I32;
		code.if(expr(e.eq(status, e.i32(STATUS_JUMP))), () => {
			code.set(this.#target, expr(e.readState(RIP)));
			this.#forgetSource();
			code.br(transfer);
		});
		this.#return(STATUS_FAULT);
	}

	#emitBudgetCheck(): void {
		const e = this.#e;
		const budget = this.#get(this.#budget) as I32;
		const leave = () => {
			this.#writeBack(this.#rip());
			this.#return(STATUS_BUDGET);
		};
		this.#code.if(expr(e.eqz(budget)), leave, undefined, "rare");
		this.#code.set(this.#budget, expr(e.sub(budget, e.i32(1))));
	}

	/** br_table; falls out behind it for forms without inline handler. */
	#emitDispatch(
		forms: readonly ColdForm[],
		emitForm: EmitForm,
		next: Label,
		transfer: Label,
	): void {
		const code = this.#code;
		const bodies = [
			...this.#pseudoHandlers(next, transfer),
			...forms.map((form) => (generic: Label) => {
				const inline = this.#inlineContinuation(next, transfer, generic);
				emitForm(new ColdEmitter(code, this.#context, form, inline), form);
				this.#advance();
				code.br(next);
			}),
		];
		code.block((generic) => {
			const labels: Label[] = [];
			const nest = (index: number): void => {
				if (index < 0) {
					const handler = load(
						"i32.load16_u",
						localGet(this.#record),
						RECORD_HANDLER,
					);
					code.brTable([...labels].reverse(), generic, handler);
					return;
				}
				code.block((label) => {
					labels.push(label);
					nest(index - 1);
				});
				const mark = code.mark();
				bodies[index]?.(generic);
				code.releaseTo(mark);
			};
			nest(bodies.length - 1);
		}, "rare");
	}

	/** By handler number: STALE, CROSS, GOTO, STRADDLE, FAULT, REGION. None of them counts. */
	#pseudoHandlers(next: Label, transfer: Label): (() => void)[] {
		const code = this.#code;
		const uncount = () => {
			const budget = this.#get(this.#budget) as I32;
			code.set(this.#budget, expr(this.#e.add(budget, this.#e.i32(1))));
		};
		const resolveHere = () => {
			code.set(this.#target, expr(this.#rip()));
			this.#emitResolve(transfer);
			code.br(next);
		};
		return [
			() => {
				uncount();
				resolveHere();
			},
			() => {
				uncount();
				code.set(this.#target, expr(this.#rip()));
				code.br(transfer);
			},
			() => {
				uncount();
				code.set(this.#record, expr(this.#field(RECORD_LINK)));
				code.br(next);
			},
			() => {
				uncount();
				code.block((changed) => {
					const page = this.#get(this.#ripPage) as I64;
					const decoded = this.#field(RECORD_DISPLACEMENT);
					emitStraddleCheck(code, this.#e, { page, decoded }, changed);
					this.#advance();
					code.br(next);
				}, "rare");
				resolveHere();
			},
			() => {
				uncount();
				const e = this.#e;
				e.writeState(FAULT_VECTOR, this.#field(RECORD_IMMEDIATE));
				e.writeState(FAULT_HAS_ERROR_CODE, this.#field(RECORD_IMMEDIATE + 4));
				e.writeState(FAULT_ERROR_CODE, e.i32(0));
				this.#writeBack(this.#rip());
				this.#return(STATUS_FAULT);
			},
			() => {
				uncount();
				this.#emitRegion(transfer);
				code.br(next);
			},
		];
	}

	/**
	 * Calls the handler of the record and does what its status says. A REP that
	 * overwrites its own record goes on with the handler it began with, as the
	 * processor finishes the instruction it has fetched.
	 */
	#emitOutOfLine(next: Label, transfer: Label): void {
		const code = this.#code;
		const e = this.#e;
		const handler = e.let(
			load("i32.load16_u", localGet(this.#record), RECORD_HANDLER) as I32,
		);
		code.loop((again) => {
			e.writeState(BUDGET, this.#get(this.#budget));
			const status = e.let(
				callIndirect(
					this.#context.handlerType,
					expr(handler),
					localGet(this.#record),
					localGet(this.#ripPage),
				) as Value as I32,
			);
			this.#emitStatus(status, next, transfer, again);
		});
	}

	#emitStatus(status: I32, next: Label, transfer: Label, again: Label): void {
		const code = this.#code;
		const e = this.#e;
		const when = (value: number, then: () => void) =>
			code.if(expr(e.eq(status, e.i32(value))), then);
		const wanted = () => e.readState(LEAVE) as I32;
		when(STATUS_NEXT, () => {
			const stop = () => this.#stopBehind();
			code.if(expr(wanted()), stop, undefined, "rare");
			this.#comeBack(transfer);
			this.#advance();
			code.br(next);
		});
		when(STATUS_JUMP, () => {
			code.set(this.#target, expr(e.readState(RIP)));
			this.#forgetSource();
			code.br(transfer);
		});
		when(STATUS_REPEAT, () => {
			code.if(expr(wanted()), () => {
				this.#writeBack(this.#rip());
				this.#return(STATUS_STOP_JUMP);
			});
			this.#emitBudgetCheck();
			code.br(again);
		});
		const budget = this.#get(this.#budget) as I32;
		const uncounted = expr(e.add(budget, e.i32(1)));
		when(STATUS_RETRY, () => {
			code.set(this.#budget, uncounted);
			code.br(next);
		});
		when(STATUS_FAULT, () => {
			code.set(this.#budget, uncounted);
			this.#writeBack(this.#rip());
			this.#fault(transfer);
		});
		when(STATUS_STOP, () => this.#stopBehind());
		this.#return(STATUS_STOP_JUMP);
	}

	/**
	 * Behind an instruction that a region was left for, or behind several of
	 * them, stands more hot code: it is arrived at as by a branch, or all up to
	 * the next branch would be cold for ever.
	 */
	#comeBack(transfer: Label): void {
		if (this.#context.hot === undefined) return;
		const code = this.#code;
		code.if(localGet(this.#isAside), () => {
			code.set(this.#target, expr(this.#behind()));
			code.set(this.#source, expr(this.#e.i32(0)));
			code.set(this.#isWarm, expr(this.#e.i32(1)));
			code.br(transfer);
		});
	}

	/** Leaves the loop with RIP behind the instruction. */
	#stopBehind(): void {
		this.#writeBack(this.#behind());
		this.#return(STATUS_STOP);
	}

	/** RIP of what follows the instruction. */
	#behind(): I64 {
		const length = load(
			"i32.load8_u",
			localGet(this.#record),
			RECORD_LENGTH,
		) as I32;
		return this.#e.add(this.#rip(), this.#e.extendU(length));
	}

	#inlineContinuation(
		next: Label,
		transfer: Label,
		generic: Label,
	): Continuation {
		const code = this.#code;
		const jump = (target: I64) => {
			code.set(this.#target, expr(target));
			this.#forgetSource();
			code.br(transfer);
		};
		return {
			record: this.#record,
			ripPage: this.#ripPage,
			bail: generic,
			jump,
			jumpRelative: (target) => {
				const link = this.#e.let(this.#field(RECORD_LINK));
				code.if(expr(link), () => {
					code.set(this.#record, expr(link));
					this.#forgetSource();
					this.#count();
					code.br(next);
				});
				jump(target);
			},
			repeat: () => code.br(next),
			stop: () => {
				throw new Error("a form that may stop cannot be inline");
			},
			// Nothing is written yet: the out-of-line handler starts over.
			leave: () => code.br(generic),
		};
	}

	#count(): void {
		emitArrival(this.#code, this.#e, this.#context, {
			record: this.#record,
			target: this.#rip(),
			weight: this.#weight(),
			source: () => ({
				exit: this.#get(this.#source) as I32,
				page: this.#get(this.#sourcePage) as I64,
			}),
		});
	}

	#weight(): I32 {
		const e = this.#e;
		if (this.#context.hotArrivals < WEIGHT_FROM_REGION) return e.i32(1);
		const isWarm = this.#get(this.#isWarm) as I32;
		return e.select(isWarm, e.i32(WEIGHT_FROM_REGION), e.i32(1)) as I32;
	}

	#forgetSource(): void {
		if (this.#context.hot === undefined) return;
		for (const local of [this.#source, this.#isWarm, this.#isAside]) {
			this.#code.set(local, expr(this.#e.i32(0)));
		}
	}

	/** Runs the region of a HANDLER_REGION record; comes out behind it where the cold engine has to go on. */
	#emitRegion(transfer: Label): void {
		const code = this.#code;
		const e = this.#e;
		e.writeState(BUDGET, this.#get(this.#budget));
		const results = [this.#status, this.#ripPage];
		const args = [localGet(this.#record), localGet(this.#ripPage)];
		const run = (loop: FunctionRef) => () =>
			code.setResults(results, call(loop, ...args));
		const loops = this.#context.regionLoop;
		code.if(expr(isLongMode(e)), run(loops[64]), run(loops[32]));
		const status = this.#get(this.#status) as I32;
		code.set(this.#budget, expr(e.readState(BUDGET)));
		code.set(this.#target, expr(e.readState(RIP)));
		code.if(expr(e.eq(status, e.i32(STATUS_JUMP))), () => {
			code.set(this.#source, expr(e.readState(REGION_EXIT)));
			code.set(this.#sourcePage, localGet(this.#ripPage));
			code.set(this.#isWarm, expr(e.i32(1)));
			code.br(transfer);
		});
		code.if(expr(e.eq(status, e.i32(STATUS_STOP))), () =>
			this.#return(STATUS_STOP),
		);
		this.#count64(REGION_COLD_EXITS, e.i32(1));
		// At a slice's end it only has nothing left to run on.
		const left = this.#get(this.#budget) as I32;
		const isAside = e.geU(left, e.i32(MOST_REGION_INSTRUCTIONS));
		code.set(this.#isAside, expr(isAside));
		code.set(this.#record, expr(e.readState(REGION_EXIT)));
		const offset = load(
			"i32.load16_u",
			localGet(this.#record),
			RECORD_PAGE_OFFSET,
		) as I32;
		const target = this.#get(this.#target) as I64;
		code.set(this.#ripPage, expr(e.sub(target, e.extendU(offset))));
	}

	/** For statistics. */
	#count64(field: Field, by: I32): void {
		const e = this.#e;
		e.writeState(field, e.add(e.readState(field) as I64, e.extendU(by)));
	}

	#advance(): void {
		const behind = this.#e.i32(RECORD_BYTES);
		const sum = op("i32.add", localGet(this.#record), expr(behind));
		this.#code.set(this.#record, sum);
	}

	#rip(): I64 {
		const offset = load(
			"i32.load16_u",
			localGet(this.#record),
			RECORD_PAGE_OFFSET,
		) as I32;
		return this.#e.add(
			this.#get(this.#ripPage) as I64,
			this.#e.extendU(offset),
		);
	}

	#writeBack(rip: I64): void {
		this.#e.writeState(RIP, rip);
		this.#e.writeState(BUDGET, this.#get(this.#budget));
	}

	#return(status: number): void {
		this.#code.return(expr(this.#e.i32(status)));
	}

	#field(offset: number): I32 {
		return load("i32.load", localGet(this.#record), offset) as I32;
	}

	#get(local: Local): Value {
		return localGet(local) as Expression as Value;
	}
}
