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
import { DIRECT_IN_REGIONS } from "./direct-operations.ts";
import { addressingOf, formKey } from "./form.ts";
import { HotEmitter, NotHot, type RegionContext } from "./hot-emitter.ts";
import { HotFlags, settleImport } from "./hot-flags.ts";
import { HotRegisters } from "./hot-registers.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
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
	declareImports(module: ModuleBuilder): InstructionContext;
}

export class RegionGenerator {
	readonly #meanings: RegionMeanings;
	/** By form: whether a region can contain it. */
	readonly #forms = new Map<number, boolean>();
	/** For trying forms out. */
	readonly #trial: (long: boolean) => RegionContext;

	constructor(meanings: RegionMeanings) {
		this.#meanings = meanings;
		this.#trial = this.#declareContexts(new ModuleBuilder());
	}

	/** Whether a region can contain the instruction; found by trying its form out once. */
	accepts(instruction: Instruction, mode: Mode): boolean {
		const key = formKey(instruction, mode);
		const known = this.#forms.get(key);
		if (known !== undefined) return known;
		const accepted =
			!isShortBranch(instruction) && this.#tryForm(instruction, mode);
		this.#forms.set(key, accepted);
		return accepted;
	}

	generate(regions: readonly RegionOrder[]): GeneratedModule {
		const module = new ModuleBuilder();
		const contexts = this.#declareContexts(module);
		// Bodies first: kernels are imported by what calls them.
		const made = regions.map(({ mode, slot, shape }) => {
			const offsets: number[] = [];
			const nameExit = (offset: number) => {
				if (offsets.length >= 1 << EXIT_BITS) return 0;
				return (slot << EXIT_BITS) | (offsets.push(offset) - 1);
			};
			const builder = new RegionBuilder(
				contexts(modeCodeSize(mode) === 64),
				mode,
				shape,
				this.#meanings.emitForm,
				nameExit,
			);
			return { body: builder.build(), offsets };
		});
		for (const [i, { body }] of made.entries()) {
			const ref = module.declareFunction(body.params, body.results);
			module.defineFunction(ref, body);
			module.exportFunction(String(i), ref);
		}
		return {
			bytes: module.toBytes(),
			exits: made.map(({ offsets }) => offsets),
		};
	}

	/** What regions import. */
	#declareContexts(module: ModuleBuilder): (long: boolean) => RegionContext {
		const base = this.#meanings.declareImports(module);
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
		const finds = [
			module.importFunction("cpu", "findPage", ["i32", "i32"], ["i32"]),
			module.importFunction("cpu", "findWidePage", ["i64", "i32"], ["i32"]),
		];
		const settles = [false, true].map((long) =>
			module.importFunction("cpu", ...settleImport(long)),
		);
		const direct = new Map(
			DIRECT_IN_REGIONS.map((name) => {
				const params = ["i32", "i32", "i32"] as const;
				const ref = module.importFunction("cpu", name, params, ["i32"]);
				return [name as string, ref];
			}),
		);
		return (long) => {
			const settle = settles[long ? 1 : 0] as FunctionRef;
			const findPage = finds[long ? 1 : 0] as FunctionRef;
			const reads = { readAcross, readAcrossWide };
			return { ...base, settle, findPage, ...reads, direct };
		};
	}

	#tryForm(instruction: Instruction, mode: Mode): boolean {
		try {
			this.#emitAlone(instruction, mode);
			return true;
		} catch (error) {
			if (error instanceof NotHot) return false;
			throw error;
		}
	}

	#emitAlone(instruction: Instruction, mode: Mode): void {
		const long = modeCodeSize(mode) === 64;
		const context = this.#trial(long);
		const code = new FunctionBuilder(["i32", "i64"], ["i32"]);
		const words = new Int32Array(RECORD_BYTES / 4);
		const record = new DataView(words.buffer);
		writeRecord(words, 0, 0, 0, instruction);
		const addressing = addressingOf(instruction, mode);
		const form = { handler: 0, example: instruction, mode, addressing };
		code.block((bail) => {
			const e = new HotEmitter(code, context, {
				...{
					form,
					record,
					distance: 0,
					steady: 0,
					scattered: 0,
					inSmallLoop: false,
					bail,
					isConditional: false,
				},
				registers: new HotRegisters(code, long, true),
				ensured: new Set<string>(),
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
