/**
 * The emitter's access to CPU state, and the lazy flags' rules (`flags.ts`) as
 * generated code. Kernels are built with this class; the instruction emitters
 * add operands, memory and control transfer.
 *
 * @journey E:410 State and flags in generated code
 */

import { call, type Expression, load } from "../../wasm/expression.ts";
import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import {
	AUX_AF_SHIFT,
	AUX_CARRIES,
	AUX_CF_SHIFT,
	AUX_PARITY_SHIFT,
	AUX_PARTIAL_CARRY_SHIFT,
	EFLAGS_AF,
	EFLAGS_ARITHMETIC,
	EFLAGS_CF,
	EFLAGS_FIXED,
	EFLAGS_OF,
	EFLAGS_PF,
	EFLAGS_SF,
	EFLAGS_ZF,
	RESULT_PLAIN_NONZERO,
} from "../flags.ts";
import type {
	Flag,
	I32,
	I64,
	Integer,
	KernelName,
	Value,
	ValueType,
} from "../semantics/emitter.ts";
import {
	type MadeShift,
	shiftCarry,
	shiftOverflow,
} from "../semantics/shift-flags.ts";
import { EFLAGS, type Field, FLAG_AUX, FLAG_RESULT, GPR } from "../state.ts";
import { ArithmeticEmitter, expr } from "./arithmetic-emitter.ts";

/** What generated code may call, and where its vCPU's state is. */
export interface CodeContext {
	/** Address of the vCPU's state in linear memory. */
	readonly stateBase: number;
	/** The imported kernel of that name. */
	kernel(name: KernelName): FunctionRef;
}

/** Bit of each arithmetic flag in EFLAGS. */
const FLAG_BITS: Readonly<Record<Flag, number>> = {
	CF: EFLAGS_CF,
	PF: EFLAGS_PF,
	AF: EFLAGS_AF,
	ZF: EFLAGS_ZF,
	SF: EFLAGS_SF,
	OF: EFLAGS_OF,
};
const FLAG_NAMES = Object.keys(FLAG_BITS) as Flag[];

export class StateEmitter extends ArithmeticEmitter {
	readonly context: CodeContext;

	constructor(code: FunctionBuilder, context: CodeContext) {
		super(code);
		this.context = context;
	}

	readState(
		field: Field,
		index = 0,
		byteOffset = 0,
		size: number = field.size,
	): Value {
		const offset = field.offset + index * field.stride + byteOffset;
		return this.let(this.stateLoad(this.i32(0), offset, size));
	}

	writeState(
		field: Field,
		value: Value,
		index = 0,
		byteOffset = 0,
		size: number = field.size,
	): void {
		const offset = field.offset + index * field.stride + byteOffset;
		this.stateStore(this.i32(0), offset, size, value);
	}

	readStateAt(
		field: Field,
		index: I32,
		byteOffset: number,
		size: number,
	): Value {
		const at = this.mul(index, this.i32(field.stride));
		return this.let(this.stateLoad(at, field.offset + byteOffset, size));
	}

	writeStateAt(
		field: Field,
		index: I32,
		byteOffset: number,
		size: number,
		value: Value,
	): void {
		const at = this.mul(index, this.i32(field.stride));
		this.stateStore(at, field.offset + byteOffset, size, value);
	}

	readGpr(index: number, width: number): Integer {
		return this.readState(GPR, index, 0, width / 8) as Integer;
	}

	writeGpr(index: number, width: number, value: Integer): void {
		this.storeRegister(this.i32(0), GPR.offset + index * 8, width, value);
	}

	readHighByte(index: number): I32 {
		return this.readState(GPR, index, 1, 1) as I32;
	}

	writeHighByte(index: number, value: I32): void {
		this.writeState(GPR, value, index, 1, 1);
	}

	// Flags

	setAddFlags(width: number, a: Integer, b: Integer, result: Integer): void {
		const r = this.let(result);
		// Carry out of each bit: majority(a, b, not r).
		const carries = this.xor(
			this.and(this.xor(a, b), this.not(this.xor(a, r))),
			a,
		);
		this.#setResult(width, r);
		this.#setCarries(width, carries);
	}

