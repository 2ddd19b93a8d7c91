/**
 * The hot engine's emitter. It *is* the cold one, with two differences: the
 * record is known while generating, so that its fields become constants, and
 * the general registers and flags live in locals (`hot-registers.ts`,
 * `hot-flags.ts`).
 *
 * @journey E:730 The same emitter, knowing more
 */

import { i32Value } from "../../wasm/constant.ts";
import {
	call,
	type Expression,
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
import { BUDGET, XMM, ZERO } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { type FlagInstruction, HotFlagEmitter } from "./hot-flag-emitter.ts";
import type { HotRegisters } from "./hot-registers.ts";
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
	/** See `tlb-fill.ts`. */
	/** See `page-memo.ts`; for the width of the region's code. */
	readonly findPage: FunctionRef;
	readonly readAcross: FunctionRef;
	readonly readAcrossWide: FunctionRef;
	/** System operations of 32-bit code that regions do themselves, by name; see `direct-operations.ts`. */
	readonly direct: ReadonlyMap<string, FunctionRef>;
}

/** Where an instruction stands in its region. */
export interface HotInstruction extends FlagInstruction {
	/** The record's bytes. */
	readonly record: DataView;
	/** From the start of the region's first page to that of the instruction's. */
	readonly distance: number;
	readonly registers: HotRegisters;
	/** Checks that were made on every way here: see `Emitter.ensure`. */
	readonly ensured: Set<string>;
	/** Registers that are likely to name the same page again, a bit each; see `steady-bases.ts`. */
	readonly steady: number;
	/** Memos that would be of another page each time, a bit each. */
	readonly scattered: number;
	readonly inSmallLoop: boolean;
	readonly ripPage: Local<"i64">;
	/** Instructions that may still run, the rest of this block not included. */
	readonly budget: Local<"i32">;
	/** Instructions of the block behind this one. */
	readonly behind: number;
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
/** Lanes of a vector by their size in bytes. */
const LANES: Readonly<Record<number, string>> = {
	1: "i8x16",
	2: "i16x8",
	4: "i32x4",
	8: "i64x2",
};
const FLOAT_LANES: Readonly<Record<number, string>> = {
	4: "f32x4",
	8: "f64x2",
};
const SS = 2;
const RSP = 4;

export class HotEmitter extends HotFlagEmitter {
	declare readonly context: RegionContext;
	ending: Ending = "next";
	/** Condition of a conditional ending. */
	taken: I32 | undefined;
	readonly #instruction: HotInstruction;
	/** For the access being generated. */
	#memo: Memo | undefined;
	/** How many arms and loops are being generated, one inside the other. */
	#arms = 0;

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
		if (operation === undefined || this.long) throw new NotHot(name);
		const zero = this.i32(0);
		const [a = zero, b = zero, c = zero] = args;
		const status = call(operation, ...[a, b, c].map(expr)) as Value as I32;
		this.faultIf(this.ne(status, this.i32(STATUS_NEXT)));
	}

	override ensure(what: string, check: () => void): void {
		const { ensured } = this.#instruction;
		if (ensured.has(what)) return;
		check();
		if (this.#arms === 0) ensured.add(what);
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
			this.#arms++;
			body();
			this.#arms--;
			changed ||= this.flagState !== before;
		};
		emit(arm(then), otherwise && arm(otherwise));
		this.flagState = changed ? "saved" : before;
	}

	override loop(body: (again: (condition?: I32) => void) => void): void {
		this.flagState = "saved";
		this.#instruction.registers.forgetLowBytes();
		this.#arms++;
		super.loop(body);
		this.#arms--;
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

	// Registers and flag words in locals

	protected override stateLoad(at: I32, offset: number, size: number): Value {
		const known = i32Value(expr(at));
		if (known === undefined) return super.stateLoad(at, offset, size);
		const place = known + offset;
		if (place === ZERO.offset) return this.constant(size * 8, 0);
		const { registers, flags, budget, behind } = this.#instruction;
		const index = registers.indexOf(place);
		if (index >= 0) {
			const byte = size === 1 && (place & 7) === 0 && registers.lowByte(index);
			if (byte) return this.copy(localGet(byte));
			const whole = this.copy(localGet(registers.read(index))) as Integer;
			return this.#part(whole, place & 7, size);
		}
		const vector = registers.vectorOf(place);
		if (vector >= 0) return this.#readVector(vector, place, size);
		const flag = flags.localOf(place);
		if (flag !== undefined) {
			if (!this.computing) this.settleFlags();
			return this.copy(localGet(flag));
		}
		if (place === BUDGET.offset) {
			const left = localGet(budget) as Value as I32;
			return this.let(this.add(left, this.i32(behind)));
		}
		const note = registers.note(place, size);
		if (note !== undefined) return this.copy(localGet(note));
		const invariant = registers.invariant(place, size);
		if (invariant !== undefined) return localGet(invariant) as Value;
		return super.stateLoad(at, offset, size);
	}

	protected override stateStore(
		at: I32,
		offset: number,
		size: number,
		value: Value,
	): void {
		const known = i32Value(expr(at));
		const place = known === undefined ? -1 : known + offset;
		const { registers, flags } = this.#instruction;
		const index = registers.indexOf(place);
		if (index >= 0) {
			this.#writeRegister(index, place & 7, size, value as Integer);
			return;
		}
		const vector = registers.vectorOf(place);
		if (vector >= 0) {
			this.#writeVector(vector, place, size, value);
			return;
		}
		const note = registers.note(place, size);
		if (note !== undefined) {
			this.code.set(note, expr(value));
			return;
		}
		const flag = flags.localOf(place);
		if (flag === undefined) super.stateStore(at, offset, size, value);
		else {
			if (!this.computing) this.settleFlags();
			this.code.set(flag, expr(value));
		}
	}

	#readVector(index: number, place: number, size: number): Value {
		const whole = localGet(this.#instruction.registers.readVector(index));
		if (size === VECTOR_BYTES) return this.copy(whole);
		const name = `${LANES[size]}.extract_lane${size < 4 ? "_u" : ""}`;
		return this.let(this.lane(name, laneAt(place, size), whole as Value));
	}

	#writeVector(index: number, place: number, size: number, value: Value): void {
		const local = this.#instruction.registers.writeVector(index);
		const old = localGet(local) as Value;
		const whole =
			size === VECTOR_BYTES
				? value
				: this.lane(
						`${LANES[size]}.replace_lane`,
						laneAt(place, size),
						old,
						value,
					);
		this.code.set(local, expr(whole));
	}

