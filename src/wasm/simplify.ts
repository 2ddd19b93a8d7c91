/**
 * The peephole optimiser: what a plain instruction on given operands comes
 * down to, if that is less than the instruction. Relies on the node shapes and
 * constants; the `op` constructor asks it about every instruction it builds.
 *
 * @journey P:225 Saving the next compiler the trouble
 * The engine's optimising compiler would find all of this as well, but its
 * baseline compiler would not, every byte we emit is a byte it reads, and code
 * which knows a register number or an immediate folds to almost nothing. Rules
 * stay within the laws of modular arithmetic: no operand that could trap, or
 * that assigns a local on the way, is ever dropped or moved past another.
 */
import {
	i32Const,
	i32Value,
	i64Const,
	i64ConstParts,
	i64Value,
} from "./constant.ts";
import type { Expression, PlainNode } from "./expression-node.ts";
import { nodeOf } from "./expression-node.ts";
import type { PlainOpName } from "./opcodes.ts";
import { OPCODES } from "./opcodes.ts";

type Rule = (args: readonly Expression[]) => Expression | undefined;

/** Arithmetic of one integer type: how to read, compute and write constants. */
interface IntegerRules<N> {
	readonly prefix: "i32" | "i64";
	readonly valueOf: (expression: Expression) => N | undefined;
	readonly constant: (value: N) => Expression;
	readonly binary: Readonly<Record<string, (a: N, b: N) => N>>;
	readonly comparisons: Readonly<Record<string, (a: N, b: N) => boolean>>;
	/** Right operands which leave the left one as it is. */
	readonly neutral: Readonly<Record<string, N>>;
	readonly isZero: (value: N) => boolean;
	/** A shift count that shifts by nothing, counts being taken modulo width. */
	readonly isZeroCount: (value: N) => boolean;
	readonly negate: (value: N) => N;
}

const COMMUTATIVE = new Set(["add", "mul", "and", "or", "xor", "eq", "ne"]);
const ASSOCIATIVE = new Set(["add", "and", "or", "xor"]);
const SHIFTS = new Set(["shl", "shr_s", "shr_u", "rotl", "rotr"]);

const INVERSES = new Map<string, string>(
	[
		["eq", "ne"],
		["lt_s", "ge_s"],
		["lt_u", "ge_u"],
		["gt_s", "le_s"],
		["gt_u", "le_u"],
	].flatMap(([a, b]) => [
		[a, b] as [string, string],
		[b, a] as [string, string],
	]),
);

const I32_RULES: IntegerRules<number> = {
	prefix: "i32",
	valueOf: i32Value,
	// Results of | and of comparisons are signed, of >>> unsigned: cut to size.
	constant: (value) => i32Const(value | 0),
	binary: {
		add: (a, b) => a + b,
		sub: (a, b) => a - b,
		mul: Math.imul,
		and: (a, b) => a & b,
		or: (a, b) => a | b,
		xor: (a, b) => a ^ b,
		// JavaScript takes shift counts modulo 32 exactly as WebAssembly does.
		shl: (a, b) => a << b,
		shr_s: (a, b) => a >> b,
		shr_u: (a, b) => a >>> b,
	},
	comparisons: {
		eq: (a, b) => a === b,
		ne: (a, b) => a !== b,
		lt_s: (a, b) => a < b,
		le_s: (a, b) => a <= b,
		gt_s: (a, b) => a > b,
		ge_s: (a, b) => a >= b,
		lt_u: (a, b) => a >>> 0 < b >>> 0,
		le_u: (a, b) => a >>> 0 <= b >>> 0,
		gt_u: (a, b) => a >>> 0 > b >>> 0,
		ge_u: (a, b) => a >>> 0 >= b >>> 0,
	},
	neutral: { add: 0, sub: 0, mul: 1, and: -1, or: 0, xor: 0 },
	isZero: (value) => value === 0,
	isZeroCount: (value) => (value & 31) === 0,
	negate: (value) => -value | 0,
};

const unsigned64 = (value: bigint): bigint => BigInt.asUintN(64, value);

