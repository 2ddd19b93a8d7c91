/**
 * Operands as the cold engine sees them: where the record says.
 *
 * @journey E:455 Operands out of records
 */

import type { ParsedOperand } from "../decode/operand-spec.ts";
import type {
	I32,
	I64,
	Integer,
	Operand,
	Value,
	Vector,
} from "../semantics/emitter.ts";
import { GPR, XMM } from "../state.ts";
import type { ColdEmitter } from "./cold-emitter.ts";
import type { Intent } from "./instruction-emitter.ts";
import {
	RECORD_IMMEDIATE,
	RECORD_IMMEDIATE2,
	RECORD_REG,
	RECORD_RM,
} from "./record.ts";

const VECTOR_GP = 13;

/** What every kind of operand shares: the uses it does not have. */
abstract class ColdOperand implements Operand {
	readonly e: ColdEmitter;
	readonly width: number;
	readonly isMemory: boolean = false;

	constructor(e: ColdEmitter, width: number) {
		this.e = e;
		this.width = width;
	}

	abstract read(): Integer;

	readFloat(): Value {
		return this.e.toFloat(this.read());
	}

	writeFloat(value: Value): void {
		this.write(this.e.fromFloat(value));
	}

	readSigned(): Integer {
		return this.e.let(this.e.signExtend(this.width, this.read())) as Integer;
	}

	write(_value: Integer): void {
		throw unusable(this, "write");
	}

	modify(compute: (old: Integer) => Integer): void {
		this.write(compute(this.read()));
	}

	prepareWrite(): (value: Integer) => void {
		return (value) => this.write(value);
	}

	readVector(): Vector {
		throw unusable(this, "readVector");
	}

	writeVector(_value: Vector): void {
		throw unusable(this, "writeVector");
	}

	requireAlignment(_bytes: number): void {}

	checkLimit(_intent: Intent): void {}

	address(): Integer {
		throw unusable(this, "address");
	}

	at(_offsetBytes: number, _width: number): Operand {
		throw unusable(this, "at");
	}

	displaced(_distanceBytes: Integer): Operand {
		throw unusable(this, "displaced");
	}

	index(): I32 {
		throw unusable(this, "index");
	}
}

/** A general, MMX or XMM register whose state offset the record holds. */
class RegisterOperand extends ColdOperand {
	readonly #slot: I32;
	readonly #general: boolean;

	constructor(e: ColdEmitter, width: number, slot: I32, general: boolean) {
		super(e, width);
		this.#slot = slot;
		this.#general = general;
	}

