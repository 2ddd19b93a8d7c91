/**
 * Linear memory: fills the TLB that generated code reads, does the accesses
 * its fast path cannot do (page straddles, devices, code pages), and gives
 * TypeScript code access by linear address.
 *
 * Raises `GuestFault`, but for the page faults of generated code, which are too
 * frequent to be thrown; callers at the border catch it.
 *
 * @journey E:510 The memory management unit
 */

import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessSize, CpuBus } from "../bus.ts";
import { raise, VECTOR_AC, VECTOR_PF } from "../exceptions.ts";
import { RAM_BASE, STATE_BASE } from "../memory-layout.ts";
import { modeCodeSize } from "../mode.ts";
import { CPL, CR2, MODE, SCRATCH, TLB_READ_MASK } from "../state.ts";
import type { StateView } from "../state-view.ts";
import { forgetMemos } from "./page-memos.ts";
import { PageWalk, type TableMemory, type TableRules } from "./page-walk.ts";
import {
	TLB_EXECUTE_SUPERVISOR,
	TLB_EXECUTE_USER,
	TLB_NEVER,
	TLB_READ_SUPERVISOR,
	TLB_READ_USER,
	TLB_WRITE,
	TLB_WRITE_SUPERVISOR,
	TLB_WRITE_USER,
	Tlb,
} from "./tlb.ts";
import { WideTlb } from "./wide-tlb.ts";

/** How generated code means an access (0 = read); "modify" reads what it will write. */
const WRITE = 1;
const MODIFY = 2;

const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const FOUR_GIB = 0x1_0000_0000;
const LINEAR_END = 2 ** 48;
const SCRATCH_HOST = STATE_BASE + SCRATCH.offset;

/** Who must know about writes to pages that hold decoded code. */
export interface CodeWatcher {
	/** Non-zero for each physical page with decoded code. */
	readonly codePages: Uint8Array;
	/** [physical, physical + bytes) in one such page is about to change. */
	invalidate(physical: number, bytes: number): void;
}

/** Sees data accesses while breakpoints are enabled. */
export type AccessWatcher = (
	linear: number,
	bytes: number,
	write: boolean,
) => void;

export class Mmu {
	/** Of 32-bit linear space. */
	readonly tlb: Tlb;
	/** Of 64-bit code. */
	readonly #wide: WideTlb;
	readonly #state: StateView;
	readonly #ram: GuestMemory;
	readonly #bus: CpuBus;
	readonly #code: CodeWatcher;
	readonly #walk: PageWalk;
	readonly #view: DataView;
	readonly #bytes: Uint8Array;
	/** Data breakpoints, when any is enabled. */
	watcher: AccessWatcher | undefined;
	/** TLB misses and other slow accesses, for statistics. */
	misses = 0;
	/** Told of every write of the program's to RAM, by host address, before it is made; accessed and dirty flags are none. */
	onStore: ((host: number, bytes: number) => void) | undefined;
	/** Called right before the bytes of `watch` change. */
	onWatchedWrite: () => void = () => {};
	/** Physical; none while the end is 0. */
	#watchStart = 0;
	#watchEnd = 0;

	// What a commit has to do: up to two physical ranges.
	#pendingFirst = 0;
	#pendingFirstBytes = 0;
	#pendingSecond = 0;
	#pendingSecondBytes = 0;

	constructor(
		buffer: ArrayBufferLike,
		state: StateView,
		ram: GuestMemory,
		bus: CpuBus,
		code: CodeWatcher,
	) {
		this.tlb = new Tlb(buffer);
		this.#wide = new WideTlb(buffer);
		this.#state = state;
		this.#ram = ram;
		this.#bus = bus;
		this.#code = code;
		this.#view = new DataView(buffer);
		this.#bytes = new Uint8Array(buffer);
		this.#walk = new PageWalk(state, this.#tableMemory());
		forgetMemos(state);
	}

	// Generated code's slow path

