/**
 * Random trees over constants, once with the constants visible and once with
 * them hidden in parameters, must compute the same.
 */
import { describe, expect, it } from "vitest";
import { functionOf, moduleOf } from "../../test/support/wasm-function.ts";
import {
	type Expression,
	f64Const,
	i32Const,
	i64Const,
	load,
	localGet,
	op,
	tee,
} from "./expression.ts";
import { FunctionBuilder } from "./function-builder.ts";
import type { PlainOpName } from "./opcodes.ts";
import { truthOf } from "./simplify.ts";

const ARITHMETIC = ["add", "sub", "mul", "and", "or", "xor"];
const SHIFTS = ["shl", "shr_s", "shr_u", "rotl", "rotr"];
const COMPARISONS = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(" ");
/** Values at which identities and wrap-around happen. */
const CONSTANTS = [
	...[0n, 1n, -1n, 2n, 31n, 32n, 63n, 64n, 0x7fffffffn, 0x80000000n],
	...[0xffffffffn, 1n << 63n, (1n << 63n) - 1n, 0xabcdef0123n],
];

type Integer = "i32" | "i64";

/** Deterministic, so that a failing seed can be run again. */
function randomSource(seed: number): (below: number) => number {
	let state = seed * 2654435761 + 1;
	return (below) => {
		state = (Math.imul(state, 1664525) + 1013904223) | 0;
		return (state >>> 8) % below;
	};
}

/** Builds one tree; `constant` decides how a constant enters it. */
function randomTree(
	random: (below: number) => number,
	constant: (type: Integer, value: bigint) => Expression,
	variable: (type: Integer) => Expression,
): Expression {
	const pick = <T>(list: readonly T[]) => list[random(list.length)] as T;
	const tree = (type: Integer, depth: number): Expression => {
		if (depth === 0 || random(8) === 0) {
			return random(2) ? constant(type, pick(CONSTANTS)) : variable(type);
		}
		const build = (name: string, operand: Integer, count: number) =>
			op(
				name as PlainOpName,
				...Array.from({ length: count }, () => tree(operand, depth - 1)),
			);
		const choice = random(10);
		if (choice < 7)
			return build(`${type}.${pick([...ARITHMETIC, ...SHIFTS])}`, type, 2);
		if (type === "i64")
			return build(`i64.extend_i32_${pick(["s", "u"])}`, "i32", 1);
		const operand: Integer = random(2) ? "i32" : "i64";
		if (choice === 7) return build("i32.wrap_i64", "i64", 1);
		if (choice === 8) return build(`${operand}.eqz`, operand, 1);
		return build(`${operand}.${pick(COMPARISONS)}`, operand, 2);
	};
	return tree("i32", 5);
}

/** The tree as a function of an i32, an i64 and the constants. */
function treeFunction(seed: number, hidden: boolean) {
	const params = [
		"i32",
		"i64",
		...CONSTANTS.map(() => "i64" as const),
	] as const;
	return functionOf(params, ["i32"], (builder) => {
		const constant = (type: Integer, value: bigint): Expression => {
			if (!hidden) {
				return type === "i64"
					? i64Const(value)
					: i32Const(Number(BigInt.asIntN(32, value)));
			}
			const wide = localGet(builder.param(2 + CONSTANTS.indexOf(value)));
			return type === "i64" ? wide : op("i32.wrap_i64", wide);
		};
		const variable = (type: Integer) =>
			localGet(builder.param(type === "i32" ? 0 : 1));
		builder.return(randomTree(randomSource(seed), constant, variable));
	});
}

const x32 = new FunctionBuilder(["i32", "i64"], []);
const x = localGet(x32.param(0));
const wide = localGet(x32.param(1));

describe("simplify", () => {
	it("never changes what a tree computes", () => {
		for (let seed = 1; seed <= 400; seed++) {
			const visible = treeFunction(seed, false);
			const hidden = treeFunction(seed, true);
			for (const [a, b] of [
				[0, 0n],
				[-1, 1n << 63n],
				[12345, -77n],
			] as const) {
				const results = [visible, hidden].map((run) => run(a, b, ...CONSTANTS));
				expect(results[0], `seed ${seed}`).toBe(results[1]);
			}
		}
	});

	it("removes neutral operands on either side", () => {
		expect(op("i32.add", x, i32Const(0))).toBe(x);
		expect(op("i32.add", i32Const(0), x)).toBe(x);
		expect(op("i32.and", x, i32Const(-1))).toBe(x);
		expect(op("i64.or", i64Const(0n), wide)).toBe(wide);
		expect(op("i64.shl", wide, i64Const(64n))).toBe(wide);
		expect(op("i32.rotl", x, i32Const(32))).toBe(x);
	});

	it("keeps a neutral element where order matters", () => {
		expect(op("i32.sub", i32Const(0), x).kind).toBe("op");
		expect(op("i32.shl", i32Const(0), x).kind).toBe("op");
	});

	it("joins constants of chained additions, wrapping around", () => {
		const sum = op(
			"i32.add",
			op("i32.sub", x, i32Const(-0x80000000)),
			i32Const(-0x80000000),
		);
		expect(sum).toBe(x);
		const address = op(
			"i64.add",
			op("i64.add", wide, i64Const(5n)),
			i64Const(-3n),
		);
		expect(address).toEqual(op("i64.add", wide, i64Const(2n)));
	});

	it("computes with constants alone", () => {
		expect(op("i32.mul", i32Const(-1), i32Const(0x7fffffff))).toEqual(
			i32Const(-0x7fffffff),
		);
		expect(op("i64.shr_u", i64Const(-1n), i64Const(63n))).toEqual(i64Const(1n));
		expect(op("i64.extend_i32_u", i32Const(-1))).toEqual(i64Const(0xffffffffn));
		expect(op("i64.lt_u", i64Const(1n), i64Const(-1n))).toEqual(i32Const(1));
	});

	it("turns a negated integer comparison round, but not a float one", () => {
		const less = op("i32.lt_u", x, i32Const(5));
		expect(op("i32.eqz", less)).toEqual(op("i32.ge_u", x, i32Const(5)));
		const float = op("f64.lt", f64Const(1), f64Const(2));
		expect(op("i32.eqz", float)).toMatchObject({ name: "i32.eqz" });
		expect(op("i32.eqz", op("i32.eqz", float))).toBe(float);
	});

	it("keeps double negation as a value, since it makes 1 of 2", () => {
		const twice = op("i32.eqz", op("i32.eqz", x));
		expect(twice).toMatchObject({ name: "i32.eqz" });
		expect(truthOf(twice)).toBe(x);
		expect(truthOf(op("i32.ne", x, i32Const(0)))).toBe(x);
	});

	it("never drops an operand with effects", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const seen = b.local("i32");
			const assigned = tee(seen, localGet(b.param(0)));
			b.drop(op("i32.and", assigned, i32Const(0)));
			b.drop(op("i32.mul", i32Const(0), load("i32.load", assigned)));
			b.return(localGet(seen));
		});
		expect(run(12)).toBe(12);
		expect(() => run(-1)).toThrow(WebAssembly.RuntimeError);
	});

	it("leaves valid modules behind", () => {
		const bytes = moduleOf([], ["i32"], (b) =>
			b.return(op("i32.eqz", i32Const(0))),
		);
		expect(WebAssembly.validate(bytes)).toBe(true);
	});
});
