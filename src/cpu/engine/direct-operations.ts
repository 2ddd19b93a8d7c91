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
	EFLAGS_ARITHMETIC,
	EFLAGS_DF,
	EFLAGS_ID,
	EFLAGS_IF,
	EFLAGS_IOPL,
	EFLAGS_RF,
	EFLAGS_VM,
} from "../flags.ts";
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
	GPR,
	INTERRUPT_PENDING,
	NMI_BLOCKED,
	RIP,
	SEGMENT_UNUSABLE,
	SYSENTER_CS,
	SYSENTER_EIP,
	SYSENTER_ESP,
	SYSTEM_RESULT,
	TIME_IS_REAL,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import {
	CS,
	DirectOperation,
	FOUR_GIB,
	HIGH_ATTRIBUTES,
	KERNEL_CODE,
	KERNEL_DATA,
	NOT_HERE,
	PAGE,
	RARE_FLAGS,
	RSP,
	SELECTOR_RPL,
	SS,
	USER_CODE,
	USER_DATA,
	WIDEST_ACCESS_TAIL,
} from "./direct-operation.ts";
import { SYSTEM_NUMBERS } from "./instruction-emitter.ts";
import { pageFaultDelivery } from "./page-fault-delivery.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { STATUS_JUMP, STATUS_NEXT } from "./status.ts";

/** Segment registers by number. */
const ES = 0;
const DS = 3;
const FS = 4;
const GS = 5;
const RCX = 1;
const RDX = 2;

/** P, S, code, expand-down and accessed, and what they are in data that grows up. */
const DATA_MASK = 0x9d00;
const DATA_BITS = 0x9100;
const HIGH_WRITABLE = 0x200;
const HIGH_GRANULAR = 0x80_0000;
const ATTRIBUTE_DPL_SHIFT = 5;
const HIGH_DPL_SHIFT = 13;

/** What a return at level 0 takes from the image; see `interrupt-return.ts`. */
const RETURN_FLAGS =
	EFLAGS_ARITHMETIC |
	EFLAGS_DF |
	EFLAGS_ID |
	EFLAGS_IF |
	EFLAGS_IOPL |
	EFLAGS_RF;

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
	// Each with what of the state says that it may be done here; see `Cpu`.
	const direct: [SystemOperationName, Field, (o: Operation) => void][] = [
		["LOAD_SEGMENT", DIRECT, (o) => o.loadSegment()],
		["SYSENTER", DIRECT, (o) => o.sysenter()],
		["SYSEXIT", DIRECT, (o) => o.sysexit()],
		["IRET", DIRECT, (o) => o.interruptReturn()],
		["MOV_FROM_CR", DIRECT, (o) => o.moveFromControl()],
		["RDTSC", TIME_IS_REAL, (o) => o.readTimeStampCounter(slow)],
	];
	const types = ["i32", "i32", "i32", "i32"] as const;
	const quick = direct.map(([name, permission, emit]) => {
		const code = new FunctionBuilder(types.slice(1), ["i32"]);
		const operation = new Operation(code, context, fill);
		operation.require(permission);
		emit(operation);
		const ref = module.declareFunction(types.slice(1), ["i32"], name);
		module.defineFunction(ref, code);
		return [SYSTEM_NUMBERS.get(name) as number, ref] as const;
	});
	const deliver = module.declareFunction([], ["i32"], "deliver");
	module.defineFunction(deliver, pageFaultDelivery(context, fill));
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
	return [system, deliver, ...quick.map(([, ref]) => ref)];
}

