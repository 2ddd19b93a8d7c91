/** Statements and control flow, tried by running them. */
import { describe, expect, it } from "vitest";
import { functionOf, moduleOf } from "../../test/support/wasm-function.ts";
import {
	call,
	callIndirect,
	type Expression,
	i32Const,
	i64Const,
	load,
	localGet,
	op,
	tee,
} from "./expression.ts";
import { FunctionBuilder, type Label } from "./function-builder.ts";
import { ModuleBuilder } from "./module-builder.ts";
import type { Local } from "./references.ts";

/** `local = local + amount` */
function increase(b: FunctionBuilder, local: Local, amount: Expression): void {
	b.set(local, op("i32.add", localGet(local), amount));
}

describe("control flow", () => {
	it("repeats a loop by branching to its label", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const sum = b.local("i32");
			const n = b.param(0);
			b.set(sum, i32Const(0));
			b.block((done) => {
				b.loop((again) => {
					b.brIf(done, op("i32.eqz", localGet(n)));
					increase(b, sum, localGet(n));
					increase(b, n, i32Const(-1));
					b.br(again);
				});
			});
			b.return(localGet(sum));
		});
		expect(run(100)).toBe(5050);
	});

	it("takes either side of an if", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			b.if(
				op("i32.lt_s", localGet(b.param(0)), i32Const(0)),
				() => b.return(i32Const(-1)),
				() => b.return(i32Const(1)),
			);
		});
		expect(run(-5)).toBe(-1);
		expect(run(5)).toBe(1);
	});

	it("writes only the side of a constant condition which will run", () => {
		const calls: string[] = [];
		const b = new FunctionBuilder([], []);
		b.if(
			i32Const(0),
			() => calls.push("then"),
			() => calls.push("else"),
		);
		b.block((label) => b.brIf(label, i32Const(0)));
		expect(calls).toEqual(["else"]);
		// The block's start, type and end.
		expect(b.codeLength).toBe(3);
	});

	it("branches by table from a switch, with a default", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const cases = (labels: Label[], count: number): void => {
				if (count === 0) {
					const [last, ...others] = labels as [Label, ...Label[]];
					b.brTable(others.reverse(), last, localGet(b.param(0)));
					return;
				}
				b.block((label) => cases([...labels, label], count - 1));
				b.return(i32Const(count * 10));
			};
			cases([], 4);
		});
		// The outermost block, of 40, is the default; inside it come 30, 20, 10.
		expect([0, 1, 2, 3, -1].map((index) => run(index))).toEqual([
			10, 20, 30, 40, 40,
		]);
	});

	it("counts ifs among the depths a branch leaves", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			b.block((out) => {
				b.if(localGet(b.param(0)), () => {
					b.block(() => b.if(localGet(b.param(0)), () => b.br(out)));
				});
				b.return(i32Const(0));
			});
			b.return(i32Const(1));
		});
		expect(run(1)).toBe(1);
		expect(run(0)).toBe(0);
	});

	it("refuses a label outside its block, even at the same depth", () => {
		const b = new FunctionBuilder([], []);
		let stale: Label | undefined;
		b.block((label) => {
			stale = label;
		});
		b.block(() => {
			expect(() => b.br(stale as Label)).toThrow(/outside its block/);
		});
		expect(() => b.br(stale as Label)).toThrow(/outside its block/);
	});

	it("accepts a loop without exit at the end of a function with results", () => {
		const bytes = moduleOf([], ["i64"], (b) => b.loop((again) => b.br(again)));
		expect(WebAssembly.validate(bytes)).toBe(true);
	});
});

describe("statements", () => {
	it("refuse values of the wrong type", () => {
		const b = new FunctionBuilder(["i32"], ["i32"]);
		expect(() => b.set(b.param(0), i64Const(1n))).toThrow(/local.set/);
		expect(() => b.store("i32.store8", i32Const(0), i64Const(1n))).toThrow(
			/i32.store8: takes i32, got i64/,
		);
		expect(() => b.return()).toThrow(/return: takes 1/);
		expect(() => b.if(i64Const(1n), () => {})).toThrow(/if: takes i32/);
		expect(() => b.evaluate(i32Const(1))).toThrow(/takes a call/);
	});

	it("write nothing for assigning a local to itself", () => {
		const b = new FunctionBuilder(["i32"], []);
		b.set(b.param(0), localGet(b.param(0)));
		expect(b.codeLength).toBe(0);
	});

	it("store, copy and fill memory", () => {
		const memory = new WebAssembly.Memory({ initial: 1 });
		const run = functionOf(
			["i32"],
			["i32"],
			(b) => {
				const at = localGet(b.param(0));
				b.memoryFill(at, i32Const(0x55), i32Const(4));
				b.store("i32.store16", at, i32Const(0x11223344), 1);
				b.memoryCopy(i32Const(200), at, i32Const(4));
				b.return(load("i32.load", i32Const(200)));
			},
			memory,
		);
		expect(run(101)).toBe(0x55334455);
	});

	it("refuse assigning a constant global", () => {
		const module = new ModuleBuilder();
		const zero = module.defineGlobal("i32", false, i32Const(0));
		const b = new FunctionBuilder([], []);
		expect(() => b.globalSet(zero, i32Const(1))).toThrow(/constant/);
	});
});

