/**
 * What an instruction can point at besides its operands: locals, functions,
 * function types, globals, tables. Each is a small immutable object with its
 * final index, handed out by a builder; relies on the opcode table's types,
 * and the expressions and both builders rely on it.
 *
 * @journey P:215 Things with an index
 * Machine code refers to everything by number. We refer by object, and only
 * the encoder reads the number, so a local of one function cannot quietly
 * name another function's local.
 */
import type { ValueType } from "./opcodes.ts";

/** A parameter or local variable of one function. */
export interface Local<T extends ValueType = ValueType> {
	readonly index: number;
	readonly type: T;
}

/** A signature in a module's type section. */
export interface FunctionType {
	readonly index: number;
	readonly params: readonly ValueType[];
	readonly results: readonly ValueType[];
}

/** A function which was imported or declared; its body may come later. */
export interface FunctionRef {
	readonly index: number;
	readonly type: FunctionType;
	readonly name: string;
}

/** A module's global variable. */
export interface GlobalRef<T extends ValueType = ValueType> {
	readonly index: number;
	readonly type: T;
	readonly mutable: boolean;
	readonly imported: boolean;
}

/** A table of function references. */
export interface TableRef {
	readonly index: number;
}
