/**
 * The cold engine's emitter: operands come from the record at run time, and an
 * instruction ends by returning a status (out-of-line handler) or by branching
 * to one of the loop's labels (inline handler).
 *
 * @journey E:460 Semantics become a handler
 */

import { load, localGet } from "../../wasm/expression.ts";
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { LoadOpName } from "../../wasm/opcodes.ts";
import type { Local } from "../../wasm/references.ts";
import type { Instruction } from "../decode/instruction.ts";
import { operandsOf, operandWidth } from "../decode/operand-spec.ts";
import { modeStackSize } from "../mode.ts";
import type {
	Form,
	I32,
	I64,
	Integer,
	Operand,
	Value,
	Vector,
} from "../semantics/emitter.ts";
import { SEGMENT_SELECTOR } from "../state.ts";
import { expr, typeBits } from "./arithmetic-emitter.ts";
import { coldOperand } from "./cold-operand.ts";
import type { ColdForm } from "./form.ts";
import {
	type InstructionContext,
	InstructionEmitter,
	type Intent,
} from "./instruction-emitter.ts";
import {
	RECORD_BASE,
	RECORD_DISPLACEMENT,
	RECORD_IMMEDIATE,
	RECORD_INDEX,
	RECORD_LENGTH,
	RECORD_PAGE_OFFSET,
	RECORD_SCALE,
	RECORD_SEGMENT,
	RECORD_X87_OPCODE,
} from "./record.ts";

/** How the code around a handler goes on; one implementation inline, one out of line. */
export interface Continuation {
	/** The i32 local with the record's address, the i64 one with RIP minus the page offset. */
	readonly record: Local<"i32">;
	readonly ripPage: Local<"i64">;
	/** Where unusual memory accesses are left to (inline handlers only). */
	readonly bail: Label | undefined;
	jump(target: I64): void;
	/** A relative branch: `target` unless the record links to a record in the page. */
	jumpRelative(target: I64): void;
	repeat(): void;
	stop(): void;
	leave(status: I32): void;
}

/** Addressing methods of operands that may be memory. */
const ADDRESSED = ["E", "W", "Q", "M", "O"];

export class ColdEmitter extends InstructionEmitter {
	readonly #form: ColdForm;
	readonly #continuation: Continuation;
	protected override readonly bail: Label | undefined;
	#address: Integer | undefined;

	constructor(
		code: FunctionBuilder,
		context: InstructionContext,
		form: ColdForm,
		continuation: Continuation,
	) {
		const long = form.example.codeSize === 64;
		super(code, context, long, (form.mode & 16) !== 0);
		this.#form = form;
		this.#continuation = continuation;
		this.bail = continuation.bail;
	}

	/** The form as semantics see it. */
	form(): Form {
		const { example, mode } = this.#form;
		const { row, isRegister } = example;
		// Here, not at first use: that may be inside a branch.
		const hasAddress = operandsOf(row).some(({ method }) =>
			ADDRESSED.includes(method),
		);
		if (hasAddress && !isRegister) {
			this.#address = this.let(this.#computeAddress()) as Integer;
		}
		const operands = operandsOf(row).map((operand, position): Operand => {
			const width = operandWidth(example, operand.spec);
			return coldOperand(this, operand, width, isRegister, position);
		});
		return {
			row,
			operandSize: example.operandSize,
			addressSize: example.addressSize,
			stackSize: this.long ? 64 : modeStackSize(mode),
			long: this.long,
			rep: example.rep,
			isRegister,
			operands,
		};
	}

	/**
	 * Who fills or moves blocks of memory comes by the end of every page, and
	 * where elements are not aligned one of them lies in both.
	 */
	override storeSegment(
		segment: number | "data",
		offset: Integer,
		width: number,
		value: Integer,
	): void {
		const isRepeated = this.#form.example.rep !== "none" && width > 8;
		// The comparing engine is not told of such stores.
		if (!isRepeated || this.context.journal !== undefined) {
			super.storeSegment(segment, offset, width, value);
			return;
		}
		const bytes = width / 8;
		const linear = this.let(this.linear(segment, offset, bytes, "write"));
		this.code.block((done) => {
			this.writeAcross(linear as Integer, bytes, value, done);
			this.storeLinear(segment, linear as Integer, bytes, (address) =>
				this.storeFast(address, width, value),
			);
		});
	}

