/** Whole modules: their sections as the engine sees them. */
import { describe, expect, it } from "vitest";
import { ByteWriter } from "./byte-writer.ts";
import {
	call,
	f64Const,
	globalGet,
	i32Const,
	i64Const,
	load,
	localGet,
	op,
} from "./expression.ts";
import { FunctionBuilder } from "./function-builder.ts";
import { ModuleBuilder } from "./module-builder.ts";

/** Declares and defines `name` as a function returning the constant. */
function defineConstant(module: ModuleBuilder, name: string, value: number) {
	const ref = module.declareFunction([], ["i32"], name);
	const body = new FunctionBuilder([], ["i32"]);
	body.return(i32Const(value));
	module.defineFunction(ref, body);
	return ref;
}

describe("ModuleBuilder", () => {
	it("writes an empty module as its header alone", () => {
		const bytes = new ModuleBuilder().toBytes();
		expect([...bytes]).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
	});

	it("keeps one type for each signature", () => {
		const module = new ModuleBuilder();
		const type = module.type(["i32"], ["i64"]);
		expect(module.type(["i32"], ["i64"])).toBe(type);
		expect(module.type(["i32", "i64"], []).index).toBe(1);
	});

	it("imports functions, memory, table and globals, and exports them on", () => {
		const module = new ModuleBuilder();
		const imported = module.importFunction("env", "twice", ["i32"], ["i32"]);
		module.importMemory("env", "memory", { minPages: 1, maxPages: 2 });
		const table = module.importTable("env", "table", { min: 4 });
		const base = module.importGlobal("env", "base", "i32", false);
		const own = module.defineGlobal("i32", true, globalGet(base));
		const run = module.declareFunction([], ["i32"]);
		const body = new FunctionBuilder([], ["i32"]);
		const loaded = load("i32.load", globalGet(own), 4);
		body.return(call(imported, loaded));
		module.defineFunction(run, body);
		module.element(globalGet(base), [run]);
		module.exportFunction("run", run);
		module.exportFunction("twice", imported);
		module.exportTable("table", table);
		module.exportGlobal("own", own);

		const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
		new DataView(memory.buffer).setInt32(6, 21, true);
		const outer = new WebAssembly.Table({ element: "anyfunc", initial: 4 });
		const env = { twice: (x: number) => x * 2, memory, table: outer };
		const { exports } = new WebAssembly.Instance(
			new WebAssembly.Module(module.toBytes()),
			{ env: { ...env, base: new WebAssembly.Global({ value: "i32" }, 2) } },
		);
		expect(exports.run()).toBe(42);
		expect(exports.twice(4)).toBe(8);
		expect(exports.own.value).toBe(2);
		expect(outer.get(2)).toBe(exports.run);
		expect(exports.table).toBe(outer);
	});

	it("imports shared memory, which must have a maximum", () => {
		const limits = { minPages: 1, maxPages: 3, shared: true };
		const module = new ModuleBuilder();
		module.importMemory("env", "memory", limits);
		const memory = new WebAssembly.Memory({
			initial: 1,
			maximum: 3,
			shared: true,
		});
		const compiled = new WebAssembly.Module(module.toBytes());
		new WebAssembly.Instance(compiled, { env: { memory } });
		const unlimited = { minPages: 1, shared: true };
		expect(() => module.importMemory("env", "m", unlimited)).toThrow(/maximum/);
	});

	it("lets functions call one another before their bodies exist", () => {
		const module = new ModuleBuilder();
		const factorial = module.declareFunction(["i64"], ["i64"], "factorial");
		const body = new FunctionBuilder(["i64"], ["i64"]);
		const n = localGet(body.param(0));
		body.if(op("i64.eqz", n), () => body.return(i64Const(1n)));
		const rest = call(factorial, op("i64.sub", n, i64Const(1n)));
		body.return(op("i64.mul", n, rest));
		module.defineFunction(factorial, body);
		module.exportFunction("factorial", factorial);
		const compiled = new WebAssembly.Module(module.toBytes());
		const { exports } = new WebAssembly.Instance(compiled);
		expect(exports.factorial(20n)).toBe(2432902008176640000n);
	});

	it("keeps bodies with their functions, in whatever order they come", () => {
		const module = new ModuleBuilder();
		const first = module.declareFunction([], ["i32"], "first");
		module.exportFunction("second", defineConstant(module, "second", 2));
		const body = new FunctionBuilder([], ["i32"]);
		body.return(i32Const(1));
		module.defineFunction(first, body);
		module.exportFunction("first", first);
		const compiled = new WebAssembly.Module(module.toBytes());
		const { exports } = new WebAssembly.Instance(compiled);
		expect([exports.first(), exports.second()]).toEqual([1, 2]);
	});

	it("names functions for stack traces when asked to", () => {
		const module = new ModuleBuilder({ names: true });
		const trap = module.declareFunction([], [], "trap_of_this_test");
		const body = new FunctionBuilder([], []);
		body.unreachable();
		module.defineFunction(trap, body);
		module.exportFunction("run", trap);
		const compiled = new WebAssembly.Module(module.toBytes());
		const { exports } = new WebAssembly.Instance(compiled);
		let stack: string | undefined;
		try {
			exports.run();
		} catch (error) {
			stack = (error as Error).stack;
		}
		expect(stack).toContain("trap_of_this_test");
	});

	it("refuses a declared function without a body, by name", () => {
		const module = new ModuleBuilder();
		module.declareFunction([], [], "lost");
		expect(() => module.toBytes()).toThrow("lost: no body");
	});

	it("refuses a body of another type, a second body, a body for an import", () => {
		const module = new ModuleBuilder();
		const imported = module.importFunction("env", "f", [], []);
		const empty = new FunctionBuilder([], []);
		expect(() => module.defineFunction(imported, empty)).toThrow(/import/);
		const ref = defineConstant(module, "one", 1);
		expect(() => module.defineFunction(ref, empty)).toThrow(/already/);
		const other = module.declareFunction([], ["i32"], "two");
		expect(() => module.defineFunction(other, empty)).toThrow(/differ in type/);
	});

	it("refuses imports once something of the same kind is declared", () => {
		const module = new ModuleBuilder();
		module.declareFunction([], []);
		module.defineTable(1);
		module.defineGlobal("f64", false, f64Const(1));
		expect(() => module.importFunction("env", "f", [], [])).toThrow(/after/);
		expect(() => module.importTable("env", "t", { min: 1 })).toThrow(/after/);
		expect(() => module.importGlobal("env", "g", "i32", false)).toThrow(
			/after/,
		);
	});

	it("refuses an initial value which is no constant", () => {
		const module = new ModuleBuilder();
		const computed = load("i32.load", i32Const(0));
		expect(() => module.defineGlobal("i32", false, computed)).toThrow(
			/must be constant/,
		);
	});

	it("tells engines which branches are rarely taken, and where they are", () => {
		const module = new ModuleBuilder();
		module.importFunction("env", "other", [], []);
		defineConstant(module, "first", 1);
		const run = module.declareFunction(["i32"], ["i32"]);
		const body = new FunctionBuilder(["i32"], ["i32"]);
		body.local("i64");
		body.block((out) => {
			body.block((usual) => body.brIf(usual, localGet(body.param(0))));
			body.brIf(out, localGet(body.param(0)));
			const leave = () => body.return(i32Const(1));
			body.if(localGet(body.param(0)), leave, undefined, "rare");
		}, "rare");
		body.return(i32Const(2));
		body.atStart(() => {
			const leave = () => body.return(i32Const(3));
			body.if(op("i32.eqz", localGet(body.param(0))), leave, undefined, "rare");
		});
		module.defineFunction(run, body);
		const bytes = module.toBytes();

		expect(WebAssembly.validate(bytes)).toBe(true);
		const name = "metadata.code.branch_hint";
		const content = Buffer.from(bytes).indexOf(name) + name.length;
		const [count, index, hints, ...entries] = bytes.subarray(content);
		expect([count, index, hints]).toEqual([1, 2, 3]);
		const written = new ByteWriter();
		body.encodeBody(written);
		// Behind the body's size.
		const code = written.toBytes().subarray(1);
		const [ifCode, brIfCode] = [0x04, 0x0d];
		for (const [i, opcode] of [ifCode, brIfCode, ifCode].entries()) {
			const [offset, size, likely] = entries.slice(i * 3);
			expect([size, likely]).toEqual([1, 0]);
			expect(code[offset as number]).toBe(opcode);
		}
	});
});