	override loadFloatSlot(slot: I32, bytes: number): Value {
		const index = this.#vectorOf(slot);
		if (index < 0) return super.loadFloatSlot(slot, bytes);
		const whole = localGet(this.#instruction.registers.readVector(index));
		const name = `${FLOAT_LANES[bytes]}.extract_lane`;
		return this.let(this.lane(name, 0, whole as Value));
	}

	override storeFloatSlot(slot: I32, bytes: number, value: Value): void {
		const index = this.#vectorOf(slot);
		if (index < 0) {
			super.storeFloatSlot(slot, bytes, value);
			return;
		}
		const local = this.#instruction.registers.writeVector(index);
		const name = `${FLOAT_LANES[bytes]}.replace_lane`;
		const whole = this.lane(name, 0, localGet(local) as Value, value);
		this.code.set(local, expr(whole));
	}

	/** XMM register whose start is at a place in the state, or -1. */
	#vectorOf(slot: I32): number {
		const place = i32Value(expr(slot));
		const { registers } = this.#instruction;
		return place === undefined ? -1 : registers.vectorOf(place);
	}

	#part(whole: Integer, byte: number, size: number): Value {
		if (size === 8) return this.toWidth(64, whole);
		const shifted = this.shrU(whole, this.constant(typeWidth(whole), byte * 8));
		return this.zeroExtend(size * 8, this.wrap(shifted));
	}

	#writeRegister(
		index: number,
		byte: number,
		size: number,
		written: Integer,
	): void {
		const { registers } = this.#instruction;
		const local = registers.write(index);
		const width = registers.width;
		const kept = byte === 0 && this.#keepLowByte(index, size, written);
		const value = kept || written;
		// Four bytes alone are the low half of a 64-bit register kept as it is.
		if (size === 8 || (size === 4 && width === 32)) {
			this.code.set(local, expr(this.toWidth(width, value)));
			return;
		}
		const ones = size === 4 ? 0xffff_ffff : size === 1 ? 0xff : 0xffff;
		const mask = BigInt(ones) << BigInt(byte * 8);
		const constant = (bits: bigint): Integer =>
			width === 64
				? this.i64(BigInt.asIntN(64, bits))
				: this.i32(Number(BigInt.asIntN(32, bits)));
		const old = localGet(local) as Value as Integer;
		const rest = this.and(old, constant(~mask));
		const wide = this.toWidth(width, value);
		const shifted = this.shl(wide, this.constant(width, byte * 8));
		const merged = this.or(rest, this.and(shifted, constant(mask)));
		this.code.set(local, expr(merged));
	}

	/** For a write of the register's low end: the byte, if it is kept; in an arm, which may not be run, it only ends what was known. */
	#keepLowByte(
		index: number,
		size: number,
		value: Integer,
	): Integer | undefined {
		const { registers } = this.#instruction;
		registers.forgetLowByte(index);
		if (size !== 1 || this.#arms > 0) return undefined;
		const byte = this.and(this.wrap(value), this.i32(0xff));
		const local = registers.keepLowByte(index);
		this.code.set(local, expr(byte));
		return localGet(local) as Value as I32;
	}

	#ripAt(bytes: number): Integer {
		const { ripPage, record, distance } = this.#instruction;
		const page = localGet(ripPage) as Value as I64;
		const start = distance + record.getUint16(RECORD_PAGE_OFFSET, true);
		const rip = this.add(page, this.i64(start + bytes));
		return this.let(this.long ? rip : this.wrap(rip)) as Integer;
	}
}

/** Number of a lane of `size` bytes by its place in the state. */
function laneAt(place: number, size: number): number {
	return ((place - XMM.offset) % VECTOR_BYTES) / size;
}

function typeWidth(value: Integer): 32 | 64 {
	return (value as Expression).type === "i64" ? 64 : 32;
}
