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
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import { MODE_FLAT, type Mode, modeCodeSize, modeStackSize } from "../mode.ts";
import { BranchHistory } from "./branch-history.ts";
import type { CodeCache } from "./code-cache.ts";
import type { CodePage, RegionHandle } from "./code-page.ts";
import type { ColdEngine } from "./cold-engine.ts";
import {
	packRequest,
	type RegionResponse,
	type RegionService,
} from "./compile-regions.ts";
import { FIRST_REGION_SLOT, MOST_REGIONS } from "./engine-modules.ts";
import { defineSettle, settleImport } from "./hot-flags.ts";
import {
	MOST_REGION_INSTRUCTIONS,
	type RegionPage,
	type RegionShape,
} from "./region.ts";
import { formRegion, type RegionLimits } from "./region-former.ts";
import {
	EXIT_BITS,
	RegionGenerator,
	type RegionOrder,
} from "./region-generator.ts";
import { RegionStock, type StockedRegion } from "./region-stock.ts";

const PAGE = 4096;
const LINEAR_END = 2 ** 48;

/**
 * By generation: how large a region may be, and how often it must have been
 * left (as told of, each time standing for a thousand others) before it is made
 * anew as one of the next. Compiling an instruction costs as much as running it
 * cold some thousand times, leaving a region as much as some five instructions.
 */
const GENERATIONS: readonly (RegionLimits & { readonly patience: number })[] = [
	{ blocks: 48, instructions: 220, pages: 4, depth: 2, patience: 32 },
	{
		...{ blocks: 150, instructions: MOST_REGION_INSTRUCTIONS },
		...{ pages: 12, depth: 4, patience: 0 },
	},
];
/**
 * An indirect branch that leads further leads into another file, which the
 * next process has mapped elsewhere: no region goes there.
 */
const FARTHEST = 1 << 24;
/** A region that has not found its pages where they were so often is for another mapping. */
const MOST_MISPLACED = 64;

/** A compiled region, or one about to be. */
interface Region extends StockedRegion {
	readonly page: CodePage;
	readonly offset: number;
	readonly mode: Mode;
	readonly generation: number;
	/** Until it is compiled; a guest has many regions, and instructions are large. */
	shape: RegionShape | undefined;
	readonly weight: number;
	/** Where in memory its pages are, by distance from the first. */
	readonly places: readonly RegionPage[];
	/** The decoded code it is made of. */
	readonly pages: readonly CodePage[];
	/** Offset of the last instruction before each exit, by number. */
	exits: readonly number[];
	handle: RegionHandle | undefined;
	/** The region it takes the place of. */
	replaces: Region | undefined;
	/** How often somebody told of an exit since it was made. */
	leavings: number;
	/** How often not all of its pages were where they have to be. */
	misplaced: number;
	/** A larger one is in the making, or would be no different. */
	isFinal: boolean;
}

/**
 * A module of its own for each region would cost memory: a batch waits for
 * company, but not for longer than this many turns.
 */
const BATCH_REGIONS = 16;
const BATCH_TURNS = 24;

/** What the engine's table holds for a region in a slot: its function, or what stands before it. */
type Entrance = (slot: number, run: () => number) => () => number;

/** What the hot engine works with. */
export interface HotEngineParts {
	readonly cold: ColdEngine;
	readonly code: CodeCache;
	readonly ram: GuestMemory;
	/** Opcode-table features that decode. */
	readonly features: ReadonlySet<string>;
	/** Physical address of a linear one for fetching, if it is mapped. */
	readonly fetch: (linear: number) => number | undefined;
	/** Compiles in another thread; undefined = beside the guest. */
	readonly service?: RegionService | undefined;
	/** How long a batch waits for company. */
	readonly batchTurns?: number | undefined;
	readonly entrance?: Entrance | undefined;
}

