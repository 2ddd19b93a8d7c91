/**
 * The emitter's pure half over the Wasm assembler: constants, names,
 * arithmetic, conversions and control flow inside one instruction. It knows
 * nothing of x86; `state-emitter.ts` builds on it, and kernels and both engines
 * on that.
 *
 * @journey E:400 Values become expressions
 */

import {
	type Expression,
	f32Const,
	f64Const,
	i32Const,
	i64Const,
	lane,
	localGet,
	op,
	select,
	shuffle,
	v128Const,
} from "../../wasm/expression.ts";
import { isLeaf, nodeOf } from "../../wasm/expression-node.ts";
import type {
	Frequency,
	FunctionBuilder,
} from "../../wasm/function-builder.ts";
import type { LaneOpName, PlainOpName } from "../../wasm/opcodes.ts";
import type { Local } from "../../wasm/references.ts";
import type {
	I32,
	I64,
	Integer,
	Value,
	ValueType,
	Variable,
	Vector,
} from "../semantics/emitter.ts";

/** Semantics hold values, the assembler expressions: the same objects. */
export function expr<T extends ValueType>(value: Value<T>): Expression<T> {
	return value as Expression<T>;
}

export class ArithmeticEmitter {
	readonly code: FunctionBuilder;

	constructor(code: FunctionBuilder) {
		this.code = code;
	}

	i32(value: number): I32 {
		return i32Const(value | 0);
	}

	i64(value: bigint | number): I64 {
		return i64Const(BigInt(value));
	}

	constant(width: number, value: number): Integer {
		return width === 64 ? this.i64(value) : this.i32(value);
	}

	f32(value: number): Value<"f32"> {
		return f32Const(value);
	}

	f64(value: number): Value<"f64"> {
		return f64Const(value);
	}

	v128(bytes: readonly number[]): Vector {
		return v128Const(Uint8Array.from(bytes));
	}

	let<T extends ValueType>(value: Value<T>): Value<T> {
		const expression = expr(value);
		const node = nodeOf(expression);
		// Constants and temporaries are named already. (Locals of variables
		// never appear here: `Variable.get` copies.)
		if (isLeaf(expression) && node.kind !== "global.get") return value;
		return this.copy(expression);
	}

	variable<T extends ValueType>(initial: Value<T>): Variable<T> {
		const local: Local<T> = this.code.local(initial.type);
		this.code.set(local, expr(initial));
		return {
			get: () => this.copy(localGet(local)),
			set: (value) => this.code.set(local, expr(value)),
		};
	}

	add<T extends Integer>(a: T, b: T): T {
		return this.#binary("add", a, b);
	}
	sub<T extends Integer>(a: T, b: T): T {
		return this.#binary("sub", a, b);
	}
	mul<T extends Integer>(a: T, b: T): T {
		return this.#binary("mul", a, b);
	}
	divS<T extends Integer>(a: T, b: T): T {
		return this.#binary("div_s", a, b);
	}
	divU<T extends Integer>(a: T, b: T): T {
		return this.#binary("div_u", a, b);
	}
	remS<T extends Integer>(a: T, b: T): T {
		return this.#binary("rem_s", a, b);
	}
	remU<T extends Integer>(a: T, b: T): T {
		return this.#binary("rem_u", a, b);
	}
	and<T extends Integer>(a: T, b: T): T {
		return this.#binary("and", a, b);
	}
	or<T extends Integer>(a: T, b: T): T {
		return this.#binary("or", a, b);
	}
	xor<T extends Integer>(a: T, b: T): T {
		return this.#binary("xor", a, b);
	}
	not<T extends Integer>(a: T): T {
		return this.#binary("xor", a, this.#like(a, -1));
	}
	neg<T extends Integer>(a: T): T {
		return this.#binary("sub", this.#like(a, 0), a);
	}
	shl<T extends Integer>(a: T, count: T): T {
		return this.#binary("shl", a, count);
	}
	shrU<T extends Integer>(a: T, count: T): T {
		return this.#binary("shr_u", a, count);
	}
	shrS<T extends Integer>(a: T, count: T): T {
		return this.#binary("shr_s", a, count);
	}
	rotl<T extends Integer>(a: T, count: T): T {
		return this.#binary("rotl", a, count);
	}
	rotr<T extends Integer>(a: T, count: T): T {
		return this.#binary("rotr", a, count);
	}
	clz<T extends Integer>(a: T): T {
		return this.#unary("clz", a) as T;
	}
	ctz<T extends Integer>(a: T): T {
		return this.#unary("ctz", a) as T;
	}
	popcnt<T extends Integer>(a: T): T {
		return this.#unary("popcnt", a) as T;
	}

