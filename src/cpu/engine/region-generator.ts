/**
 * From described regions to one WebAssembly module. It knows the instructions'
 * meanings and no machine: the same code runs beside the guest and in another
 * thread (`compile-regions.ts`).
 *
 * @journey E:738 Regions become a module
 */

import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { Instruction } from "../decode/instruction.ts";
import { type Mode, modeCodeSize } from "../mode.ts";
import type { EmitForm } from "./cold-loop.ts";
import { addressingOf, formKey } from "./form.ts";
import { HotEmitter, NotHot, type RegionContext } from "./hot-emitter.ts";
import { HotFlags, settleImport } from "./hot-flags.ts";
import { HotRegisters } from "./hot-registers.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import { withKernels } from "./kernel-module.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import type { RegionShape } from "./region.ts";
import { RegionBuilder } from "./region-builder.ts";

/** Bits of an exit's name below those of the region's table slot. */
export const EXIT_BITS = 10;

/** One region to generate. */
export interface RegionOrder {
	readonly mode: Mode;
	/** Table slot it is for; exits are named after it. */
	readonly slot: number;
	readonly shape: RegionShape;
}

/** A module: function number n, exported by that name, is region n's. */
export interface GeneratedModule {
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** By region: offset of the last instruction before each exit, by the exit's number. */
	readonly exits: readonly (readonly number[])[];
}

/** Where meanings and imports come from. */
export interface RegionMeanings {
	readonly emitForm: EmitForm;
	declareImports(
		module: ModuleBuilder,
		kernels: ReadonlySet<string>,
	): InstructionContext;
}

export class RegionGenerator {
	readonly #meanings: RegionMeanings;
	/** By form: the kernels it calls; undefined = a region cannot contain it. */
	readonly #forms = new Map<number, ReadonlySet<string> | undefined>();

	constructor(meanings: RegionMeanings) {
		this.#meanings = meanings;
	}

	/** Whether a region can contain the instruction. */
	accepts(instruction: Instruction, mode: Mode): boolean {
		return this.#kernelsOf(instruction, mode) !== undefined;
	}

	generate(regions: readonly RegionOrder[]): GeneratedModule {
		const module = new ModuleBuilder();
		const contexts = this.#declareContexts(module, this.#kernelsIn(regions));
		const exits = regions.map(({ mode, slot, shape }, i) => {
			const offsets: number[] = [];
			const nameExit = (offset: number) => {
				if (offsets.length >= 1 << EXIT_BITS) return 0;
				return (slot << EXIT_BITS) | (offsets.push(offset) - 1);
			};
			const ref = module.declareFunction(["i32", "i64"], ["i32"]);
			const builder = new RegionBuilder(
				contexts(modeCodeSize(mode) === 64),
				mode,
				shape,
				this.#meanings.emitForm,
				nameExit,
			);
			module.defineFunction(ref, builder.build());
			module.exportFunction(String(i), ref);
			return offsets;
		});
		return { bytes: module.toBytes(), exits };
	}

	/** What regions import. */
	#declareContexts(
		module: ModuleBuilder,
		kernels: ReadonlySet<string>,
	): (long: boolean) => RegionContext {
		const base = this.#meanings.declareImports(module, kernels);
		const readAcross = module.importFunction(
			...["cpu", "readAcross"],
			["i32", "i32"],
			["i32"],
		);
		const readAcrossWide = module.importFunction(
			...["cpu", "readAcrossWide"],
			["i32", "i32", "i32"],
			["i32"],
		);
		const settles = [false, true].map((long) =>
			module.importFunction("cpu", ...settleImport(long)),
		);
		return (long) => {
			const settle = settles[long ? 1 : 0] as FunctionRef;
			return { ...base, settle, readAcross, readAcrossWide };
		};
	}

	/** All kernels that the regions call. */
	#kernelsIn(regions: readonly RegionOrder[]): ReadonlySet<string> {
		const names = new Set<string>();
		for (const { shape, mode } of regions) {
			for (const { instructions } of shape.blocks) {
				for (const { instruction } of instructions) {
					const called = this.#kernelsOf(instruction, mode);
					for (const name of called ?? []) names.add(name);
				}
			}
		}
		return names;
	}

	/** The kernels an instruction calls, found by trying its form out once. */
	#kernelsOf(
		instruction: Instruction,
		mode: Mode,
	): ReadonlySet<string> | undefined {
		const key = formKey(instruction, mode);
		if (this.#forms.has(key)) return this.#forms.get(key);
		const found = isShortBranch(instruction)
			? undefined
			: this.#tryForm(instruction, mode);
		this.#forms.set(key, found);
		return found;
	}

	#tryForm(
		instruction: Instruction,
		mode: Mode,
	): ReadonlySet<string> | undefined {
		try {
			return withKernels((kernels) => {
				this.#emitAlone(instruction, mode, kernels);
				return kernels;
			});
		} catch (error) {
			if (error instanceof NotHot) return undefined;
			throw error;
		}
	}

	#emitAlone(
		instruction: Instruction,
		mode: Mode,
		kernels: ReadonlySet<string>,
	): void {
		const module = new ModuleBuilder();
		const long = modeCodeSize(mode) === 64;
		const context = this.#declareContexts(module, kernels)(long);
		const code = new FunctionBuilder(["i32", "i64"], ["i32"]);
		const words = new Int32Array(RECORD_BYTES / 4);
		const record = new DataView(words.buffer);
		writeRecord(words, 0, 0, 0, instruction);
		const addressing = addressingOf(instruction, mode);
		const form = { handler: 0, example: instruction, mode, addressing };
		code.block((bail) => {
			const e = new HotEmitter(code, context, {
				...{ form, record, distance: 0, bail, isConditional: false },
				registers: new HotRegisters(code, long),
				flags: new HotFlags(code, long, context.settle),
				...{ flagState: "saved", behind: 0 },
				ripPage: code.local("i64"),
				budget: code.local("i32"),
				target: code.local("i64"),
				...{ repeat: () => {}, stop: () => {} },
			});
			this.#meanings.emitForm(e, form);
		});
	}
}

/** A relative branch that cuts EIP to 16 bits. */
function isShortBranch({ operandSize, row }: Instruction): boolean {
	return operandSize === 16 && row.operands[0]?.startsWith("J") === true;
}
