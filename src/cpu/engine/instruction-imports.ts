/**
 * What every generated module imports, and how a form becomes code: shared by
 * handlers, regions, and the thread that compiles regions.
 *
 * @journey E:478 What generated code calls
 */

import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import { VECTOR_UD } from "../exceptions.ts";
import type { Kernel } from "../float/kernel.ts";
import { STATE_BASE } from "../memory-layout.ts";
import type { Semantics } from "../semantics/emitter.ts";
import type { EmitForm } from "./cold-loop.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import { importedKernels } from "./kernel-module.ts";

const I32 = "i32" as const;
const FUNCTIONS = {
	translate: [[I32, I32, I32, I32], [I32]],
	checkSegment: [[I32, I32, I32, I32], [I32]],
	commit: [[], []],
	system: [[I32, I32, I32, I32], [I32]],
} as const;

/** The imports every generated module has, kernels and `writeAcross` when they are called; `journaled`: code tells of its stores. */
export function declareInstructionImports(
	module: ModuleBuilder,
	kernels: ReadonlyMap<string, Kernel>,
	journaled = false,
): InstructionContext {
	module.importMemory("cpu", "memory", { minPages: 1 });
	const refs = Object.entries(FUNCTIONS).map(
		([name, [params, results]]) =>
			[name, module.importFunction("cpu", name, params, results)] as const,
	);
	const journal = journaled
		? module.importFunction("cpu", "journal", [I32, I32], [])
		: undefined;
	const kernel = importedKernels(module, kernels);
	let across: FunctionRef | undefined;
	const writeAcross = () => {
		const params = [I32, I32, I32, "i64"] as const;
		across ??= module.importFunction("cpu", "writeAcross", params, [I32]);
		return across;
	};
	const functions = Object.fromEntries(refs) as Record<
		keyof typeof FUNCTIONS,
		FunctionRef
	>;
	return {
		...{ stateBase: STATE_BASE, kernel, journal, writeAcross },
		...functions,
	};
}

/** Generates forms by these meanings; a row without one is an instruction this CPU does not have. */
export function emitFormWith(
	semanticsOf: (mnemonic: string) => Semantics | undefined,
): EmitForm {
	return (e, form) => {
		const semantics = semanticsOf(form.example.row.mnemonic);
		if (semantics === undefined) e.fault(VECTOR_UD);
		else semantics(e, e.form());
	};
}
