/** Trees: what they compute, and what they refuse. */
import { describe, expect, it } from "vitest";
import { functionOf } from "../../test/support/wasm-function.ts";
import {
	call,
	callIndirect,
	f32Const,
	f64Const,
	globalGet,
	i32Const,
	i64Const,
	i64ConstParts,
	lane,
	load,
	loadLane,
	localGet,
	op,
	select,
	shuffle,
	tee,
	v128Const,
} from "./expression.ts";

const BYTES_0_TO_15 = Uint8Array.from({ length: 16 }, (_, i) => i);

describe("constants", () => {
	it("reach the generated code exactly", () => {
		for (const value of [0, -1, 63, 64, -64, -65, 0x7fffffff, -0x80000000]) {
			const run = functionOf([], ["i32"], (b) => b.return(i32Const(value)));
			expect(run()).toBe(value);
		}
		for (const value of [0n, -1n, 1n << 62n, -(1n << 63n), 0xffffffffn]) {
			const run = functionOf([], ["i64"], (b) => b.return(i64Const(value)));
			expect(run()).toBe(value);
		}
		for (const value of [0.1, -Infinity, 5e-324]) {
			const run = functionOf([], ["f64"], (b) => b.return(f64Const(value)));
			expect(run()).toBe(value);
		}
		const single = functionOf([], ["f32"], (b) => b.return(f32Const(0.1)));
		expect(single()).toBe(Math.fround(0.1));
	});

	it("accept both signednesses of the same 32 bits", () => {
		expect(i32Const(0xffffffff)).toEqual(i32Const(-1));
		expect(i64ConstParts(0xffffffff, -1)).toEqual(i64Const(-1n));
		expect(i64Const(0xffffffff_ffffffffn)).toEqual(i64Const(-1n));
	});

	it("refuse what has no 32 bits", () => {
		for (const value of [0.5, NaN, 2 ** 32, -(2 ** 31) - 1]) {
			expect(() => i32Const(value)).toThrow(/not a 32-bit integer/);
		}
		expect(() => v128Const(new Uint8Array(15))).toThrow(/15 bytes/);
	});
});

describe("operators", () => {
	it("refuse operands of the wrong type or number, and say which", () => {
		expect(() => op("i32.add", i32Const(1), i64Const(1n))).toThrow(
			"i32.add: takes i32, got i64 (i64.const)",
		);
		expect(() => op("i32.add", i32Const(1))).toThrow(
			"i32.add: takes 2 operands, got 1",
		);
		expect(() => load("i32.load", i64Const(0n))).toThrow(/takes i32/);
		expect(() => load("i32.load", i32Const(0), -1)).toThrow(/offset -1/);
		expect(() =>
			select(i32Const(1), i32Const(1), f32Const(1) as never),
		).toThrow(/select: takes i32, got f32/);
	});

	it("load with every width at unaligned addresses", () => {
		const memory = new WebAssembly.Memory({ initial: 1 });
		new DataView(memory.buffer).setBigUint64(3, 0x8182838485868788n, true);
		const run = functionOf(
			["i32"],
			["i64"],
			(b) => {
				const address = localGet(b.param(0));
				const narrow = op("i64.extend_i32_u", load("i32.load16_u", address, 1));
				b.return(op("i64.xor", load("i64.load", address, 2), narrow));
			},
			memory,
		);
		const expected = 0x8182838485868788n ^ 0x8800n;
		expect(run(1)).toBe(BigInt.asIntN(64, expected));
	});

	it("select without a branch", () => {
		const run = functionOf(["i32", "i64", "i64"], ["i64"], (b) => {
			const [condition, yes, no] = [0, 1, 2].map((i) => localGet(b.param(i)));
			if (!condition || !yes || !no) throw new Error("three parameters");
			b.return(select(condition, yes, no));
		});
		expect(run(7, 1n, 2n)).toBe(1n);
		expect(run(0, 1n, 2n)).toBe(2n);
	});

	it("assign on the way with tee, operands left to right", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const square = b.local("i32");
			const x = localGet(b.param(0));
			const assigned = tee(square, op("i32.mul", x, x));
			b.return(op("i32.add", assigned, localGet(square)));
		});
		expect(run(5)).toBe(50);
	});
});

describe("vectors", () => {
	it("extract, replace and shuffle lanes", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const ramp = v128Const(BYTES_0_TO_15);
			const replaced = lane(
				"i8x16.replace_lane",
				3,
				ramp,
				localGet(b.param(0)),
			);
			const reversed = shuffle(
				replaced,
				ramp,
				[...BYTES_0_TO_15].reverse().map((i) => (i === 15 ? 31 : i)),
			);
			b.return(lane("i32x4.extract_lane", 3, reversed));
		});
		// Bytes 3, 2, 1, 0 of the replaced vector, lowest first.
		expect(run(0x7f)).toBe(0x0001027f);
	});

	it("load and store single lanes", () => {
		const memory = new WebAssembly.Memory({ initial: 1 });
		const bytes = new Uint8Array(memory.buffer);
		bytes.set([0xaa, 0xbb], 100);
		const run = functionOf(
			[],
			[],
			(b) => {
				const vector = loadLane(
					"v128.load16_lane",
					7,
					i32Const(96),
					v128Const(BYTES_0_TO_15),
					4,
				);
				b.storeLane("v128.store64_lane", 1, i32Const(0), vector, 8);
			},
			memory,
		);
		run();
		expect([...bytes.slice(8, 16)]).toEqual([8, 9, 10, 11, 12, 13, 0xaa, 0xbb]);
	});

	it("refuse byte numbers beyond both vectors", () => {
		const zero = v128Const(new Uint8Array(16));
		const lanes = new Array<number>(16).fill(32);
		expect(() => shuffle(zero, zero, lanes)).toThrow(/no lane 32/);
		expect(() => shuffle(zero, zero, [0])).toThrow(/1 lanes/);
	});
});

describe("calls", () => {
	it("are operands if there is one result, and only then", () => {
		const type = { index: 0, params: [], results: ["i32", "i64"] } as const;
		const pair = call({ index: 0, type, name: "pair" });
		expect(() => op("i32.eqz", pair)).toThrow(/several results/);
		const none = callIndirect({ ...type, results: [] }, i32Const(0));
		expect(() => op("i32.eqz", none)).toThrow(/no result/);
	});

	it("check their arguments", () => {
		const type = { index: 0, params: ["i64"], results: [] } as const;
		const target = { index: 0, type, name: "sink" };
		expect(() => call(target, i32Const(1))).toThrow("call sink: takes i64");
		expect(() => callIndirect(type, i64Const(0n), i64Const(0n))).toThrow(
			/index: takes i32/,
		);
	});

	it("read globals at the place of emission", () => {
		const run = functionOf([], ["i32"], (b, module) => {
			const counter = module.defineGlobal("i32", true, i32Const(40));
			const read = globalGet(counter);
			b.globalSet(counter, op("i32.add", read, i32Const(2)));
			b.return(read);
		});
		expect(run()).toBe(42);
	});
});
