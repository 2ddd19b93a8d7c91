import { describe, expect, it } from "vitest";
import { GuestMemory } from "../../memory/guest-memory.ts";
import { decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { ALL_FEATURES } from "../decode/opcode-table.ts";
import { RAM_BASE, WASM_PAGE_BYTES } from "../memory-layout.ts";
import { makeMode } from "../mode.ts";
import { semanticsOf } from "../semantics/index.ts";
import { CodeCache } from "./code-cache.ts";
import type { CodePage } from "./code-page.ts";
import { ColdEngine } from "./cold-engine.ts";
import { RECORD_HANDLER, RECORD_LINK } from "./record.ts";

const RAM_BYTES = 0x1_0000;
const MOST_HANDLERS = 300;
const MODE = makeMode(32, 32, true);
const HLT = 0xf4;

const nothing = () => 0;

/** A cache over an engine that can number few forms. */
function smallCache() {
	const pages = (RAM_BASE + RAM_BYTES) / WASM_PAGE_BYTES;
	const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
	const ram = new GuestMemory(memory.buffer, RAM_BASE, RAM_BYTES);
	const imports = {
		translate: nothing,
		checkSegment: nothing,
		commit: () => {},
		system: nothing,
		resolve: nothing,
		hot: undefined,
		misplaced: () => {},
		hotArrivals: 0,
		fetchPage: () => 0,
		fetchWidePage: () => 0,
		ramBytes: 0,
	};
	const source = { semanticsOf, kernels: new Map() };
	const known = { inline: () => [], usual: () => [] };
	const engine = new ColdEngine(
		...([memory, imports, source, known, MOST_HANDLERS] as const),
	);
	const cache = new CodeCache(
		memory.buffer,
		ram,
		ALL_FEATURES,
		(instruction, mode) => engine.handlerFor(instruction, mode),
		() => {},
	);
	cache.makeRoomForForms = (count) => engine.makeRoom(count);
	const view = new DataView(memory.buffer);
	const handlerAt = (record: number) =>
		view.getUint16(record + RECORD_HANDLER, true);
	const linkOf = (record: number) => view.getUint32(record + RECORD_LINK, true);
	return { ram, engine, cache, handlerAt, linkOf };
}

/** One page for each prefix: every ALU instruction in all shapes of operands. */
function manyForms(ram: GuestMemory, page: number, prefix: number): void {
	let at = page * 4096;
	for (let opcode = 0; opcode < 0x38; opcode += 8) {
		for (let form = 0; form < 4; form++) {
			for (const modrm of [[0xc0], [0x00], [0x04, 0x08]]) {
				const bytes = [prefix, opcode + form, ...modrm];
				ram.write(at, Uint8Array.from(bytes));
				at += bytes.length;
			}
		}
	}
	ram.writeU8(at, HLT);
}

const TARGET = 0x80;

/** Three branches of a page to one place in it, where nobody has been. */
function branching() {
	const small = smallCache();
	const { ram, cache } = small;
	const branches = [0, 0x10, 0x20].map((at) => {
		// jmp TARGET
		ram.write(at, Uint8Array.of(0xeb, TARGET - at - 2));
		return cache.find(at, MODE, nothing);
	});
	ram.writeU8(TARGET, HLT);
	const target = () => cache.pageAt(0, MODE)?.recordAt(TARGET);
	return { ...small, branches, target };
}

describe("the code cache", () => {
	it("starts over when a guest uses more forms than there are numbers", () => {
		const { ram, engine, cache, handlerAt } = smallCache();
		const prefixes = [0x90, 0x66, 0x67, 0x64, 0x26];
		for (const [page, prefix] of prefixes.entries()) {
			manyForms(ram, page, prefix);
			const record = cache.find(page * 4096, MODE, nothing);
			expect(handlerAt(record)).toBeLessThan(MOST_HANDLERS);
		}
		expect(cache.resets).toBeGreaterThan(0);
		expect(engine.formCount).toBeLessThan(MOST_HANDLERS);
	});

	it("forgets code made before the forms were renumbered", () => {
		const { ram, cache } = smallCache();
		manyForms(ram, 0, 0x90);
		const first = cache.find(0, MODE, nothing);
		for (let page = 1; cache.resets === 0; page++) {
			manyForms(ram, page, [0x66, 0x67, 0x64, 0x26][page % 4] as number);
			cache.find(page * 4096, MODE, nothing);
		}
		const decoded = cache.instructionsDecoded;
		expect(cache.find(0, MODE, nothing)).not.toBe(first);
		expect(cache.instructionsDecoded).toBeGreaterThan(decoded);
	});

	it("takes no handler's number from before they were given out anew", () => {
		const { ram, engine, cache, handlerAt } = smallCache();
		const prefixes = [0x90, 0x66, 0x67, 0x64, 0x26];
		for (let page = 0; cache.resets === 0; page++) {
			manyForms(ram, page, prefixes[page % 5] as number);
			cache.find(page * 4096, MODE, nothing);
		}
		const page = 8 * 4096;
		manyForms(ram, 8, 0x90);
		cache.find(page, MODE, nothing);
		const mode = { codeSize: 32 } as const;
		const code = cache.pageAt(page, MODE) as CodePage;
		let looked = 0;
		for (let at = 0; code.recordAt(at) !== 0; looked++) {
			const instruction = decode(ram.bytes, page + at, 15, mode) as Instruction;
			expect(handlerAt(code.recordAt(at))).toBe(
				engine.handlerFor(instruction, MODE),
			);
			at += instruction.lengthBytes;
		}
		expect(looked).toBeGreaterThan(100);
	});

	it("uses its memory again from the start when it has been cleared", () => {
		const { ram, cache, handlerAt } = smallCache();
		manyForms(ram, 0, 0x90);
		const first = cache.find(0, MODE, nothing);
		const page = cache.pageAt(0, MODE) as CodePage;
		cache.clear();
		expect(cache.pageAt(0, MODE)).toBeUndefined();
		expect(cache.holds(page, MODE)).toBe(false);
		expect(cache.codePages[0]).toBe(0);
		// Other code, elsewhere in its page, in the same place of the arena.
		ram.writeU8(4096 + 300, HLT);
		expect(cache.find(4096 + 300, MODE, nothing)).toBe(first);
		expect(handlerAt(first)).toBeLessThan(MOST_HANDLERS);
		expect(cache.pageAt(4096, MODE)?.ordinalAt(300)).toBe(1);
		expect(cache.pageAt(4096, MODE)?.ordinalAt(44)).toBe(0);
	});

	it("lets branches that wait go straight on when what they lead to is there", () => {
		const { cache, linkOf, branches, target } = branching();
		expect(branches.map(linkOf)).toEqual([0, 0, 0]);
		const record = cache.find(TARGET, MODE, nothing);
		expect(branches.map(linkOf)).toEqual([record, record, record]);
		expect(target()).toBe(record);
	});

	it("leads branches into a region, out of it when it goes, and into the next", () => {
		const { cache, linkOf, branches } = branching();
		const record = cache.find(TARGET, MODE, nothing);
		const page = cache.pageAt(0, MODE) as CodePage;
		const made = { pages: [page], places: [{ distance: 0, physical: 0 }] };
		const enter = (slot: number) => {
			const region = cache.enterRegion(page, TARGET, slot, made);
			if (region === undefined) throw new Error("no room");
			return region;
		};
		const first = enter(1);
		expect(branches.map(linkOf)).toEqual(Array(3).fill(first.record));
		expect(linkOf(first.record)).toBe(record);
		cache.dropRegion(first);
		expect(linkOf(first.record)).toBe(record);
		const second = enter(2);
		expect(linkOf(first.record)).toBe(second.record);
		expect(linkOf(second.record)).toBe(record);
	});
});