export class HotEngine {
	readonly #cold: ColdEngine;
	readonly #cache: CodeCache;
	readonly #ram: GuestMemory;
	readonly #features: ReadonlySet<string>;
	readonly #fetch: HotEngineParts["fetch"];
	readonly #service: RegionService | undefined;
	readonly #generator: RegionGenerator;
	readonly #batchTurns: number;
	readonly #entrance: Entrance;
	readonly #settle: WebAssembly.ModuleImports;
	readonly #history = new BranchHistory();
	readonly #freeSlots: number[] = [];
	#nextSlot = FIRST_REGION_SLOT;
	/** By slot. */
	readonly #regions = new Map<number, Region>();
	readonly #stock = new RegionStock<Region>();
	readonly #slotOf = new WeakMap<Region, number>();
	#wanted: Region[] = [];
	/** Sent to the service and not back yet, by request. */
	readonly #away = new Map<number, readonly Region[]>();
	#requests = 0;
	/** Since the oldest of the wanted was asked for. */
	#turns = 0;
	readonly #counters = {
		regions: 0,
		regionModules: 0,
		regionWasmBytes: 0,
		regionInstructions: 0,
	};

	constructor({
		cold,
		code,
		ram,
		features,
		fetch,
		service,
		batchTurns = BATCH_TURNS,
		entrance = (_slot, run) => run,
	}: HotEngineParts) {
		this.#cold = cold;
		this.#cache = code;
		this.#ram = ram;
		this.#features = features;
		this.#fetch = fetch;
		this.#service = service;
		this.#batchTurns = batchTurns;
		this.#entrance = entrance;
		this.#generator = new RegionGenerator({
			emitForm: cold.emitForm,
			declareImports: (module) => cold.declareImports(module),
		});
		code.onRegionDropped = ({ slot }) => this.#forget(slot);
		this.#settle = this.#compileSettle();
	}

	get statistics() {
		const { evictions, bytes } = this.#stock;
		const regionsLive = this.#regions.size;
		const sizes = { regionsLive, regionWasmLiveBytes: bytes };
		return { ...this.#counters, ...sizes, regionEvictions: evictions };
	}

	/** Control has often come to a linear address (below 2^48); by way of a region's exit unless `exit` is 0. */
	arrived(rip: number, mode: Mode, exit: number, regionPage: number): void {
		if (!isSupported(mode)) return;
		const source =
			exit === 0 ? undefined : this.#regions.get(exit >>> EXIT_BITS);
		if (source !== undefined) source.isSeen = true;
		if (source !== undefined && source.mode === mode) {
			const from = source.exits[exit & ((1 << EXIT_BITS) - 1)];
			if (from !== undefined) this.#learn(source, from, regionPage, rip);
			if (this.#grow(source, regionPage)) return;
		}
		this.#request(rip, mode);
	}

	#learn(source: Region, from: number, regionPage: number, rip: number): void {
		const branch = physicalOf(source.places, from);
		const difference = rip - (regionPage + from);
		const isLong = modeCodeSize(source.mode) === 64;
		const distance = isLong ? difference : difference | 0;
		if (branch === undefined || Math.abs(distance) > FARTHEST) return;
		if (this.#history.note(branch, distance)) {
			source.isFinal = false;
		}
	}

	/**
	 * The region in a slot was entered where not all of its pages are mapped as
	 * they have to be, and left at once.
	 */
	misplaced(slot: number): void {
		const region = this.#regions.get(slot);
		if (region?.handle === undefined) return;
		if (++region.misplaced < MOST_MISPLACED) return;
		this.#cache.dropRegion(region.handle);
	}

	/** Makes a region anew, larger, unless it cannot become larger. */
	#grow(region: Region, linearPage: number): boolean {
		const { page, offset, mode, generation, weight } = region;
		if (region.isFinal || generation + 1 >= GENERATIONS.length) return false;
		region.leavings++;
		if (region.leavings < (GENERATIONS[generation]?.patience ?? 0))
			return false;
		region.isFinal = true;
		const next = generation + 1;
		const grown = this.#form(linearPage, page, offset, mode, next);
		if (grown === undefined) return false;
		if (grown.weight <= weight) return false;
		this.#wanted.push({ ...grown, replaces: region });
		return true;
	}

	#request(rip: number, mode: Mode): void {
		const physical = this.#fetch(rip);
		if (physical === undefined) return;
		const offset = physical % PAGE;
		const page = this.#cache.pageAt(physical - offset, mode);
		if (page === undefined) return;
		if (this.#cache.regionAt(page, offset) !== undefined) return;
		const isSame = (other: Region) =>
			other.page === page && other.offset === offset;
		if (this.#wanted.some(isSame)) return;
		if ([...this.#away.values()].some((regions) => regions.some(isSame)))
			return;
		const region = this.#form(rip - offset, page, offset, mode, 0);
		if (region !== undefined) this.#wanted.push(region);
	}

	/** The region at an offset of a page, as the code around it is mapped now. */
	#form(
		linearPage: number,
		page: CodePage,
		offset: number,
		mode: Mode,
		generation: number,
	): Region | undefined {
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
					const sum = linearPage + distance;
					const linear = modeCodeSize(mode) === 64 ? wrap48(sum) : sum >>> 0;
					const physical = this.#fetch(linear);
					if (physical === undefined) return undefined;
					const found = this.#cache.pageAt(physical, mode);
					if (found !== undefined) pages.set(distance, found);
					return found;
				},
				recordAt: (code, at) => this.#cache.coldRecord(code, at),
				isHot: (instruction) => this.#generator.accepts(instruction, mode),
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
		if (isEmpty) return undefined;
		return {
			...{ page, offset, mode, generation, shape, replaces: undefined },
			...{ weight: weightOf(shape), places: shape.pages },
			pages: shape.pages.map(({ distance }) => pages.get(distance) as CodePage),
			...{ exits: [], handle: undefined, leavings: 0, misplaced: 0 },
			...{ isFinal: false, module: undefined, isSeen: false },
		};
	}

	/** A turn between stays in generated code: compiles what has been requested when there is enough of it. */
	takeTurn(): void {
		this.#receive();
		if (this.#wanted.length === 0) return;
		const isDue = ++this.#turns >= this.#batchTurns;
		if (isDue || this.#wanted.length >= BATCH_REGIONS) this.compileWanted();
	}

	/** Compiles what has been requested, as one module. */
	compileWanted(): void {
		this.#turns = 0;
		const regions = this.#wanted.filter((region) => this.#stillHolds(region));
		this.#wanted = [];
		const placed = regions.filter((region) => this.#place(region));
		if (placed.length === 0) return;
		const orders = placed.map((region) => this.#order(region));
		const id = ++this.#requests;
		this.#away.set(id, placed);
		if (this.#service === undefined) {
			const { bytes, exits } = this.#generator.generate(orders);
			const module = new WebAssembly.Module(bytes);
			this.#install({ id, module, wasmBytes: bytes.length, exits });
		} else {
			const { bytes } = this.#ram;
			const request = packRequest(
				...[id, this.#features, orders],
				(shape, offset, length) => codeBytes(bytes, shape, offset, length),
			);
			this.#service.send(request);
		}
	}

	#receive(): void {
		for (;;) {
			const response = this.#service?.receive();
			if (response === undefined) return;
			this.#install(response);
		}
	}

	/** Gives a region its table slot: that of the one it replaces, or a new one, if there is any. */
	#place(region: Region): boolean {
		const slot = region.replaces?.handle?.slot ?? this.#takeSlot();
		if (slot !== undefined) this.#slotOf.set(region, slot);
		return slot !== undefined;
	}

	#order(region: Region): RegionOrder {
		const { mode, shape } = region;
		const slot = this.#slotOf.get(region) as number;
		return { mode, shape: shape as RegionShape, slot };
	}

	#stillHolds({ pages, mode, replaces }: Region): boolean {
		if (replaces !== undefined && replaces.handle === undefined) return false;
		return pages.every((page) => this.#cache.holds(page, mode));
	}

	#install({ id, module, wasmBytes, exits }: RegionResponse): void {
		const regions = this.#away.get(id) ?? [];
		this.#away.delete(id);
		const { exports } = this.#cold.instantiate(module, this.#settle);
		this.#counters.regionModules++;
		this.#counters.regionWasmBytes += wasmBytes;
		const entered: Region[] = [];
		for (const [i, region] of regions.entries()) {
			const slot = this.#slotOf.get(region) as number;
			this.#counters.regionInstructions += region.shape?.instructions ?? 0;
			region.shape = undefined;
			if (this.#stillHolds(region)) {
				region.exits = exits[i] ?? [];
				this.#enter(region, slot, exports[i] as () => number);
				if (region.handle !== undefined) entered.push(region);
			} else if (region.replaces === undefined) this.#freeSlots.push(slot);
		}
		this.#stock.add(wasmBytes, entered);
		this.#stock.sweep(({ handle }) => {
			if (handle !== undefined) this.#cache.dropRegion(handle);
		});
	}

	/** Nothing comes to this region any more, though its slot may have another. */
	#retire(region: Region): void {
		region.handle = undefined;
		this.#stock.remove(region);
	}

	#enter(region: Region, slot: number, run: () => number): void {
		const { page, offset, replaces } = region;
		const old = replaces?.handle;
		if (old === undefined) {
			region.handle = this.#cache.enterRegion(page, offset, slot, region);
			if (region.handle === undefined) {
				this.#freeSlots.push(slot);
				return;
			}
		} else {
			if (!this.#cache.setRegionPages(old, region)) return;
			region.handle = old;
			this.#retire(replaces as Region);
			region.replaces = undefined;
		}
		this.#cold.table.set(slot, this.#entrance(slot, run));
		this.#regions.set(slot, region);
		this.#counters.regions++;
	}

	#forget(slot: number): void {
		const region = this.#regions.get(slot);
		if (region !== undefined) this.#retire(region);
		this.#regions.delete(slot);
		this.#cold.clearRegion(slot);
		this.#freeSlots.push(slot);
	}

	/** The functions of `hot-flags.ts` that all regions call. */
	#compileSettle(): WebAssembly.ModuleImports {
		const module = new ModuleBuilder();
		const context = this.#cold.declareImports(module);
		for (const long of [false, true]) {
			const [name] = settleImport(long);
			module.exportFunction(name, defineSettle(module, context, long));
		}
		const { exports } = this.#cold.instantiate(
			new WebAssembly.Module(module.toBytes()),
		);
		return exports as WebAssembly.ModuleImports;
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
function physicalOf(
	pages: readonly RegionPage[],
	offset: number,
): number | undefined {
	const start = Math.floor(offset / PAGE) * PAGE;
	const page = pages.find(({ distance }) => distance === start);
	return page && page.physical + (offset - start);
}

/** Bytes of an instruction, which may lie in two pages. */
function codeBytes(
	ram: Uint8Array,
	shape: RegionShape,
	offset: number,
	length: number,
): Uint8Array {
	const at = physicalOf(shape.pages, offset) as number;
	const inPage = Math.min(length, PAGE - (at % PAGE));
	const bytes = ram.slice(at, at + length);
	if (inPage === length) return bytes;
	const second = physicalOf(shape.pages, offset + inPage) as number;
	bytes.set(ram.subarray(second, second + length - inPage), inPage);
	return bytes;
}

/** A sum of linear addresses as the MMU has them: bit 47 is the one that counts. */
function wrap48(linear: number): number {
	return (linear + LINEAR_END) % LINEAR_END;
}

/** 64-bit code, and flat 32-bit code. */
function isSupported(mode: Mode): boolean {
	if (modeCodeSize(mode) === 64) return true;
	const flat = (mode & MODE_FLAT) !== 0;
	return flat && modeCodeSize(mode) === 32 && modeStackSize(mode) === 32;
}