	setSubFlags(width: number, a: Integer, b: Integer, result: Integer): void {
		const r = this.let(result);
		// Borrow into each next bit: majority(not a, b, r).
		const borrows = this.xor(this.or(this.xor(a, b), this.xor(a, r)), a);
		this.#setResult(width, r);
		this.#setCarries(width, borrows);
	}

	setLogicFlags(width: number, result: Integer): void {
		this.#setResult(width, result);
		this.writeState(FLAG_AUX, this.i32(0));
	}

	setIncFlags(width: number, result: Integer): void {
		const r = this.let(result);
		// 7F + 1 overflows; a low digit of 0 came from F.
		this.#setStepFlags(width, r, false, 0);
	}

	setDecFlags(width: number, result: Integer): void {
		const r = this.let(result);
		this.#setStepFlags(width, r, true, 15);
	}

	setShiftFlags(shift: MadeShift): void {
		this.setFlagsFrom(shift.width, shift.result, {
			CF: shiftCarry(this, shift),
			OF: shiftOverflow(this, shift),
			AF: this.i32(0),
		});
	}

	setFlagsFrom(
		width: number,
		result: Integer,
		flags: { CF: I32; OF: I32; AF: I32 },
	): void {
		const cf = this.let(flags.CF);
		const aux = this.or(
			this.or(
				this.shl(cf, this.i32(AUX_CF_SHIFT)),
				this.shl(this.xor(cf, flags.OF), this.i32(AUX_PARTIAL_CARRY_SHIFT)),
			),
			this.shl(flags.AF, this.i32(AUX_AF_SHIFT)),
		);
		this.writeState(FLAG_AUX, aux);
		this.#setResult(width, result);
	}

	setFlags(flags: Partial<Record<Flag, I32>>): void {
		const names = Object.keys(flags) as Flag[];
		if (names.every((name) => name === "CF" || name === "OF")) {
			this.#setCarryFlags(flags.CF, flags.OF);
			return;
		}
		const all = FLAG_NAMES.map((name) => {
			const bit = this.let(flags[name] ?? this.getFlag(name));
			return [name, bit] as const;
		});
		this.#encodeFlags(Object.fromEntries(all) as Record<Flag, I32>);
	}

