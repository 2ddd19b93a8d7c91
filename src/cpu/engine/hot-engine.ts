/**
 * The hot engine: turns hot branch targets into regions, compiled WebAssembly
 * functions that the cold loop enters through HANDLER_REGION records.
 *
 * @journey E:702 When code is worth compiling
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { MODE_FLAT, type Mode, modeCodeSize, modeStackSize } from "../mode.ts";
import type { CodeCache, CodePage } from "./code-cache.ts";
import {
	type ColdEngine,
	FIRST_REGION_SLOT,
	MOST_REGIONS,
} from "./cold-engine.ts";
import { addressingOf, formKey } from "./form.ts";
import { HotEmitter, NotHot } from "./hot-emitter.ts";
import { HotRegisters } from "./hot-registers.ts";
import { withKernels } from "./kernel-module.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import { formRegion, type RegionBlock } from "./region.ts";
import { RegionBuilder } from "./region-builder.ts";

const PAGE = 4096;

/** A region about to be compiled. */
interface Region {
	readonly page: CodePage;
	readonly offset: number;
	readonly mode: Mode;
	readonly blocks: readonly RegionBlock[];
}

export class HotEngine {
	readonly #cold: ColdEngine;
	readonly #cache: CodeCache;
	readonly #ram: GuestMemory;
	readonly #features: ReadonlySet<string>;
	/** By form: whether a region can contain it. */
	readonly #hotForms = new Map<number, boolean>();
	readonly #freeSlots: number[] = [];
	#nextSlot = FIRST_REGION_SLOT;
	readonly #wanted = new Map<number, Mode>();
	/** For statistics. */
	regions = 0;

	constructor(
		cold: ColdEngine,
		cache: CodeCache,
		ram: GuestMemory,
		features: ReadonlySet<string>,
	) {
		this.#cold = cold;
		this.#cache = cache;
		this.#ram = ram;
		this.#features = features;
		cache.onRegionsDropped = (slots) => this.#freeSlots.push(...slots);
	}

	/** Code at a physical address is hot: it is compiled with the next batch. */
	request(physical: number, mode: Mode): void {
		if (isSupported(mode)) this.#wanted.set(physical, mode);
	}

	/** Compiles what has been requested, as one module. */
	compileWanted(): void {
		if (this.#wanted.size === 0) return;
		const regions: Region[] = [];
		for (const [physical, mode] of this.#wanted) {
			const region = this.#form(physical, mode);
			if (region !== undefined) regions.push(region);
		}
		this.#wanted.clear();
		if (regions.length > 0) this.#install(regions);
	}

	#install(regions: readonly Region[]): void {
		const exports = withKernels((kernels) => this.#generate(regions, kernels));
		for (const [i, { page, offset }] of regions.entries()) {
			const slot = this.#takeSlot();
			if (slot === undefined) return;
			this.#cold.table.set(slot, exports[i] as () => number);
			if (this.#cache.enterRegion(page, offset, slot)) this.regions++;
			else this.#freeSlots.push(slot);
		}
	}

	#form(physical: number, mode: Mode): Region | undefined {
		const offset = physical % PAGE;
		const start = physical - offset;
		const page = this.#cache.pageAt(start, mode);
		if (page === undefined || this.#cache.hasRegion(page, offset)) return;
		const blocks = formRegion(offset, {
			bytes: this.#ram.bytes.subarray(start, start + PAGE),
			decodeMode: { codeSize: modeCodeSize(mode), features: this.#features },
			recordAt: (at) => this.#cache.instructionRecord(page, at),
			isHot: (instruction) => this.#isHot(instruction, mode),
		});
		const isEmpty = (blocks[0]?.instructions.length ?? 0) === 0;
		return isEmpty ? undefined : { page, offset, mode, blocks };
	}

	#generate(
		regions: readonly Region[],
		kernels: ReadonlySet<string>,
	): WebAssembly.Exports {
		const module = new ModuleBuilder();
		const context = this.#cold.declareImports(module, kernels);
		for (const [i, { mode, blocks }] of regions.entries()) {
			const ref = module.declareFunction(["i32", "i64"], ["i32"]);
			const builder = new RegionBuilder(context, mode, blocks, (e, form) =>
				this.#cold.emitForm(e, form),
			);
			module.defineFunction(ref, builder.build());
			module.exportFunction(String(i), ref);
		}
		return this.#cold.instantiate(module).exports;
	}

	/** Whether a region can contain the instruction: its form is tried out once. */
	#isHot(instruction: Instruction, mode: Mode): boolean {
		const key = formKey(instruction, mode);
		let hot = this.#hotForms.get(key);
		if (hot === undefined) {
			hot = !isShortBranch(instruction) && this.#tryForm(instruction, mode);
			this.#hotForms.set(key, hot);
		}
		return hot;
	}

	#tryForm(instruction: Instruction, mode: Mode): boolean {
		try {
			withKernels((kernels) => this.#emitAlone(instruction, mode, kernels));
			return true;
		} catch (error) {
			if (error instanceof NotHot) return false;
			throw error;
		}
	}

	#emitAlone(
		instruction: Instruction,
		mode: Mode,
		kernels: ReadonlySet<string>,
	): void {
		const module = new ModuleBuilder();
		const context = this.#cold.declareImports(module, kernels);
		const code = new FunctionBuilder(["i32", "i64"], ["i32"]);
		const record = new DataView(new ArrayBuffer(RECORD_BYTES));
		writeRecord(record, 0, 0, 0, instruction);
		const addressing = addressingOf(instruction, mode);
		const form = { handler: 0, example: instruction, mode, addressing };
		code.block((bail) => {
			const e = new HotEmitter(code, context, {
				form,
				record,
				registers: new HotRegisters(code),
				ripPage: code.local("i64"),
				bail,
				target: code.local("i64"),
				isConditional: false,
			});
			this.#cold.emitForm(e, form);
		});
	}

	#takeSlot(): number | undefined {
		const free = this.#freeSlots.pop();
		if (free !== undefined) return free;
		const last = FIRST_REGION_SLOT + MOST_REGIONS;
		return this.#nextSlot < last ? this.#nextSlot++ : undefined;
	}
}

/** A relative branch that cuts EIP to 16 bits. */
function isShortBranch({ operandSize, row }: Instruction): boolean {
	return operandSize === 16 && row.operands[0]?.startsWith("J") === true;
}

/** Flat 32-bit code, for now. */
function isSupported(mode: Mode): boolean {
	const flat = (mode & MODE_FLAT) !== 0;
	return flat && modeCodeSize(mode) === 32 && modeStackSize(mode) === 32;
}
