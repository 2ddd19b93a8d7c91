/**
 * The common TLB miss without leaving generated code: a walk through 32-bit
 * page tables, two levels or PAE, whose entries need no change (accessed, and
 * dirty for writes) and allow the access. Anything else, faults included, is
 * for `mmu/page-walk.ts`, which this never contradicts.
 *
 * A guest that switches address spaces misses at every page it touches again;
 * TypeScript would be most of what such a guest waits for.
 *
 * @journey E:512 Filling the TLB, the short way
 */

import {
	call,
	type Expression,
	load,
	localGet,
} from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef, Local } from "../../wasm/references.ts";
import {
	RAM_BASE,
	TLB_BASE,
	TLB_COUNTS,
	TLB_MOST_USED,
	TLB_USED_BASE,
	TLB_USED_GLOBAL_BASE,
	TOUCHED_MAP_BASE,
} from "../memory-layout.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_NEVER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import {
	CPL,
	CR3,
	PDPTE,
	TABLES,
	TABLES_NX,
	TABLES_PAE,
	TLB_FILLS,
	TLB_READ_MASK,
} from "../state.ts";
import {
	readAcrossBody,
	readAcrossWideBody,
	writeAcrossBody,
} from "./across-pages.ts";
import { expr } from "./arithmetic-emitter.ts";
import { INTENT_BITS, INTENT_READ } from "./instruction-emitter.ts";
import { findPageBody, findWidePageBody } from "./page-memo.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { tlbSlot } from "./tlb-lookup.ts";
import { ENTRY_A, ENTRY_P, ENTRY_PS, globalBit, tlbWord } from "./tlb-word.ts";
import { fillWideBody } from "./wide-fill.ts";
import { isLongMode } from "./wide-lookup.ts";

const PAGE = 4096;
const HIGH_NX = 1 << 31;

/** The functions of the module. */
export interface TlbFill {
	/** As `InstructionContext.translate`. */
	readonly translate: FunctionRef;
	/** As `RegionContext.fetchPage`. */
	readonly fetchPage: FunctionRef;
	/** (linear address, TLB flag that must come out set) → the new entry, or 0 with nothing changed. */
	readonly fill: FunctionRef;
	/** (linear address, bytes) of a read that crosses into the next page → host address of a copy, or 0. */
	readonly readAcross: FunctionRef;
	/** The same for 64-bit code: (linear low, linear high, bytes). */
	readonly readAcrossWide: FunctionRef;
	/** As `InstructionContext.writeAcross`. */
	readonly writeAcross: FunctionRef;
	/** As `RegionContext.findPage`. */
	readonly findPage: FunctionRef;
	readonly findWidePage: FunctionRef;
	/** As `LoopContext.fetchWidePage`. */
	readonly fetchWidePage: FunctionRef;
	/** The same as `fill` for 64-bit code: (linear low, linear high, TLB flag). */
	readonly fillWide: FunctionRef;
}

/** Adds them to a module; the slow ones are the imports they fall back on, and `ramBytes` the size of guest RAM. */
export function defineTlbFill(
	module: ModuleBuilder,
	context: CodeContext,
	ramBytes: I32,
	slow: Pick<TlbFill, "translate" | "fetchPage" | "fetchWidePage">,
): TlbFill {
	const define = (name: string, body: FunctionBuilder) => {
		const ref = module.declareFunction(body.params, ["i32"], name);
		module.defineFunction(ref, body);
		return ref;
	};
	const fill = define("fill", fillBody(context, ramBytes));
	const fillWide = define("fillWide", fillWideBody(context, ramBytes));
	const short = {
		fill,
		fillWide,
		readAcross: define("readAcross", readAcrossBody(context, fill)),
		readAcrossWide: define(
			"readAcrossWide",
			readAcrossWideBody(context, fillWide),
		),
	};
	const fetchBody = (by: FunctionRef, otherwise: FunctionRef) =>
		fetchPageBody(context, by, otherwise);
	return {
		...short,
		writeAcross: define(
			"writeAcross",
			writeAcrossBody(context, fill, fillWide),
		),
		findPage: define("findPage", findPageBody(context, fill)),
		findWidePage: define("findWidePage", findWidePageBody(context, fillWide)),
		translate: define(
			"translate",
			translateBody(context, short, slow.translate),
		),
		fetchPage: define("fetchPage", fetchBody(fill, slow.fetchPage)),
		fetchWidePage: define(
			"fetchWidePage",
			fetchBody(fillWide, slow.fetchWidePage),
		),
	};
}

