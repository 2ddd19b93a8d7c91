/**
 * The hot engine's emitter. It *is* the cold one, with two differences: the
 * record is known while generating, so that its fields become constants, and
 * registers and flags live in locals (`hot-state-emitter.ts`,
 * `hot-flag-emitter.ts`).
 *
 * @journey E:730 The same emitter, knowing more
 */

import { i32Value } from "../../wasm/constant.ts";
import {
	call,
	i32Const,
	i64ConstParts,
	localGet,
} from "../../wasm/expression.ts";
import type {
	Frequency,
	FunctionBuilder,
	Label,
} from "../../wasm/function-builder.ts";
import type { LoadOpName } from "../../wasm/opcodes.ts";
import type { FunctionRef, Local } from "../../wasm/references.ts";
import { WRITE_MEMO } from "../mmu/page-memos.ts";
import type {
	I32,
	I64,
	Integer,
	SystemName,
	Value,
} from "../semantics/emitter.ts";
import { expr } from "./arithmetic-emitter.ts";
import { DIRECT_IN_LONG_REGIONS } from "./direct-operations.ts";
import {
	HotStateEmitter,
	type HotStateInstruction,
} from "./hot-state-emitter.ts";
import type { InstructionContext, Intent } from "./instruction-emitter.ts";
import { emitMemoAccess, emitOccasionalMemo, emitSearch } from "./page-memo.ts";
import { RECORD_LENGTH, RECORD_PAGE_OFFSET } from "./record.ts";
import { STATUS_NEXT } from "./status.ts";
import { highHalf } from "./wide-lookup.ts";

/** An instruction that can only run cold: it calls out or ends in a way regions do not know. */
export class NotHot extends Error {}

/** How an instruction hands control on. */
export type Ending =
	/** To the instruction behind it. */
	| "next"
	/** To its relative target. */
	| "relative"
	/** To its relative target if `taken`, else on. */
	| "conditional"
	/** To where the `target` local says. */
	| "dynamic";

/** Number of a memo, and whether accesses by it are all over a table. */
interface Memo {
	readonly number: number;
	readonly isOfTable: boolean;
}

/** What regions need besides what every handler does. */
export interface RegionContext extends InstructionContext {
	/** See `hot-flags.ts`. */
	readonly settle: FunctionRef;
	/** See `page-memo.ts`; for the width of the region's code. */
	readonly findPage: FunctionRef;
	/** See `across-pages.ts`. */
	readonly readAcross: FunctionRef;
	readonly readAcrossWide: FunctionRef;
	/** System operations that regions do themselves, by name; see `direct-operations.ts`. */
	readonly direct: ReadonlyMap<string, FunctionRef>;
}

/** Where an instruction stands in its region. */
export interface HotInstruction extends HotStateInstruction {
	/** The record's bytes. */
	readonly record: DataView;
	/** From the start of the region's first page to that of the instruction's. */
	readonly distance: number;
	/** Checks that were made on every way here: see `Emitter.ensure`. */
	readonly ensured: Set<string>;
	/** Registers that are likely to name the same page again, a bit each; see `steady-bases.ts`. */
	readonly steady: number;
	/** Memos that would be of another page each time, a bit each. */
	readonly scattered: number;
	readonly inSmallLoop: boolean;
	readonly ripPage: Local<"i64">;
	/** Where the instruction is left for the cold engine to run it. */
	readonly bail: Label;
	/** Receives a dynamic target. */
	readonly target: Local<"i64">;
	readonly isConditional: boolean;
	/** REP goes on: counts the step and starts the next. */
	readonly repeat: () => void;
	/** Leaves the region behind the instruction for the run loop. */
	readonly stop: () => void;
}

const VECTOR_BYTES = 16;
const SS = 2;
const RSP = 4;

export class HotEmitter extends HotStateEmitter {
	declare readonly context: RegionContext;
	ending: Ending = "next";
	/** Condition of a conditional ending. */
	taken: I32 | undefined;
	readonly #instruction: HotInstruction;
	/** For the access being generated. */
	#memo: Memo | undefined;

