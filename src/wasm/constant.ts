/**
 * Constructors of constant expressions, and the way back from a constant to
 * its number. Relies on the node shapes; `expression.ts` re-exports the
 * constructors for users, and the simplifier computes with them.
 *
 * @journey P:222 Constants
 * Everything the translator knows at translation time ends up as one of these,
 * and whatever is computed from constants alone is computed here and now.
 */
import type {
	Expression,
	FloatConstant,
	I32Constant,
	I64Constant,
	V128Constant,
} from "./expression-node.ts";
import { nodeOf } from "./expression-node.ts";

/** Takes -2^31 to 2^32-1: signed and unsigned spellings of the same bits. */
export function i32Const(value: number): Expression<"i32"> {
	if ((value | 0) !== value && value >>> 0 !== value) {
		throw new Error(`i32.const: ${value} is not a 32-bit integer`);
	}
	const node: I32Constant = {
		kind: "i32.const",
		type: "i32",
		value: value | 0,
	};
	return node;
}

/** Takes any bigint, modulo 2^64. */
export function i64Const(value: bigint): Expression<"i64"> {
	return i64ConstParts(
		Number(BigInt.asIntN(32, value)),
		Number(BigInt.asIntN(32, value >> 32n)),
	);
}

/** From 32-bit halves of either signedness, for callers which avoid bigint. */
export function i64ConstParts(low: number, high: number): Expression<"i64"> {
	const node: I64Constant = {
		kind: "i64.const",
		type: "i64",
		low: low | 0,
		high: high | 0,
	};
	return node;
}

/** Rounded to single precision when encoded. */
export function f32Const(value: number): Expression<"f32"> {
	const node: FloatConstant = { kind: "f32.const", type: "f32", value };
	return node as Expression<"f32">;
}

/** For a NaN with a given payload, reinterpret an i64 constant instead. */
export function f64Const(value: number): Expression<"f64"> {
	const node: FloatConstant = { kind: "f64.const", type: "f64", value };
	return node as Expression<"f64">;
}

/** Copies the sixteen bytes, so the caller may reuse the array. */
export function v128Const(bytes: Uint8Array): Expression<"v128"> {
	if (bytes.length !== 16) {
		throw new Error(`v128.const: ${bytes.length} bytes instead of 16`);
	}
	const node: V128Constant = {
		kind: "v128.const",
		type: "v128",
		bytes: bytes.slice(),
	};
	return node;
}

/** The signed value of an i32 constant; undefined for any other tree. */
export function i32Value(expression: Expression): number | undefined {
	const node = nodeOf(expression);
	return node.kind === "i32.const" ? node.value : undefined;
}

/** The signed value of an i64 constant; undefined for any other tree. */
export function i64Value(expression: Expression): bigint | undefined {
	const node = nodeOf(expression);
	if (node.kind !== "i64.const") return undefined;
	return (BigInt(node.high) << 32n) | BigInt(node.low >>> 0);
}

/** Of either type, if it is a constant and a number says it exactly. */
export function integerConstant(expression: Expression): number | undefined {
	const value = i32Value(expression) ?? i64Value(expression);
	const number = value === undefined ? undefined : Number(value);
	return Number.isSafeInteger(number) ? number : undefined;
}
