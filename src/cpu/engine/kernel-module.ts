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

/** The kernels of one machine. */
export class KernelModule {
	readonly #memory: WebAssembly.Memory;
	readonly #kernels: ReadonlyMap<string, Kernel>;
	readonly #functions: Record<string, WebAssembly.ImportValue> = {};

	constructor(memory: WebAssembly.Memory, kernels: readonly Kernel[]) {
		this.#memory = memory;
		this.#kernels = new Map(kernels.map((kernel) => [kernel.name, kernel]));
	}

	/** The compiled functions of these names, and perhaps more. */
	functions(names: readonly string[]): WebAssembly.ModuleImports {
		const missing = names.filter((name) => !(name in this.#functions));
		if (missing.length > 0) {
			Object.assign(this.#functions, this.#compile(missing));
		}
		return this.#functions;
	}

	/** A module of them and of those that they call. */
	#compile(wanted: readonly string[]): WebAssembly.Exports {
		const bytes = withKernels((called) =>
			this.#generate([...new Set([...wanted, ...called])]),
		);
		const imports = { cpu: { memory: this.#memory } };
		const module = new WebAssembly.Module(bytes);
		return new WebAssembly.Instance(module, imports).exports;
	}

	#generate(names: readonly string[]): Uint8Array<ArrayBuffer> {
		const module = new ModuleBuilder();
		module.importMemory("cpu", "memory", { minPages: 1 });
		const refs = new Map<string, FunctionRef>();
		const kernels = names.map((name) => this.#kernel(name));
		for (const { name, params, result } of kernels) {
			const results = result === undefined ? [] : [result];
			const ref = module.declareFunction(params, results, name);
			refs.set(name, ref);
			module.exportFunction(name, ref);
		}
		const context = { stateBase: STATE_BASE, kernel: lookUp(refs) };
		for (const kernel of kernels) {
			const ref = refs.get(kernel.name) as FunctionRef;
			module.defineFunction(ref, kernelBody(kernel, context));
		}
		return module.toBytes();
	}

	#kernel(name: string): Kernel {
		const kernel = this.#kernels.get(name);
		if (kernel === undefined) throw new Error(`there is no kernel ${name}`);
		return kernel;
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
