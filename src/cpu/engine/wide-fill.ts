/**
 * The common TLB miss of 64-bit code without leaving generated code: a walk
 * through four levels of page tables whose entries need no change and allow the
 * access, and an entry for what it finds in the TLB of `mmu/wide-tlb.ts`, kept
 * as that file keeps it. Anything else is for TypeScript, which this never
 * contradicts; so are pages of 1 GiB, and fetching below 4 GiB, which takes an
 * entry in the other TLB too.
 *
 * @journey E:516 Four levels, the short way
 */

import { load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import {
	CODE_MAP_BASE,
	RAM_BASE,
	TOUCHED_MAP_BASE,
	WIDE_TLB_BASE,
	WIDE_TLB_MOST_USED,
	WIDE_TLB_NOTES,
	WIDE_TLB_USED_BASE,
} from "../memory-layout.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_GLOBAL,
} from "../mmu/tlb.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import { CR3, TABLES_NX, TLB_FILLS, WIDE_TABLES } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { emitForgetMemos } from "./page-memo.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { ENTRY_A, ENTRY_P, ENTRY_PS, tlbWord } from "./tlb-word.ts";
import {
	firstPlace,
	secondPlace,
	WIDE_DISTANCE,
	WIDE_WORD,
} from "./wide-lookup.ts";

const PAGE = 4096;
const HIGH_NX = 1 << 31;
/** Physical address bits of a large page, and those that must be 0. */
const LARGE_ADDRESS = 0xffe0_0000 | 0;
const LARGE_RESERVED = 0x1f_e000;
const TLB_EXECUTE = TLB_EXECUTE_SUPERVISOR | TLB_EXECUTE_USER;

/** Body of a function (linear low, linear high, TLB flag that must come out set) → the new word, or 0 with nothing changed. */
export function fillWideBody(
	context: CodeContext,
	ramBytes: I32,
): FunctionBuilder {
	const code = new FunctionBuilder(["i32", "i32", "i32"], ["i32"]);
	new WideWalk(code, context, ramBytes).emit();
	return code;
}

class WideWalk {
	readonly #code: FunctionBuilder;
	readonly #e: StateEmitter;
	readonly #ramBytes: I32;
	readonly #low: I32;
	readonly #high: I32;
	readonly #needed: I32;
	/** Lower half of the last entry read, and all upper ones together. */
	readonly #entry: Local<"i32">;
	readonly #upper: Local<"i32">;
	readonly #rights: Local<"i32">;
	readonly #physical: Local<"i32">;

	constructor(code: FunctionBuilder, context: CodeContext, ramBytes: I32) {
		this.#code = code;
		this.#e = new StateEmitter(code, context);
		this.#ramBytes = ramBytes;
		const [low, high, needed] = [0, 1, 2].map(
			(index) => localGet(code.param(index)) as Value as I32,
		) as [I32, I32, I32];
		this.#low = low;
		this.#high = high;
		this.#needed = needed;
		this.#entry = code.local("i32");
		this.#upper = code.local("i32");
		this.#rights = code.local("i32");
		this.#physical = code.local("i32");
	}