	read(): Integer {
		// Of a 128-bit register: its low half.
		const bytes = Math.min(this.width, 64) / 8;
		return this.e.loadSlot(this.#slot, bytes) as Integer;
	}

	override readFloat(): Value {
		return this.e.loadFloatSlot(this.#slot, this.width / 8);
	}

	override writeFloat(value: Value): void {
		this.e.storeFloatSlot(this.#slot, this.width / 8, value);
	}

	override write(value: Integer): void {
		if (this.#general) this.e.storeGeneralSlot(this.#slot, this.width, value);
		else {
			const bits = Math.min(this.width, 64);
			this.e.storeSlot(this.#slot, bits / 8, this.e.toWidth(bits, value));
		}
	}

	override readVector(): Vector {
		return this.e.loadSlot(this.#slot, 16) as Vector;
	}

	override writeVector(value: Vector): void {
		this.e.storeSlot(this.#slot, 16, value);
	}
}

/** A memory operand; its address is computed once, at first use. */
class MemoryOperand extends ColdOperand {
	override readonly isMemory = true;
	readonly #offsetBytes: number;
	readonly #distance: Integer | undefined;

	constructor(
		e: ColdEmitter,
		width: number,
		offsetBytes = 0,
		distance?: Integer,
	) {
		super(e, width);
		this.#offsetBytes = offsetBytes;
		this.#distance = distance;
	}

	read(): Integer {
		return this.e.loadLinearAt(this.#linear("read"), this.width);
	}

	override write(value: Integer): void {
		this.prepareWrite()(value);
	}

	override modify(compute: (old: Integer) => Integer): void {
		const linear = this.#linear("modify");
		const host = this.e.hostAddressAt(linear, this.width / 8, "modify");
		const old = this.e.loadFast(host, this.width);
		this.e.storeFast(host, this.width, compute(old));
		this.e.commitAt(host);
	}

	override prepareWrite(): (value: Integer) => void {
		return this.e.prepareLinearAt(this.#linear("write"), this.width);
	}

	override readVector(): Vector {
		const linear = this.#linear("read");
		if (this.width === 128) return this.e.loadVectorAt(linear);
		if (this.width === 80) return this.#readExtended(linear);
		const low = this.e.toWidth(64, this.e.loadLinearAt(linear, this.width));
		const zero = this.e.v128(new Array<number>(16).fill(0));
		return this.e.let(this.e.lane("i64x2.replace_lane", 0, zero, low));
	}

	override writeVector(value: Vector): void {
		const linear = this.#linear("write");
		if (this.width === 80) this.#writeExtended(linear, value);
		else this.e.storeVectorAt(linear, value);
	}

	/** Ten bytes in one access: one check, one fault. */
	#readExtended(linear: Integer): Vector {
		const { e } = this;
		const host = e.hostAddressAt(linear, 10, "read");
		const low = e.op("i64x2.splat", e.loadFast(host, 64));
		const high = e.loadFast(e.add(host, e.i32(8)), 16) as I32;
		return e.let(e.lane("i64x2.replace_lane", 1, low, e.extendU(high)));
	}

	#writeExtended(linear: Integer, value: Vector): void {
		const { e } = this;
		const half = (i: 0 | 1) => e.lane<"i64">("i64x2.extract_lane", i, value);
		const host = e.hostAddressAt(linear, 10, "write");
		e.storeFast(host, 64, half(0));
		e.storeFast(e.add(host, e.i32(8)), 16, e.wrap(half(1)));
		e.commitAt(host);
	}

	override requireAlignment(bytes: number): void {
		const linear = this.#linear("read");
		const low = this.e.and(this.e.wrap(linear), this.e.i32(bytes - 1));
		this.e.faultIf(low, VECTOR_GP, this.e.i32(0));
	}

	override checkLimit(intent: Intent): void {
		this.#linear(intent);
	}

	override address(): Integer {
		return this.e.effectiveAddress(this.#offsetBytes, this.#distance);
	}

	override at(offsetBytes: number, width: number): Operand {
		const offset = this.#offsetBytes + offsetBytes;
		return new MemoryOperand(this.e, width, offset, this.#distance);
	}

	override displaced(distanceBytes: Integer): Operand {
		const distance = this.e.let(distanceBytes) as Integer;
		return new MemoryOperand(this.e, this.width, this.#offsetBytes, distance);
	}

	#linear(intent: Intent): Integer {
		const bytes = Math.max(this.width / 8, 1);
		return this.e.linearAt(this.address(), bytes, intent);
	}
}

/** An immediate or relative offset. */
class ImmediateOperand extends ColdOperand {
	readonly #recordOffset: number;

	constructor(e: ColdEmitter, width: number, recordOffset: number) {
		super(e, width);
		this.#recordOffset = recordOffset;
	}

	read(): Integer {
		const { e } = this;
		if (this.width === 64) {
			return e.let(e.recordLoad("i64.load", this.#recordOffset) as I64);
		}
		const value = e.recordLoad("i32.load", this.#recordOffset) as I32;
		return e.let(e.zeroExtend(Math.min(this.width, 32), value));
	}
}

/** A direct far pointer: offset and selector. */
class FarPointerOperand extends ImmediateOperand {
	override index(): I32 {
		return this.e.let(this.e.recordLoad("i32.load", RECORD_IMMEDIATE2) as I32);
	}
}

/** The shift-by-one forms' constant. */
class ConstantOperand extends ColdOperand {
	read(): Integer {
		return this.e.i32(1);
	}
}

/** A register by number: control, debug, segment, x87 stack. */
class NumberedOperand extends ColdOperand {
	readonly #number: I32;

	constructor(e: ColdEmitter, width: number, number: I32) {
		super(e, width);
		this.#number = number;
	}

	read(): Integer {
		throw unusable(this, "read");
	}

	override index(): I32 {
		return this.#number;
	}
}

/** Numbers of the registers that rows spell out. */
const FIXED_GENERAL: Readonly<Record<string, number>> = {
	AL: 0,
	AX: 0,
	eAX: 0,
	rAX: 0,
	CL: 1,
	DX: 2,
};
const FIXED_SEGMENT = ["ES", "CS", "SS", "DS", "FS", "GS"];

/** The operand for one column of the instruction's row. */
export function coldOperand(
	e: ColdEmitter,
	{ method, type }: ParsedOperand,
	width: number,
	isRegister: boolean,
	position: number,
): Operand {
	const reg = () => e.recordLoad("i32.load16_u", RECORD_REG) as I32;
	const rm = () => e.recordLoad("i32.load16_u", RECORD_RM) as I32;
	switch (method) {
		case "G":
			return new RegisterOperand(e, width, e.let(reg()), true);
		case "Z":
		case "R":
			return new RegisterOperand(e, width, e.let(rm()), true);
		case "V":
		case "P":
			return new RegisterOperand(e, width, e.let(reg()), false);
		case "U":
		case "N":
			return new RegisterOperand(e, width, e.let(rm()), false);
		case "E":
			if (!isRegister) return new MemoryOperand(e, width);
			return new RegisterOperand(e, width, e.let(rm()), true);
		case "W":
		case "Q":
			if (!isRegister) return new MemoryOperand(e, width);
			return new RegisterOperand(e, width, e.let(rm()), false);
		case "M":
			return new MemoryOperand(e, width);
		case "O":
			return new MemoryOperand(e, width);
		case "S":
		case "C":
		case "D":
			return new NumberedOperand(e, width, e.let(reg()));
		case "I":
		case "J": {
			const second = position > 0 && e.hasImmediateBefore(position);
			const at = second ? RECORD_IMMEDIATE2 : RECORD_IMMEDIATE;
			return new ImmediateOperand(e, width, at);
		}
		case "A":
			return new FarPointerOperand(e, width - 16, RECORD_IMMEDIATE);
		case "X":
		case "Y":
			return new ImmediateOperand(e, width, RECORD_IMMEDIATE);
		default:
			return fixedOperand(e, type, width, rm);
	}
}

function fixedOperand(
	e: ColdEmitter,
	type: string,
	width: number,
	rm: () => Value,
): Operand {
	if (type === "1") return new ConstantOperand(e, width);
	if (type === "ST0") return new NumberedOperand(e, width, e.i32(0));
	if (type === "STi") return new NumberedOperand(e, width, e.let(rm() as I32));
	if (type === "XMM0") {
		return new RegisterOperand(e, width, e.i32(XMM.offset), false);
	}
	const segment = FIXED_SEGMENT.indexOf(type);
	if (segment >= 0) return new NumberedOperand(e, width, e.i32(segment));
	const register = FIXED_GENERAL[type];
	if (register === undefined) throw new Error(`no operand named ${type}`);
	return new RegisterOperand(
		e,
		width,
		e.i32(GPR.offset + register * GPR.stride),
		true,
	);
}

function unusable(operand: ColdOperand, use: string): Error {
	return new Error(
		`${use} of a ${operand.constructor.name} of ${operand.width} bits`,
	);
}
