import { describe, expect, it } from "vitest";
import { RegionStock, type StockedRegion } from "./region-stock.ts";

const USUAL = 1000;
const MOST = 3000;
const MODULE = 400;

function regions(count: number): StockedRegion[] {
	return Array.from({ length: count }, () => ({
		module: undefined,
		isSeen: false,
	}));
}

/** A stock, modules of four regions in it, and what a sweep lets go. */
function stocked(modules: number) {
	const stock = new RegionStock<StockedRegion>(USUAL, MOST);
	const all = Array.from({ length: modules }, () => regions(4));
	for (const one of all) stock.add(MODULE, one);
	const sweep = () => {
		const gone: StockedRegion[] = [];
		stock.sweep((region) => {
			gone.push(region);
			stock.remove(region);
		});
		return gone;
	};
	return { stock, all, sweep };
}

describe("the stock of regions", () => {
	it("lets nobody go while there is room", () => {
		const { stock, all, sweep } = stocked(2);
		for (const region of all.flat()) region.isSeen = false;
		expect(sweep()).toEqual([]);
		expect(stock.bytes).toBe(2 * MODULE);
	});

	it("keeps all that were seen, and then has room for as much again", () => {
		const { stock, all, sweep } = stocked(3);
		expect(sweep()).toEqual([]);
		// Nobody was seen since, but there may be 2400 bytes.
		stock.add(MODULE, regions(4));
		expect(sweep()).toEqual([]);
		for (let i = 0; i < 3; i++) stock.add(MODULE, regions(4));
		expect(new Set(sweep())).toEqual(new Set(all.flat()));
	});

	it("looks again before there is more than there may ever be", () => {
		const { stock, all, sweep } = stocked(5);
		expect(sweep()).toEqual([]);
		// Twice as much would be 4000 bytes.
		for (let i = 0; i < 3; i++) stock.add(MODULE, regions(4));
		expect(new Set(sweep())).toEqual(new Set(all.flat()));
	});

	it("lets those go that nobody was seen in", () => {
		const { stock, all, sweep } = stocked(3);
		const [first, second, third] = all as [
			StockedRegion[],
			StockedRegion[],
			StockedRegion[],
		];
		for (const region of [...first, ...second]) region.isSeen = false;
		(second[0] as StockedRegion).isSeen = true;
		(second[1] as StockedRegion).isSeen = true;
		expect(sweep()).toEqual([...first, second[2], second[3]]);
		// A module stays as long as anybody can come into it.
		expect(stock.bytes).toBe(2 * MODULE);
		expect(stock.evictions).toBe(6);
		expect(third.every(({ module }) => module !== undefined)).toBe(true);
	});

	it("gives up a module of which little would be left", () => {
		const { stock, all, sweep } = stocked(3);
		const [first = []] = all;
		for (const region of first.slice(1)) region.isSeen = false;
		expect(sweep()).toEqual(first);
		expect(stock.bytes).toBe(2 * MODULE);
	});

	it("begins anew when even what is in use is too much", () => {
		const { stock, sweep } = stocked(8);
		expect(sweep()).toHaveLength(32);
		expect(stock.bytes).toBe(0);
	});

	it("forgets regions one by one", () => {
		const { stock, all } = stocked(1);
		for (const region of all.flat()) {
			expect(stock.bytes).toBe(MODULE);
			stock.remove(region);
			stock.remove(region);
		}
		expect(stock.bytes).toBe(0);
	});
});