	// Where the instruction is

	currentRip(): Integer {
		return this.#rip(this.#pageOffset());
	}

	nextRip(): Integer {
		const length = this.recordLoad("i32.load8_u", RECORD_LENGTH) as I32;
		return this.#rip(this.add(this.#pageOffset(), length));
	}

	jump(target: Integer): void {
		this.#continuation.jump(this.toWidth(64, target) as I64);
	}

	jumpRelative(): void {
		const { operandSize } = this.#form.example;
		const offset = this.recordLoad("i64.load", RECORD_IMMEDIATE) as I64;
		const sum = this.add(this.toWidth(64, this.nextRip()) as I64, offset);
		const target = this.zeroExtend(operandSize, sum);
		this.#continuation.jumpRelative(target);
	}

	repeat(): void {
		this.#continuation.repeat();
	}

	stop(): void {
		this.#continuation.stop();
	}

	x87Opcode(): I32 {
		return this.recordLoad("i32.load16_u", RECORD_X87_OPCODE) as I32;
	}

	dataSelector(): I32 {
		const { offset } = this.dataSegment();
		return this.let(this.stateLoad(offset, SEGMENT_SELECTOR, 4) as I32);
	}

	protected override leave(status: I32): void {
		this.#continuation.leave(status);
	}

	protected override dataSegment(): { offset: I32; flat: boolean } {
		const flat = this.#form.addressing === "flat";
		const offset = this.recordLoad("i32.load16_u", RECORD_SEGMENT) as I32;
		return { offset: this.let(offset), flat };
	}

	// For operands