	/**
	 * Host address of the access, staged below RAM_BASE when it is not plain RAM;
	 * 0 where the page tables refuse: CR2 is set, and `pageFaultCode` is #PF's.
	 */
	translate(linear: number, bytes: number, intent: number): number {
		this.misses++;
		const user = this.#state.get32(CPL) === 3;
		if (this.#state.get32(TLB_READ_MASK) & TLB_NEVER) {
			this.#checkWatched(linear, bytes, intent !== 0, user);
		}
		const offset = linear % PAGE;
		const write = intent !== 0;
		if (offset + bytes > PAGE) {
			return this.#stageStraddle(linear, bytes, intent, user);
		}
		const page = this.#tryPage(linear, write, user, false);
		if (page < 0) {
			this.#notePageFault(linear);
			return 0;
		}
		const physical = page + offset;
		if (physical + bytes <= this.#ram.sizeBytes) {
			if (write) this.#aboutToWrite(physical, bytes);
			return RAM_BASE + physical;
		}
		return this.#stage(physical, bytes, 0, 0, intent);
	}

	/** Performs the staged write. */
	commit(): void {
		this.#store(this.#pendingFirst, this.#pendingFirstBytes, 0);
		this.#store(
			this.#pendingSecond,
			this.#pendingSecondBytes,
			this.#pendingFirstBytes,
		);
	}

	/** Error code of the last page fault. */
	get pageFaultCode(): number {
		return this.#walk.errorCode;
	}

	/** Physical address for an instruction fetch at CPL's privilege. */
	fetchAddress(linear: number): number {
		const user = this.#state.get32(CPL) === 3;
		return this.#page(linear, false, user, true) + (linear % PAGE);
	}

	/** The same without a fault: -1 where fetching would raise one. CR2 stays as it is. */
	tryFetchAddress(linear: number): number {
		const user = this.#state.get32(CPL) === 3;
		const page = this.#tryPage(linear, false, user, true);
		return page < 0 ? -1 : page + (linear % PAGE);
	}

	// TypeScript's accesses

	readU8(linear: number, user: boolean): number {
		const physical = this.#page(linear, false, user, false) + (linear % PAGE);
		return this.#load(physical, 1);
	}

	readU16(linear: number, user: boolean): number {
		if (user) this.#checkAligned(linear, 2);
		const host = this.#readHost(linear, 2, user);
		if (host !== 0) return this.#view.getUint16(host, true);
		return this.#readBytes(linear, 2, user);
	}

	readU32(linear: number, user: boolean): number {
		if (user) this.#checkAligned(linear, 4);
		const host = this.#readHost(linear, 4, user);
		if (host !== 0) return this.#view.getUint32(host, true);
		return this.#readBytes(linear, 4, user);
	}

	readU64(linear: number, user: boolean): bigint {
		if (user) this.#checkAligned(linear, 8);
		const low = this.readU32(linear, user);
		const high = this.readU32(this.after(linear, 4), user);
		return (BigInt(high) << 32n) | BigInt(low);
	}

	writeU8(linear: number, value: number, user: boolean): void {
		this.#writeBytes(linear, 1, value, user);
	}

	writeU16(linear: number, value: number, user: boolean): void {
		if (user) this.#checkAligned(linear, 2);
		this.#writeBytes(linear, 2, value, user);
	}

	writeU32(linear: number, value: number, user: boolean): void {
		if (user) this.#checkAligned(linear, 4);
		const known = this.#knownHost(linear, 4, neededFlag(true, user, false));
		if (known !== 0) {
			// The TLB lets nobody write where somebody would have to be told.
			this.onStore?.(known, 4);
			this.#view.setUint32(known, value, true);
			return;
		}
		const offset = linear % PAGE;
		if (offset <= PAGE - 4) {
			const physical = this.#page(linear, true, user, false) + offset;
			if (physical + 4 <= this.#ram.sizeBytes) {
				this.#aboutToWrite(physical, 4);
				this.#view.setUint32(RAM_BASE + physical, value, true);
				return;
			}
		}
		this.#writeBytes(linear, 4, value, user);
	}

	writeU64(linear: number, value: bigint, user: boolean): void {
		if (user) this.#checkAligned(linear, 8);
		this.probeWrite(linear, 8, user);
		this.writeU32(linear, Number(value & 0xffff_ffffn), user);
		this.writeU32(this.after(linear, 4), Number(value >> 32n), user);
	}

	/** Raises what a write of `bytes` there would raise. */
	probeWrite(linear: number, bytes: number, user: boolean): void {
		this.#page(linear, true, user, false);
		if ((linear % PAGE) + bytes > PAGE) {
			this.#page(this.after(linear, bytes - 1), true, user, false);
		}
	}

	/** The address `bytes` further on, wrapping where the code size says: at 4 GiB or 2^48. */
	after(linear: number, bytes: number): number {
		return this.#isLong
			? (linear + bytes) % LINEAR_END
			: (linear + bytes) >>> 0;
	}

	// Control

	flushLocal(): void {
		forgetMemos(this.#state);
		this.tlb.dropLocal();
		this.#wide.dropLocal();
	}

	flushAll(): void {
		forgetMemos(this.#state);
		this.tlb.dropAll();
		this.#wide.dropAll();
	}

	invalidatePage(linear: number): void {
		forgetMemos(this.#state);
		if (linear < FOUR_GIB) this.tlb.drop(Math.floor(linear / PAGE));
		this.#wide.drop(linear);
	}

	/** Sends writes to a physical page to the slow path, through every mapping. */
	protectPage(physical: number): void {
		forgetMemos(this.#state);
		this.tlb.protectHostPage(RAM_BASE + physical);
		this.#wide.protectHostPage(RAM_BASE + physical);
	}

	controlRegistersChanged(): void {
		this.#walk.configure();
		this.flushAll();
	}

	loadPdptes(cr3: number): void {
		this.#walk.loadPdptes(cr3);
	}

	/** One of PAE's top entries in use, its low half. */
	pdpte(index: number): number {
		return this.#walk.pdpte(index);
	}

	/** What a supervisor forbids in page tables, from now on. */
	setTableRules(rules: TableRules): void {
		this.#walk.rules = rules;
		this.flushAll();
	}

	/** Lets `onWatchedWrite` know of every write to these physical bytes. */
	watch(physical: number, bytes: number): void {
		this.#watchStart = physical;
		this.#watchEnd = physical + bytes;
		for (let page = physical - (physical % PAGE); this.#isWatched(page); ) {
			this.protectPage(page);
			page += PAGE;
		}
	}

	/** Nothing is watched any more; pages become fast again as they are used. */
	unwatch(): void {
		this.#watchEnd = 0;
	}

	/** Physical page of a linear address; raises #PF. */
	#page(linear: number, write: boolean, user: boolean, fetch: boolean): number {
		const physical = this.#tryPage(linear, write, user, fetch);
		if (physical >= 0) return physical;
		this.#notePageFault(linear);
		raise(VECTOR_PF, this.#walk.errorCode);
	}

	/** CR2 of a #PF; bit 47 goes up to bit 63 again. */
	#notePageFault(linear: number): void {
		const high = (Math.floor(linear / FOUR_GIB) << 16) >> 16;
		this.#state.setHalves(CR2, linear % FOUR_GIB, high);
	}

	/** Physical page of a linear address, entered in the TLB; -1 where the page tables refuse. */
	#tryPage(
		linear: number,
		write: boolean,
		user: boolean,
		fetch: boolean,
	): number {
		const page = Math.floor(linear / PAGE);
		const wide = this.#isLong || linear >= FOUR_GIB;
		// 64-bit code of 32-bit space is fetched by way of either.
		const direct = linear < FOUR_GIB && (fetch || !wide);
		const needed = neededFlag(write, user, fetch);
		let entry = wide ? this.#wide.get(linear) : needed;
		if (direct && (entry & needed) !== 0) entry = this.tlb.get(page);
		if ((entry & needed) !== 0) {
			return ((entry & -PAGE) + page * PAGE - RAM_BASE) >>> 0;
		}
		const walk = this.#walk;
		if (!walk.walk(linear, write, user, fetch)) return -1;
		const physical = walk.physicalPage;
		const { touched } = this.#ram;
		if (touched !== undefined) touched[physical / PAGE] = 1;
		if (physical < this.#ram.sizeBytes) {
			// An entry that is replaced may have had rights that this one has not.
			forgetMemos(this.#state);
			const refused = this.#refused(physical);
			const host = RAM_BASE + physical;
			if (direct) this.tlb.set(page, host, refused, walk.global);
			if (wide) this.#wide.set(linear, host, refused, walk.global);
		}
		return physical;
	}

	get #isLong(): boolean {
		return modeCodeSize(this.#state.get32(MODE)) === 64;
	}

	/** TLB_* bits of the accesses that must be seen here. */
	#refused(physical: number): number {
		const walk = this.#walk;
		let flags = 0;
		if (!walk.user) {
			flags |= TLB_READ_USER | TLB_WRITE_USER | TLB_EXECUTE_USER;
		}
		if (!walk.executable) flags |= TLB_EXECUTE_USER | TLB_EXECUTE_SUPERVISOR;
		if (!walk.writable) {
			flags |= TLB_WRITE_USER;
			if (walk.writeProtect) flags |= TLB_WRITE_SUPERVISOR;
		}
		const isCode = this.#code.codePages[physical / PAGE];
		if (!walk.dirty || isCode || this.#isWatched(physical)) flags |= TLB_WRITE;
		return flags;
	}

	#isWatched(page: number): boolean {
		return page < this.#watchEnd && page + PAGE > this.#watchStart;
	}

	#aboutToWrite(physical: number, bytes: number): void {
		this.onStore?.(RAM_BASE + physical, bytes);
		this.#aboutToChange(physical, bytes);
	}

	#aboutToChange(physical: number, bytes: number): void {
		if (physical < this.#watchEnd && physical + bytes > this.#watchStart) {
			this.onWatchedWrite();
		}
		if (this.#code.codePages[Math.floor(physical / PAGE)]) {
			this.#code.invalidate(physical, bytes);
		}
	}

	#checkWatched(
		linear: number,
		bytes: number,
		write: boolean,
		user: boolean,
	): void {
		// The mask is only set at CPL 3 for alignment checks; 10-byte accesses
		// are made of aligned parts.
		if (user) this.#checkAligned(linear, bytes === 10 ? 8 : bytes);
		this.watcher?.(linear, bytes, write);
	}

	/** For accesses of user mode (Intel SDM vol. 3, "Alignment Check Exception"). */
	#checkAligned(linear: number, bytes: number): void {
		if (this.alignmentCheck && linear % bytes !== 0) raise(VECTOR_AC, 0);
	}

	/** CR0.AM and EFLAGS.AC; kept by the CPU. */
	alignmentCheck = false;

	#stageStraddle(
		linear: number,
		bytes: number,
		intent: number,
		user: boolean,
	): number {
		const write = intent !== 0;
		const firstBytes = PAGE - (linear % PAGE);
		const second = this.after(linear, firstBytes);
		const first = this.#page(linear, write, user, false) + (linear % PAGE);
		const secondPhysical = this.#page(second, write, user, false);
		return this.#stage(
			first,
			firstBytes,
			secondPhysical,
			bytes - firstBytes,
			intent,
		);
	}

	#stage(
		first: number,
		firstBytes: number,
		second: number,
		secondBytes: number,
		intent: number,
	): number {
		if (intent !== WRITE) {
			this.#fetchTo(first, firstBytes, 0);
			this.#fetchTo(second, secondBytes, firstBytes);
		}
		if (intent === WRITE || intent === MODIFY) {
			this.#pendingFirst = first;
			this.#pendingFirstBytes = firstBytes;
			this.#pendingSecond = second;
			this.#pendingSecondBytes = secondBytes;
		}
		return SCRATCH_HOST;
	}

	/** Physical memory or device to the staging buffer, in naturally sized pieces. */
	#fetchTo(physical: number, bytes: number, at: number): void {
		for (let done = 0; done < bytes; ) {
			const size = pieceSize(physical + done, bytes - done);
			const value = this.#load(physical + done, size);
			this.#putHost(SCRATCH_HOST + at + done, size, value);
			done += size;
		}
	}

	/** The staging buffer to physical memory or device. */
	#store(physical: number, bytes: number, at: number): void {
		for (let done = 0; done < bytes; ) {
			const size = pieceSize(physical + done, bytes - done);
			const value = this.#getHost(SCRATCH_HOST + at + done, size);
			this.#storePiece(physical + done, size, value);
			done += size;
		}
	}

	#load(physical: number, size: AccessSize): number {
		if (physical + size <= this.#ram.sizeBytes) {
			return this.#getHost(RAM_BASE + physical, size);
		}
		return this.#bus.readPhysical(physical, size) >>> 0;
	}

	#storePiece(physical: number, size: AccessSize, value: number): void {
		if (physical + size <= this.#ram.sizeBytes) {
			this.#aboutToWrite(physical, size);
			this.#putHost(RAM_BASE + physical, size, value);
		} else this.#bus.writePhysical(physical, size, value);
	}

	/** Host address of an access within a page of 32-bit code's, if the TLB allows it, else 0: the short way. */
	#knownHost(linear: number, bytes: number, needed: number): number {
		if (linear >= FOUR_GIB || this.#isLong) return 0;
		const entry = this.tlb.get(linear >>> PAGE_BITS);
		const isWhole = (linear & (PAGE - 1)) + bytes <= PAGE;
		if ((entry & needed) === 0 || !isWhole) return 0;
		return ((entry & -PAGE) + linear) >>> 0;
	}

	/** Host address for a read that stays in one RAM page, else 0. */
	#readHost(linear: number, bytes: number, user: boolean): number {
		const known = this.#knownHost(
			linear,
			bytes,
			neededFlag(false, user, false),
		);
		if (known !== 0) return known;
		const offset = linear % PAGE;
		if (offset + bytes > PAGE) return 0;
		const physical = this.#page(linear, false, user, false) + offset;
		const inRam = physical + bytes <= this.#ram.sizeBytes;
		return inRam ? RAM_BASE + physical : 0;
	}

	#readBytes(linear: number, bytes: number, user: boolean): number {
		let value = 0;
		for (let i = bytes - 1; i >= 0; i--) {
			value = value * 256 + this.readU8(this.after(linear, i), user);
		}
		return value;
	}

	#writeBytes(
		linear: number,
		bytes: number,
		value: number,
		user: boolean,
	): void {
		this.probeWrite(linear, bytes, user);
		for (let i = 0; i < bytes; i++) {
			const at = this.after(linear, i);
			const physical = this.#page(at, true, user, false) + (at % PAGE);
			this.#storePiece(physical, 1, (value >>> (8 * i)) & 0xff);
		}
	}

	#getHost(at: number, size: AccessSize): number {
		if (size === 1) return this.#bytes[at] as number;
		return size === 2
			? this.#view.getUint16(at, true)
			: this.#view.getUint32(at, true);
	}

	#putHost(at: number, size: AccessSize, value: number): void {
		if (size === 1) this.#bytes[at] = value;
		else if (size === 2) this.#view.setUint16(at, value, true);
		else this.#view.setUint32(at, value, true);
	}

	#tableMemory(): TableMemory {
		return {
			read32: (physical) =>
				physical + 4 <= this.#ram.sizeBytes
					? this.#view.getInt32(RAM_BASE + physical, true)
					: -1,
			write32: (physical, value) => {
				if (physical + 4 > this.#ram.sizeBytes) return;
				this.#aboutToChange(physical, 4);
				this.#view.setInt32(RAM_BASE + physical, value, true);
			},
		};
	}
}

function neededFlag(write: boolean, user: boolean, fetch: boolean): number {
	if (fetch) return user ? TLB_EXECUTE_USER : TLB_EXECUTE_SUPERVISOR;
	if (write) return user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR;
	return user ? TLB_READ_USER : TLB_READ_SUPERVISOR;
}

/** Largest naturally aligned access at `address` within `bytes`. */
function pieceSize(address: number, bytes: number): AccessSize {
	if (address % 4 === 0 && bytes >= 4) return 4;
	return address % 2 === 0 && bytes >= 2 ? 2 : 1;
}
