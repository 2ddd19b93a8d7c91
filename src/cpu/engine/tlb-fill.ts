/**
 * The common TLB miss without leaving generated code: a walk through 32-bit
 * page tables, two levels or PAE, whose entries need no change (accessed, and
 * dirty for writes) and allow the access. Anything else, faults included, is
 * for `mmu/page-walk.ts`, which this never contradicts.
 *
 * Beside it, what a copy of unaligned data does at every page's end: reading
 * from two pages at once.
 *
 * A guest that switches address spaces misses at every page it touches again;
 * TypeScript would be most of what such a guest waits for.
 *
 * @journey E:512 Filling the TLB, the short way
 */

import { call, load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef, Local } from "../../wasm/references.ts";
import {
	CODE_MAP_BASE,
	RAM_BASE,
	TLB_BASE,
	TLB_COUNTS,
	TLB_MOST_USED,
	TLB_USED_BASE,
	TLB_USED_GLOBAL_BASE,
	TOUCHED_MAP_BASE,
} from "../memory-layout.ts";
import {
	TLB_ALL,
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_GLOBAL,
	TLB_NEVER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import {
	CPL,
	CR0,
	CR3,
	CR4,
	PDPTE,
	SCRATCH,
	TABLES,
	TABLES_NX,
	TABLES_PAE,
	TLB_FILLS,
	TLB_READ_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { INTENT_BITS, INTENT_READ } from "./instruction-emitter.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;
const CR0_WP = 1 << 16;
const CR4_PGE = 1 << 7;
const ENTRY_P = 1 << 0;
const ENTRY_RW = 1 << 1;
const ENTRY_US = 1 << 2;
const ENTRY_A = 1 << 5;
const ENTRY_D = 1 << 6;
const ENTRY_PS = 1 << 7;
const ENTRY_G = 1 << 8;
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
}

/** Adds them to a module; the slow ones are the imports they fall back on. */
export function defineTlbFill(
	module: ModuleBuilder,
	context: CodeContext,
	ramBytes: number,
	slow: { translate: FunctionRef; fetchPage: FunctionRef },
): TlbFill {
	const fill = module.declareFunction(["i32", "i32"], ["i32"], "fill");
	module.defineFunction(fill, fillBody(context, ramBytes));
	const readAcross = module.declareFunction(
		["i32", "i32"],
		["i32"],
		"readAcross",
	);
	module.defineFunction(readAcross, readAcrossBody(context, fill));
	const translate = module.declareFunction(
		["i32", "i32", "i32", "i32"],
		["i32"],
		"translate",
	);
	module.defineFunction(
		translate,
		translateBody(context, { fill, readAcross, slow: slow.translate }),
	);
	const fetchPage = module.declareFunction(
		["i32", "i32"],
		["i32"],
		"fetchPage",
	);
	module.defineFunction(
		fetchPage,
		fetchPageBody(context, fill, slow.fetchPage),
	);
	return { translate, fetchPage, fill, readAcross };
}

/** (low, high, bytes, how) → host address. */
function translateBody(
	context: CodeContext,
	{ fill, readAcross, slow }: Record<string, FunctionRef>,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32", "i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [low, high, bytes, how] = [0, 1, 2, 3].map(
		(index) => localGet(code.param(index)) as Value as I32,
	) as [I32, I32, I32, I32];
	code.block((leave) => {
		code.brIf(leave, expr(high));
		const watched = e.and(e.readState(TLB_READ_MASK) as I32, e.i32(TLB_NEVER));
		code.brIf(leave, expr(watched));
		const intent = e.let(e.and(how, e.i32((1 << INTENT_BITS) - 1)));
		const end = e.add(e.and(low, e.i32(PAGE - 1)), bytes);
		code.if(expr(e.gtU(end, e.i32(PAGE))), () => {
			code.brIf(leave, expr(e.ne(intent, e.i32(INTENT_READ))));
			const copy = call(readAcross, expr(low), expr(bytes)) as Value as I32;
			const host = e.let(copy);
			code.brIf(leave, expr(e.eqz(host)));
			code.return(expr(host));
		});
		const user = e.eq(e.readState(CPL) as I32, e.i32(3));
		const write = e.select(
			user,
			e.i32(TLB_WRITE_USER),
			e.i32(TLB_WRITE_SUPERVISOR),
		);
		const read = e.select(
			user,
			e.i32(TLB_READ_USER),
			e.i32(TLB_READ_SUPERVISOR),
		);
		const needed = e.let(e.select(intent, write, read));
		const entry = e.let(call(fill, expr(low), expr(needed)) as Value as I32);
		code.brIf(leave, expr(e.eqz(entry)));
		code.return(expr(e.add(low, e.and(entry, e.i32(-PAGE)))));
	});
	code.return(call(slow, ...[low, high, bytes, how].map(expr)));
	return code;
}

/** (linear, bytes) → host address of a copy of what lies in two pages that may be read; 0 = not for us. */
function readAcrossBody(
	context: CodeContext,
	fill: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const [linear, bytes] = [0, 1].map(
		(index) => localGet(code.param(index)) as Value as I32,
	) as [I32, I32];
	code.block((leave) => {
		const mask = e.let(e.readState(TLB_READ_MASK) as I32);
		const hostOf = (address: I32): I32 => {
			const slot = e.and(e.shrU(address, e.i32(10)), e.i32(0x3f_fffc));
			const entry = e.variable(load("i32.load", expr(slot), TLB_BASE) as I32);
			code.if(expr(e.eqz(e.and(entry.get(), mask))), () => {
				entry.set(call(fill, expr(address), expr(mask)) as Value as I32);
				code.brIf(leave, expr(e.eqz(entry.get())));
			});
			return e.let(e.add(address, e.and(entry.get(), e.i32(-PAGE))));
		};
		const second = e.let(e.and(e.add(linear, bytes), e.i32(-PAGE)));
		// The end of linear space is another matter.
		code.brIf(leave, expr(e.eqz(second)));
		const from = hostOf(linear);
		const rest = hostOf(second);
		const head = e.let(e.sub(second, linear));
		const copy = e.i32(context.stateBase + SCRATCH.offset);
		code.memoryCopy(expr(copy), expr(from), expr(head));
		const behind = e.add(copy, head);
		code.memoryCopy(expr(behind), expr(rest), expr(e.sub(bytes, head)));
		code.return(expr(copy));
	});
	code.return(expr(e.i32(0)));
	return code;
}

/** (linear page, host page expected) → 1 if that is where it is, for fetching. */
function fetchPageBody(
	context: CodeContext,
	fill: FunctionRef,
	slow: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const e = new StateEmitter(code, context);
	const linear = localGet(code.param(0)) as Value as I32;
	const host = localGet(code.param(1)) as Value as I32;
	const user = e.eq(e.readState(CPL) as I32, e.i32(3));
	const needed = e.let(
		e.select(user, e.i32(TLB_EXECUTE_USER), e.i32(TLB_EXECUTE_SUPERVISOR)),
	);
	const entry = e.let(call(fill, expr(linear), expr(needed)) as Value as I32);
	code.if(expr(e.eqz(entry)), () =>
		code.return(call(slow, expr(linear), expr(host))),
	);
	const found = e.add(linear, e.and(entry, e.i32(-PAGE)));
	code.return(expr(e.eq(found, host)));
	return code;
}

function fillBody(context: CodeContext, ramBytes: number): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32"], ["i32"]);
	const walk = new Walk(code, context, ramBytes);
	walk.emit();
	return code;
}