	/** A field of the record, not named. */
	recordLoad(name: LoadOpName, offset: number): Value {
		return load(name, localGet(this.#continuation.record), offset);
	}

	/** Whether an operand left of `position` is an immediate too. */
	hasImmediateBefore(position: number): boolean {
		return operandsOf(this.#form.example.row)
			.slice(0, position)
			.some(({ method }) => method === "I");
	}

	loadSlot(slot: I32, bytes: number): Value {
		return this.let(this.stateLoad(slot, 0, bytes));
	}

	storeSlot(slot: I32, bytes: number, value: Value): void {
		this.stateStore(slot, 0, bytes, value);
	}

	/** 4 or 8 bytes of an XMM register, as a number. */
	loadFloatSlot(slot: I32, bytes: number): Value {
		return this.toFloat(this.loadSlot(slot, bytes) as Integer);
	}

	storeFloatSlot(slot: I32, bytes: number, value: Value): void {
		this.storeSlot(slot, bytes, this.fromFloat(value));
	}

	toFloat(bits: Integer): Value {
		const type = bits.type === "i64" ? "f64" : "f32";
		return this.let(this.op(`${type}.reinterpret_${bits.type}`, bits) as Value);
	}

	fromFloat(value: Value): Integer {
		const type = value.type === "f64" ? "i64" : "i32";
		return this.op<"i32" | "i64">(`${type}.reinterpret_${value.type}`, value);
	}

	storeGeneralSlot(slot: I32, width: number, value: Integer): void {
		this.storeRegister(slot, 0, width, value);
	}

	/** Base + index << scale + displacement + `offsetBytes` + `distance` (signed), cut to the address size. */
	effectiveAddress(offsetBytes: number, distance?: Integer): Integer {
		this.#address ??= this.let(this.#computeAddress()) as Integer;
		let sum: Integer = this.#address;
		const bits = typeBits(sum);
		if (distance !== undefined) sum = this.add(sum, this.#fit(bits, distance));
		if (offsetBytes !== 0)
			sum = this.add(sum, this.constant(bits, offsetBytes));
		if (sum === this.#address) return sum;
		const size = this.#form.example.addressSize;
		return this.let(this.zeroExtend(size, sum)) as Integer;
	}

	/** A signed value in the machine type of `bits`. */
	#fit(bits: number, value: Integer): Integer {
		return bits === 64 && value.type === "i32"
			? this.extendS(value as I32)
			: this.toWidth(bits, value);
	}

	linearAt(address: Integer, bytes: number, intent: Intent): Integer {
		return this.linear("data", address, bytes, intent);
	}

	loadLinearAt(linear: Integer, width: number): Integer {
		return this.loadLinear("data", linear, width);
	}

	prepareLinearAt(linear: Integer, width: number): (value: Integer) => void {
		return this.prepareLinear("data", linear, width);
	}

	hostAddressAt(linear: Integer, bytes: number, intent: Intent): I32 {
		return this.hostAddress("data", linear, bytes, intent);
	}

	commitAt(host: I32): void {
		this.commit(host);
	}

	loadVectorAt(linear: Integer): Vector {
		const host = this.hostAddress("data", linear, 16, "read");
		return this.let(this.loadHost(host, 128) as Vector);
	}

	storeVectorAt(linear: Integer, value: Vector): void {
		this.storeLinear("data", linear, 16, (address) =>
			this.code.store("v128.store", expr(address), expr(value)),
		);
	}

	#computeAddress(): Integer {
		const { example } = this.#form;
		if (example.memory === undefined) return this.#absoluteAddress(example);
		switch (example.addressSize) {
			case 64:
				return this.#sum64(example);
			case 32: {
				const sum = this.#sum32(example);
				return this.long ? this.extendU(sum) : sum;
			}
			default:
				return this.zeroExtend(16, this.#sum32(example));
		}
	}

	/** moffs: the address is the immediate. */
	#absoluteAddress(example: Instruction): Integer {
		if (example.addressSize === 64) {
			return this.recordLoad("i64.load", RECORD_IMMEDIATE) as I64;
		}
		const address = this.recordLoad("i32.load", RECORD_IMMEDIATE) as I32;
		return this.long ? this.extendU(address) : address;
	}

	#sum32({ memory }: Instruction): I32 {
		const displacement = this.recordLoad(
			"i32.load",
			RECORD_DISPLACEMENT,
		) as I32;
		if (memory?.ripRelative) {
			return this.add(this.wrap(this.nextRip()), displacement);
		}
		const base = this.stateLoad(this.#slotField(RECORD_BASE), 0, 4) as I32;
		const sum = this.add(base, displacement);
		if (memory === undefined || memory.index < 0) return sum;
		const index = this.stateLoad(this.#slotField(RECORD_INDEX), 0, 4) as I32;
		return this.add(sum, this.shl(index, this.#scale()));
	}

	#sum64({ memory }: Instruction): I64 {
		const displacement = this.extendS(
			this.recordLoad("i32.load", RECORD_DISPLACEMENT) as I32,
		);
		if (memory?.ripRelative) {
			return this.add(this.nextRip() as I64, displacement);
		}
		const base = this.stateLoad(this.#slotField(RECORD_BASE), 0, 8) as I64;
		const sum = this.add(base, displacement);
		if (memory === undefined || memory.index < 0) return sum;
		const index = this.stateLoad(this.#slotField(RECORD_INDEX), 0, 8) as I64;
		return this.add(sum, this.shl(index, this.extendU(this.#scale())));
	}

	#slotField(offset: number): I32 {
		return this.recordLoad("i32.load16_u", offset) as I32;
	}

	#scale(): I32 {
		return this.recordLoad("i32.load8_u", RECORD_SCALE) as I32;
	}

	#pageOffset(): I32 {
		return this.recordLoad("i32.load16_u", RECORD_PAGE_OFFSET) as I32;
	}

	#rip(pageOffset: I32): Integer {
		const sum = this.add(
			localGet(this.#continuation.ripPage) as Value as I64,
			this.extendU(pageOffset),
		);
		return this.let(this.long ? sum : this.wrap(sum)) as Integer;
	}
}
