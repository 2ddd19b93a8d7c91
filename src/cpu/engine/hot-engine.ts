/**
 * The hot engine: turns hot branch targets into regions, compiled WebAssembly
 * functions that the cold loop enters through HANDLER_REGION records.
 *
 * The cold loop tells of every branch target that has been arrived at often,
 * and of the region exit it came by, if any. A target without a region gets
 * one; a region that is left often in the same place is made anew, larger,
 * with what has been learnt about its branches, until it is as large as
 * regions may be.
 *
 * @journey E:702 When code is worth compiling
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import type { Instruction } from "../decode/instruction.ts";
import { MODE_FLAT, type Mode, modeCodeSize, modeStackSize } from "../mode.ts";
import { BranchHistory } from "./branch-history.ts";
import type { CodeCache, CodePage, RegionHandle } from "./code-cache.ts";
import {
	type ColdEngine,
	FIRST_REGION_SLOT,
	MOST_REGIONS,
} from "./cold-engine.ts";
import { addressingOf, formKey } from "./form.ts";
import { HotEmitter, NotHot } from "./hot-emitter.ts";
import { defineSettle, HotFlags, settleImport } from "./hot-flags.ts";
import { HotRegisters } from "./hot-registers.ts";
import { withKernels } from "./kernel-module.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import type { RegionShape } from "./region.ts";
import { RegionBuilder, type RegionContext } from "./region-builder.ts";
import { formRegion, type RegionLimits } from "./region-former.ts";

const PAGE = 4096;

/**
 * By generation: how large a region may be, and how often it must have been
 * left (as told of, each time standing for a thousand others) before it is made
 * anew as one of the next. Compiling an instruction costs as much as running it
 * cold some thousand times, leaving a region as much as some ten instructions.
 */
const GENERATIONS: readonly (RegionLimits & { readonly patience: number })[] = [
	{ blocks: 32, instructions: 150, pages: 2, depth: 0, patience: 4 },
	{ blocks: 80, instructions: 500, pages: 6, depth: 2, patience: 16 },
	{ blocks: 150, instructions: 1200, pages: 12, depth: 4, patience: 0 },
];
/** Exits of one region that can be told apart. */
const EXIT_BITS = 10;

/** A compiled region, or one about to be. */
interface Region {
	readonly page: CodePage;
	readonly offset: number;
	readonly mode: Mode;
	readonly generation: number;
	readonly shape: RegionShape;
	/** Offset of the last instruction before each exit, by number. */
	readonly exits: number[];
	handle: RegionHandle | undefined;
	/** The region it takes the place of. */
	readonly replaces: Region | undefined;
	/** How often somebody told of an exit since it was made. */
	leavings: number;
	/** A larger one is in the making, or would be no different. */
	isFinal: boolean;
}

/** For `--stats`. */
export interface HotStatistics {
	readonly regions: number;
	readonly regionsLive: number;
	readonly regionModules: number;
	readonly regionWasmBytes: number;
	readonly regionInstructions: number;
	readonly compileMs: number;
}

export class HotEngine {
	readonly #cold: ColdEngine;
	readonly #cache: CodeCache;
	readonly #ram: GuestMemory;
	readonly #features: ReadonlySet<string>;
	/** Physical address of a linear one for fetching, if it is mapped. */
	readonly #fetch: (linear: number) => number | undefined;
	readonly #nowMs: () => number;
	/** By form: the kernels it calls; undefined = a region cannot contain it. */
	readonly #hotForms = new Map<number, ReadonlySet<string> | undefined>();
	readonly #settle: WebAssembly.ModuleImports;
	readonly #history = new BranchHistory();
	readonly #freeSlots: number[] = [];
	#nextSlot = FIRST_REGION_SLOT;
	/** By slot. */
	readonly #regions = new Map<number, Region>();
	#wanted: Region[] = [];
	readonly statistics = {
		regions: 0,
		regionModules: 0,
		regionWasmBytes: 0,
		regionInstructions: 0,
		compileMs: 0,
	};

	constructor(
		cold: ColdEngine,
		cache: CodeCache,
		ram: GuestMemory,
		features: ReadonlySet<string>,
		fetch: (linear: number) => number | undefined,
		nowMs: () => number,
	) {
		this.#cold = cold;
		this.#cache = cache;
		this.#ram = ram;
		this.#features = features;
		this.#fetch = fetch;
		this.#nowMs = nowMs;
		cache.onRegionDropped = ({ slot }) => this.#forget(slot);
		this.#settle = this.#compileSettle();
	}

	get regionsLive(): number {
		return this.#regions.size;
	}

