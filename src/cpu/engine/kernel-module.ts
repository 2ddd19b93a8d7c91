/**
 * Compiles kernels as functions when generated code first wants them. Few guests
 * want many, and all of them take as long to generate as a hundred handlers.
 *
 * @journey E:485 Kernels as functions
 */

import { localGet } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { Kernel } from "../float/kernel.ts";
import { STATE_BASE } from "../memory-layout.ts";
import type { Value } from "../semantics/emitter.ts";
import { expr } from "./arithmetic-emitter.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";

/** The kernels of one machine. */
export class KernelModule {
	readonly #memory: WebAssembly.Memory;
	readonly #kernels: ReadonlyMap<string, Kernel>;
	readonly #functions: Record<string, WebAssembly.ImportValue> = {};

	/** `prepared`: a module with some of them. */
	constructor(
		memory: WebAssembly.Memory,
		kernels: ReadonlyMap<string, Kernel>,
		prepared?: Uint8Array<ArrayBuffer>,
	) {
		this.#memory = memory;
		this.#kernels = kernels;
		if (prepared !== undefined) this.#add(prepared);
	}

	/** The compiled functions of these names, and perhaps more. */
	functions(names: readonly string[]): WebAssembly.ModuleImports {
		const missing = names.filter((name) => !(name in this.#functions));
		if (missing.length > 0) this.#add(kernelModule(this.#kernels, missing));
		return this.#functions;
	}

	#add(bytes: Uint8Array<ArrayBuffer>): void {
		const imports = { cpu: { memory: this.#memory } };
		const module = new WebAssembly.Module(bytes);
		const { exports } = new WebAssembly.Instance(module, imports);
		Object.assign(this.#functions, exports);
	}
}

/** A module of the kernels of these names and of those that they call, exported by name. */
export function kernelModule(
	kernels: ReadonlyMap<string, Kernel>,
	names: readonly string[],
): Uint8Array<ArrayBuffer> {
	const module = new ModuleBuilder();
	module.importMemory("cpu", "memory", { minPages: 1 });
	const bodiless: [FunctionRef, Kernel][] = [];
	const kernel = once((name) => {
		const found = kernelNamed(kernels, name);
		const { params, result } = found;
		const results = result === undefined ? [] : [result];
		const ref = module.declareFunction(params, results, name);
		module.exportFunction(name, ref);
		bodiless.push([ref, found]);
		return ref;
	});
	for (const name of names) kernel(name);
	const context = { stateBase: STATE_BASE, kernel };
	for (let next = bodiless.pop(); next; next = bodiless.pop()) {
		const [ref, found] = next;
		module.defineFunction(ref, kernelBody(found, context));
	}
	return module.toBytes();
}

/** Names of the kernels that a module imports. */
export function kernelsOf(compiled: WebAssembly.Module): string[] {
	return WebAssembly.Module.imports(compiled)
		.filter(({ module }) => module === "kernel")
		.map(({ name }) => name);
}

function kernelNamed(
	kernels: ReadonlyMap<string, Kernel>,
	name: string,
): Kernel {
	const kernel = kernels.get(name);
	if (kernel === undefined) throw new Error(`there is no kernel ${name}`);
	return kernel;
}

function kernelBody(kernel: Kernel, context: CodeContext): FunctionBuilder {
	const results = kernel.result === undefined ? [] : [kernel.result];
	const code = new FunctionBuilder(kernel.params, results);
	const e = new StateEmitter(code, context);
	const args = kernel.params.map(
		(_, i) => localGet(code.param(i)) as unknown as Value,
	);
	const value = kernel.build(e, ...args);
	if (value !== undefined) code.return(expr(value));
	return code;
}

/**
 * Imports a kernel when the module's code first calls it: what that is shows
 * when the code is generated. So functions of the module's own can be declared
 * only when that is done.
 */
export function importedKernels(
	module: ModuleBuilder,
	kernels: ReadonlyMap<string, Kernel>,
): CodeContext["kernel"] {
	return once((name) => {
		const { params, result } = kernelNamed(kernels, name);
		const results = result === undefined ? [] : [result];
		return module.importFunction("kernel", name, params, results);
	});
}

/** Remembers what `make` has made of each name. */
function once(
	make: (name: string) => FunctionRef,
): (name: string) => FunctionRef {
	const made = new Map<string, FunctionRef>();
	return (name) => {
		const known = made.get(name);
		if (known !== undefined) return known;
		const ref = make(name);
		made.set(name, ref);
		return ref;
	};
}