	constructor(
		code: FunctionBuilder,
		context: RegionContext,
		instruction: HotInstruction,
	) {
		super(code, context, instruction, {
			record: instruction.budget,
			ripPage: instruction.ripPage,
			bail: instruction.bail,
			jump: (target) => {
				code.set(instruction.target, expr(target));
				this.ending = "dynamic";
			},
			jumpRelative: () => {
				throw new NotHot("jumps in the middle");
			},
			repeat: instruction.repeat,
			stop: instruction.stop,
			leave: () => code.br(instruction.bail),
		});
		this.#instruction = instruction;
	}

	/** A field of the record, as a constant. */
	override recordLoad(name: LoadOpName, offset: number): Value {
		const { record } = this.#instruction;
		switch (name) {
			case "i32.load8_u":
				return i32Const(record.getUint8(offset));
			case "i32.load16_u":
				return i32Const(record.getUint16(offset, true));
			case "i32.load":
				return i32Const(record.getInt32(offset, true));
			default:
				return i64ConstParts(
					record.getInt32(offset, true),
					record.getInt32(offset + 4, true),
				);
		}
	}

	override currentRip(): Integer {
		return this.#ripAt(0);
	}

	override nextRip(): Integer {
		return this.#ripAt(this.#instruction.record.getUint8(RECORD_LENGTH));
	}

	override jumpRelative(): void {
		this.ending = "relative";
	}

	/** What cannot be done in the usual way, the cold engine does. */
	override system(name: SystemName, ...args: readonly I32[]): void {
		const operation = this.context.direct.get(name);
		const isKnown = !this.long || DIRECT_IN_LONG_REGIONS.has(name);
		if (operation === undefined || !isKnown) throw new NotHot(name);
		const zero = this.i32(0);
		const [a = zero, b = zero, c = zero] = args;
		const status = call(operation, ...[a, b, c].map(expr)) as Value as I32;
		this.faultIf(this.ne(status, this.i32(STATUS_NEXT)));
	}

	override ensure(what: string, check: () => void): void {
		const { ensured } = this.#instruction;
		if (ensured.has(what)) return;
		check();
		if (this.arms === 0) ensured.add(what);
	}

