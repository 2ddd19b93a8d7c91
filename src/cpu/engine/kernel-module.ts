/**
 * Compiles all kernels as one module, the first time generated code wants any.
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

/** Code being generated calls a kernel that its module does not import (yet). */
export class KernelWanted extends Error {
	readonly kernel: string;

	constructor(kernel: string) {
		super(`no kernel named ${kernel}`);
		this.kernel = kernel;
	}
}

/**
 * Generates a module that imports just the kernels it calls, by trying: which
 * they are is known only when the code has been generated.
 */
export function withKernels<Result>(
	generate: (names: ReadonlySet<string>) => Result,
): Result {
	const names = new Set<string>();
	for (;;) {
		try {
			return generate(names);
		} catch (error) {
			const isNew = error instanceof KernelWanted && !names.has(error.kernel);
			if (!isNew) throw error;
			names.add(error.kernel);
		}
	}
}

export class KernelModule {
	readonly #memory: WebAssembly.Memory;
	readonly #kernels: readonly Kernel[];
	#exports: WebAssembly.ModuleImports | undefined;

	/** All there are. */
	readonly names: ReadonlySet<string>;

	constructor(memory: WebAssembly.Memory, kernels: readonly Kernel[]) {
		this.#memory = memory;
		this.#kernels = kernels;
		this.names = new Set(kernels.map(({ name }) => name));
	}

	/** The compiled functions by name. */
	functions(): WebAssembly.ModuleImports {
		this.#exports ??= this.#compile();
		return this.#exports;
	}

	#compile(): WebAssembly.ModuleImports {
		const module = new ModuleBuilder();
		module.importMemory("cpu", "memory", { minPages: 1 });
		const refs = new Map<string, FunctionRef>();
		for (const { name, params, result } of this.#kernels) {
			const results = result === undefined ? [] : [result];
			const ref = module.declareFunction(params, results, name);
			refs.set(name, ref);
			module.exportFunction(name, ref);
		}
		const context = { stateBase: STATE_BASE, kernel: lookUp(refs) };
		for (const kernel of this.#kernels) {
			const ref = refs.get(kernel.name) as FunctionRef;
			module.defineFunction(ref, kernelBody(kernel, context));
		}
		const compiled = new WebAssembly.Module(module.toBytes());
		const imports = { cpu: { memory: this.#memory } };
		const { exports } = new WebAssembly.Instance(compiled, imports);
		return exports as WebAssembly.ModuleImports;
	}
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

/** Imports the kernels of these names; returns the look-up for the module's code. */
export function declareKernels(
	module: ModuleBuilder,
	kernels: readonly Kernel[],
	names: ReadonlySet<string>,
): CodeContext["kernel"] {
	const refs = new Map<string, FunctionRef>();
	for (const { name, params, result } of kernels) {
		if (!names.has(name)) continue;
		const results = result === undefined ? [] : [result];
		const ref = module.importFunction("kernel", name, params, results);
		refs.set(name, ref);
	}
	return lookUp(refs);
}

function lookUp(refs: ReadonlyMap<string, FunctionRef>): CodeContext["kernel"] {
	return (name) => {
		const ref = refs.get(name);
		if (ref === undefined) throw new KernelWanted(name);
		return ref;
	};
}
