/**
 * Constructors of expression trees, the vocabulary in which generated code
 * computes. Relies on the opcode tables, against which every tree is checked
 * when it is built: a wrong operand fails here, with names, instead of later
 * as a byte offset in a rejected module. The function builder's users rely on
 * it.
 *
 * @journey P:228 Building trees
 * `op("i32.add", x, y)` is not an addition; it is the *code* of an addition.
 * Keep the two times apart: these functions run while code is generated, what
 * they return runs later, and as often as the generated code gets there.
 */
import { i32Value } from "./constant.ts";
import type {
	CallIndirectNode,
	CallNode,
	Expression,
	GlobalGet,
	LaneNode,
	LoadLaneNode,
	LoadNode,
	LocalGet,
	LocalTee,
	PlainNode,
	SelectNode,
	ShuffleNode,
} from "./expression-node.ts";
import { isLeaf } from "./expression-node.ts";
import type {
	LaneOp,
	LaneOpName,
	LoadLaneOpName,
	LoadOpName,
	MemoryOp,
	PlainOp,
	PlainOpName,
	ValueType,
} from "./opcodes.ts";
import {
	LANE_OPCODES,
	LOAD_LANE_OPCODES,
	LOAD_OPCODES,
	OPCODES,
} from "./opcodes.ts";
import type {
	FunctionRef,
	FunctionType,
	GlobalRef,
	Local,
} from "./references.ts";
import { simplify, truthOf } from "./simplify.ts";

export {
	f32Const,
	f64Const,
	i32Const,
	i64Const,
	i64ConstParts,
	v128Const,
} from "./constant.ts";
export type { Expression } from "./expression-node.ts";

type PlainResult<N extends PlainOpName> = (typeof OPCODES)[N]["result"];
type LaneResult<N extends LaneOpName> = (typeof LANE_OPCODES)[N]["result"];
type LoadResult<N extends LoadOpName> = (typeof LOAD_OPCODES)[N]["type"];

/** The local's value at the place of emission, not at the place of this call. */
export function localGet<T extends ValueType>(local: Local<T>): Expression<T> {
	const node: LocalGet<T> = { kind: "local.get", type: local.type, local };
	return node;
}

/** Assigns in the middle of a tree; mind the order in which trees evaluate. */
export function tee<T extends ValueType>(
	local: Local<T>,
	value: Expression,
): Expression<T> {
	checkType("local.tee", local.type, value);
	const node: LocalTee<T> = {
		kind: "local.tee",
		type: local.type,
		local,
		value,
	};
	return node;
}

/** The global's value at the place of emission. */
export function globalGet<T extends ValueType>(
	global: GlobalRef<T>,
): Expression<T> {
	const node: GlobalGet<T> = { kind: "global.get", type: global.type, global };
	return node;
}

/** An instruction without immediates, or what it simplifies to. */
export function op<N extends PlainOpName>(
	name: N,
	...args: Expression[]
): Expression<PlainResult<N>> {
	const entry: PlainOp = OPCODES[name];
	checkTypes(name, entry.params, args);
	const simpler = simplify(name, args);
	if (simpler !== undefined) return simpler as Expression<PlainResult<N>>;
	const node: PlainNode = {
		kind: "op",
		type: entry.result,
		name,
		op: entry,
		args,
	};
	return node as Expression<PlainResult<N>>;
}

/** Extracts or replaces lane number `laneIndex`, which is part of the code. */
export function lane<N extends LaneOpName>(
	name: N,
	laneIndex: number,
	...args: Expression[]
): Expression<LaneResult<N>> {
	const entry: LaneOp = LANE_OPCODES[name];
	checkTypes(name, entry.params, args);
	checkLane(name, laneIndex, entry.lanes);
	const node: LaneNode = {
		kind: "lane",
		type: entry.result,
		name,
		op: entry,
		laneIndex,
		args,
	};
	return node as Expression<LaneResult<N>>;
}

/**
 * Reads memory at `address` + `offset`. The sum has 33 bits and does not wrap:
 * beyond the memory's end it traps, so only fold an x86 displacement into
 * `offset` where the translated address provably cannot overflow.
 */
export function load<N extends LoadOpName>(
	name: N,
	address: Expression,
	offset = 0,
): Expression<LoadResult<N>> {
	const entry: MemoryOp = LOAD_OPCODES[name];
	checkType(name, "i32", address);
	checkOffset(name, offset);
	const node: LoadNode = {
		kind: "load",
		type: entry.type,
		name,
		op: entry,
		address,
		offset,
	};
	return node as Expression<LoadResult<N>>;
}