	/** Control has often come to a linear address; by way of a region's exit unless `exit` is 0. */
	arrived(rip: number, mode: Mode, exit: number, regionPage: number): void {
		if (!isSupported(mode)) return;
		const source =
			exit === 0 ? undefined : this.#regions.get(exit >>> EXIT_BITS);
		if (source !== undefined && source.mode === mode) {
			const from = source.exits[exit & ((1 << EXIT_BITS) - 1)];
			if (from !== undefined) this.#learn(source, from, regionPage, rip);
			if (this.#grow(source, regionPage)) return;
		}
		this.#request(rip, mode);
	}

	#learn(source: Region, from: number, regionPage: number, rip: number): void {
		const branch = physicalOf(source.shape, from);
		const distance = (rip - (regionPage + from)) | 0;
		if (branch !== undefined && this.#history.note(branch, distance)) {
			source.isFinal = false;
		}
	}

	/** Makes a region anew, larger, unless it cannot become larger. */
	#grow(region: Region, linearPage: number): boolean {
		const { page, offset, mode, generation, shape } = region;
		if (region.isFinal || generation + 1 >= GENERATIONS.length) return false;
		region.leavings++;
		if (region.leavings < (GENERATIONS[generation]?.patience ?? 0))
			return false;
		region.isFinal = true;
		const grown = this.#form(
			linearPage >>> 0,
			page,
			offset,
			mode,
			generation + 1,
		);
		if (grown === undefined || weightOf(grown) <= weightOf(shape)) return false;
		this.#want(region, grown, generation + 1);
		return true;
	}

	#want(region: Region, shape: RegionShape, generation: number): void {
		const { page, offset, mode } = region;
		const replaces = region.handle === undefined ? undefined : region;
		this.#wanted.push({
			...{ page, offset, mode, generation, shape, replaces },
			...{ exits: [], handle: undefined, leavings: 0, isFinal: false },
		});
	}

	#request(rip: number, mode: Mode): void {
		const physical = this.#fetch(rip);
		if (physical === undefined) return;
		const offset = physical % PAGE;
		const page = this.#cache.pageAt(physical - offset, mode);
		if (page === undefined) return;
		if (this.#cache.regionAt(page, offset) !== undefined) return;
		const isWanted = this.#wanted.some(
			(other) => other.page === page && other.offset === offset,
		);
		if (isWanted) return;
		const shape = this.#form((rip - offset) >>> 0, page, offset, mode, 0);
		if (shape === undefined) return;
		this.#wanted.push({
			...{ page, offset, mode, generation: 0, shape, replaces: undefined },
			...{ exits: [], handle: undefined, leavings: 0, isFinal: false },
		});
	}

	/** The region at an offset of a page, as the code around it is mapped now. */
	#form(
		linearPage: number,
		page: CodePage,
		offset: number,
		mode: Mode,
		generation: number,
	): RegionShape | undefined {
		const pages = new Map([[0, page]]);
		const shape = formRegion(
			offset,
			{
				ram: this.#ram.bytes,
				decodeMode: {
					codeSize: modeCodeSize(mode),
					features: this.#features,
				},
				pageAt: (distance) => {
					if (distance === 0) return page;
					const linear = (linearPage + distance) >>> 0;
					const physical = this.#fetch(linear);
					if (physical === undefined) return undefined;
					const found = this.#cache.pageAt(physical, mode);
					if (found !== undefined) pages.set(distance, found);
					return found;
				},
				recordAt: (code, at) => this.#cache.coldRecord(code, at),
				isHot: (instruction) => this.#isHot(instruction, mode),
				targetsOf: (at) => {
					const start = Math.floor(at / PAGE) * PAGE;
					const code = pages.get(start);
					if (code === undefined) return [];
					const branch = code.physical + (at - start);
					const seen = this.#history.targetsOf(branch);
					return seen.map((distance) => at + distance);
				},
			},
			GENERATIONS[generation] as RegionLimits,
		);
		const isEmpty = (shape.blocks[0]?.instructions.length ?? 0) === 0;
		return isEmpty ? undefined : shape;
	}

	/** Compiles what has been requested, as one module. */
	compileWanted(): void {
		if (this.#wanted.length === 0) return;
		const start = this.#nowMs();
		const wanted = this.#wanted.filter((region) => this.#stillHolds(region));
		this.#wanted = [];
		if (wanted.length > 0) this.#install(wanted);
		this.statistics.compileMs += this.#nowMs() - start;
	}

	#stillHolds({ shape, mode, replaces }: Region): boolean {
		if (replaces !== undefined && replaces.handle === undefined) return false;
		return shape.pages.every(({ code }) => this.#cache.holds(code, mode));
	}

	#install(regions: readonly Region[]): void {
		const slots = regions.map(
			({ replaces }) => replaces?.handle?.slot ?? this.#takeSlot(),
		);
		const exports = this.#generate(regions, slots, this.#kernelsIn(regions));
		this.statistics.regionModules++;
		for (const [i, region] of regions.entries()) {
			const slot = slots[i];
			if (slot === undefined) continue;
			this.#enter(region, slot, exports[i] as () => number);
		}
	}

	#enter(region: Region, slot: number, run: () => number): void {
		const { page, offset, shape, replaces } = region;
		const pages = shape.pages.map(({ code }) => code);
		const old = replaces?.handle;
		if (old === undefined) {
			region.handle = this.#cache.enterRegion(page, offset, slot, pages);
		} else {
			this.#cache.setRegionPages(old, pages);
			region.handle = old;
			(replaces as Region).handle = undefined;
		}
		if (region.handle === undefined) {
			this.#freeSlots.push(slot);
			return;
		}
		this.#cold.table.set(slot, run);
		this.#regions.set(slot, region);
		this.statistics.regions++;
		this.statistics.regionInstructions += shape.instructions;
	}

	#forget(slot: number): void {
		const region = this.#regions.get(slot);
		if (region !== undefined) region.handle = undefined;
		this.#regions.delete(slot);
		this.#cold.clearRegion(slot);
		this.#freeSlots.push(slot);
	}

	#generate(
		regions: readonly Region[],
		slots: readonly (number | undefined)[],
		kernels: ReadonlySet<string>,
	): WebAssembly.Exports {
		const module = new ModuleBuilder();
		const contexts = this.#declareContexts(module, kernels);
		for (const [i, region] of regions.entries()) {
			const { mode, shape, exits } = region;
			const slot = slots[i] ?? 0;
			exits.length = 0;
			const nameExit = (offset: number) => {
				if (exits.length >= 1 << EXIT_BITS) return 0;
				return (slot << EXIT_BITS) | (exits.push(offset) - 1);
			};
			const long = modeCodeSize(mode) === 64;
			const context = contexts(long);
			const ref = module.declareFunction(["i32", "i64"], ["i32"]);
			const builder = new RegionBuilder(
				context,
				mode,
				shape,
				(e, form) => this.#cold.emitForm(e, form),
				nameExit,
			);
			module.defineFunction(ref, builder.build());
			module.exportFunction(String(i), ref);
		}
		const bytes = module.toBytes();
		this.statistics.regionWasmBytes += bytes.length;
		return this.#cold.instantiate(bytes, this.#settle).exports;
	}

	/** What regions import. */
	#declareContexts(
		module: ModuleBuilder,
		kernels: ReadonlySet<string>,
	): (long: boolean) => RegionContext {
		const base = this.#cold.declareImports(module, kernels);
		const fetchPage = module.importFunction(
			"cpu",
			"fetchPage",
			["i32", "i32"],
			["i32"],
		);
		const settles = [false, true].map((long) =>
			module.importFunction("cpu", ...settleImport(long)),
		);
		return (long) => {
			const settle = settles[long ? 1 : 0] as FunctionRef;
			return { ...base, fetchPage, settle };
		};
	}

	/** The functions of `hot-flags.ts` that all regions call. */
	#compileSettle(): WebAssembly.ModuleImports {
		const module = new ModuleBuilder();
		const context = this.#cold.declareImports(module, new Set());
		for (const long of [false, true]) {
			const [name] = settleImport(long);
			module.exportFunction(name, defineSettle(module, context, long));
		}
		const { exports } = this.#cold.instantiate(module.toBytes());
		return exports as WebAssembly.ModuleImports;
	}

	#isHot(instruction: Instruction, mode: Mode): boolean {
		return this.#kernelsOf(instruction, mode) !== undefined;
	}

	/** The kernels an instruction calls, found by trying its form out once. */
	#kernelsOf(
		instruction: Instruction,
		mode: Mode,
	): ReadonlySet<string> | undefined {
		const key = formKey(instruction, mode);
		if (this.#hotForms.has(key)) return this.#hotForms.get(key);
		const found = isShortBranch(instruction)
			? undefined
			: this.#tryForm(instruction, mode);
		this.#hotForms.set(key, found);
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

	/** All kernels that the regions call. */
	#kernelsIn(regions: readonly Region[]): ReadonlySet<string> {
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

	#emitAlone(
		instruction: Instruction,
		mode: Mode,
		kernels: ReadonlySet<string>,
	): void {
		const module = new ModuleBuilder();
		const long = modeCodeSize(mode) === 64;
		const context = this.#declareContexts(module, kernels)(long);
		const code = new FunctionBuilder(["i32", "i64"], ["i32"]);
		const record = new DataView(new ArrayBuffer(RECORD_BYTES));
		writeRecord(record, 0, 0, 0, instruction);
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

/** How much a region covers: instructions, and known targets of its branches. */
function weightOf({ blocks, instructions }: RegionShape): number {
	return blocks.reduce(
		(sum, block) => sum + block.targets.length,
		instructions,
	);
}

/** Physical address of the instruction at an offset of a region. */
function physicalOf(shape: RegionShape, offset: number): number | undefined {
	const start = Math.floor(offset / PAGE) * PAGE;
	const page = shape.pages.find(({ distance }) => distance === start);
	return page && page.code.physical + (offset - start);
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
