/**
 * The hot engine's emitter. It *is* the cold one, with two differences: the
 * record is known while generating, so that its fields become constants, and
 * the general registers and flags live in locals.
 *
 * Flags are not computed when an instruction sets them; the operation is noted
 * and its flags are computed where somebody reads them, or where control
 * leaves the region.
 *
 * @journey E:730 The same emitter, knowing more
 */

import { i32Value } from "../../wasm/constant.ts";
import {
	type Expression,
	i32Const,
	i64ConstParts,
	localGet,
} from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { LoadOpName } from "../../wasm/opcodes.ts";
import type { Local } from "../../wasm/references.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import { ZERO } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { ColdEmitter } from "./cold-emitter.ts";
import type { ColdForm } from "./form.ts";
import { HotRegisters, type PendingFlags } from "./hot-registers.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import { RECORD_LENGTH, RECORD_PAGE_OFFSET } from "./record.ts";

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

export interface HotInstruction {
	readonly form: ColdForm;
	/** The record's bytes. */
	readonly record: DataView;
	readonly registers: HotRegisters;
	readonly ripPage: Local<"i64">;
	/** Where the instruction is left for the cold engine to run it. */
	readonly bail: Label;
	/** Receives a dynamic target. */
	readonly target: Local<"i64">;
	readonly isConditional: boolean;
}

export class HotEmitter extends ColdEmitter {
	ending: Ending = "next";
	/** Condition of a conditional ending. */
	taken: I32 | undefined;
	readonly #instruction: HotInstruction;
	#computing = false;