const I64_RULES: IntegerRules<bigint> = {
	prefix: "i64",
	valueOf: i64Value,
	constant: i64Const,
	binary: {
		add: (a, b) => a + b,
		sub: (a, b) => a - b,
		mul: (a, b) => a * b,
		and: (a, b) => a & b,
		or: (a, b) => a | b,
		xor: (a, b) => a ^ b,
		shl: (a, b) => a << (b & 63n),
		shr_s: (a, b) => a >> (b & 63n),
		shr_u: (a, b) => unsigned64(a) >> (b & 63n),
	},
	comparisons: {
		eq: (a, b) => a === b,
		ne: (a, b) => a !== b,
		lt_s: (a, b) => a < b,
		le_s: (a, b) => a <= b,
		gt_s: (a, b) => a > b,
		ge_s: (a, b) => a >= b,
		lt_u: (a, b) => unsigned64(a) < unsigned64(b),
		le_u: (a, b) => unsigned64(a) <= unsigned64(b),
		gt_u: (a, b) => unsigned64(a) > unsigned64(b),
		ge_u: (a, b) => unsigned64(a) >= unsigned64(b),
	},
	neutral: { add: 0n, sub: 0n, mul: 1n, and: -1n, or: 0n, xor: 0n },
	isZero: (value) => value === 0n,
	isZeroCount: (value) => (value & 63n) === 0n,
	negate: (value) => -value,
};

const RULES = new Map<PlainOpName, Rule>([
	...integerRules(I32_RULES),
	...integerRules(I64_RULES),
	["i32.wrap_i64", simplifyWrap],
	["i64.extend_i32_s", (args) => extendConstant(args, (low) => low >> 31)],
	["i64.extend_i32_u", (args) => extendConstant(args, () => 0)],
]);

/** A tree of the same value and effects, or undefined if nothing is gained. */
export function simplify(
	name: PlainOpName,
	args: readonly Expression[],
): Expression | undefined {
	// Nearly all are of two operands, of which nearly none is constant.
	const [x, y] = args;
	if (y !== undefined && !isConstant(x as Expression) && !isConstant(y)) {
		return undefined;
	}
	return RULES.get(name)?.(args);
}

function isConstant(expression: Expression): boolean {
	const { kind } = nodeOf(expression);
	return kind === "i32.const" || kind === "i64.const";
}

/** A tree which is zero exactly when the given one is, for use as a condition. */
export function truthOf(condition: Expression): Expression {
	let current = condition;
	for (;;) {
		const node = nodeOf(current);
		if (node.kind !== "op") return current;
		const [first, second] = node.args as [Expression, Expression];
		if (node.name === "i32.eqz" && isOp(first, "i32.eqz")) {
			current = first.args[0] as Expression;
		} else if (node.name === "i32.ne" && i32Value(second) === 0) {
			current = first;
		} else {
			return current;
		}
	}
}

function integerRules<N>(rules: IntegerRules<N>): [PlainOpName, Rule][] {
	const named = (suffix: string) => `${rules.prefix}.${suffix}` as PlainOpName;
	return [
		...Object.keys(rules.binary).map((suffix): [PlainOpName, Rule] => [
			named(suffix),
			(args) => simplifyBinary(rules, suffix, args),
		]),
		...["rotl", "rotr"].map((suffix): [PlainOpName, Rule] => [
			named(suffix),
			(args) => withoutNeutral(rules, suffix, args[0], args[1]),
		]),
		...Object.keys(rules.comparisons).map((suffix): [PlainOpName, Rule] => [
			named(suffix),
			(args) => simplifyComparison(rules, suffix, args),
		]),
		[named("eqz"), (args) => simplifyEqz(rules, args[0] as Expression)],
	];
}

function simplifyBinary<N>(
	rules: IntegerRules<N>,
	suffix: string,
	args: readonly Expression[],
): Expression | undefined {
	const [x, y] = constantLast(rules, suffix, args);
	const right = rules.valueOf(y);
	if (right === undefined) return undefined;
	const fold = rules.binary[suffix] as (a: N, b: N) => N;
	const left = rules.valueOf(x);
	if (left !== undefined) return rules.constant(fold(left, right));
	return (
		withoutNeutral(rules, suffix, x, y) ??
		reassociated(rules, suffix, x, right) ??
		(x === args[0] ? undefined : build(rules.prefix, suffix, [x, y]))
	);
}

/** Constants move right; a constant can be passed by anything. */
function constantLast<N>(
	rules: IntegerRules<N>,
	suffix: string,
	args: readonly Expression[],
): [Expression, Expression] {
	const [x, y] = args as [Expression, Expression];
	const swap =
		COMMUTATIVE.has(suffix) &&
		rules.valueOf(x) !== undefined &&
		rules.valueOf(y) === undefined;
	return swap ? [y, x] : [x, y];
}