	emit(): void {
		const e = this.#e;
		const tables = e.let(e.readState(WIDE_TABLES) as I32);
		this.#giveUpIf(e.eqz(tables));
		// Not canonical: bits 15..31 of the upper half are not all equal.
		const sign = e.add(e.shrS(this.#high, e.i32(15)), e.i32(1));
		this.#giveUpIf(e.gtU(sign, e.i32(1)));
		const isFetch = e.and(this.#needed, e.i32(TLB_EXECUTE));
		this.#giveUpIf(e.select(this.#high, e.i32(0), isFetch));
		const linear = e.or(
			e.shl(e.extendU(this.#high), e.i64(32)),
			e.extendU(this.#low),
		);
		const page = e.let(e.and(linear, e.i64(-PAGE)));
		const first = e.let(firstPlace(e, this.#low));
		const second = e.let(secondPlace(e, page));
		this.#giveUpIf(this.#isHere(first, page));
		this.#giveUpIf(this.#isHere(second, page));
		this.#walk(tables);
		const word = tlbWord(e, {
			linear: this.#low,
			physical: this.#get(this.#physical),
			leaf: this.#get(this.#entry),
			rights: this.#get(this.#rights),
			noExecute: this.#get(this.#upper),
		});
		this.#giveUpIf(e.eqz(e.and(word, this.#needed)));
		this.#displace(first);
		this.#put(first, page, word);
		this.#note(2, e.i32(1));
		const number = e.shrU(this.#get(this.#physical), e.i32(12));
		const one = expr(e.i32(1));
		this.#code.store("i32.store8", expr(number), one, TOUCHED_MAP_BASE);
		e.writeState(TLB_FILLS, e.add(e.readState(TLB_FILLS) as I64, e.i64(1)));
		this.#code.return(expr(word));
	}

	// The walk

	#walk(tables: I32): void {
		const e = this.#e;
		const code = this.#code;
		code.set(this.#rights, expr(e.i32(-1)));
		code.set(this.#upper, expr(e.i32(0)));
		code.set(this.#entry, expr(e.readState(CR3, 0, 0, 4) as I32));
		const middle = e.or(
			e.shrU(this.#low, e.i32(30)),
			e.shl(this.#high, e.i32(2)),
		);
		const levels = [
			e.shrU(this.#high, e.i32(7)),
			middle,
			e.shrU(this.#low, e.i32(21)),
			e.shrU(this.#low, e.i32(12)),
		];
		code.block((done) => {
			for (const [level, number] of levels.entries()) {
				this.#readEntry(number);
				if (level === 3) break;
				const large = e.and(this.#get(this.#entry), e.i32(ENTRY_PS));
				if (level < 2) this.#giveUpIf(large);
				else {
					code.if(expr(large), () => {
						const entry = this.#get(this.#entry);
						this.#giveUpIf(e.and(entry, e.i32(LARGE_RESERVED)));
						const start = e.and(entry, e.i32(LARGE_ADDRESS));
						const inside = e.and(this.#low, e.i32(~LARGE_ADDRESS & -PAGE));
						code.set(this.#physical, expr(e.or(start, inside)));
						code.br(done);
					});
				}
			}
			const leaf = this.#get(this.#entry);
			code.set(this.#physical, expr(e.and(leaf, e.i32(-PAGE))));
		});
		// Addresses beyond 4 GiB, reserved bits, NX where it is not enabled.
		const nx = e.and(tables, e.i32(TABLES_NX));
		const allowed = e.select(nx, e.i32(~HIGH_NX), e.i32(-1));
		this.#giveUpIf(e.and(this.#get(this.#upper), allowed));
		const physical = this.#get(this.#physical);
		this.#giveUpIf(e.geU(physical, this.#ramBytes));
	}

	/** Reads the entry of that number (modulo 512) of the table that the last entry names. */
	#readEntry(number: I32): void {
		const e = this.#e;
		const code = this.#code;
		const table = e.let(e.and(this.#get(this.#entry), e.i32(-PAGE)));
		this.#giveUpIf(e.geU(table, this.#ramBytes));
		const index = e.and(e.shl(number, e.i32(3)), e.i32(0xff8));
		const at = expr(e.let(e.add(table, index)));
		code.set(this.#entry, load("i32.load", at, RAM_BASE));
		const high = load("i32.load", at, RAM_BASE + 4) as I32;
		code.set(this.#upper, expr(e.or(this.#get(this.#upper), high)));
		const entry = this.#get(this.#entry);
		const used = e.i32(ENTRY_P | ENTRY_A);
		this.#giveUpIf(e.ne(e.and(entry, used), used));
		code.set(this.#rights, expr(e.and(this.#get(this.#rights), entry)));
	}

	// The TLB: what `WideTlb` does

	#isHere(place: I32, page: I64): I32 {
		const e = this.#e;
		const same = e.eq(this.#tagAt(place), page);
		return e.and(same, e.ne(this.#wordAt(place), e.i32(0)));
	}

	/** Moves what is in the first half to its place in the second. */
	#displace(from: I32): void {
		const e = this.#e;
		const word = e.let(this.#wordAt(from));
		this.#code.if(expr(word), () => {
			const page = e.let(this.#tagAt(from));
			const to = e.let(secondPlace(e, page));
			const lost = e.let(this.#wordAt(to));
			this.#code.if(expr(lost), () => {
				const start = e.and(lost, e.i32(-PAGE));
				const host = e.add(start, e.wrap(this.#tagAt(to)));
				const number = e.shrU(e.sub(host, e.i32(RAM_BASE)), e.i32(12));
				const isCode = load("i32.load8_u", expr(number), CODE_MAP_BASE) as I32;
				this.#code.if(expr(isCode), () => this.#note(1, e.i32(1)));
				// A page that comes back may have another frame: nothing of this one may stay.
				emitForgetMemos(e);
			});
			this.#put(to, page, word);
		});
	}

	#put(place: I32, page: I64, word: I32): void {
		const e = this.#e;
		const before = e.let(this.#wordAt(place));
		const isLocal = (entry: I32) => e.eqz(e.and(entry, e.i32(TLB_GLOBAL)));
		const isNoted = e.and(e.ne(before, e.i32(0)), isLocal(before));
		this.#code.if(expr(e.and(isLocal(word), e.eqz(isNoted))), () =>
			this.#remember(place),
		);
		this.#code.store("i64.store", expr(place), expr(page), WIDE_TLB_BASE);
		const store = (value: I32, offset: number) => {
			const at = WIDE_TLB_BASE + offset;
			this.#code.store("i32.store", expr(place), expr(value), at);
		};
		store(word, WIDE_WORD);
		store(e.and(word, e.i32(-PAGE)), WIDE_DISTANCE);
	}

	/** Notes the index of an entry's first word, if there is room for it. */
	#remember(place: I32): void {
		const e = this.#e;
		const count = load("i32.load", expr(e.i32(0)), WIDE_TLB_NOTES) as I32;
		const used = e.let(count);
		const most = e.i32(WIDE_TLB_MOST_USED);
		this.#code.if(expr(e.ltU(used, most)), () => {
			const at = e.shl(used, e.i32(2));
			const index = e.shrU(place, e.i32(2));
			this.#code.store("i32.store", expr(at), expr(index), WIDE_TLB_USED_BASE);
		});
		const isMore = e.leU(used, most);
		this.#note(0, e.add(used, isMore));
	}

	#note(which: number, value: I32): void {
		const at = WIDE_TLB_NOTES + 4 * which;
		this.#code.store("i32.store", expr(this.#e.i32(0)), expr(value), at);
	}

	#tagAt(place: I32): I64 {
		return load("i64.load", expr(place), WIDE_TLB_BASE) as I64;
	}

	#wordAt(place: I32): I32 {
		return load("i32.load", expr(place), WIDE_TLB_BASE + WIDE_WORD) as I32;
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