/** `vector` with one lane read from memory (MOVLPS, PINSRW and the like). */
export function loadLane(
	name: LoadLaneOpName,
	laneIndex: number,
	address: Expression,
	vector: Expression,
	offset = 0,
): Expression<"v128"> {
	const entry = LOAD_LANE_OPCODES[name];
	checkTypes(name, ["i32", "v128"], [address, vector]);
	checkLane(name, laneIndex, entry.lanes);
	checkOffset(name, offset);
	const node: LoadLaneNode = {
		kind: "load.lane",
		type: "v128",
		name,
		op: entry,
		laneIndex,
		address,
		vector,
		offset,
	};
	return node;
}

/** Both values are computed, then the condition: no branch, no laziness. */
export function select<T extends ValueType>(
	condition: Expression,
	ifTrue: Expression<T>,
	ifFalse: Expression<T>,
): Expression<T> {
	checkTypes("select", ["i32", ifTrue.type], [condition, ifFalse]);
	const known = i32Value(condition);
	if (known !== undefined && isLeaf(ifTrue) && isLeaf(ifFalse)) {
		return known === 0 ? ifFalse : ifTrue;
	}
	const node: SelectNode<T> = {
		kind: "select",
		type: ifTrue.type,
		condition: truthOf(condition),
		ifTrue,
		ifFalse,
	};
	return node;
}

/**
 * A direct call. Usable as an operand if the function has exactly one result;
 * of any other number, hand it to `evaluate` or `setResults`.
 */
export function call(target: FunctionRef, ...args: Expression[]): Expression {
	const { params, results } = target.type;
	checkTypes(`call ${target.name}`, params, args);
	const type = operandType(results);
	const node: CallNode = { kind: "call", type, target, results, args };
	return node;
}

/** A call of entry `tableIndex` of table 0; result rules as for {@link call}. */
export function callIndirect(
	signature: FunctionType,
	tableIndex: Expression,
	...args: Expression[]
): Expression {
	const { params, results } = signature;
	checkTypes("call_indirect", params, args);
	checkType("call_indirect index", "i32", tableIndex);
	const node: CallIndirectNode = {
		kind: "call_indirect",
		type: operandType(results),
		signature,
		tableIndex,
		results,
		args,
	};
	return node;
}

/** Lane numbers 0 to 15 pick bytes of `left`, 16 to 31 of `right`. */
export function shuffle(
	left: Expression,
	right: Expression,
	lanes: ArrayLike<number>,
): Expression<"v128"> {
	checkTypes("i8x16.shuffle", ["v128", "v128"], [left, right]);
	if (lanes.length !== 16) {
		throw new Error(`i8x16.shuffle: ${lanes.length} lanes instead of 16`);
	}
	for (let i = 0; i < 16; i++) {
		checkLane("i8x16.shuffle", lanes[i] as number, 32);
	}
	const node: ShuffleNode = {
		kind: "shuffle",
		type: "v128",
		lanes: Uint8Array.from(lanes),
		left,
		right,
	};
	return node;
}

/** Throws unless the operands are as many and of such types as needed. */
export function checkTypes(
	what: string,
	params: readonly ValueType[],
	args: readonly Expression[],
): void {
	if (args.length !== params.length) {
		throw new Error(
			`${what}: takes ${params.length} operands, got ${args.length}`,
		);
	}
	for (let i = 0; i < params.length; i++) {
		checkType(what, params[i] as ValueType, args[i] as Expression);
	}
}

/** Throws unless the operand has the type which the instruction takes. */
export function checkType(
	what: string,
	expected: ValueType,
	operand: Expression,
): void {
	if (operand.type !== expected) {
		throw new Error(
			`${what}: takes ${expected}, got ${operand.type} (${operand.kind})`,
		);
	}
}

/** Throws unless the immediate is a lane number of the vector shape. */
export function checkLane(what: string, index: number, lanes: number): void {
	if (!Number.isInteger(index) || index < 0 || index >= lanes) {
		throw new Error(`${what}: no lane ${index} among ${lanes}`);
	}
}

/** Throws unless the offset is an unsigned 32-bit integer. */
export function checkOffset(what: string, offset: number): void {
	if (offset >>> 0 !== offset) {
		throw new Error(`${what}: offset ${offset} is not an unsigned integer`);
	}
}

/** Of zero or several results: a word which no operand check accepts. */
function operandType(results: readonly ValueType[]): ValueType {
	if (results.length === 1) return results[0] as ValueType;
	return (results.length === 0 ? "no result" : "several results") as ValueType;
}
