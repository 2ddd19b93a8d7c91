/**
 * A TLB's word (`mmu/tlb.ts`) out of the entries of page tables, as generated
 * code: what `mmu/page-walk.ts` and `mmu.ts` make of them, for pages of RAM.
 *
 * @journey E:514 From rights to bits
 */

import { load } from "../../wasm/expression.ts";
import { CODE_MAP_BASE, RAM_BASE } from "../memory-layout.ts";
import {
	TLB_ALL,
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_GLOBAL,
	TLB_READ_USER,
	TLB_WRITE,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import type { I32 } from "../semantics/emitter.ts";
import { CR0, CR4 } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";

const PAGE = 4096;
const CR0_WP = 1 << 16;
const CR4_PGE = 1 << 7;
export const ENTRY_P = 1 << 0;
const ENTRY_RW = 1 << 1;
const ENTRY_US = 1 << 2;
export const ENTRY_A = 1 << 5;
const ENTRY_D = 1 << 6;
export const ENTRY_PS = 1 << 7;
const ENTRY_G = 1 << 8;

/** A page that has been found. */
export interface FoundPage {
	/** Lower half of the linear address. */
	readonly linear: I32;
	readonly physical: I32;
	/** Lower half of the entry that maps it. */
	readonly leaf: I32;
	/** What all entries on the way have in common. */
	readonly rights: I32;
	/** Non-zero if it must not be executed. */
	readonly noExecute: I32;
}

export function tlbWord(e: StateEmitter, page: FoundPage): I32 {
	const { leaf, physical, rights } = page;
	const lacks = (bit: number, flags: number): I32 =>
		e.select(e.and(rights, e.i32(bit)), e.i32(0), e.i32(flags));
	const user = TLB_READ_USER | TLB_WRITE_USER | TLB_EXECUTE_USER;
	const protects = e.and(e.readState(CR0, 0, 0, 4) as I32, e.i32(CR0_WP));
	const readOnly = e.select(
		protects,
		lacks(ENTRY_RW, TLB_WRITE),
		lacks(ENTRY_RW, TLB_WRITE_USER),
	);
	const number = e.shrU(physical, e.i32(12));
	const code = load("i32.load8_u", expr(number), CODE_MAP_BASE) as I32;
	const clean = e.eqz(e.and(leaf, e.i32(ENTRY_D)));
	const guarded = e.select(e.or(clean, code), e.i32(TLB_WRITE), e.i32(0));
	const execute = TLB_EXECUTE_USER | TLB_EXECUTE_SUPERVISOR;
	const noExecute = e.select(page.noExecute, e.i32(execute), e.i32(0));
	const refused = [lacks(ENTRY_US, user), readOnly, guarded, noExecute];
	const flags = refused.reduce(
		(rest, some) => e.and(rest, e.xor(some, e.i32(-1))),
		e.i32(TLB_ALL),
	);
	const host = e.add(physical, e.i32(RAM_BASE));
	const distance = e.sub(host, e.and(page.linear, e.i32(-PAGE)));
	return e.let(e.or(e.or(distance, flags), globalBit(e, leaf)));
}

/** TLB_GLOBAL or 0, for the entry that maps a page. */
export function globalBit(e: StateEmitter, leaf: I32): I32 {
	const enabled = e.shl(e.readState(CR4, 0, 0, 4) as I32, e.i32(1));
	return e.and(e.and(leaf, e.i32(ENTRY_G)), enabled);
}

// The shift above puts CR4.PGE where an entry has its G bit, and the TLB its own.
if (CR4_PGE << 1 !== ENTRY_G || TLB_GLOBAL !== ENTRY_G) {
	throw new Error("PGE is not beside G");
}