/** The body of `fill`: leaves with 0 wherever something is out of the ordinary. */
class Walk {
	readonly #code: FunctionBuilder;
	readonly #e: StateEmitter;
	readonly #ramBytes: number;
	readonly #linear: I32;
	/** Lower halves of the two entries, and of the page's the upper one. */
	readonly #directory: Local<"i32">;
	readonly #leaf: Local<"i32">;
	readonly #high: Local<"i32">;

	constructor(code: FunctionBuilder, context: CodeContext, ramBytes: number) {
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
		const slot = e.let(
			e.and(e.shrU(this.#linear, e.i32(10)), e.i32(0x3f_fffc)),
		);
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
		this.#giveUpIf(e.geU(base, e.i32(this.#ramBytes)));
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
		this.#giveUpIf(e.geU(physical, e.i32(this.#ramBytes)));
		const rights = e.let(e.and(leaf, this.#get(this.#directory)));
		const lacks = (bit: number, flags: number): I32 =>
			e.select(e.and(rights, e.i32(bit)), e.i32(0), e.i32(flags));
		const user = TLB_READ_USER | TLB_WRITE_USER | TLB_EXECUTE_USER;
		const protects = e.and(e.readState(CR0, 0, 0, 4) as I32, e.i32(CR0_WP));
		const readOnly = e.select(
			protects,
			lacks(ENTRY_RW, TLB_WRITE),
			lacks(ENTRY_RW, TLB_WRITE_USER),
		);
		const page = e.shrU(physical, e.i32(12));
		const code = load("i32.load8_u", expr(page), CODE_MAP_BASE) as I32;
		const clean = e.eqz(e.and(leaf, e.i32(ENTRY_D)));
		const guarded = e.select(e.or(clean, code), e.i32(TLB_WRITE), e.i32(0));
		const execute = TLB_EXECUTE_USER | TLB_EXECUTE_SUPERVISOR;
		const noExecute = e.select(this.#get(this.#high), e.i32(execute), e.i32(0));
		const refused = [lacks(ENTRY_US, user), readOnly, guarded, noExecute];
		const flags = refused.reduce(
			(rest, some) => e.and(rest, e.xor(some, e.i32(-1))),
			e.i32(TLB_ALL),
		);
		const host = e.add(physical, e.i32(RAM_BASE));
		const distance = e.sub(host, e.and(this.#linear, e.i32(-PAGE)));
		return e.let(e.or(e.or(distance, flags), this.#isGlobal()));
	}

	/** TLB_GLOBAL or 0. */
	#isGlobal(): I32 {
		const e = this.#e;
		const enabled = e.shl(e.readState(CR4, 0, 0, 4) as I32, e.i32(1));
		return e.and(e.and(this.#get(this.#leaf), e.i32(ENTRY_G)), enabled);
	}

	/** Notes the page among those that a write of CR3 drops, or does not. */
	#remember(): void {
		const e = this.#e;
		const global = e.let(this.#isGlobal());
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

// The shift above puts CR4.PGE where an entry has its G bit, and the TLB its own.
if (CR4_PGE << 1 !== ENTRY_G || TLB_GLOBAL !== ENTRY_G) {
	throw new Error("PGE is not beside G");
}