/** (low, high, bytes, how) → host address. */
function translateBody(
	context: CodeContext,
	short: Pick<TlbFill, "fill" | "fillWide" | "readAcross" | "readAcrossWide">,
	slow: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32", "i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [low, high, bytes, how] = [0, 1, 2, 3].map(
		(index) => localGet(code.param(index)) as Value as I32,
	) as [I32, I32, I32, I32];
	/** What the one for 32-bit code answers, or that for 64-bit code. */
	const ask = (narrow: FunctionRef, wide: FunctionRef, argument: I32): I32 => {
		const answer = e.variable(e.i32(0));
		const set = (value: Expression) => () => answer.set(value as Value as I32);
		code.if(
			expr(isLongMode(e)),
			set(call(wide, expr(low), expr(high), expr(argument))),
			set(call(narrow, expr(low), expr(argument))),
		);
		return answer.get();
	};
	code.block((leave) => {
		const watched = e.and(e.readState(TLB_READ_MASK) as I32, e.i32(TLB_NEVER));
		code.brIf(leave, expr(watched));
		const intent = e.let(e.and(how, e.i32((1 << INTENT_BITS) - 1)));
		const end = e.add(e.and(low, e.i32(PAGE - 1)), bytes);
		code.if(expr(e.gtU(end, e.i32(PAGE))), () => {
			code.brIf(leave, expr(e.ne(intent, e.i32(INTENT_READ))));
			const host = ask(short.readAcross, short.readAcrossWide, bytes);
			code.brIf(leave, expr(e.eqz(host)));
			code.return(expr(host));
		});
		const write = byLevel(e, TLB_WRITE_USER, TLB_WRITE_SUPERVISOR);
		const read = byLevel(e, TLB_READ_USER, TLB_READ_SUPERVISOR);
		const needed = e.let(e.select(intent, write, read));
		const entry = ask(short.fill, short.fillWide, needed);
		code.brIf(leave, expr(e.eqz(entry)));
		code.return(expr(e.add(low, e.and(entry, e.i32(-PAGE)))));
	});
	code.return(call(slow, ...[low, high, bytes, how].map(expr)));
	return code;
}

/** (linear page, by halves for 64-bit code, host page expected) → 1 if that is where it is, for fetching. */
function fetchPageBody(
	context: CodeContext,
	fill: FunctionRef,
	slow: FunctionRef,
): FunctionBuilder {
	const params = slow.type.params;
	const code = new FunctionBuilder(params, ["i32"]);
	const e = new StateEmitter(code, context);
	const all = params.map((_, i) => localGet(code.param(i)) as Value as I32);
	const linear = all.slice(0, -1);
	const host = all.at(-1) as I32;
	const needed = byLevel(e, TLB_EXECUTE_USER, TLB_EXECUTE_SUPERVISOR);
	const entry = e.let(
		call(fill, ...[...linear, e.let(needed)].map(expr)) as Value as I32,
	);
	code.if(expr(e.eqz(entry)), () => code.return(call(slow, ...all.map(expr))));
	const found = e.add(linear[0] as I32, e.and(entry, e.i32(-PAGE)));
	code.return(expr(e.eq(found, host)));
	return code;
}

/** One of two flags, by the privilege level. */
function byLevel(e: StateEmitter, user: number, supervisor: number): I32 {
	const isUser = e.eq(e.readState(CPL) as I32, e.i32(3));
	return e.select(isUser, e.i32(user), e.i32(supervisor));
}

function fillBody(context: CodeContext, ramBytes: I32): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const walk = new Walk(code, context, ramBytes);
	walk.emit();
	return code;
}

/** The body of `fill`: leaves with 0 wherever something is out of the ordinary. */
class Walk {
	readonly #code: FunctionBuilder;
	readonly #e: StateEmitter;
	readonly #ramBytes: I32;
	readonly #linear: I32;
	/** Lower halves of the two entries, and of the page's the upper one. */
	readonly #directory: Local<"i32">;
	readonly #leaf: Local<"i32">;
	readonly #high: Local<"i32">;

	constructor(code: FunctionBuilder, context: CodeContext, ramBytes: I32) {
		this.#code = code;
		this.#e = new StateEmitter(code, context);
		this.#ramBytes = ramBytes;
		this.#linear = localGet(code.param(0)) as Value as I32;
		this.#directory = code.local("i32");
		this.#leaf = code.local("i32");
		this.#high = code.local("i32");
	}