	eqz(a: Integer): I32 {
		return this.#unary("eqz", a) as I32;
	}
	eq<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("eq", a, b);
	}
	ne<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("ne", a, b);
	}
	ltS<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("lt_s", a, b);
	}
	ltU<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("lt_u", a, b);
	}
	leS<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("le_s", a, b);
	}
	leU<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("le_u", a, b);
	}
	gtS<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("gt_s", a, b);
	}
	gtU<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("gt_u", a, b);
	}
	geS<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("ge_s", a, b);
	}
	geU<T extends Integer>(a: T, b: T): I32 {
		return this.#compare("ge_u", a, b);
	}

	select<T extends ValueType>(
		condition: I32,
		ifTrue: Value<T>,
		ifFalse: Value<T>,
	): Value<T> {
		return select(expr(condition), expr(ifTrue), expr(ifFalse));
	}

	extendU(a: I32): I64 {
		return this.op<"i64">("i64.extend_i32_u", a);
	}
	extendS(a: I32): I64 {
		return this.op<"i64">("i64.extend_i32_s", a);
	}
	wrap(a: Integer): I32 {
		return a.type === "i32" ? (a as I32) : this.op<"i32">("i32.wrap_i64", a);
	}

	zeroExtend<T extends Integer>(width: number, a: T): T {
		if (width === typeBits(a)) return a;
		return this.and(a, this.#like(a, 2 ** width - 1));
	}

	signExtend<T extends Integer>(width: number, a: T): T {
		if (width === typeBits(a)) return a;
		return this.#unary(EXTENSIONS[width] as IntegerOp, a) as T;
	}

	toWidth(width: number, a: Integer): Integer {
		if (width === 64) return a.type === "i64" ? a : this.extendU(a as I32);
		return this.wrap(a);
	}

	op<T extends ValueType = "v128">(
		name: string,
		...args: readonly Value[]
	): Value<T> {
		// The same objects: see `expr`.
		const operands = args as readonly Value[] as Expression[];
		return op(name as PlainOpName, ...operands) as Value as Value<T>;
	}

	lane<T extends ValueType>(
		name: string,
		laneIndex: number,
		...args: readonly Value[]
	): Value<T> {
		return lane(
			name as LaneOpName,
			laneIndex,
			...args.map(expr),
		) as Value as Value<T>;
	}

	shuffle(a: Vector, b: Vector, lanes: readonly number[]): Vector {
		return shuffle(expr(a), expr(b), lanes);
	}

	if(
		condition: I32,
		then: () => void,
		otherwise?: () => void,
		holds: Frequency = "usual",
	): void {
		this.code.if(expr(condition), then, otherwise, holds);
	}

	ifAny(
		conditions: readonly I32[],
		then: () => void,
		otherwise?: () => void,
	): void {
		this.code.block((end) => {
			this.code.block((found) => {
				for (const one of conditions) this.code.brIf(found, expr(one));
				otherwise?.();
				this.code.br(end);
			}, "rare");
			then();
		});
	}

	loop(body: (again: (condition?: I32) => void) => void): void {
		this.code.loop((label) => {
			body((condition) => {
				if (condition === undefined) this.code.br(label);
				else this.code.brIf(label, expr(condition));
			});
		});
	}

	/** A new temporary with the value of `value` as it is here. */
	protected copy<T extends ValueType>(value: Expression<T>): Value<T> {
		const local: Local<T> = this.code.local(value.type);
		this.code.set(local, value);
		return localGet(local);
	}

	#like<T extends Integer>(a: T, value: number): T {
		return this.constant(typeBits(a), value) as T;
	}

	#binary<T extends Integer>(name: IntegerOp, a: T, b: T): T {
		return op(nameFor(a, name), expr(a), expr(b)) as Value as T;
	}

	#compare<T extends Integer>(name: IntegerOp, a: T, b: T): I32 {
		return op(nameFor(a, name), expr(a), expr(b)) as Value as I32;
	}

	#unary(name: IntegerOp, a: Integer): Value {
		return op(nameFor(a, name), expr(a)) as Value;
	}
}

/** Instructions that both integer types have. */
const INTEGER_OPS = [
	...["add", "sub", "mul", "div_s", "div_u", "rem_s", "rem_u"],
	...["and", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "rotr"],
	...["clz", "ctz", "popcnt", "eqz", "eq", "ne"],
	...["lt_s", "lt_u", "le_s", "le_u", "gt_s", "gt_u", "ge_s", "ge_u"],
	...["extend8_s", "extend16_s", "extend32_s"],
] as const;
type IntegerOp = (typeof INTEGER_OPS)[number];

const EXTENSIONS: Readonly<Record<number, IntegerOp>> = {
	8: "extend8_s",
	16: "extend16_s",
	32: "extend32_s",
};

/** Their whole names: putting one together costs more than what it names. */
const NAMES_32 = namesOf("i32");
const NAMES_64 = namesOf("i64");

function namesOf(type: "i32" | "i64"): Record<IntegerOp, PlainOpName> {
	const names = INTEGER_OPS.map((name) => [name, `${type}.${name}`]);
	return Object.fromEntries(names) as Record<IntegerOp, PlainOpName>;
}

function nameFor(a: Integer, name: IntegerOp): PlainOpName {
	return a.type === "i64" ? NAMES_64[name] : NAMES_32[name];
}

/** 32 or 64: the bits of the machine type that carries a value. */
export function typeBits(value: Integer): number {
	return value.type === "i64" ? 64 : 32;
}