/** Adds `swap(a, b) -> (b, a)`, in the table at 3 if there is one. */
function declareSwap(module: ModuleBuilder) {
	const swap = module.declareFunction(["i32", "i64"], ["i64", "i32"], "swap");
	const body = new FunctionBuilder(["i32", "i64"], ["i64", "i32"]);
	body.return(localGet(body.param(1)), localGet(body.param(0)));
	module.defineFunction(swap, body);
	return swap;
}

describe("calls as statements", () => {
	it("take several results apart in order", () => {
		const run = functionOf([], ["i64"], (b, module) => {
			const swap = declareSwap(module);
			const [big, small] = [b.local("i64"), b.local("i32")];
			b.setResults([big, small], call(swap, i32Const(7), i64Const(50n)));
			b.evaluate(call(swap, i32Const(1), i64Const(2n)));
			const widened = op("i64.extend_i32_u", localGet(small));
			b.return(op("i64.sub", localGet(big), widened));
			const wrong = call(swap, i32Const(1), i64Const(2n));
			expect(() => b.setResults([small, big], wrong)).toThrow(/i32,i64/);
		});
		expect(run()).toBe(43n);
	});

	it("go through the table, trapping on another signature", () => {
		const run = functionOf(["i32"], ["i32"], (b, module) => {
			module.defineTable(8);
			module.element(3, [declareSwap(module)]);
			const same = module.type(["i32", "i64"], ["i64", "i32"]);
			const [big, small] = [b.local("i64"), b.local("i32")];
			const args = [i32Const(7), i64Const(50n)];
			const index = localGet(b.param(0));
			b.setResults([big, small], callIndirect(same, index, ...args));
			const other = module.type(["i32"], ["i32"]);
			b.if(op("i32.eq", localGet(small), i32Const(8)), () =>
				b.drop(callIndirect(other, index, i32Const(0))),
			);
			b.return(localGet(small));
		});
		expect(run(3)).toBe(7);
		expect(() => run(4)).toThrow(WebAssembly.RuntimeError);
	});

	it("leave no frame behind when they are tail calls", () => {
		const module = new ModuleBuilder();
		const [params, results] = [["i32", "i32"], ["i32"]] as const;
		const even = module.declareFunction(params, results, "even");
		const odd = module.declareFunction(params, results, "odd");
		const table = module.defineTable(1);
		module.element(0, [even]);
		const define = (isEven: boolean) => {
			const b = new FunctionBuilder(params, results);
			const n = localGet(b.param(0));
			b.if(op("i32.eqz", n), () => b.return(i32Const(isEven ? 1 : 0)));
			const less = op("i32.sub", n, i32Const(1));
			const extra = localGet(b.param(1));
			if (isEven) b.returnCall(odd, less, extra);
			else {
				const type = module.type(params, results);
				b.returnCallIndirect(type, i32Const(0), less, extra);
			}
			module.defineFunction(isEven ? even : odd, b);
		};
		define(true);
		define(false);
		module.exportFunction("even", even);
		module.exportTable("table", table);
		const { exports } = new WebAssembly.Instance(
			new WebAssembly.Module(module.toBytes()),
		);
		expect(exports.even(1_000_000, 0)).toBe(1);
		expect(exports.even(1_000_001, 0)).toBe(0);
		expect(exports.table.get(0)).toBe(exports.even);
	});

	it("refuse tail calls with other results than the function's", () => {
		const module = new ModuleBuilder();
		const swap = declareSwap(module);
		const b = new FunctionBuilder([], ["i32"]);
		expect(() => b.returnCall(swap, i32Const(1), i64Const(1n))).toThrow(
			/callee returns \(i64,i32\), not \(i32\)/,
		);
	});

	it("evaluate operands before the call and tee what they need", () => {
		const run = functionOf(["i32"], ["i32"], (b) => {
			const copy = b.local("i32");
			b.drop(tee(copy, localGet(b.param(0))));
			b.return(localGet(copy));
		});
		expect(run(9)).toBe(9);
	});
});
