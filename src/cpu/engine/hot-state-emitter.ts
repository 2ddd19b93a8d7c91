/**
 * The hot emitter's half that has registers: what the state holds for the cold
 * engine is in locals here (`hot-registers.ts`).
 *
 * @journey E:729 State read and written in locals
 */

import { i32Value } from "../../wasm/constant.ts";
import { type Expression, localGet } from "../../wasm/expression.ts";
import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import type { I32, Integer, Value } from "../semantics/emitter.ts";
import { BUDGET, XMM, ZERO } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { Continuation } from "./cold-emitter.ts";
import { type FlagInstruction, HotFlagEmitter } from "./hot-flag-emitter.ts";
import type { HotRegisters } from "./hot-registers.ts";
import type { InstructionContext } from "./instruction-emitter.ts";

/** An instruction, as far as state is concerned. */
export interface HotStateInstruction extends FlagInstruction {
	readonly registers: HotRegisters;
	/** Instructions that may still run, the rest of this block not included. */
	readonly budget: Local<"i32">;
	/** Instructions of the block behind this one. */
	readonly behind: number;
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

export abstract class HotStateEmitter extends HotFlagEmitter {
	/** How many arms and loops are being generated, one inside the other. */
	protected arms = 0;
	readonly #instruction: HotStateInstruction;

	constructor(
		code: FunctionBuilder,
		context: InstructionContext,
		instruction: HotStateInstruction,
		continuation: Continuation,
	) {
		super(code, context, instruction, continuation);
		this.#instruction = instruction;
	}

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
		if (size !== 1 || this.arms > 0) return undefined;
		const byte = this.and(this.wrap(value), this.i32(0xff));
		const local = registers.keepLowByte(index);
		this.code.set(local, expr(byte));
		return localGet(local) as Value as I32;
	}
}

/** Number of a lane of `size` bytes by its place in the state. */
function laneAt(place: number, size: number): number {
	return ((place - XMM.offset) % VECTOR_BYTES) / size;
}

function typeWidth(value: Integer): 32 | 64 {
	return (value as Expression).type === "i64" ? 64 : 32;
}
