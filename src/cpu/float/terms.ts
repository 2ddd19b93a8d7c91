/**
 * Arithmetic on values with plain numbers in between: `t.add(x, 5)` for
 * `e.add(x, e.i32(5))`. Kernels are formulas of many small constants, and they
 * can only be checked by reading if they look like formulas.
 *
 * Relies on the emitter's vocabulary; every kernel relies on it.
 *
 * @journey E:612 Formulas that look like formulas
 */

import type {
	I32,
	I64,
	Integer,
	Value,
	ValueType,
	Variable,
} from "../semantics/emitter.ts";
import type { Field } from "../state.ts";
import type { KernelEmitter } from "./kernel.ts";

/** A number that takes the machine type of the value beside it. */
export type Constant = number | bigint;

type Binary = "add" | "sub" | "mul" | "and" | "or" | "xor";
type Shift = "shl" | "shrU" | "shrS";
type Comparison =
	| "eq"
	| "ne"
	| "ltS"
	| "ltU"
	| "leS"
	| "leU"
	| "gtS"
	| "gtU"
	| "geS"
	| "geU";

/** An emitter with constants where values go. Nothing here emits but `let`, `set` and the control flow. */
export class Terms {
	readonly e: KernelEmitter;

	constructor(e: KernelEmitter) {
		this.e = e;
	}

	i32(value: number): I32 {
		return this.e.i32(value);
	}

	i64(value: Constant): I64 {
		return this.e.i64(value);
	}

	let<T extends ValueType>(value: Value<T>): Value<T> {
		return this.e.let(value);
	}

	/** A mutable i32. */
	var32(initial: I32 | number): Variable<"i32"> {
		const value = typeof initial === "number" ? this.i32(initial) : initial;
		return this.e.variable(value);
	}

	/** A mutable i64. */
	var64(initial: I64 | Constant): Variable<"i64"> {
		const value = typeof initial === "object" ? initial : this.i64(initial);
		return this.e.variable(value);
	}

	add<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("add", a, b);
	}
	sub<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("sub", a, b);
	}
	mul<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("mul", a, b);
	}
	and<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("and", a, b);
	}
	or<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("or", a, b);
	}
	xor<T extends Integer>(a: T | Constant, b: T | Constant): T {
		return this.#binary("xor", a, b);
	}
	neg<T extends Integer>(a: T): T {
		return this.e.neg(a);
	}
	not<T extends Integer>(a: T): T {
		return this.e.not(a);
	}

	/** Shifts take any integer as the count, modulo the width of `a`. */
	shl<T extends Integer>(a: T | Constant, count: Integer | number): T {
		return this.#shift("shl", a, count);
	}
	shrU<T extends Integer>(a: T | Constant, count: Integer | number): T {
		return this.#shift("shrU", a, count);
	}
	shrS<T extends Integer>(a: T | Constant, count: Integer | number): T {
		return this.#shift("shrS", a, count);
	}
	/** Leading zeros as an i32, 64 for an i64 of 0. */
	clz(a: Integer): I32 {
		return this.e.wrap(this.e.clz(a));
	}

	eqz(a: Integer): I32 {
		return this.e.eqz(a);
	}
	/** 1 when not zero. */
	nonzero(a: Integer): I32 {
		return this.#compare("ne", a, 0);
	}
	eq<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("eq", a, b);
	}
	ne<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("ne", a, b);
	}
	ltS<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("ltS", a, b);
	}
	ltU<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("ltU", a, b);
	}
	leS<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("leS", a, b);
	}
	leU<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("leU", a, b);
	}
	gtS<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("gtS", a, b);
	}
	gtU<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("gtU", a, b);
	}
	geS<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("geS", a, b);
	}
	geU<T extends Integer>(a: T | Constant, b: T | Constant): I32 {
		return this.#compare("geU", a, b);
	}

	select<T extends Integer>(
		condition: I32,
		ifTrue: T | Constant,
		ifFalse: T | Constant,
	): T {
		const [a, b] = this.#pair(ifTrue, ifFalse);
		return this.e.select(condition, a as Value, b as Value) as T;
	}

	/** i32 to i64. */
	wide(a: I32): I64 {
		return this.e.extendU(a);
	}
	wrap(a: Integer): I32 {
		return this.e.wrap(a);
	}

	if(condition: I32, then: () => void, otherwise?: () => void): void {
		this.e.if(condition, then, otherwise);
	}
	/** `then` is for what numbers seldom are. */
	ifRarely(condition: I32, then: () => void, otherwise?: () => void): void {
		this.e.if(condition, then, otherwise, "rare");
	}
	/** If one of what numbers seldom are. */
	ifAny(
		conditions: readonly I32[],
		then: () => void,
		otherwise?: () => void,
	): void {
		this.e.ifAny(conditions, then, otherwise);
	}
	loop(body: (again: (condition?: I32) => void) => void): void {
		this.e.loop(body);
	}

	/** A state word of 1, 2 or 4 bytes, read now. */
	state32(field: Field, index = 0): I32 {
		return this.e.readState(field, index, 0, 4) as I32;
	}
	setState32(field: Field, value: I32 | number, index = 0): void {
		const word = typeof value === "number" ? this.i32(value) : value;
		this.e.writeState(field, word, index, 0, 4);
	}

	kernel32(name: string, ...args: readonly Value[]): I32 {
		return this.e.kernel(name, "i32", ...args);
	}
	kernel64(name: string, ...args: readonly Value[]): I64 {
		return this.e.kernel(name, "i64", ...args);
	}
	run(name: string, ...args: readonly Value[]): void {
		this.e.runKernel(name, ...args);
	}

	#pair<T extends Integer>(a: T | Constant, b: T | Constant): [T, T] {
		const model = typeof a === "object" ? a : b;
		if (typeof model !== "object") throw new Error("two constants");
		const like = (x: T | Constant): T =>
			typeof x === "object" ? x : (this.#constant(model, x) as T);
		return [like(a), like(b)];
	}

	#constant(model: Integer, value: Constant): Integer {
		return model.type === "i64" ? this.i64(value) : this.i32(Number(value));
	}

	#binary<T extends Integer>(
		name: Binary,
		a: T | Constant,
		b: T | Constant,
	): T {
		const [left, right] = this.#pair(a, b);
		return this.e[name](left, right);
	}

	#shift<T extends Integer>(
		name: Shift,
		a: T | Constant,
		count: Integer | number,
	): T {
		// A constant shifted by a value is a mask: those are all 64 bits wide.
		const value = typeof a === "object" ? a : (this.i64(a) as Integer as T);
		const bits = typeof count === "number" ? this.i32(count) : count;
		const width = value.type === "i64" ? 64 : 32;
		return this.e[name](value, this.e.toWidth(width, bits) as T);
	}

	#compare<T extends Integer>(
		name: Comparison,
		a: T | Constant,
		b: T | Constant,
	): I32 {
		const [left, right] = this.#pair(a, b);
		return this.e[name](left, right);
	}
}