/** Each is called with what its system operation is called with. */
class Operation extends DirectOperation {
	/** (segment, selector): DS and ES if they stay flat, FS and GS as they come. */
	loadSegment(): void {
		const e = this.e;
		const [segment, whole] = this.parameters as [I32, I32];
		const selector = e.let(e.and(whole, e.i32(0xffff)));
		const isSpare = e.let(e.geU(segment, e.i32(FS)));
		this.giveUpIf(e.eq(segment, e.i32(SS)));
		const isNull = e.eqz(e.and(selector, e.i32(0xfffc)));
		this.code.if(expr(isNull), () => {
			this.giveUpIf(e.eqz(isSpare));
			const zero = e.i32(0);
			this.setSegment(segment, selector, zero, zero, e.i32(SEGMENT_UNUSABLE));
			this.setSafe(segment, zero, zero);
			this.done(STATUS_NEXT);
		});
		const host = this.descriptor(selector);
		const low = e.let(load("i32.load", expr(host)) as I32);
		const high = e.let(load("i32.load", expr(host), 4) as I32);
		const kind = e.and(high, e.i32(DATA_MASK));
		this.giveUpIf(e.ne(kind, e.i32(DATA_BITS)));
		const dpl = e.let(e.and(e.shrU(high, e.i32(HIGH_DPL_SHIFT)), e.i32(3)));
		const rpl = e.and(selector, e.i32(SELECTOR_RPL));
		this.giveUpIf(e.ltU(dpl, rpl));
		this.giveUpIf(e.ltU(dpl, e.readState(CPL) as I32));
		const base = e.let(baseOf(e, low, high));
		const limit = e.let(limitOf(e, low, high));
		const writable = e.let(e.and(high, e.i32(HIGH_WRITABLE)));
		const isFlat = e.and(
			e.and(e.eqz(base), e.eq(limit, e.i32(FOUR_GIB))),
			e.ne(writable, e.i32(0)),
		);
		this.giveUpIf(e.eqz(e.or(isSpare, isFlat)));
		const attributes = e.and(e.shrU(high, e.i32(8)), e.i32(HIGH_ATTRIBUTES));
		this.setSegment(segment, selector, base, limit, attributes);
		const tail = e.i32(WIDEST_ACCESS_TAIL);
		const hasRoom = e.gtU(limit, tail);
		const safe = e.let(e.select(hasRoom, e.sub(limit, tail), e.i32(0)));
		this.setSafe(segment, safe, e.select(writable, safe, e.i32(0)));
		this.done(STATUS_NEXT);
	}

	sysenter(): void {
		const e = this.e;
		const selector = this.#fastCallSelector();
		this.#setFlags(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF, e.i32(0));
		this.setFlat(CS, selector, KERNEL_CODE);
		this.setFlat(SS, e.add(selector, e.i32(8)), KERNEL_DATA);
		this.setLevel(0);
		this.setSlot(GPR, e.readState(SYSENTER_ESP, 0, 0, 4) as I32, RSP);
		this.setSlot(RIP, e.readState(SYSENTER_EIP, 0, 0, 4) as I32);
		this.done(STATUS_JUMP);
	}

	/** (operand size in bits) */
	sysexit(): void {
		const e = this.e;
		const [sizeBits] = this.parameters as [I32];
		this.giveUpIf(e.ne(sizeBits, e.i32(32)));
		this.giveUpIf(e.readState(CPL) as I32);
		const eflags = e.readState(EFLAGS) as I32;
		this.giveUpIf(e.and(eflags, e.i32(RARE_FLAGS)));
		const selector = this.#fastCallSelector();
		this.setFlat(CS, e.or(e.add(selector, e.i32(16)), e.i32(3)), USER_CODE);
		this.setFlat(SS, e.or(e.add(selector, e.i32(24)), e.i32(3)), USER_DATA);
		this.setLevel(3);
		this.setSlot(GPR, e.readState(GPR, RCX, 0, 4) as I32, RSP);
		this.setSlot(RIP, e.readState(GPR, RDX, 0, 4) as I32);
		this.done(STATUS_JUMP);
	}