	emit(): void {
		const e = this.#e;
		const slot = e.let(tlbSlot(e, this.#linear));
		// What is there already and does not do is not for us to judge.
		this.#giveUpIf(load("i32.load", expr(slot), TLB_BASE) as I32);
		const kind = e.let(e.readState(TABLES) as I32);
		const isPae = e.and(kind, e.i32(TABLES_PAE));
		this.#giveUpIf(e.eqz(kind));
		this.#code.if(
			expr(isPae),
			() => this.#walkPae(kind),
			() => this.#walkTwoLevel(),
		);
		const entry = this.#entry();
		const needed = localGet(this.#code.param(1)) as Value as I32;
		this.#giveUpIf(e.eqz(e.and(entry, needed)));
		this.#remember();
		this.#code.store("i32.store", expr(slot), expr(entry), TLB_BASE);
		const physical = e.shrU(this.#get(this.#leaf), e.i32(12));
		const one = expr(e.i32(1));
		this.#code.store("i32.store8", expr(physical), one, TOUCHED_MAP_BASE);
		const fills = e.add(e.readState(TLB_FILLS) as I64, e.i64(1));
		e.writeState(TLB_FILLS, fills);
		this.#code.return(expr(entry));
	}

	#walkTwoLevel(): void {
		const e = this.#e;
		const index = (shift: number) =>
			e.and(e.shrU(this.#linear, e.i32(shift - 2)), e.i32(0xffc));
		const root = e.readState(CR3, 0, 0, 4) as I32;
		this.#setEntry(this.#directory, root, index(22), 0);
		this.#checkDirectory();
		this.#setEntry(this.#leaf, this.#get(this.#directory), index(12), 0);
		this.#code.set(this.#high, expr(e.i32(0)));
	}

	#walkPae(kind: I32): void {
		const e = this.#e;
		const index = (shift: number) =>
			e.and(e.shrU(this.#linear, e.i32(shift - 3)), e.i32(0xff8));
		const top = e.shrU(this.#linear, e.i32(30));
		const pdpte = (byte: number) => e.readStateAt(PDPTE, top, byte, 4) as I32;
		const table = e.let(pdpte(0));
		this.#giveUpIf(e.eqz(e.and(table, e.i32(ENTRY_P))));
		this.#giveUpIf(pdpte(4));
		this.#setEntry(this.#high, table, index(21), 4);
		const upper = e.let(this.#get(this.#high));
		this.#setEntry(this.#directory, table, index(21), 0);
		this.#checkDirectory();
		const directory = this.#get(this.#directory);
		this.#setEntry(this.#high, directory, index(12), 4);
		this.#setEntry(this.#leaf, directory, index(12), 0);
		const high = e.let(e.or(upper, this.#get(this.#high)));
		// Addresses beyond 4 GiB, reserved bits, NX where it is not enabled.
		const allowed = e.select(
			e.and(kind, e.i32(TABLES_NX)),
			e.i32(~HIGH_NX),
			e.i32(-1),
		);
		this.#giveUpIf(e.and(high, allowed));
		this.#code.set(this.#high, expr(high));
	}

	/** Reads a word of an entry of the table that `table` names. */
	#setEntry(into: Local<"i32">, table: I32, index: I32, byte: number): void {
		const e = this.#e;
		const base = e.let(e.and(table, e.i32(-PAGE)));
		this.#giveUpIf(e.geU(base, this.#ramBytes));
		const at = e.add(base, index);
		this.#code.set(into, load("i32.load", expr(at), RAM_BASE + byte));
	}

	/** Names a table that has been used before. */
	#checkDirectory(): void {
		const e = this.#e;
		const mask = ENTRY_P | ENTRY_A | ENTRY_PS;
		const bits = e.and(this.#get(this.#directory), e.i32(mask));
		this.#giveUpIf(e.ne(bits, e.i32(ENTRY_P | ENTRY_A)));
	}

	/** The TLB's word for the page. */
	#entry(): I32 {
		const e = this.#e;
		const leaf = this.#get(this.#leaf);
		const used = e.i32(ENTRY_P | ENTRY_A);
		this.#giveUpIf(e.ne(e.and(leaf, used), used));
		const physical = e.let(e.and(leaf, e.i32(-PAGE)));
		this.#giveUpIf(e.geU(physical, this.#ramBytes));
		const rights = e.let(e.and(leaf, this.#get(this.#directory)));
		const noExecute = this.#get(this.#high);
		const linear = this.#linear;
		return tlbWord(e, { linear, physical, leaf, rights, noExecute });
	}

	/** Notes the page among those that a write of CR3 drops, or does not. */
	#remember(): void {
		const e = this.#e;
		const global = e.let(globalBit(e, this.#get(this.#leaf)));
		const distance = TLB_USED_GLOBAL_BASE - TLB_USED_BASE;
		const list = e.let(e.select(global, e.i32(distance), e.i32(0)));
		const counter = e.let(e.select(global, e.i32(4), e.i32(0)));
		const count = e.let(load("i32.load", expr(counter), TLB_COUNTS) as I32);
		this.#giveUpIf(e.eq(count, e.i32(TLB_MOST_USED)));
		const at = e.add(list, e.shl(count, e.i32(2)));
		const page = e.shrU(this.#linear, e.i32(12));
		this.#code.store("i32.store", expr(at), expr(page), TLB_USED_BASE);
		const next = e.add(count, e.i32(1));
		this.#code.store("i32.store", expr(counter), expr(next), TLB_COUNTS);
	}

	#giveUpIf(condition: I32): void {
		this.#code.if(expr(condition), () =>
			this.#code.return(expr(this.#e.i32(0))),
		);
	}

	#get(local: Local<"i32">): I32 {
		return localGet(local) as Value as I32;
	}
}