	constructor(
		code: FunctionBuilder,
		context: InstructionContext,
		instruction: HotInstruction,
	) {
		const refuse = () => {
			throw new NotHot("leaves the region");
		};
		super(code, context, instruction.form, {
			record: instruction.registers.flagAux,
			ripPage: instruction.ripPage,
			bail: instruction.bail,
			jump: (target) => {
				code.set(instruction.target, expr(target));
				this.ending = "dynamic";
			},
			jumpRelative: refuse,
			repeat: refuse,
			stop: refuse,
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
		return this.#ripAt(
			this.#instruction.record.getUint16(RECORD_PAGE_OFFSET, true),
		);
	}

	override nextRip(): Integer {
		const { record } = this.#instruction;
		const offset = record.getUint16(RECORD_PAGE_OFFSET, true);
		return this.#ripAt(offset + record.getUint8(RECORD_LENGTH));
	}

	override jumpRelative(): void {
		this.ending = "relative";
	}

	override system(): void {
		throw new NotHot("calls the system");
	}

	override faultIf(condition: I32): void {
		this.code.brIf(this.#instruction.bail, expr(condition));
	}

	override if(condition: I32, then: () => void, otherwise?: () => void): void {
		if (this.#instruction.isConditional) {
			this.ending = "conditional";
			this.taken = this.let(condition);
			return;
		}
		this.settleFlags();
		const arm = (body: () => void) => () => {
			body();
			this.settleFlags();
		};
		super.if(condition, arm(then), otherwise && arm(otherwise));
	}

	override loop(body: (again: (condition?: I32) => void) => void): void {
		this.settleFlags();
		super.loop((again) =>
			body((condition) => {
				this.settleFlags();
				again(condition);
			}),
		);
		this.settleFlags();
	}

	// Registers and flag words in locals

	protected override stateLoad(at: I32, offset: number, size: number): Value {
		const known = i32Value(expr(at));
		if (known === undefined) return super.stateLoad(at, offset, size);
		const place = known + offset;
		if (place === ZERO.offset) return this.constant(size * 8, 0);
		const { registers } = this.#instruction;
		const index = HotRegisters.indexOf(place);
		if (index >= 0) {
			const whole = this.copy(this.#get(registers.general[index])) as I32;
			return this.#part(whole, place & 7, size);
		}
		const flag = registers.flagLocal(place);
		if (flag === undefined) return super.stateLoad(at, offset, size);
		this.settleFlags();
		return this.copy(this.#get(flag));
	}

	protected override stateStore(
		at: I32,
		offset: number,
		size: number,
		value: Value,
	): void {
		const known = i32Value(expr(at));
		const place = known === undefined ? -1 : known + offset;
		const { registers } = this.#instruction;
		const index = HotRegisters.indexOf(place);
		if (index >= 0) {
			this.#writeRegister(index, place & 7, size, this.wrap(value as Integer));
			return;
		}
		const flag = registers.flagLocal(place);
		if (flag === undefined) super.stateStore(at, offset, size, value);
		else {
			if (!this.#computing) this.settleFlags();
			this.code.set(flag, expr(value));
		}
	}

	#part(whole: I32, byte: number, size: number): Value {
		if (size === 8) return this.extendU(whole);
		const shifted = this.shrU(whole, this.i32(byte * 8));
		return this.zeroExtend(size * 8, shifted);
	}

	#writeRegister(index: number, byte: number, size: number, value: I32): void {
		const { registers } = this.#instruction;
		const local = registers.general[index] as Local<"i32">;
		registers.written.add(index);
		if (size >= 4) {
			this.code.set(local, expr(value));
			return;
		}
		const mask = (size === 1 ? 0xff : 0xffff) << (byte * 8);
		const kept = this.and(localGet(local) as I32, this.i32(~mask));
		const shifted = this.shl(value, this.i32(byte * 8));
		const merged = this.or(kept, this.and(shifted, this.i32(mask)));
		this.code.set(local, expr(merged));
	}

	// Flags that wait

	override setAddFlags(
		width: number,
		a: Integer,
		b: Integer,
		result: Integer,
	): void {
		if (this.#computing) super.setAddFlags(width, a, b, result);
		else this.#note("add", width, a, b, result);
	}

	override setSubFlags(
		width: number,
		a: Integer,
		b: Integer,
		result: Integer,
	): void {
		if (this.#computing) super.setSubFlags(width, a, b, result);
		else this.#note("sub", width, a, b, result);
	}

	override setLogicFlags(width: number, result: Integer): void {
		if (this.#computing) super.setLogicFlags(width, result);
		else this.#note("logic", width, result, result, result);
	}

	override setIncFlags(width: number, result: Integer): void {
		this.#noteStep("inc", width, result);
	}

	override setDecFlags(width: number, result: Integer): void {
		this.#noteStep("dec", width, result);
	}

	/** Computes what is pending into the flag locals. */
	settleFlags(): void {
		const { registers } = this.#instruction;
		const { pending } = registers;
		if (pending === undefined) return;
		registers.pending = undefined;
		this.#compute(pending);
	}

	/** Computes `pending`, noted earlier, where the region is left. */
	settle(pending: PendingFlags | undefined): void {
		const { registers } = this.#instruction;
		const { pending: current } = registers;
		registers.pending = pending;
		this.settleFlags();
		registers.pending = current;
	}

	override condition(code: number): I32 {
		const { pending } = this.#instruction.registers;
		const fused = pending && this.#fusedCondition(pending, code >> 1);
		if (fused === undefined) return super.condition(code);
		return this.let(code & 1 ? this.eqz(fused) : fused);
	}

	#compute({ kind, width, a, b, result }: PendingFlags): void {
		this.#computing = true;
		switch (kind) {
			case "add":
				super.setAddFlags(width, a, b, result);
				break;
			case "sub":
				super.setSubFlags(width, a, b, result);
				break;
			case "logic":
				super.setLogicFlags(width, result);
				break;
			case "inc":
				super.setIncFlags(width, result);
				break;
			case "dec":
				super.setDecFlags(width, result);
		}
		this.#computing = false;
	}

	/** INC and DEC keep CF, so what was pending before is settled first. */
	#noteStep(kind: "inc" | "dec", width: number, result: Integer): void {
		this.settleFlags();
		this.#note(kind, width, result, result, result);
	}

	#note(
		kind: PendingFlags["kind"],
		width: number,
		a: Integer,
		b: Integer,
		result: Integer,
	): void {
		const left = this.let(a) as Integer;
		const right = this.let(b) as Integer;
		this.#instruction.registers.pending = {
			kind,
			width,
			a: left,
			b: right,
			result: this.let(result) as Integer,
			isPlain: kind === "sub" && this.#isSubtraction,
		};
	}

	/** Set while an instruction without carry-in notes its flags. */
	get #isSubtraction(): boolean {
		const { mnemonic } = this.#instruction.form.example.row;
		return PLAIN_SUBTRACTIONS.has(mnemonic);
	}

	/** An even condition straight from the operation, where that is cheap. */
	#fusedCondition(pending: PendingFlags, pair: number): I32 | undefined {
		const { width, result } = pending;
		const zero = this.constant(width, 0);
		const signed = (v: Integer) => this.signExtend(width, v);
		switch (pair) {
			case 2:
				return this.eqz(this.zeroExtend(width, result));
			case 4:
				return this.ltS(signed(result), zero);
		}
		if (pending.kind === "logic") return this.#logicCondition(pending, pair);
		return pending.isPlain ? this.#comparison(pending, pair) : undefined;
	}

	/** CF = OF = 0. */
	#logicCondition(
		{ width, result }: PendingFlags,
		pair: number,
	): I32 | undefined {
		const zero = this.constant(width, 0);
		switch (pair) {
			case 0:
			case 1:
				return this.i32(0);
			case 3:
				return this.eqz(this.zeroExtend(width, result));
			case 6:
				return this.ltS(this.signExtend(width, result), zero);
			case 7:
				return this.leS(this.signExtend(width, result), zero);
		}
		return undefined;
	}

	#comparison({ width, a, b }: PendingFlags, pair: number): I32 | undefined {
		const u = (v: Integer) => this.zeroExtend(width, v);
		const s = (v: Integer) => this.signExtend(width, v);
		switch (pair) {
			case 1:
				return this.ltU(u(a), u(b));
			case 3:
				return this.leU(u(a), u(b));
			case 6:
				return this.ltS(s(a), s(b));
			case 7:
				return this.leS(s(a), s(b));
		}
		return undefined;
	}

	#ripAt(offset: number): Integer {
		const page = localGet(this.#instruction.ripPage) as Value as I64;
		return this.let(this.wrap(this.add(page, this.i64(offset)))) as Integer;
	}

	#get(local: Local<"i32"> | undefined): Expression<"i32"> {
		return localGet(local as Local<"i32">);
	}
}

/** Mnemonics whose subtraction has no borrow-in. */
const PLAIN_SUBTRACTIONS = new Set(["CMP", "SUB", "CMPXCHG", "SCAS", "CMPS"]);
