/**
 * System operations without leaving generated code: what every system call and
 * every return from an interrupt does, in the case that present-day kernels
 * make of it (flat 32-bit segments from the GDT, accessed before, nothing to
 * be traced or woken). Anything else, faults included, is for `system/`, which
 * this never contradicts.
 *
 * A system call loads four segment registers, enters and leaves; as calls to
 * TypeScript, each with a turn of the run loop for those that change level,
 * that is most of what a small one costs.
 *
 * None of these changes the mode key: code that was flat stays flat, and goes
 * on in the engine that it came from.
 *
 * @journey E:577 The counter's quick window
 */

import { call, load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import {
	EFLAGS_AC,
	EFLAGS_ARITHMETIC,
	EFLAGS_DF,
	EFLAGS_ID,
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_NT,
	EFLAGS_RF,
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
import type { SystemOperationName } from "../semantics/system-operations.ts";
import {
	CPL,
	CR0,
	CR2,
	CR3,
	CR4,
	DIRECT,
	EFLAGS,
	type Field,
	GDTR_BASE,
	GDTR_LIMIT,
	GPR,
	INTERRUPT_PENDING,
	NMI_BLOCKED,
	RIP,
	SEGMENT,
	SEGMENT_ATTRIBUTES,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	SEGMENT_READ_SAFE,
	SEGMENT_SELECTOR,
	SEGMENT_UNUSABLE,
	SEGMENT_WRITE_SAFE,
	SYSENTER_CS,
	SYSENTER_EIP,
	SYSENTER_ESP,
	SYSTEM_RESULT,
	TIME_IS_REAL,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { SYSTEM_NUMBERS } from "./instruction-emitter.ts";
import { emitForgetMemos } from "./page-memo.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { STATUS_JUMP, STATUS_NEXT } from "./status.ts";
import { tlbWord } from "./tlb-lookup.ts";

const PAGE = 4096;
/** Segment registers by number. */
const ES = 0;
const CS = 1;
const SS = 2;
const DS = 3;
const FS = 4;
const GS = 5;
const RCX = 1;
const RDX = 2;
const RSP = 4;

/** In a selector: the local table; all but the RPL. */
const SELECTOR_LDT = 4;
const SELECTOR_RPL = 3;
const SELECTOR_INDEX = 0xfff8;

/** High halves of the four flat descriptors (Intel SDM vol. 3, "Segment Descriptors"): 4 GiB, 32-bit, present, accessed. */
const KERNEL_CODE = 0x00cf_9b00;
const KERNEL_DATA = 0x00cf_9300;
const USER_CODE = 0x00cf_fb00;
const USER_DATA = 0x00cf_f300;
/** The low half of each: base 0 and limit 0xffff. */
const FLAT_LOW = 0xffff;
const HIGH_ATTRIBUTES = 0xf0ff;
/** P, S, code, expand-down and accessed, and what they are in data that grows up. */
const DATA_MASK = 0x9d00;
const DATA_BITS = 0x9100;
const HIGH_WRITABLE = 0x200;
const HIGH_GRANULAR = 0x80_0000;
const ATTRIBUTE_DPL_SHIFT = 5;
const HIGH_DPL_SHIFT = 13;

const FOUR_GIB = -1;
/** A 16-byte access at the last safe offset ends at the limit; see `segments.ts`. */
const WIDEST_ACCESS_TAIL = 14;
const FLAT_SAFE = FOUR_GIB - WIDEST_ACCESS_TAIL;

/** What a return at level 0 takes from the image; see `interrupt-return.ts`. */
const RETURN_FLAGS =
	EFLAGS_ARITHMETIC |
	EFLAGS_DF |
	EFLAGS_ID |
	EFLAGS_IF |
	EFLAGS_IOPL |
	EFLAGS_RF;
/** In the image or before: somebody has to look. */
const RARE_FLAGS =
	EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_VM | EFLAGS_VIF | EFLAGS_VIP;

/** A status no operation has: not done, nothing changed. */
const NOT_HERE = -1;

type Parameters = readonly I32[];

/** Those that hot code calls by themselves; see `RegionContext.direct`. */
export const DIRECT_IN_REGIONS = [
	...(["LOAD_SEGMENT", "MOV_FROM_CR", "RDTSC"] as const),
];
/** Those of them that 64-bit code calls, too. */
export const DIRECT_IN_LONG_REGIONS: ReadonlySet<string> = new Set(["RDTSC"]);

/**
 * Adds them to a module, and `system`: as `InstructionContext.system`, asking
 * the slow one where it must. `fill` is that of `tlb-fill.ts`. By themselves
 * they are functions (a, b, c) → STATUS_NEXT, or another status and nothing has
 * happened.
 */
export function defineDirectOperations(
	module: ModuleBuilder,
	context: CodeContext,
	fill: FunctionRef,
	slow: FunctionRef,
): readonly FunctionRef[] {
	const direct: [SystemOperationName, (o: Operation) => void][] = [
		["LOAD_SEGMENT", (o) => o.loadSegment()],
		["SYSENTER", (o) => o.sysenter()],
		["SYSEXIT", (o) => o.sysexit()],
		["IRET", (o) => o.interruptReturn()],
		["MOV_FROM_CR", (o) => o.moveFromControl()],
		["RDTSC", (o) => o.readTimeStampCounter(slow)],
	];
	const types = ["i32", "i32", "i32", "i32"] as const;
	const quick = direct.map(([name, emit]) => {
		const code = new FunctionBuilder(types.slice(1), ["i32"]);
		const operation = new Operation(code, context, fill);
		if (name !== "RDTSC") operation.requireDirect();
		emit(operation);
		const ref = module.declareFunction(types.slice(1), ["i32"], name);
		module.defineFunction(ref, code);
		return [SYSTEM_NUMBERS.get(name) as number, ref] as const;
	});
	const code = new FunctionBuilder(types, ["i32"]);
	const e = new StateEmitter(code, context);
	const parameter = (index: number) =>
		localGet(code.param(index)) as Value as I32;
	const [number, ...rest] = types.map((_, i) => parameter(i)) as [
		I32,
		...I32[],
	];
	for (const [known, ref] of quick) {
		code.if(expr(e.eq(number, e.i32(known))), () => {
			const status = e.let(call(ref, ...rest.map(expr)) as Value as I32);
			const isDone = e.ne(status, e.i32(NOT_HERE));
			code.if(expr(isDone), () => code.return(expr(status)));
		});
	}
	code.return(call(slow, ...[number, ...rest].map(expr)));
	const system = module.declareFunction(types, ["i32"], "system");
	module.defineFunction(system, code);
	return [system, ...quick.map(([, ref]) => ref)];
}

/** One function: checks first, each of which may give up, then changes. */
class Operation {
	readonly #code: FunctionBuilder;
	readonly #e: StateEmitter;
	readonly #parameters: Parameters;
	readonly #fill: FunctionRef;

	constructor(code: FunctionBuilder, context: CodeContext, fill: FunctionRef) {
		this.#code = code;
		this.#fill = fill;
		this.#e = new StateEmitter(code, context);
		this.#parameters = [0, 1, 2].map(
			(index) => localGet(code.param(index)) as Value as I32,
		);
	}

	/** Whether any of it may be done here is said elsewhere; see `Cpu`. */
	requireDirect(): void {
		this.#giveUpIf(this.#e.eqz(this.#e.readState(DIRECT) as I32));
	}

	/** (segment, selector): DS and ES if they stay flat, FS and GS as they come. */
	loadSegment(): void {
		const e = this.#e;
		const [segment, whole] = this.#parameters as [I32, I32];
		const selector = e.let(e.and(whole, e.i32(0xffff)));
		const isSpare = e.let(e.geU(segment, e.i32(FS)));
		this.#giveUpIf(e.eq(segment, e.i32(SS)));
		const isNull = e.eqz(e.and(selector, e.i32(0xfffc)));
		this.#code.if(expr(isNull), () => {
			this.#giveUpIf(e.eqz(isSpare));
			const zero = e.i32(0);
			this.#setSegment(segment, selector, zero, zero, e.i32(SEGMENT_UNUSABLE));
			this.#setSafe(segment, zero, zero);
			this.#done(STATUS_NEXT);
		});
		const host = this.#descriptor(selector);
		const low = e.let(load("i32.load", expr(host)) as I32);
		const high = e.let(load("i32.load", expr(host), 4) as I32);
		const kind = e.and(high, e.i32(DATA_MASK));
		this.#giveUpIf(e.ne(kind, e.i32(DATA_BITS)));
		const dpl = e.let(e.and(e.shrU(high, e.i32(HIGH_DPL_SHIFT)), e.i32(3)));
		const rpl = e.and(selector, e.i32(SELECTOR_RPL));
		this.#giveUpIf(e.ltU(dpl, rpl));
		this.#giveUpIf(e.ltU(dpl, e.readState(CPL) as I32));
		const base = e.let(baseOf(e, low, high));
		const limit = e.let(limitOf(e, low, high));
		const writable = e.let(e.and(high, e.i32(HIGH_WRITABLE)));
		const isFlat = e.and(
			e.and(e.eqz(base), e.eq(limit, e.i32(FOUR_GIB))),
			e.ne(writable, e.i32(0)),
		);
		this.#giveUpIf(e.eqz(e.or(isSpare, isFlat)));
		const attributes = e.and(e.shrU(high, e.i32(8)), e.i32(HIGH_ATTRIBUTES));
		this.#setSegment(segment, selector, base, limit, attributes);
		const tail = e.i32(WIDEST_ACCESS_TAIL);
		const hasRoom = e.gtU(limit, tail);
		const safe = e.let(e.select(hasRoom, e.sub(limit, tail), e.i32(0)));
		this.#setSafe(segment, safe, e.select(writable, safe, e.i32(0)));
		this.#done(STATUS_NEXT);
	}

	sysenter(): void {
		const e = this.#e;
		const selector = this.#fastCallSelector();
		this.#setFlags(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF, e.i32(0));
		this.#setFlat(CS, selector, KERNEL_CODE);
		this.#setFlat(SS, e.add(selector, e.i32(8)), KERNEL_DATA);
		this.#setLevel(0);
		this.#setSlot(GPR, e.readState(SYSENTER_ESP, 0, 0, 4) as I32, RSP);
		this.#setSlot(RIP, e.readState(SYSENTER_EIP, 0, 0, 4) as I32);
		this.#done(STATUS_JUMP);
	}

	/** (operand size in bits) */
	sysexit(): void {
		const e = this.#e;
		const [sizeBits] = this.#parameters as [I32];
		this.#giveUpIf(e.ne(sizeBits, e.i32(32)));
		this.#giveUpIf(e.readState(CPL) as I32);
		const eflags = e.readState(EFLAGS) as I32;
		this.#giveUpIf(e.and(eflags, e.i32(RARE_FLAGS)));
		const selector = this.#fastCallSelector();
		this.#setFlat(CS, e.or(e.add(selector, e.i32(16)), e.i32(3)), USER_CODE);
		this.#setFlat(SS, e.or(e.add(selector, e.i32(24)), e.i32(3)), USER_DATA);
		this.#setLevel(3);
		this.#setSlot(GPR, e.readState(GPR, RCX, 0, 4) as I32, RSP);
		this.#setSlot(RIP, e.readState(GPR, RDX, 0, 4) as I32);
		this.#done(STATUS_JUMP);
	}

	/** (operand size in bits): from level 0, to itself or to level 3. */
	interruptReturn(): void {
		const e = this.#e;
		const [sizeBits] = this.#parameters as [I32];
		this.#giveUpIf(e.ne(sizeBits, e.i32(32)));
		this.#giveUpIf(e.readState(CPL) as I32);
		this.#giveUpIf(e.readState(INTERRUPT_PENDING) as I32);
		const eflags = e.readState(EFLAGS) as I32;
		this.#giveUpIf(e.and(eflags, e.i32(RARE_FLAGS)));
		const pointer = e.readState(GPR, RSP, 0, 4) as I32;
		const frame = this.#supervisorMemory(pointer, 20);
		const word = (at: number) =>
			e.let(load("i32.load", expr(frame), at) as I32);
		const image = word(8);
		this.#giveUpIf(e.and(image, e.i32(RARE_FLAGS)));
		const selector = e.let(e.and(word(4), e.i32(0xffff)));
		const level = e.let(e.and(selector, e.i32(SELECTOR_RPL)));
		const above = e.add(pointer, e.i32(12));
		this.#code.if(
			expr(level),
			() => this.#returnToUser(level, selector, word),
			() => {
				this.#requireFlat(selector, KERNEL_CODE);
				this.#setFlat(CS, selector, KERNEL_CODE);
				this.#setSlot(GPR, above, RSP);
			},
		);
		this.#setSlot(RIP, word(0));
		e.writeState(NMI_BLOCKED, e.i32(0));
		// RF matters to breakpoints only, and none is armed.
		e.writeEflags(e.and(image, e.i32(~EFLAGS_RF)), e.i32(RETURN_FLAGS));
		this.#done(STATUS_JUMP);
	}

	/** (register) */
	/** TypeScript is asked, but not for all that surrounds it; nothing but time comes of it. */
	readTimeStampCounter(slow: FunctionRef): void {
		const e = this.#e;
		this.#giveUpIf(e.eqz(e.readState(TIME_IS_REAL) as I32));
		const number = e.i32(SYSTEM_NUMBERS.get("RDTSC") as number);
		const args = [number, e.i32(0), e.i32(0), e.i32(0)];
		this.#code.return(call(slow, ...args.map(expr)));
	}

	moveFromControl(): void {
		const e = this.#e;
		const [number] = this.#parameters as [I32];
		this.#giveUpIf(e.readState(CPL) as I32);
		const registers: [number, Field][] = [
			[2, CR2],
			[0, CR0],
			[3, CR3],
			[4, CR4],
		];
		for (const [known, field] of registers) {
			this.#code.if(expr(e.eq(number, e.i32(known))), () => {
				this.#setSlot(SYSTEM_RESULT, e.readState(field, 0, 0, 4) as I32);
				this.#done(STATUS_NEXT);
			});
		}
		this.#done(NOT_HERE);
	}

	/** The second half of a return: SS:ESP, and no inner data left behind. */
	#returnToUser(level: I32, selector: I32, word: (at: number) => I32): void {
		const e = this.#e;
		this.#giveUpIf(e.ne(level, e.i32(3)));
		const stack = e.let(e.and(word(16), e.i32(0xffff)));
		const stackLevel = e.and(stack, e.i32(SELECTOR_RPL));
		this.#giveUpIf(e.ne(stackLevel, e.i32(3)));
		for (const segment of [ES, DS, FS, GS]) {
			const attributes = this.#attributes(segment);
			const dpl = e.and(attributes, e.i32(3 << ATTRIBUTE_DPL_SHIFT));
			const isOuter = e.eq(dpl, e.i32(3 << ATTRIBUTE_DPL_SHIFT));
			const isNull = e.ne(e.and(attributes, e.i32(SEGMENT_UNUSABLE)), e.i32(0));
			this.#giveUpIf(e.eqz(e.or(isOuter, isNull)));
		}
		this.#requireFlat(selector, USER_CODE);
		this.#requireFlat(stack, USER_DATA);
		this.#setFlat(CS, selector, USER_CODE);
		this.#setFlat(SS, stack, USER_DATA);
		this.#setLevel(3);
		this.#setSlot(GPR, word(12), RSP);
	}

	/** The selector in IA32_SYSENTER_CS, not null. */
	#fastCallSelector(): I32 {
		const e = this.#e;
		const msr = e.readState(SYSENTER_CS, 0, 0, 4) as I32;
		const selector = e.let(e.and(msr, e.i32(0xfffc)));
		this.#giveUpIf(e.eqz(selector));
		return selector;
	}

	/** Host address of a selector's descriptor in the GDT; null selectors are the caller's. */
	#descriptor(selector: I32): I32 {
		const e = this.#e;
		this.#giveUpIf(e.and(selector, e.i32(SELECTOR_LDT)));
		const last = e.or(selector, e.i32(7));
		this.#giveUpIf(e.gtU(last, e.readState(GDTR_LIMIT) as I32));
		const table = e.readState(GDTR_BASE, 0, 0, 4) as I32;
		const index = e.and(selector, e.i32(SELECTOR_INDEX));
		return this.#supervisorMemory(e.let(e.add(table, index)), 8);
	}

	/** Gives up unless the selector's descriptor is the flat one with this high half. */
	#requireFlat(selector: I32, flatHigh: number): void {
		const e = this.#e;
		this.#giveUpIf(e.eqz(e.and(selector, e.i32(0xfffc))));
		const host = this.#descriptor(selector);
		const low = load("i32.load", expr(host)) as I32;
		this.#giveUpIf(e.ne(low, e.i32(FLAT_LOW)));
		const high = load("i32.load", expr(host), 4) as I32;
		this.#giveUpIf(e.ne(high, e.i32(flatHigh)));
	}

	/** Host address of memory that level 0 may read, inside one page that the TLB has or can have. */
	#supervisorMemory(linear: I32, bytes: number): I32 {
		const e = this.#e;
		const offset = e.and(linear, e.i32(PAGE - 1));
		this.#giveUpIf(e.gtU(offset, e.i32(PAGE - bytes)));
		const entry = e.variable(tlbWord(e, linear));
		const needed = e.i32(TLB_READ_SUPERVISOR);
		this.#code.if(expr(e.eqz(e.and(entry.get(), needed))), () => {
			const filled = call(this.#fill, expr(linear), expr(needed));
			entry.set(filled as Value as I32);
			this.#giveUpIf(e.eqz(entry.get()));
		});
		return e.let(e.add(linear, e.and(entry.get(), e.i32(-PAGE))));
	}

	#attributes(segment: number): I32 {
		const field = this.#e.readState(SEGMENT, segment, SEGMENT_ATTRIBUTES, 4);
		return field as I32;
	}

	/** A flat segment; only code is not writable. */
	#setFlat(segment: number, selector: I32, flatHigh: number): void {
		const e = this.#e;
		const at = e.i32(segment);
		const attributes = e.i32((flatHigh >>> 8) & HIGH_ATTRIBUTES);
		this.#setSegment(at, selector, e.i32(0), e.i32(FOUR_GIB), attributes);
		const writable = segment === CS ? 0 : FLAT_SAFE;
		this.#setSafe(at, e.i32(FLAT_SAFE), e.i32(writable));
	}

	#setSegment(
		segment: I32,
		selector: I32,
		base: I32,
		limit: I32,
		attributes: I32,
	): void {
		const e = this.#e;
		const set = (byte: number, value: Value, size = 4) =>
			e.writeStateAt(SEGMENT, segment, byte, size, value);
		set(SEGMENT_SELECTOR, selector);
		set(SEGMENT_ATTRIBUTES, attributes);
		set(SEGMENT_BASE, e.extendU(base), 8);
		set(SEGMENT_LIMIT, limit);
	}

	#setSafe(segment: I32, read: I32, write: I32): void {
		const e = this.#e;
		e.writeStateAt(SEGMENT, segment, SEGMENT_READ_SAFE, 4, read);
		e.writeStateAt(SEGMENT, segment, SEGMENT_WRITE_SAFE, 4, write);
	}

	/** CPL, and what of the TLB it may use. */
	#setLevel(level: 0 | 3): void {
		const e = this.#e;
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

	#setFlags(cleared: number, set: I32): void {
		const e = this.#e;
		const kept = e.and(e.readState(EFLAGS) as I32, e.i32(~cleared));
		e.writeState(EFLAGS, e.or(kept, set));
	}

	/** A 64-bit slot from 32 bits. */
	#setSlot(field: Field, value: I32, index = 0): void {
		this.#e.writeState(field, this.#e.extendU(value), index);
	}

	#giveUpIf(condition: I32): void {
		this.#code.if(expr(condition), () => this.#done(NOT_HERE));
	}

	#done(status: number): void {
		this.#code.return(expr(this.#e.i32(status)));
	}
}

function baseOf(e: StateEmitter, low: I32, high: I32): I32 {
	const bottom = e.shrU(low, e.i32(16));
	const middle = e.shl(e.and(high, e.i32(0xff)), e.i32(16));
	const top = e.and(high, e.i32(0xff00_0000 | 0));
	return e.or(e.or(bottom, middle), top);
}

/** In bytes, G applied. */
function limitOf(e: StateEmitter, low: I32, high: I32): I32 {
	const raw = e.let(
		e.or(e.and(low, e.i32(0xffff)), e.and(high, e.i32(0xf_0000))),
	);
	const pages = e.or(e.shl(raw, e.i32(12)), e.i32(PAGE - 1));
	return e.select(e.and(high, e.i32(HIGH_GRANULAR)), pages, raw);
}