function withoutNeutral<N>(
	rules: IntegerRules<N>,
	suffix: string,
	x: Expression | undefined,
	y: Expression | undefined,
): Expression | undefined {
	const right = y && rules.valueOf(y);
	if (right === undefined) return undefined;
	const isNeutral = SHIFTS.has(suffix)
		? rules.isZeroCount(right)
		: right === rules.neutral[suffix];
	return isNeutral ? x : undefined;
}

/** (x + 1) + 2 is x + 3, and x - 1 is x + -1 so that it joins in. */
function reassociated<N>(
	rules: IntegerRules<N>,
	suffix: string,
	x: Expression,
	right: N,
): Expression | undefined {
	if (suffix === "sub") {
		const negated = rules.constant(rules.negate(right));
		return buildSimplified(rules.prefix, "add", [x, negated]);
	}
	if (!ASSOCIATIVE.has(suffix)) return undefined;
	const inner = nodeOf(x);
	if (inner.kind !== "op" || inner.name !== `${rules.prefix}.${suffix}`) {
		return undefined;
	}
	const [base, middle] = inner.args as [Expression, Expression];
	const left = rules.valueOf(middle);
	if (left === undefined) return undefined;
	const fold = rules.binary[suffix] as (a: N, b: N) => N;
	const joined = rules.constant(fold(left, right));
	return buildSimplified(rules.prefix, suffix, [base, joined]);
}

function simplifyComparison<N>(
	rules: IntegerRules<N>,
	suffix: string,
	args: readonly Expression[],
): Expression | undefined {
	const [x, y] = constantLast(rules, suffix, args);
	const right = rules.valueOf(y);
	if (right === undefined) return undefined;
	const left = rules.valueOf(x);
	if (left !== undefined) {
		const compare = rules.comparisons[suffix] as (a: N, b: N) => boolean;
		return i32Const(compare(left, right) ? 1 : 0);
	}
	if (suffix === "eq" && rules.isZero(right)) {
		return buildSimplified(rules.prefix, "eqz", [x]);
	}
	return x === args[0] ? undefined : build(rules.prefix, suffix, [x, y]);
}

/** Integer comparisons turn round; float ones must not, because of NaN. */
function simplifyEqz<N>(
	rules: IntegerRules<N>,
	x: Expression,
): Expression | undefined {
	const value = rules.valueOf(x);
	if (value !== undefined) return i32Const(rules.isZero(value) ? 1 : 0);
	const node = nodeOf(x);
	if (node.kind !== "op" || rules.prefix !== "i32") return undefined;
	const [type, suffix] = node.name.split(".") as [string, string];
	const inverse = INVERSES.get(suffix);
	if (inverse !== undefined && (type === "i32" || type === "i64")) {
		return build(type, inverse, node.args);
	}
	if (node.name !== "i32.eqz") return undefined;
	const inner = node.args[0] as Expression;
	return isTruthValue(inner) ? inner : undefined;
}

/** Whether the tree can only be 0 or 1, so that two negations cancel. */
function isTruthValue(expression: Expression): boolean {
	const node = nodeOf(expression);
	if (node.kind !== "op" || node.op.result !== "i32") return false;
	return /\.(eqz|eq|ne|[lg][te](_[su])?|any_true|all_true)$/.test(node.name);
}

function simplifyWrap(args: readonly Expression[]): Expression | undefined {
	const node = nodeOf(args[0] as Expression);
	if (node.kind === "i64.const") return i32Const(node.low);
	const isExtension =
		isOp(node, "i64.extend_i32_u") || isOp(node, "i64.extend_i32_s");
	return isExtension ? node.args[0] : undefined;
}

function extendConstant(
	args: readonly Expression[],
	highOf: (low: number) => number,
): Expression | undefined {
	const low = i32Value(args[0] as Expression);
	return low === undefined ? undefined : i64ConstParts(low, highOf(low));
}

function isOp(
	expression: Expression,
	name: PlainOpName,
): expression is PlainNode {
	const node = nodeOf(expression);
	return node.kind === "op" && node.name === name;
}

function build(
	prefix: "i32" | "i64",
	suffix: string,
	args: readonly Expression[],
): Expression {
	const name = `${prefix}.${suffix}` as PlainOpName;
	const op = OPCODES[name];
	const node: PlainNode = { kind: "op", type: op.result, name, op, args };
	return node;
}

function buildSimplified(
	prefix: "i32" | "i64",
	suffix: string,
	args: readonly Expression[],
): Expression {
	const name = `${prefix}.${suffix}` as PlainOpName;
	return simplify(name, args) ?? build(prefix, suffix, args);
}