	getFlag(flag: Flag): I32 {
		return this.let(this.#flag(flag));
	}

	condition(code: number): I32 {
		const positive = this.#condition(code >> 1);
		return this.let(code & 1 ? this.eqz(positive) : positive);
	}

	readEflags(): I32 {
		let image = this.readState(EFLAGS) as I32;
		for (const name of FLAG_NAMES) {
			const shift = 31 - Math.clz32(FLAG_BITS[name]);
			image = this.or(image, this.shl(this.#flag(name), this.i32(shift)));
		}
		return this.let(image);
	}

	writeEflags(image: I32, mask: I32): void {
		const value = this.let(image);
		const flags = FLAG_NAMES.map((name) => {
			const shift = 31 - Math.clz32(FLAG_BITS[name]);
			const bit = this.and(this.shrU(value, this.i32(shift)), this.i32(1));
			return [name, this.let(bit)] as const;
		});
		const system = this.let(
			this.and(mask, this.i32(~(EFLAGS_ARITHMETIC | EFLAGS_FIXED))),
		);
		const kept = this.and(this.readState(EFLAGS) as I32, this.not(system));
		this.writeState(EFLAGS, this.or(kept, this.and(value, system)));
		this.#encodeFlags(Object.fromEntries(flags) as Record<Flag, I32>);
	}

	kernel<T extends ValueType>(
		name: KernelName,
		result: T,
		...args: readonly Value[]
	): Value<T> {
		const target = this.context.kernel(name);
		const value = this.let(call(target, ...args.map(expr)) as Expression<T>);
		if (value.type !== result) {
			throw new Error(`kernel ${name} gives ${value.type}, not ${result}`);
		}
		return value;
	}

	runKernel(name: KernelName, ...args: readonly Value[]): void {
		this.code.evaluate(call(this.context.kernel(name), ...args.map(expr)));
	}

	// For the classes on top

	/** A word of memory, as it is; address is absolute. */
	loadState32(address: number): I32 {
		return this.copy(load("i32.load", expr(this.i32(0)), address)) as I32;
	}

	/** Loads `size` bytes of state at a run-time offset plus a constant. */
	protected stateLoad(at: I32, offset: number, size: number): Value {
		return load(LOADS[size] as "i32.load", expr(at), this.#address(offset));
	}

	protected stateStore(
		at: I32,
		offset: number,
		size: number,
		value: Value,
	): void {
		const fitted =
			size < 8 && value.type === "i64" ? this.wrap(value as I64) : value;
		this.code.store(
			STORES[size] as "i32.store",
			expr(at),
			expr(fitted),
			this.#address(offset),
		);
	}

	/** A general-register write: 32 bits zero-extend into the slot. */
	protected storeRegister(
		at: I32,
		offset: number,
		width: number,
		value: Integer,
	): void {
		if (width < 32) this.stateStore(at, offset, width / 8, value);
		else
			this.stateStore(
				at,
				offset,
				8,
				width === 64 ? value : this.extendU(this.wrap(value)),
			);
	}

	#address(offset: number): number {
		return this.context.stateBase + offset;
	}

	#setResult(width: number, result: Integer): void {
		const folded =
			width === 64
				? this.#fold(result as I64)
				: this.signExtend(width, this.wrap(result));
		this.writeState(FLAG_RESULT, folded);
	}

	/** A 64-bit result in 32 bits: low byte, "any other bit" at 8, sign. */
	#fold(result: I64): I32 {
		const low = this.let(this.wrap(result));
		const high = this.let(this.wrap(this.shrU(result, this.i64(32))));
		const rest = this.or(this.shrU(low, this.i32(8)), high);
		const sign = this.and(high, this.i32(1 << 31));
		const any = this.shl(this.ne(rest, this.i32(0)), this.i32(8));
		return this.or(this.or(this.and(low, this.i32(0xff)), any), sign);
	}

	/** Bit w-1 and w-2 of the carry vector to 31 and 30, bit 3 stays. */
	#setCarries(width: number, carries: Integer): void {
		const vector = this.let(carries);
		if (width === 32) {
			const mask = AUX_CARRIES | (1 << AUX_AF_SHIFT);
			this.writeState(FLAG_AUX, this.and(vector as I32, this.i32(mask)));
			return;
		}
		const top =
			width === 64
				? this.wrap(this.shrU(vector as I64, this.i64(32)))
				: this.shl(vector as I32, this.i32(32 - width));
		const half = this.and(this.wrap(vector), this.i32(1 << AUX_AF_SHIFT));
		this.writeState(
			FLAG_AUX,
			this.or(this.and(top, this.i32(AUX_CARRIES)), half),
		);
	}

