/**
 * Decoded guest code: finds or makes the record for an address, and forgets
 * records when the bytes beneath them change.
 *
 * Code is kept by *physical* page and mode, so remapping costs nothing and the
 * same page mapped twice is decoded once. A record that no longer holds gets
 * the handler STALE in place: whoever still points at it (the loop, a link, the
 * jump cache) comes here again. Its memory is only used again after a reset of
 * the whole arena, when nobody can point at anything.
 *
 * @journey E:490 What the CPU has read before
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import { type DecodeMode, decode } from "../decode/decoder.ts";
import type { DecodeFailure, Instruction } from "../decode/instruction.ts";
import { operandsOf } from "../decode/operand-spec.ts";
import { VECTOR_GP, VECTOR_UD } from "../exceptions.ts";
import {
	ARENA_BASE,
	ARENA_BYTES,
	CODE_MAP_BASE,
	RAM_BASE,
} from "../memory-layout.ts";
import { CodeEpochs } from "../mmu/code-epochs.ts";
import { MODE_COUNT, type Mode, modeCodeSize } from "../mode.ts";
import {
	CodePage,
	MOST_PAGE_RECORDS,
	type RegionHandle,
	Stretches,
} from "./code-page.ts";
import { JumpCache } from "./jump-cache.ts";
import {
	HANDLER_CROSS,
	HANDLER_FAULT,
	HANDLER_GOTO,
	HANDLER_REGION,
	HANDLER_STALE,
	HANDLER_STRADDLE,
	PAGE_ENTRY_BYTES,
	RECORD_BYTES,
	RECORD_DISPLACEMENT,
	RECORD_HANDLER,
	RECORD_IMMEDIATE,
	RECORD_LENGTH,
	RECORD_LINK,
	RECORD_PAGE_COUNT,
	RECORD_PAGES,
	writePseudoRecord,
	writeRecord,
} from "./record.ts";
import { PatternShape, RecordPatterns } from "./record-patterns.ts";
import type { RegionPage } from "./region.ts";

/** Gives an instruction's form its handler number. */
export type HandlerFor = (instruction: Instruction, mode: Mode) => number;
/** Sends later writes to a physical page to the slow path. */
export type ProtectPage = (physicalPage: number) => void;

const PAGE = 4096;
/** Longest run of records made at once. */
const MOST_RECORDS = 128;
const MAX_INSTRUCTION_BYTES = 15;

/** What a region is made of: decoded pages, and where in memory and from its first page they are. */
export interface RegionPages {
	readonly pages: readonly CodePage[];
	readonly places: readonly RegionPage[];
}

export class CodeCache {
	/** Non-zero for each physical page with decoded code. */
	readonly codePages: Uint8Array;
	readonly #ram: GuestMemory;
	readonly #view: DataView;
	readonly #words: Int32Array;
	readonly #jumpCache: JumpCache;
	readonly #epochs: CodeEpochs;
	readonly #handlerFor: HandlerFor;
	readonly #protect: ProtectPage;
	readonly #pages = new Map<number, CodePage>();
	readonly #stretches = new Stretches();
	readonly #patterns = new RecordPatterns();
	readonly #straddle = new Uint8Array(2 * MAX_INSTRUCTION_BYTES);
	readonly #features: ReadonlySet<string>;
	#next = ARENA_BASE;
	/** For statistics. */
	pagesDecoded = 0;
	instructionsDecoded = 0;
	invalidations = 0;
	resets = 0;

	constructor(
		buffer: ArrayBufferLike,
		ram: GuestMemory,
		features: ReadonlySet<string>,
		handlerFor: HandlerFor,
		protect: ProtectPage,
	) {
		this.#ram = ram;
		this.#features = features;
		this.#handlerFor = handlerFor;
		this.#protect = protect;
		this.#view = new DataView(buffer);
		this.#words = new Int32Array(buffer);
		this.#epochs = new CodeEpochs(buffer);
		this.codePages = new Uint8Array(
			buffer,
			CODE_MAP_BASE,
			Math.ceil(ram.sizeBytes / PAGE),
		);
		this.#jumpCache = new JumpCache(buffer);
	}

