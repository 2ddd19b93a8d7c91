/**
 * Compiles every instruction of the tables once. Types and codes must agree
 * with what the engine's validator knows about each code.
 */
import { describe, expect, it } from "vitest";
import { functionOf, moduleOf } from "../../test/support/wasm-function.ts";
import {
	type Expression,
	lane,
	load,
	loadLane,
	localGet,
	op,
} from "./expression.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import {
	LANE_OPCODES,
	type LaneOpName,
	LOAD_LANE_OPCODES,
	LOAD_OPCODES,
	type LoadLaneOpName,
	type LoadOpName,
	OPCODES,
	type PlainOpName,
	STORE_LANE_OPCODES,
	STORE_OPCODES,
	type StoreLaneOpName,
	type StoreOpName,
	type ValueType,
} from "./opcodes.ts";

type Params = readonly ValueType[];

function namesOf<T extends string>(table: Record<T, unknown>): T[] {
	return Object.keys(table) as T[];
}

function validates(
	params: Params,
	results: Params,
	write: (builder: FunctionBuilder, args: Expression[]) => void,
): boolean {
	const bytes = moduleOf(params, results, (builder) =>
		write(
			builder,
			params.map((_, i) => localGet(builder.param(i))),
		),
	);
	return WebAssembly.validate(bytes);
}

describe("the opcode tables", () => {
	it.each(namesOf<PlainOpName>(OPCODES))(
		"have %s as the engine does",
		(name) => {
			const { params, result } = OPCODES[name];
			const valid = validates(params, [result], (builder, args) =>
				builder.return(op(name, ...args)),
			);
			expect(valid).toBe(true);
		},
	);

	it.each(namesOf<LaneOpName>(LANE_OPCODES))(
		"have %s with all its lanes",
		(name) => {
			const { params, result, lanes } = LANE_OPCODES[name];
			const valid = validates(params, [result], (builder, args) =>
				builder.return(lane(name, lanes - 1, ...args)),
			);
			expect(valid).toBe(true);
			expect(() =>
				validates(params, [result], (_, args) => lane(name, lanes, ...args)),
			).toThrow(/no lane/);
		},
	);

	it.each(namesOf<LoadOpName>(LOAD_OPCODES))(
		"have %s as the engine does",
		(name) => {
			const valid = validates(
				["i32"],
				[LOAD_OPCODES[name].type],
				(builder, args) =>
					builder.return(load(name, args[0] as Expression, 0xffffffff)),
			);
			expect(valid).toBe(true);
		},
	);

	it.each(namesOf<StoreOpName>(STORE_OPCODES))(
		"have %s as the engine does",
		(name) => {
			const params = ["i32", STORE_OPCODES[name].type] as const;
			const valid = validates(params, [], (builder, [address, value]) =>
				builder.store(name, address as Expression, value as Expression, 300),
			);
			expect(valid).toBe(true);
		},
	);

	it.each(namesOf<LoadLaneOpName>(LOAD_LANE_OPCODES))(
		"have %s as the engine does",
		(name) => {
			const lastLane = LOAD_LANE_OPCODES[name].lanes - 1;
			const valid = validates(
				["i32", "v128"],
				["v128"],
				(builder, [at, vector]) =>
					builder.return(
						loadLane(name, lastLane, at as Expression, vector as Expression, 5),
					),
			);
			expect(valid).toBe(true);
		},
	);

	it.each(namesOf<StoreLaneOpName>(STORE_LANE_OPCODES))(
		"have %s as the engine does",
		(name) => {
			const lastLane = STORE_LANE_OPCODES[name].lanes - 1;
			const valid = validates(["i32", "v128"], [], (builder, [at, vector]) =>
				builder.storeLane(
					name,
					lastLane,
					at as Expression,
					vector as Expression,
					5,
				),
			);
			expect(valid).toBe(true);
		},
	);

	it("give no two instructions the same code", () => {
		const tables = [OPCODES, LANE_OPCODES, LOAD_OPCODES, STORE_OPCODES];
		const codes = [...tables, LOAD_LANE_OPCODES, STORE_LANE_OPCODES].flatMap(
			(table) => Object.values(table).map(({ code }) => code.join(" ")),
		);
		expect(new Set(codes).size).toBe(codes.length);
	});

	it("tell apart neighbours which the validator cannot", () => {
		const run = (name: PlainOpName, a: number, b: number) =>
			functionOf(["i32", "i32"], ["i32"], (builder) => {
				const args = [builder.param(0), builder.param(1)].map((p) =>
					localGet(p),
				);
				builder.return(op(name, ...args));
			})(a, b);
		expect(run("i32.lt_s", -1, 1)).toBe(1);
		expect(run("i32.lt_u", -1, 1)).toBe(0);
		expect(run("i32.gt_s", -1, 1)).toBe(0);
		expect(run("i32.gt_u", -1, 1)).toBe(1);
		expect(run("i32.shr_s", -8, 1)).toBe(-4);
		expect(run("i32.shr_u", -8, 1)).toBe(0x7ffffffc);
		expect(run("i32.rotl", 1, 31)).toBe(-0x80000000);
		expect(run("i32.rotr", 1, 1)).toBe(-0x80000000);
		expect(run("i32.rem_s", -7, 2)).toBe(-1);
	});
});
