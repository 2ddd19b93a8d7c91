/**
 * Compiles and instantiates one-function modules, so that the tests of the
 * WebAssembly assembler can say "this code, with these arguments, gives that".
 * Relies on the module builder; only tests rely on it.
 */
import { FunctionBuilder } from "../../src/wasm/function-builder.ts";
import { ModuleBuilder } from "../../src/wasm/module-builder.ts";
import type { ValueType } from "../../src/wasm/opcodes.ts";

/** A module whose export "run" is the function, with one page of memory. */
export function moduleOf(
	params: readonly ValueType[],
	results: readonly ValueType[],
	write: (builder: FunctionBuilder, module: ModuleBuilder) => void,
): Uint8Array<ArrayBuffer> {
	const module = new ModuleBuilder();
	module.importMemory("env", "memory", { minPages: 1 });
	const ref = module.declareFunction(params, results, "run");
	const builder = new FunctionBuilder(params, results);
	write(builder, module);
	module.defineFunction(ref, builder);
	module.exportFunction("run", ref);
	return module.toBytes();
}

/** Compiles such a module; the answer calls the function. */
export function functionOf(
	params: readonly ValueType[],
	results: readonly ValueType[],
	write: (builder: FunctionBuilder, module: ModuleBuilder) => void,
	memory = new WebAssembly.Memory({ initial: 1 }),
): (...args: (number | bigint)[]) => unknown {
	const module = new WebAssembly.Module(moduleOf(params, results, write));
	const instance = new WebAssembly.Instance(module, { env: { memory } });
	return instance.exports.run;
}
