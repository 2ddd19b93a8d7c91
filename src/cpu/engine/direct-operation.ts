/**
 * What operations have in common that generated code carries out by itself
 * (`direct-operations.ts`): looking before changing anything, flat segments,
 * memory that level 0 may use.
 *
 * @journey E:576 Looking before changing
 */

import { call, load, localGet } from "../../wasm/expression.ts";
import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import {
	EFLAGS_AC,
	EFLAGS_NT,
	EFLAGS_TF,
	EFLAGS_VIF,
	EFLAGS_VIP,
	EFLAGS_VM,
} from "../flags.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
} from "../mmu/tlb.ts";
import type { I32, Value } from "../semantics/emitter.ts";
import {
	CPL,
	type Field,
	GDTR_BASE,
	GDTR_LIMIT,
	SEGMENT,
	SEGMENT_ATTRIBUTES,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	SEGMENT_READ_SAFE,
	SEGMENT_SELECTOR,
	SEGMENT_WRITE_SAFE,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { emitForgetMemos } from "./page-memo.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { tlbWord } from "./tlb-lookup.ts";

export const PAGE = 4096;
/** Segment registers by number. */
export const CS = 1;
export const SS = 2;
export const RSP = 4;

/** In a selector: the local table; all but the RPL. */
const SELECTOR_LDT = 4;
export const SELECTOR_RPL = 3;
const SELECTOR_INDEX = 0xfff8;

/** High halves of the four flat descriptors (Intel SDM vol. 3, "Segment Descriptors"): 4 GiB, 32-bit, present, accessed. */
export const KERNEL_CODE = 0x00cf_9b00;
export const KERNEL_DATA = 0x00cf_9300;
export const USER_CODE = 0x00cf_fb00;
export const USER_DATA = 0x00cf_f300;
/** The low half of each: base 0 and limit 0xffff. */
const FLAT_LOW = 0xffff;
export const HIGH_ATTRIBUTES = 0xf0ff;
export const FOUR_GIB = -1;
/** A 16-byte access at the last safe offset ends at the limit; see `segments.ts`. */
export const WIDEST_ACCESS_TAIL = 14;
const FLAT_SAFE = FOUR_GIB - WIDEST_ACCESS_TAIL;

/** In the image or before: somebody has to look. */
export const RARE_FLAGS =
	EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_VM | EFLAGS_VIF | EFLAGS_VIP;

/** A status no operation has: not done, nothing changed. */
export const NOT_HERE = -1;

/** One function: checks first, each of which may give up, then changes. */
export class DirectOperation {
	protected readonly code: FunctionBuilder;
	protected readonly e: StateEmitter;
	/** What the function is called with. */
	protected readonly parameters: readonly I32[];
	readonly #fill: FunctionRef;

	/** `fill` is that of `tlb-fill.ts`. */
	constructor(code: FunctionBuilder, context: CodeContext, fill: FunctionRef) {
		this.code = code;
		this.#fill = fill;
		this.e = new StateEmitter(code, context);
		this.parameters = code.params.map(
			(_, index) => localGet(code.param(index)) as Value as I32,
		);
	}

	/** Gives up where that is zero. */
	require(permission: Field): void {
		this.giveUpIf(this.e.eqz(this.e.readState(permission) as I32));
	}

	/** Host address of a selector's descriptor in the GDT; null selectors are the caller's. */
	protected descriptor(selector: I32): I32 {
		const e = this.e;
		this.giveUpIf(e.and(selector, e.i32(SELECTOR_LDT)));
		const last = e.or(selector, e.i32(7));
		this.giveUpIf(e.gtU(last, e.readState(GDTR_LIMIT) as I32));
		const table = e.readState(GDTR_BASE, 0, 0, 4) as I32;
		const index = e.and(selector, e.i32(SELECTOR_INDEX));
		return this.supervisorMemory(e.let(e.add(table, index)), 8);
	}

	/** Gives up unless the selector's descriptor is the flat one with this high half. */
	protected requireFlat(selector: I32, flatHigh: number): void {
		const e = this.e;
		this.giveUpIf(e.eqz(e.and(selector, e.i32(0xfffc))));
		const host = this.descriptor(selector);
		const low = load("i32.load", expr(host)) as I32;
		this.giveUpIf(e.ne(low, e.i32(FLAT_LOW)));
		const high = load("i32.load", expr(host), 4) as I32;
		this.giveUpIf(e.ne(high, e.i32(flatHigh)));
	}

	/** Host address of memory that level 0 may read (or write), inside one page that the TLB has or can have. */
	protected supervisorMemory(
		linear: I32,
		bytes: number,
		right = TLB_READ_SUPERVISOR,
	): I32 {
		const e = this.e;
		const offset = e.and(linear, e.i32(PAGE - 1));
		this.giveUpIf(e.gtU(offset, e.i32(PAGE - bytes)));
		const entry = e.variable(tlbWord(e, linear));
		const needed = e.i32(right);
		this.code.if(expr(e.eqz(e.and(entry.get(), needed))), () => {
			const filled = call(this.#fill, expr(linear), expr(needed));
			entry.set(filled as Value as I32);
			this.giveUpIf(e.eqz(entry.get()));
		});
		return e.let(e.add(linear, e.and(entry.get(), e.i32(-PAGE))));
	}

	protected attributes(segment: number): I32 {
		const field = this.e.readState(SEGMENT, segment, SEGMENT_ATTRIBUTES, 4);
		return field as I32;
	}

	/** A flat segment; only code is not writable. */
	protected setFlat(segment: number, selector: I32, flatHigh: number): void {
		const e = this.e;
		const at = e.i32(segment);
		const attributes = e.i32((flatHigh >>> 8) & HIGH_ATTRIBUTES);
		this.setSegment(at, selector, e.i32(0), e.i32(FOUR_GIB), attributes);
		const writable = segment === CS ? 0 : FLAT_SAFE;
		this.setSafe(at, e.i32(FLAT_SAFE), e.i32(writable));
	}

	protected setSegment(
		segment: I32,
		selector: I32,
		base: I32,
		limit: I32,
		attributes: I32,
	): void {
		const e = this.e;
		const set = (byte: number, value: Value, size = 4) =>
			e.writeStateAt(SEGMENT, segment, byte, size, value);
		set(SEGMENT_SELECTOR, selector);
		set(SEGMENT_ATTRIBUTES, attributes);
		set(SEGMENT_BASE, e.extendU(base), 8);
		set(SEGMENT_LIMIT, limit);
	}

	protected setSafe(segment: I32, read: I32, write: I32): void {
		const e = this.e;
		e.writeStateAt(SEGMENT, segment, SEGMENT_READ_SAFE, 4, read);
		e.writeStateAt(SEGMENT, segment, SEGMENT_WRITE_SAFE, 4, write);
	}

	/** CPL, and what of the TLB it may use. */
	protected setLevel(level: 0 | 3): void {
		const e = this.e;
		const isUser = level === 3;
		const read = isUser ? TLB_READ_USER : TLB_READ_SUPERVISOR;
		const write = isUser ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR;
		const execute = isUser ? TLB_EXECUTE_USER : TLB_EXECUTE_SUPERVISOR;
		emitForgetMemos(e);
		e.writeState(CPL, e.i32(level));
		e.writeState(TLB_READ_MASK, e.i32(read));
		e.writeState(TLB_WRITE_MASK, e.i32(write));
		e.writeState(TLB_EXECUTE_MASK, e.i32(execute));
	}

	/** A 64-bit slot from 32 bits. */
	protected setSlot(field: Field, value: I32, index = 0): void {
		this.e.writeState(field, this.e.extendU(value), index);
	}

	protected giveUpIf(condition: I32): void {
		this.code.if(expr(condition), () => this.done(NOT_HERE));
	}

	protected done(status: number): void {
		this.code.return(expr(this.e.i32(status)));
	}
}