	/** INC and DEC: CF as it was, OF when the result is the smallest (or largest) number. */
	#setStepFlags(
		width: number,
		result: Integer,
		largest: boolean,
		digit: number,
	): void {
		const cf = this.let(
			this.and(this.readState(FLAG_AUX) as I32, this.i32(1 << AUX_CF_SHIFT)),
		);
		const overflow = this.eq(
			this.signExtend(width, result),
			this.#extreme(width, largest),
		);
		const half = this.eq(
			this.and(this.wrap(result), this.i32(15)),
			this.i32(digit),
		);
		const partial = this.xor(
			this.shrU(cf, this.i32(1)),
			this.shl(overflow, this.i32(AUX_PARTIAL_CARRY_SHIFT)),
		);
		const aux = this.or(
			this.or(cf, partial),
			this.shl(half, this.i32(AUX_AF_SHIFT)),
		);
		this.writeState(FLAG_AUX, aux);
		this.#setResult(width, result);
	}

	/** The most negative signed number of `width` bits, or the most positive. */
	#extreme(width: number, largest: boolean): Integer {
		const smallest = -(1n << BigInt(width - 1));
		const value = largest ? -smallest - 1n : smallest;
		return width === 64 ? this.i64(value) : this.i32(Number(value));
	}

	/** New CF and/or OF, the others kept. */
	#setCarryFlags(cf: I32 | undefined, of: I32 | undefined): void {
		const newCf = this.let(cf ?? this.#flag("CF"));
		const newOf = this.let(of ?? this.#flag("OF"));
		const kept = this.and(
			this.readState(FLAG_AUX) as I32,
			this.i32(~AUX_CARRIES),
		);
		const carries = this.or(
			this.shl(newCf, this.i32(AUX_CF_SHIFT)),
			this.shl(this.xor(newCf, newOf), this.i32(AUX_PARTIAL_CARRY_SHIFT)),
		);
		this.writeState(FLAG_AUX, this.or(kept, carries));
	}

	/** Any combination of the six, by the correction bits. */
	#encodeFlags(flags: Record<Flag, I32>): void {
		const parts: [I32, number][] = [
			[flags.CF, AUX_CF_SHIFT],
			[this.xor(flags.CF, flags.OF), AUX_PARTIAL_CARRY_SHIFT],
			[this.eqz(flags.PF), AUX_PARITY_SHIFT],
			[flags.AF, AUX_AF_SHIFT],
		];
		const aux = parts.reduce(
			(sum, [bit, shift]) => this.or(sum, this.shl(bit, this.i32(shift))),
			flags.SF,
		);
		this.writeState(FLAG_AUX, aux);
		const nonzero = this.i32(RESULT_PLAIN_NONZERO);
		this.writeState(FLAG_RESULT, this.select(flags.ZF, this.i32(0), nonzero));
	}

	#flag(flag: Flag): I32 {
		const one = this.i32(1);
		switch (flag) {
			case "CF":
				return this.shrU(this.#aux(), this.i32(AUX_CF_SHIFT));
			case "OF":
				return this.shrU(this.#overflow(), this.i32(31));
			case "AF":
				return this.and(this.shrU(this.#aux(), this.i32(AUX_AF_SHIFT)), one);
			case "ZF":
				return this.eqz(this.#result());
			case "SF": {
				const sign = this.shrU(this.#result(), this.i32(31));
				return this.and(this.xor(sign, this.#aux()), one);
			}
			case "PF": {
				const correction = this.shrU(this.#aux(), this.i32(AUX_PARITY_SHIFT));
				const byte = this.and(
					this.xor(this.#result(), correction),
					this.i32(0xff),
				);
				return this.and(this.not(this.popcnt(byte)), one);
			}
		}
	}

	/** The even condition codes: O B Z BE S P L LE. */
	#condition(pair: number): I32 {
		const zero = this.i32(0);
		switch (pair) {
			case 0:
				return this.ltS(this.#overflow(), zero);
			case 1:
				return this.ltS(this.#aux(), zero);
			case 2:
				return this.eqz(this.#result());
			case 3:
				return this.or(this.ltS(this.#aux(), zero), this.eqz(this.#result()));
			case 4:
				return this.#flag("SF");
			case 5:
				return this.#flag("PF");
			case 6:
				return this.#less();
			default:
				return this.or(this.#less(), this.eqz(this.#result()));
		}
	}

	/** SF xor OF, at the sign bit. */
	#less(): I32 {
		const aux = this.#aux();
		const sign = this.xor(this.#result(), this.shl(aux, this.i32(31)));
		const overflow = this.xor(aux, this.shl(aux, this.i32(1)));
		return this.ltS(this.xor(sign, overflow), this.i32(0));
	}

	/** OF at the sign bit. */
	#overflow(): I32 {
		const aux = this.#aux();
		return this.xor(aux, this.shl(aux, this.i32(1)));
	}

	#aux(): I32 {
		return this.readState(FLAG_AUX) as I32;
	}

	#result(): I32 {
		return this.readState(FLAG_RESULT) as I32;
	}
}

/** Zero-extending loads and truncating stores by size in bytes. */
const LOADS: Readonly<Record<number, string>> = {
	1: "i32.load8_u",
	2: "i32.load16_u",
	4: "i32.load",
	8: "i64.load",
	16: "v128.load",
};
const STORES: Readonly<Record<number, string>> = {
	1: "i32.store8",
	2: "i32.store16",
	4: "i32.store",
	8: "i64.store",
	16: "v128.store",
};