	/**
	 * The record for the code at a physical address. `fetchNext` gives the
	 * physical address of the linear page after it, for instructions that
	 * straddle; it may raise.
	 */
	find(physical: number, mode: Mode, fetchNext: () => number): number {
		const offset = physical % PAGE;
		const page = this.#page(physical - offset, mode);
		let record = this.#known(page, offset);
		const own = this.coldRecord(page, offset);
		if (own === 0 || !this.#secondPageHolds(own, fetchNext)) {
			// A region that begins with an instruction that is no more would only
			// send us back here.
			const region = this.regionAt(page, offset);
			if (region !== undefined) this.dropRegion(region);
			record = this.#decodeRun(page, offset, mode, fetchNext);
		}
		this.#cacheJump(physical, record);
		return record;
	}

	#cacheJump(physical: number, record: number): void {
		this.#jumpCache.enter(RAM_BASE + physical, record);
	}

	/** Forgets the way from addresses to records (another mode begins). */
	clearJumpCache(): void {
		this.#jumpCache.clear();
		this.#epochs.endAll();
	}

	/** Bytes [physical, physical + bytes) change: forget what was decoded from them. */
	invalidate(physical: number, bytes: number): void {
		const last = Math.floor((physical + bytes - 1) / PAGE);
		for (let page = Math.floor(physical / PAGE); page <= last; page++) {
			if (!this.codePages[page]) continue;
			const from = Math.max(physical - page * PAGE, 0);
			const to = Math.min(physical + bytes - page * PAGE, PAGE);
			this.#invalidatePage(page, from, to);
		}
	}

	/** The page's decoded code, if there is any. */
	pageAt(physicalPage: number, mode: Mode): CodePage | undefined {
		return this.#pages.get((physicalPage / PAGE) * MODE_COUNT + mode);
	}

	/** Whether the page still is what its code is decoded from. */
	holds(page: CodePage, mode: Mode): boolean {
		return this.pageAt(page.physical, mode) === page;
	}

	/** The record by which the cold engine runs what is at an offset (never a region's), or 0. */
	coldRecord(page: CodePage, offset: number): number {
		const record = this.#known(page, offset);
		if (record === 0) return 0;
		const handler = this.#view.getUint16(record + RECORD_HANDLER, true);
		if (handler !== HANDLER_REGION) return record;
		return this.#view.getUint32(record + RECORD_LINK, true);
	}

	/** The region that begins at an offset, if one does. */
	regionAt(page: CodePage, offset: number): RegionHandle | undefined {
		const record = this.#known(page, offset);
		if (record === 0) return undefined;
		for (const region of page.regions) {
			if (region.record === record) return region;
		}
		return undefined;
	}

	/**
	 * From now on, whoever branches to the offset enters the region in `slot`;
	 * undefined = there is nothing at the offset, or no room.
	 */
	enterRegion(
		page: CodePage,
		offset: number,
		slot: number,
		made: RegionPages,
	): RegionHandle | undefined {
		const own = this.coldRecord(page, offset);
		if (own === 0 || !this.#hasRoom(RECORD_BYTES + listBytes(made))) {
			return undefined;
		}
		const record = this.#next;
		const ownOrdinal = page.ordinalAt(offset);
		writePseudoRecord(this.#words, record, HANDLER_REGION, offset);
		this.#view.setUint32(record + RECORD_DISPLACEMENT, slot, true);
		this.#view.setUint32(record + RECORD_LINK, own, true);
		this.#enter(page, offset);
		this.#relink(page, own, record);
		this.#cacheJump(page.physical + offset, record);
		const region = { slot, page, offset, record, ownOrdinal, pages: [] };
		this.#writePages(region, made);
		return region;
	}

	/** Who went straight to one record of the page goes to another, but for regions that stand before it. */
	#relink(page: CodePage, from: number, to: number): void {
		const view = this.#view;
		for (const record of page.records) {
			if (view.getUint32(record + RECORD_LINK, true) !== from) continue;
			const handler = view.getUint16(record + RECORD_HANDLER, true);
			if (handler === HANDLER_REGION) continue;
			view.setUint32(record + RECORD_LINK, to, true);
		}
	}

	/** The region is made of these pages now: a change to any ends it. False = there is no room to say so. */
	setRegionPages(region: RegionHandle, made: RegionPages): boolean {
		if (!this.#hasRoom(listBytes(made))) return false;
		this.#writePages(region, made);
		// Where the region's pages have been found good, those were others.
		this.#epochs.endAll();
		return true;
	}

	#writePages(region: RegionHandle, made: RegionPages): void {
		this.#belongTo(region, made.pages);
		const view = this.#view;
		const { record } = region;
		view.setUint32(record + RECORD_PAGES, this.#next, true);
		view.setUint32(record + RECORD_PAGE_COUNT, made.places.length, true);
		for (const { distance, physical } of made.places) {
			view.setInt32(this.#next, distance, true);
			view.setUint32(this.#next + 4, RAM_BASE + physical, true);
			this.#next += PAGE_ENTRY_BYTES;
		}
		// Records stand at multiples of their size.
		this.#next += -this.#next & (RECORD_BYTES - 1);
	}

	#belongTo(region: RegionHandle, pages: readonly CodePage[]): void {
		for (const page of region.pages) page.regions.delete(region);
		region.pages = pages;
		for (const page of pages) page.regions.add(region);
	}

	#hasRoom(bytes: number): boolean {
		return this.#next + bytes + RECORD_BYTES <= ARENA_BASE + ARENA_BYTES;
	}

	/** From now on, the cold engine runs what the region did. */
	dropRegion(region: RegionHandle): void {
		const { page, offset, record, ownOrdinal } = region;
		this.#belongTo(region, []);
		this.#view.setUint16(record + RECORD_HANDLER, HANDLER_GOTO, true);
		page.setOrdinal(offset, ownOrdinal);
		this.#epochs.endAll();
		this.onRegionDropped(region);
	}

	#invalidatePage(number: number, from: number, to: number): void {
		let left = 0;
		for (let mode = 0; mode < MODE_COUNT; mode++) {
			const key = number * MODE_COUNT + mode;
			const page = this.#pages.get(key);
			if (page === undefined) continue;
			if (!page.hasCode(from, to)) {
				left++;
				continue;
			}
			this.invalidations++;
			for (const region of page.regions) this.dropRegion(region);
			for (const record of page.records) this.#makeStale(record);
			page.retire();
			this.#pages.delete(key);
		}
		if (left === 0) this.codePages[number] = 0;
	}

	/** Told of every region whose code has changed or been forgotten. */
	onRegionDropped: (region: RegionHandle) => void = () => {};

	#makeStale(record: number): void {
		this.#view.setUint16(record + RECORD_HANDLER, HANDLER_STALE, true);
	}

	#page(physical: number, mode: Mode): CodePage {
		const number = physical / PAGE;
		const key = number * MODE_COUNT + mode;
		let page = this.#pages.get(key);
		if (page === undefined) {
			page = new CodePage(physical, this.#stretches);
			this.#pages.set(key, page);
			this.pagesDecoded++;
			if (!this.codePages[number]) {
				this.codePages[number] = 1;
				this.#protect(physical);
			}
		}
		return page;
	}

	/** A record that still holds, or 0. */
	#known(page: CodePage, offset: number): number {
		const record = page.recordAt(offset);
		if (record === 0) return 0;
		const handler = this.#view.getUint16(record + RECORD_HANDLER, true);
		return handler === HANDLER_STALE ? 0 : record;
	}

	/** A straddling instruction's record holds while its second page is where it was. */
	#secondPageHolds(record: number, fetchNext: () => number): boolean {
		const handler = this.#view.getUint16(record + RECORD_HANDLER, true);
		if (handler !== HANDLER_STRADDLE) return true;
		const host = this.#view.getUint32(record + RECORD_DISPLACEMENT, true);
		if (host === RAM_BASE + fetchNext()) return true;
		this.#makeStale(record);
		return false;
	}

	/**
	 * Decodes from `offset` up to the next branch, taken or not; returns the first
	 * record. What no control has come to is not decoded: regions are made of what
	 * is, and half of a kernel's code is for cases that never happen.
	 */
	#decodeRun(
		page: CodePage,
		start: number,
		mode: Mode,
		fetchNext: () => number,
	): number {
		const target = this.#withRoom(page, mode);
		const decodeMode = {
			codeSize: modeCodeSize(mode),
			features: this.#features,
		};
		const first = this.#next;
		let offset = start;
		for (let count = 0; offset < PAGE && count < MOST_RECORDS; count++) {
			if (count > 0 && this.#known(target, offset) !== 0) break;
			const ends = this.#addOne(target, offset, mode, decodeMode);
			if (ends === "truncated") {
				if (count > 0) break;
				return this.#decodeStraddling(
					target,
					offset,
					mode,
					fetchNext,
					decodeMode,
				);
			}
			if (typeof ends === "string") {
				target.mark(offset, MAX_INSTRUCTION_BYTES);
				this.#addFault(target, offset, ends);
				return first;
			}
			offset += this.#lengthOf(this.#next - RECORD_BYTES);
			if (ends) break;
		}
		this.#addContinuation(target, offset);
		return first;
	}

	/** One instruction, if it lies in the page: whether it ends its block, or why it is none. */
	#addOne(
		page: CodePage,
		offset: number,
		mode: Mode,
		decodeMode: DecodeMode,
	): boolean | DecodeFailure {
		const shape = this.#addAlike(page, offset, mode);
		if (shape !== 0) return (shape & PatternShape.ENDS_BLOCK) !== 0;
		const { bytes } = this.#ram;
		const at = page.physical + offset;
		const decoded = decode(bytes, at, PAGE - offset, decodeMode);
		if (typeof decoded === "string") return decoded;
		page.mark(offset, decoded.lengthBytes);
		const handler = this.#addInstruction(page, offset, decoded, mode);
		this.#patterns.learn(bytes, at, mode, handler, decoded);
		return decoded.row.endsBlock;
	}

	/** One instruction that lies in two pages. */
	#decodeStraddling(
		page: CodePage,
		offset: number,
		mode: Mode,
		fetchNext: () => number,
		decodeMode: DecodeMode,
	): number {
		const second = fetchNext();
		const head = PAGE - offset;
		const bytes = this.#straddle.fill(0);
		const ram = this.#ram.bytes;
		bytes.set(ram.subarray(page.physical + offset, page.physical + PAGE));
		bytes.set(ram.subarray(second, second + MAX_INSTRUCTION_BYTES), head);
		const decoded = decode(bytes, 0, head + MAX_INSTRUCTION_BYTES, decodeMode);
		page.mark(offset, head);
		const first = this.#next;
		const failed = typeof decoded === "string";
		const length = failed ? MAX_INSTRUCTION_BYTES : decoded.lengthBytes;
		this.#addPseudo(page, offset, HANDLER_STRADDLE);
		this.#view.setUint32(first + RECORD_DISPLACEMENT, RAM_BASE + second, true);
		const secondPage = this.#page(second, mode);
		secondPage.mark(0, length - head);
		secondPage.records.push(first);
		const ordinal = page.ordinalAt(offset);
		if (failed) this.#addFault(page, offset, decoded);
		else this.#addInstruction(page, offset, decoded, mode);
		secondPage.records.push(this.#next - RECORD_BYTES);
		page.setOrdinal(offset, ordinal);
		if (!failed) this.#addPseudo(page, offset + length, HANDLER_CROSS);
		return first;
	}

	/** The value is its handler. */
	#addInstruction(
		page: CodePage,
		offset: number,
		instruction: Instruction,
		mode: Mode,
	): number {
		const record = this.#next;
		const handler = this.#handlerFor(instruction, mode);
		writeRecord(this.#words, record, handler, offset, instruction);
		this.instructionsDecoded++;
		this.#enter(page, offset);
		const isBranch = operandsOf(instruction.row)[0]?.method === "J";
		if (isBranch) this.#linkBranch(page, offset, record);
		return handler;
	}

	/** The same by a pattern, if there is one: its shape, or 0. */
	#addAlike(page: CodePage, offset: number, mode: Mode): number {
		if (PAGE - offset < MAX_INSTRUCTION_BYTES) return 0;
		const record = this.#next;
		const at = page.physical + offset;
		const shape = this.#patterns.write(
			this.#ram.bytes,
			at,
			mode,
			this.#words,
			record,
			offset,
		);
		if (shape === 0) return 0;
		page.mark(offset, this.#lengthOf(record));
		this.instructionsDecoded++;
		this.#enter(page, offset);
		if ((shape & PatternShape.BRANCH) !== 0) {
			this.#linkBranch(page, offset, record);
		}
		return shape;
	}

	#lengthOf(record: number): number {
		return this.#view.getUint8(record + RECORD_LENGTH);
	}

	/** Of a direct branch whose target is in the same page. */
	#linkBranch(page: CodePage, offset: number, record: number): void {
		const end = offset + this.#lengthOf(record);
		const distance = this.#view.getInt32(record + RECORD_IMMEDIATE, true);
		const target = end + distance;
		// A straddling branch's RIP page is the first page.
		if (target < 0 || target >= PAGE || end > PAGE) return;
		this.#linkLast(page, target);
	}

	/** What follows a run: the record there, or the way to find one. */
	#addContinuation(page: CodePage, offset: number): void {
		const record = this.#next;
		writePseudoRecord(this.#words, record, HANDLER_CROSS, offset);
		page.records.push(record);
		this.#next += RECORD_BYTES;
		if (offset < PAGE) this.#linkLast(page, offset);
	}

	#addFault(page: CodePage, offset: number, failure: DecodeFailure): void {
		const record = this.#next;
		this.#addPseudo(page, offset, HANDLER_FAULT);
		const tooLong = failure === "too-long";
		const vector = tooLong ? VECTOR_GP : VECTOR_UD;
		this.#view.setInt32(record + RECORD_IMMEDIATE, vector, true);
		this.#view.setInt32(record + RECORD_IMMEDIATE + 4, tooLong ? 1 : 0, true);
	}

	#addPseudo(page: CodePage, offset: number, handler: number): void {
		writePseudoRecord(this.#words, this.#next, handler, offset);
		if (offset < PAGE) this.#enter(page, offset);
		else {
			page.records.push(this.#next);
			this.#next += RECORD_BYTES;
		}
	}

	/** Makes the record at #next findable under `offset` and links who waited for it. */
	#enter(page: CodePage, offset: number): void {
		const record = this.#next;
		this.#next += RECORD_BYTES;
		let waiting = page.waitingAt(offset);
		page.records.push(record);
		page.setOrdinal(offset, page.records.length);
		while (waiting !== 0) {
			const next = this.#view.getUint32(waiting + RECORD_DISPLACEMENT, true);
			this.#view.setUint32(waiting + RECORD_DISPLACEMENT, 0, true);
			this.#setLink(waiting, record);
			waiting = next;
		}
	}

	/**
	 * Lets the page's last record go straight to the record of `offset`, now or
	 * when there is one. Those that wait are a list, by way of a field that branches
	 * have no use for.
	 */
	#linkLast(page: CodePage, offset: number): void {
		const record = page.records.at(-1) as number;
		const known = this.#known(page, offset);
		if (known !== 0) {
			this.#setLink(record, known);
			return;
		}
		const next = page.waitingAt(offset);
		this.#view.setUint32(record + RECORD_DISPLACEMENT, next, true);
		page.lastWaitsFor(offset);
	}

	#setLink(record: number, target: number): void {
		this.#view.setUint32(record + RECORD_LINK, target, true);
		const handler = this.#view.getUint16(record + RECORD_HANDLER, true);
		if (handler === HANDLER_CROSS) {
			this.#view.setUint16(record + RECORD_HANDLER, HANDLER_GOTO, true);
		}
	}

	/** Told how many forms may come; true = all numbers given out before are void. */
	makeRoomForForms: (count: number) => boolean = () => false;

	/** The page to decode into, after dropping everything when the arena is full. */
	#withRoom(page: CodePage, mode: Mode): CodePage {
		const needed = (MOST_RECORDS + 3) * RECORD_BYTES;
		const full = this.#next + needed > ARENA_BASE + ARENA_BYTES;
		const crowded = page.records.length + MOST_RECORDS + 3 > MOST_PAGE_RECORDS;
		const forgotten = this.makeRoomForForms(MOST_RECORDS + 3);
		if (forgotten) this.#patterns.clear();
		if (!full && !crowded && !forgotten) return page;
		this.resets++;
		this.clear();
		return this.#page(page.physical, mode);
	}

	/** Forgets everything: the arena is as good as new. Nobody may stand at a record. */
	clear(): void {
		for (const known of this.#pages.values()) {
			for (const region of known.regions) this.dropRegion(region);
			known.retire();
		}
		this.#pages.clear();
		this.codePages.fill(0);
		this.clearJumpCache();
		this.#next = ARENA_BASE;
	}
}

function listBytes({ places }: RegionPages): number {
	return places.length * PAGE_ENTRY_BYTES;
}
