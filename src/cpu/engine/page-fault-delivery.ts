/**
 * Page faults without leaving generated code, in the case that present-day
 * kernels make of them: a 32-bit gate to flat code of level 0, on the stack in
 * use or on level 0's own. A process that touches its memory for the first time
 * raises one for each page. All else is for `system/interrupts.ts`, which this
 * never contradicts.
 *
 * @journey E:578 Faults by the short way
 */

import { load } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import { VECTOR_PF } from "../exceptions.ts";
import { EFLAGS_IF, EFLAGS_RF } from "../flags.ts";
import { TLB_WRITE_SUPERVISOR } from "../mmu/tlb.ts";
import type { I32 } from "../semantics/emitter.ts";
import {
	BUDGET,
	CPL,
	DELIVERED_AT,
	DIRECT,
	EFLAGS,
	FAULT_ERROR_CODE,
	FAULT_VECTOR,
	GPR,
	IDTR_BASE,
	IDTR_LIMIT,
	RIP,
	SEGMENT,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	SEGMENT_SELECTOR,
	SEGMENT_UNUSABLE,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import {
	CS,
	DirectOperation,
	KERNEL_CODE,
	KERNEL_DATA,
	RARE_FLAGS,
	RSP,
	SELECTOR_RPL,
	SS,
} from "./direct-operation.ts";
import type { CodeContext } from "./state-emitter.ts";
import { STATUS_JUMP } from "./status.ts";

/** High half of a gate: P, S and type; the bit of the type that leaves IF as it is; and what an interrupt gate has. */
const GATE_MASK = 0x9f00;
const GATE_TRAP = 0x0100;
const INTERRUPT_GATE = 0x8e00;
/** Where its gate is in the IDT. */
const GATE_OFFSET = VECTOR_PF * 8;
/** Cleared by an interrupt gate; TF, NT and VM are rare. */
const MASKED_FLAGS = EFLAGS_IF | EFLAGS_RF;
const TR = 7;
const ATTRIBUTE_32_BIT_TSS = 8;
/** Where a TSS has ESP0, and SS0 behind it. */
const TSS_STACK_0 = 4;

/** () → STATUS_JUMP, or another status and nothing has happened. */
export function pageFaultDelivery(
	context: CodeContext,
	fill: FunctionRef,
): FunctionBuilder {
	const code = new FunctionBuilder([], ["i32"]);
	const delivery = new Delivery(code, context, fill);
	delivery.require(DIRECT);
	delivery.deliver();
	return code;
}

/** The handler's gate. */
interface Gate {
	readonly selector: I32;
	readonly offset: I32;
	/** Not zero: IF stays as it is. */
	readonly isTrap: I32;
}

/** The stack that the frame is on, and the frame's host address. */
interface Frame {
	readonly pointer: I32;
	readonly host: I32;
}

class Delivery extends DirectOperation {
	/** The fault that is noted, of the instruction at RIP. */
	deliver(): void {
		const e = this.e;
		const left = this.#requirePageFault();
		const image = e.let(e.readEflags());
		this.giveUpIf(e.and(image, e.i32(RARE_FLAGS)));
		const { selector, offset, isTrap } = this.#gate();
		const frame = this.#openFrame();
		this.#put(frame.host, 0, e.readState(FAULT_ERROR_CODE) as I32);
		this.#put(frame.host, 4, e.readState(RIP, 0, 0, 4) as I32);
		this.#put(frame.host, 8, this.#selectorOf(CS));
		this.#put(frame.host, 12, e.or(image, e.i32(EFLAGS_RF)));
		this.setFlat(CS, e.and(selector, e.i32(~SELECTOR_RPL)), KERNEL_CODE);
		const kept = e.select(isTrap, e.i32(~EFLAGS_RF), e.i32(~MASKED_FLAGS));
		e.writeState(EFLAGS, e.and(e.readState(EFLAGS) as I32, kept));
		this.setSlot(GPR, frame.pointer, RSP);
		this.setSlot(RIP, offset);
		e.writeState(DELIVERED_AT, left);
		this.done(STATUS_JUMP);
	}

	/** Gives what is left of the budget. */
	#requirePageFault(): I32 {
		const e = this.e;
		this.giveUpIf(e.ne(e.readState(FAULT_VECTOR) as I32, e.i32(VECTOR_PF)));
		const left = e.let(e.readState(BUDGET) as I32);
		this.giveUpIf(e.eqz(left));
		// One fault after the other and nothing retired would have no end here.
		this.giveUpIf(e.eq(left, e.readState(DELIVERED_AT) as I32));
		return left;
	}

	#gate(): Gate {
		const e = this.e;
		const limit = e.readState(IDTR_LIMIT) as I32;
		this.giveUpIf(e.gtU(e.i32(GATE_OFFSET + 7), limit));
		const table = e.readState(IDTR_BASE, 0, 0, 4) as I32;
		const at = e.let(e.add(table, e.i32(GATE_OFFSET)));
		const gate = this.supervisorMemory(at, 8);
		const low = e.let(load("i32.load", expr(gate)) as I32);
		const high = e.let(load("i32.load", expr(gate), 4) as I32);
		const kind = e.and(high, e.i32(GATE_MASK & ~GATE_TRAP));
		this.giveUpIf(e.ne(kind, e.i32(INTERRUPT_GATE)));
		const selector = e.let(e.shrU(low, e.i32(16)));
		this.requireFlat(selector, KERNEL_CODE);
		const top = e.and(high, e.i32(0xffff_0000 | 0));
		const offset = e.or(e.and(low, e.i32(0xffff)), top);
		return { selector, offset, isTrap: e.and(high, e.i32(GATE_TRAP)) };
	}

	/** On the stack in use, or on level 0's with the one in use noted there. Nothing gives up behind it. */
	#openFrame(): Frame {
		const e = this.e;
		const old = e.let(e.readState(GPR, RSP, 0, 4) as I32);
		const pointer = e.variable(e.i32(0));
		const host = e.variable(e.i32(0));
		const open = (top: I32, bytes: number) => {
			pointer.set(e.sub(top, e.i32(bytes)));
			const needed = TLB_WRITE_SUPERVISOR;
			host.set(this.supervisorMemory(pointer.get(), bytes, needed));
		};
		const cpl = e.let(e.readState(CPL) as I32);
		const fromUser = () => {
			this.giveUpIf(e.ne(cpl, e.i32(3)));
			const inner = this.#innerStack();
			open(inner.pointer, 24);
			this.#put(host.get(), 16, old);
			this.#put(host.get(), 20, this.#selectorOf(SS));
			this.setFlat(SS, inner.selector, KERNEL_DATA);
			this.setLevel(0);
		};
		this.code.if(expr(cpl), fromUser, () => open(old, 16));
		return { pointer: pointer.get(), host: host.get() };
	}

	/** Level 0's, by the TSS (Intel SDM vol. 3, "32-Bit Task-State Segment"). */
	#innerStack(): { pointer: I32; selector: I32 } {
		const e = this.e;
		const attributes = this.attributes(TR);
		this.giveUpIf(e.eqz(e.and(attributes, e.i32(ATTRIBUTE_32_BIT_TSS))));
		this.giveUpIf(e.and(attributes, e.i32(SEGMENT_UNUSABLE)));
		const limit = e.readState(SEGMENT, TR, SEGMENT_LIMIT, 4) as I32;
		this.giveUpIf(e.ltU(limit, e.i32(TSS_STACK_0 + 7)));
		const base = e.readState(SEGMENT, TR, SEGMENT_BASE, 4) as I32;
		const at = e.let(e.add(base, e.i32(TSS_STACK_0)));
		const host = this.supervisorMemory(at, 8);
		const pointer = e.let(load("i32.load", expr(host)) as I32);
		const selector = e.let(load("i32.load16_u", expr(host), 4) as I32);
		this.giveUpIf(e.and(selector, e.i32(SELECTOR_RPL)));
		this.requireFlat(selector, KERNEL_DATA);
		return { pointer, selector };
	}

	#selectorOf(segment: number): I32 {
		return this.e.readState(SEGMENT, segment, SEGMENT_SELECTOR, 4) as I32;
	}

	#put(host: I32, at: number, value: I32): void {
		this.code.store("i32.store", expr(host), expr(value), at);
	}
}
