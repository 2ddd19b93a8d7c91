/**
 * The shapes of expression trees: what the constructors in `expression.ts`
 * build, the simplifier matches and the encoder walks. Relies on the opcode
 * tables' types; nothing outside this folder needs to know the shapes.
 *
 * @journey P:220 Code as a value
 * WebAssembly is a stack machine, but nobody thinks in stacks. Here the part
 * of the code which computes is a tree you can hold, pass on and combine, and
 * the part which *happens* (assignments, stores, branches) is a sequence of
 * calls on a function builder. A tree is emitted where a statement uses it: it
 * sees the locals, the globals and the memory as they are *then*, and a tree
 * used twice is computed twice. Put into a local what must be neither.
 */
import type {
	LaneOpName,
	LoadLaneOpName,
	LoadOpName,
	MemoryOp,
	PlainOp,
	PlainOpName,
	ValueType,
} from "./opcodes.ts";
import type {
	FunctionRef,
	FunctionType,
	GlobalRef,
	Local,
} from "./references.ts";

/** A tree which leaves one value of type T; opaque outside this folder. */
export interface Expression<T extends ValueType = ValueType> {
	readonly kind: ExpressionNode["kind"];
	readonly type: T;
}

/** A 32-bit integer, kept in JavaScript's signed range. */
export interface I32Constant extends Expression<"i32"> {
	readonly kind: "i32.const";
	readonly value: number;
}

/** A 64-bit integer in signed 32-bit halves, which need no bigint to encode. */
export interface I64Constant extends Expression<"i64"> {
	readonly kind: "i64.const";
	readonly low: number;
	readonly high: number;
}

/** A float; a NaN has the canonical payload. */
export interface FloatConstant extends Expression<"f32" | "f64"> {
	readonly kind: "f32.const" | "f64.const";
	readonly value: number;
}

/** Sixteen bytes, lowest address first. */
export interface V128Constant extends Expression<"v128"> {
	readonly kind: "v128.const";
	readonly bytes: Uint8Array;
}

/** Reads a local at the place where the tree is emitted. */
export interface LocalGet<T extends ValueType = ValueType>
	extends Expression<T> {
	readonly kind: "local.get";
	readonly local: Local;
}

/** Assigns a local on the way and leaves the value. */
export interface LocalTee<T extends ValueType = ValueType>
	extends Expression<T> {
	readonly kind: "local.tee";
	readonly local: Local;
	readonly value: Expression;
}

/** Reads a global. */
export interface GlobalGet<T extends ValueType = ValueType>
	extends Expression<T> {
	readonly kind: "global.get";
	readonly global: GlobalRef;
}

/** An instruction without immediates on its operands. */
export interface PlainNode extends Expression {
	readonly kind: "op";
	readonly name: PlainOpName;
	readonly op: PlainOp;
	readonly args: readonly Expression[];
}

/** A lane instruction on its operands. */
export interface LaneNode extends Expression {
	readonly kind: "lane";
	readonly name: LaneOpName;
	readonly op: PlainOp;
	readonly laneIndex: number;
	readonly args: readonly Expression[];
}

/** A load; memory is read, and may trap, where the tree is emitted. */
export interface LoadNode extends Expression {
	readonly kind: "load";
	readonly name: LoadOpName;
	readonly op: MemoryOp;
	readonly address: Expression;
	readonly offset: number;
}

/** A load into one lane of a vector. */
export interface LoadLaneNode extends Expression<"v128"> {
	readonly kind: "load.lane";
	readonly name: LoadLaneOpName;
	readonly op: MemoryOp;
	readonly laneIndex: number;
	readonly address: Expression;
	readonly vector: Expression;
	readonly offset: number;
}

/** A choice without a branch: both sides are computed, the condition last. */
export interface SelectNode<T extends ValueType = ValueType>
	extends Expression<T> {
	readonly kind: "select";
	readonly condition: Expression;
	readonly ifTrue: Expression;
	readonly ifFalse: Expression;
}

/** A direct call. Of no result or several, `type` matches no operand's. */
export interface CallNode extends Expression {
	readonly kind: "call";
	readonly target: FunctionRef;
	readonly results: readonly ValueType[];
	readonly args: readonly Expression[];
}

/** A call through table 0, which traps unless the signature matches. */
export interface CallIndirectNode extends Expression {
	readonly kind: "call_indirect";
	readonly signature: FunctionType;
	readonly tableIndex: Expression;
	readonly results: readonly ValueType[];
	readonly args: readonly Expression[];
}

/** Sixteen bytes picked out of the thirty-two of two vectors. */
export interface ShuffleNode extends Expression<"v128"> {
	readonly kind: "shuffle";
	readonly lanes: Uint8Array;
	readonly left: Expression;
	readonly right: Expression;
}

/** All shapes, told apart by `kind`. */
export type ExpressionNode =
	| I32Constant
	| I64Constant
	| FloatConstant
	| V128Constant
	| LocalGet
	| LocalTee
	| GlobalGet
	| PlainNode
	| LaneNode
	| LoadNode
	| LoadLaneNode
	| SelectNode
	| CallNode
	| CallIndirectNode
	| ShuffleNode;

/** The shape behind the opaque face: every Expression was built as a node. */
export function nodeOf(expression: Expression): ExpressionNode {
	return expression as ExpressionNode;
}

/** Whether leaving the tree out changes nothing, told without a walk. */
export function isLeaf(expression: Expression): boolean {
	switch (expression.kind) {
		case "local.get":
		case "global.get":
		case "i32.const":
		case "i64.const":
		case "f32.const":
		case "f64.const":
		case "v128.const":
			return true;
		default:
			return false;
	}
}