	override faultIf(condition: I32): void {
		this.code.brIf(this.#instruction.bail, expr(condition));
	}

	override fault(): void {
		this.code.br(this.#instruction.bail);
	}

	/** Arms may change the flags or not; what is known behind them must hold for both. */
	override if(
		condition: I32,
		then: () => void,
		otherwise?: () => void,
		holds?: Frequency,
	): void {
		if (this.#instruction.isConditional) {
			this.ending = "conditional";
			this.taken = this.let(condition);
			return;
		}
		const known = i32Value(expr(condition));
		if (known !== undefined) {
			if (known !== 0) then();
			else otherwise?.();
			return;
		}
		const test = this.let(condition);
		this.#inArms(then, otherwise, (...arms) => super.if(test, ...arms, holds));
	}

	override ifAny(
		conditions: readonly I32[],
		then: () => void,
		otherwise?: () => void,
	): void {
		const tests = conditions.map((one) => this.let(one));
		this.#inArms(then, otherwise, (...arms) => super.ifAny(tests, ...arms));
	}

	#inArms(
		then: () => void,
		otherwise: (() => void) | undefined,
		emit: (then: () => void, otherwise?: () => void) => void,
	): void {
		const before = this.flagState;
		let changed = false;
		const arm = (body: () => void) => () => {
			this.flagState = before;
			this.arms++;
			body();
			this.arms--;
			changed ||= this.flagState !== before;
		};
		emit(arm(then), otherwise && arm(otherwise));
		this.flagState = changed ? "saved" : before;
	}

	override loop(body: (again: (condition?: I32) => void) => void): void {
		this.flagState = "saved";
		this.#instruction.registers.forgetLowBytes();
		this.arms++;
		super.loop(body);
		this.arms--;
		this.flagState = "saved";
	}

	protected override hostAddress(
		segment: number | "data",
		linear: Integer,
		bytes: number,
		intent: Intent,
	): I32 {
		this.#memo = this.#memoFor(segment, intent);
		const host = this.#hostAddress(segment, linear, bytes, intent);
		this.#memo = undefined;
		return host;
	}

	/**
	 * Vectors are read where they lie by those who copy memory, and that a page
	 * ends in the middle is no reason for the cold engine.
	 */
	#hostAddress(
		segment: number | "data",
		linear: Integer,
		bytes: number,
		intent: Intent,
	): I32 {
		const { bail } = this.#instruction;
		if (bytes !== VECTOR_BYTES || intent !== "read") {
			return super.hostAddress(segment, linear, bytes, intent);
		}
		const host = this.variable(this.i32(0));
		this.code.block((done) => {
			this.code.block((across) => {
				host.set(this.fastHost(linear, bytes, intent, bail, across));
				this.code.br(done);
			}, "rare");
			const { readAcross, readAcrossWide } = this.context;
			const how = this.i32(bytes);
			const copy = this.long
				? call(readAcrossWide, ...[...this.#halves(linear), how].map(expr))
				: call(readAcross, ...[this.wrap(linear), how].map(expr));
			host.set(copy as Value as I32);
			this.code.brIf(bail, expr(this.eqz(host.get())));
		});
		return host.get();
	}

	/** The memo for an access that is likely to be in the same page as the one before. */
	#memoFor(segment: number | "data", intent: Intent): Memo | undefined {
		// One for both, for a stack is written all the time.
		const stack = { number: WRITE_MEMO + RSP, isOfTable: false };
		if (segment === SS) return stack;
		const { form, steady, inSmallLoop } = this.#instruction;
		const memory = segment === "data" ? form.example.memory : undefined;
		const { base = -1, index = -1 } = memory ?? {};
		const moves = (register: number) => (steady & (1 << register)) === 0;
		const isOfTable = index >= 0 && moves(index);
		const register = isOfTable || base < 0 ? index : base;
		if (register < 0 || (isOfTable && !inSmallLoop)) return undefined;
		if (register === RSP) return stack;
		if (base >= 0 && base !== RSP && moves(base)) return undefined;
		const number = intent === "read" ? register : WRITE_MEMO + register;
		if (this.#instruction.scattered & (1 << number)) return undefined;
		return { number, isOfTable };
	}

	/** By the memo, where there is one. */
	protected override fastHost(
		linear: Integer,
		bytes: number,
		intent: Intent,
		slow: Label,
		across = slow,
	): I32 {
		const memo = this.#memo;
		const look = (address: Integer) =>
			super.fastHost(address, bytes, intent, slow, across);
		if (memo === undefined) return look(linear);
		const address = this.let(this.toWidth(this.long ? 64 : 32, linear));
		const access = { memo: memo.number, linear: address as Integer, bytes };
		return emitMemoAccess(this, access, () => {
			if (!memo.isOfTable) {
				const { findPage } = this.context;
				return emitSearch(this, access, findPage, intent !== "read", across);
			}
			const host = this.let(look(access.linear));
			emitOccasionalMemo(this, access, host);
			return host;
		});
	}

	#halves(linear: Integer): [I32, I32] {
		const address = this.let(this.toWidth(64, linear)) as I64;
		return [this.wrap(address), highHalf(this, address)];
	}

	#ripAt(bytes: number): Integer {
		const { ripPage, record, distance } = this.#instruction;
		const page = localGet(ripPage) as Value as I64;
		const start = distance + record.getUint16(RECORD_PAGE_OFFSET, true);
		const rip = this.add(page, this.i64(start + bytes));
		return this.let(this.long ? rip : this.wrap(rip)) as Integer;
	}
}
