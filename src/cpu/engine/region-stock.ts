/**
 * Which compiled regions stay. A guest that runs for hours comes by ever more
 * code often enough for it to be compiled, and the host gives a region's memory
 * back only when its whole module is of no use. So when the modules have become
 * too many bytes, regions that nobody has been seen in since the last such time
 * go, and with them modules of which too little would be left.
 *
 * @journey E:703 What is not used goes
 */

/** What the stock knows of a region. */
export interface StockedRegion {
	/** The module it is in, once it is compiled. */
	module: StockedModule | undefined;
	/** Somebody has been seen in it since the last sweep. */
	isSeen: boolean;
}

/** A module, with those of its regions that can still be entered. */
export interface StockedModule {
	readonly wasmBytes: number;
	/** How many regions it was made of. */
	readonly made: number;
	readonly regions: Set<StockedRegion>;
}

/**
 * Bytes of Wasm from which on a sweep is worth its while: native code is some six
 * times as much. A guest that keeps more than half of it in use gets more.
 */
const USUAL_BYTES = 6 << 20;
/** As much as there may be; a guest that has more in use begins anew. */
const MOST_BYTES = 16 << 20;

export class RegionStock<Region extends StockedRegion> {
	readonly #modules = new Set<StockedModule>();
	#bytes = 0;
	#enough: number;
	readonly #usual: number;
	readonly #most: number;
	/** Regions that were in use by nobody, and went. */
	evictions = 0;

	constructor(usual = USUAL_BYTES, most = MOST_BYTES) {
		this.#usual = usual;
		this.#most = most;
		this.#enough = usual;
	}

	/** Bytes of Wasm in modules that are not forgotten. */
	get bytes(): number {
		return this.#bytes;
	}

	/** A module with these regions is there; they count as seen. */
	add(wasmBytes: number, regions: readonly Region[]): void {
		const made = regions.length;
		const module = { wasmBytes, made, regions: new Set(regions) };
		for (const region of regions) {
			region.module = module;
			region.isSeen = true;
		}
		if (made === 0) return;
		this.#modules.add(module);
		this.#bytes += wasmBytes;
	}

	/** A region cannot be entered any more. */
	remove(region: Region): void {
		const { module } = region;
		if (module === undefined) return;
		region.module = undefined;
		module.regions.delete(region);
		if (module.regions.size > 0) return;
		this.#modules.delete(module);
		this.#bytes -= module.wasmBytes;
	}

	/** Lets regions go, if there are too many; `drop` must `remove` them. */
	sweep(drop: (region: Region) => void): void {
		if (this.#bytes <= this.#enough) return;
		for (const module of this.#modules) {
			for (const region of leavers(module)) this.#evict(region, drop);
		}
		if (this.#bytes > this.#most) {
			for (const module of this.#modules) {
				for (const region of module.regions) this.#evict(region, drop);
			}
		}
		const twice = Math.min(2 * this.#bytes, this.#most);
		this.#enough = Math.max(this.#usual, twice);
	}

	#evict(region: StockedRegion, drop: (region: Region) => void): void {
		this.evictions++;
		drop(region as Region);
	}
}

/** Those of a module that nobody was seen in: all of them, if these are most. */
function leavers({ regions, made }: StockedModule): StockedRegion[] {
	const all = [...regions];
	const unseen = all.filter(({ isSeen }) => !isSeen);
	for (const region of all) region.isSeen = false;
	const stay = all.length - unseen.length;
	return stay * 2 < made ? all : unseen;
}