	/** (operand size in bits): from level 0, to itself or to level 3. */
	interruptReturn(): void {
		const e = this.e;
		const [sizeBits] = this.parameters as [I32];
		this.giveUpIf(e.ne(sizeBits, e.i32(32)));
		this.giveUpIf(e.readState(CPL) as I32);
		this.giveUpIf(e.readState(INTERRUPT_PENDING) as I32);
		const eflags = e.readState(EFLAGS) as I32;
		this.giveUpIf(e.and(eflags, e.i32(RARE_FLAGS)));
		const pointer = e.readState(GPR, RSP, 0, 4) as I32;
		const frame = this.supervisorMemory(pointer, 20);
		const word = (at: number) =>
			e.let(load("i32.load", expr(frame), at) as I32);
		const image = word(8);
		this.giveUpIf(e.and(image, e.i32(RARE_FLAGS)));
		const selector = e.let(e.and(word(4), e.i32(0xffff)));
		const level = e.let(e.and(selector, e.i32(SELECTOR_RPL)));
		const above = e.add(pointer, e.i32(12));
		this.code.if(
			expr(level),
			() => this.#returnToUser(level, selector, word),
			() => {
				this.requireFlat(selector, KERNEL_CODE);
				this.setFlat(CS, selector, KERNEL_CODE);
				this.setSlot(GPR, above, RSP);
			},
		);
		this.setSlot(RIP, word(0));
		e.writeState(NMI_BLOCKED, e.i32(0));
		// RF matters to breakpoints only, and none is armed.
		e.writeEflags(e.and(image, e.i32(~EFLAGS_RF)), e.i32(RETURN_FLAGS));
		this.done(STATUS_JUMP);
	}

	/** TypeScript is asked, but not for all that surrounds it; nothing but time comes of it. */
	readTimeStampCounter(slow: FunctionRef): void {
		const e = this.e;
		const number = e.i32(SYSTEM_NUMBERS.get("RDTSC") as number);
		const args = [number, e.i32(0), e.i32(0), e.i32(0)];
		this.code.return(call(slow, ...args.map(expr)));
	}

	/** (register) */
	moveFromControl(): void {
		const e = this.e;
		const [number] = this.parameters as [I32];
		this.giveUpIf(e.readState(CPL) as I32);
		const registers: [number, Field][] = [
			[2, CR2],
			[0, CR0],
			[3, CR3],
			[4, CR4],
		];
		for (const [known, field] of registers) {
			this.code.if(expr(e.eq(number, e.i32(known))), () => {
				this.setSlot(SYSTEM_RESULT, e.readState(field, 0, 0, 4) as I32);
				this.done(STATUS_NEXT);
			});
		}
		this.done(NOT_HERE);
	}

	/** The second half of a return: SS:ESP, and no inner data left behind. */
	#returnToUser(level: I32, selector: I32, word: (at: number) => I32): void {
		const e = this.e;
		this.giveUpIf(e.ne(level, e.i32(3)));
		const stack = e.let(e.and(word(16), e.i32(0xffff)));
		const stackLevel = e.and(stack, e.i32(SELECTOR_RPL));
		this.giveUpIf(e.ne(stackLevel, e.i32(3)));
		for (const segment of [ES, DS, FS, GS]) {
			const attributes = this.attributes(segment);
			const dpl = e.and(attributes, e.i32(3 << ATTRIBUTE_DPL_SHIFT));
			const isOuter = e.eq(dpl, e.i32(3 << ATTRIBUTE_DPL_SHIFT));
			const isNull = e.ne(e.and(attributes, e.i32(SEGMENT_UNUSABLE)), e.i32(0));
			this.giveUpIf(e.eqz(e.or(isOuter, isNull)));
		}
		this.requireFlat(selector, USER_CODE);
		this.requireFlat(stack, USER_DATA);
		this.setFlat(CS, selector, USER_CODE);
		this.setFlat(SS, stack, USER_DATA);
		this.setLevel(3);
		this.setSlot(GPR, word(12), RSP);
	}

	/** The selector in IA32_SYSENTER_CS, not null. */
	#fastCallSelector(): I32 {
		const e = this.e;
		const msr = e.readState(SYSENTER_CS, 0, 0, 4) as I32;
		const selector = e.let(e.and(msr, e.i32(0xfffc)));
		this.giveUpIf(e.eqz(selector));
		return selector;
	}

	#setFlags(cleared: number, set: I32): void {
		const e = this.e;
		const kept = e.and(e.readState(EFLAGS) as I32, e.i32(~cleared));
		e.writeState(EFLAGS, e.or(kept, set));
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
