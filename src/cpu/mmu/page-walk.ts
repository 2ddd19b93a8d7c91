/**
 * The page walk: linear page → physical page and rights, for 2-level, PAE and
 * 4-level paging, with accessed and dirty bits.
 *
 * Results lie in fields, not in a new object: a walk happens on every TLB miss.
 *
 * @journey E:505 Walking the tables
 */

import {
	PF_FETCH,
	PF_PRESENT,
	PF_RESERVED,
	PF_USER,
	PF_WRITE,
	raise,
	VECTOR_GP,
} from "../exceptions.ts";
import {
	CR0,
	CR3,
	CR4,
	EFER,
	PDPTE,
	TABLES,
	TABLES_NX,
	TABLES_PAE,
	TABLES_TWO_LEVEL,
	WIDE_TABLES,
	WIDE_TABLES_ON,
} from "../state.ts";
import type { StateView } from "../state-view.ts";

/** Entry bits, equal in all formats (Intel SDM vol. 3, "Paging"). */
const ENTRY_P = 1 << 0;
const ENTRY_RW = 1 << 1;
const ENTRY_US = 1 << 2;
const ENTRY_A = 1 << 5;
const ENTRY_D = 1 << 6;
const ENTRY_PS = 1 << 7;
const ENTRY_G = 1 << 8;
/** In the high half of a 64-bit entry. */
const ENTRY_HIGH_NX = 0x8000_0000 | 0;

const CR0_WP = 1 << 16;
const CR0_PG = 1 << 31;
const CR4_PSE = 1 << 4;
const CR4_PAE = 1 << 5;
const CR4_PGE = 1 << 7;
const EFER_LMA = 1 << 10;
const EFER_NXE = 1 << 11;

/** CPUID's physical address width: bits above are reserved in 64-bit entries. */
export const PHYSICAL_ADDRESS_BITS = 36;
/** Address bits of a 64-bit entry's high half that must be 0 (bits 36..51). */
const RESERVED_HIGH = 0x000f_fff0;
/** Bits 52..62, which software may use under 4-level paging and not under PAE. */
const RESERVED_HIGH_PAE = 0x7ff0_0000;
/** A 4 MiB entry holds address bits 32..39 in bits 13..20; those from 36 on, and bit 21, must be 0. */
const RESERVED_PSE = 0x003e_0000;

/** Physical memory as page tables need it. */
export interface TableMemory {
	/** 32 bits; all ones where there is no memory. Signed. */
	read32(physical: number): number;
	write32(physical: number, value: number): void;
}

const FOUR_GIB = 0x1_0000_0000;

/** What a supervisor forbids in the guest's tables, on top of the processor's rules; #PF says "reserved". */
export interface TableRules {
	/** Pages from this physical address on are nobody's. */
	readonly physicalEnd: number;
	/** Bits that must be 0 in entries that name a table, and in those that name a page. */
	readonly directoryReserved: number;
	readonly pageReserved: number;
}

const NO_RULES: TableRules = {
	physicalEnd: Number.POSITIVE_INFINITY,
	directoryReserved: 0,
	pageReserved: 0,
};

export class PageWalk {
	readonly #state: StateView;
	readonly #memory: TableMemory;
	#mode: "off" | "two-level" | "pae" | "four-level" = "off";
	#writeProtect = false;
	#pse = false;
	#globalPages = false;
	#noExecute = false;
	/** Of a 64-bit entry's high half. */
	#reservedHigh = 0;
	readonly #pdptes = new Int32Array(8);
	#rules = NO_RULES;

	// Results of the last walk
	/** Physical address of the 4 KiB page. */
	physicalPage = 0;
	writable = false;
	user = false;
	executable = false;
	global = false;
	dirty = false;
	/** Of the last that failed. */
	errorCode = 0;

	// The access at hand
	#linear = 0;
	#write = false;
	#userAccess = false;
	#fetch = false;

	constructor(state: StateView, memory: TableMemory) {
		this.#state = state;
		this.#memory = memory;
	}

	/** A supervisor's rules, from now on. */
	set rules(rules: TableRules) {
		this.#rules = rules;
		this.#shareTables();
	}

	/** Lets generated code walk the tables where it knows all there is to know. */
	#shareTables(): void {
		const nx = this.#noExecute ? TABLES_NX : 0;
		const shared = {
			...{ off: 0, "four-level": 0 },
			"two-level": TABLES_TWO_LEVEL,
			pae: TABLES_PAE | nx,
		};
		const plain = this.#rules === NO_RULES;
		this.#state.set32(TABLES, plain ? shared[this.#mode] : 0);
		const wide = plain && this.#mode === "four-level";
		this.#state.set32(WIDE_TABLES, wide ? WIDE_TABLES_ON | nx : 0);
	}

	/** Supervisor writes obey read-only pages. */
	get writeProtect(): boolean {
		return this.#writeProtect;
	}

	/** Re-reads CR0, CR4 and EFER. */
	configure(): void {
		const cr0 = this.#state.get32(CR0);
		const cr4 = this.#state.get32(CR4);
		const efer = this.#state.get32(EFER);
		this.#writeProtect = (cr0 & CR0_WP) !== 0;
		this.#pse = (cr4 & CR4_PSE) !== 0;
		this.#globalPages = (cr4 & CR4_PGE) !== 0;
		const wide = (cr4 & CR4_PAE) !== 0;
		this.#noExecute = wide && (efer & EFER_NXE) !== 0;
		if ((cr0 & CR0_PG) === 0) this.#mode = "off";
		else if (efer & EFER_LMA) this.#mode = "four-level";
		else this.#mode = wide ? "pae" : "two-level";
		this.#reservedHigh =
			RESERVED_HIGH |
			(this.#mode === "pae" ? RESERVED_HIGH_PAE : 0) |
			(this.#noExecute ? 0 : ENTRY_HIGH_NX);
		this.#shareTables();
	}

	/** Loads PAE's four top entries; #GP(0) for reserved bits (Intel SDM vol. 3, "PDPTE Registers"). */
	loadPdptes(cr3: number): void {
		const base = (cr3 & ~31) >>> 0;
		const loaded = new Int32Array(8);
		for (let i = 0; i < 8; i++) loaded[i] = this.#memory.read32(base + i * 4);
		for (let i = 0; i < 4; i++) {
			const low = loaded[i * 2] as number;
			const high = loaded[i * 2 + 1] as number;
			const reserved = (low & 0x1e6) | (high & ~0xf);
			if (low & ENTRY_P && reserved) raise(VECTOR_GP, 0);
		}
		this.#pdptes.set(loaded);
		const entries = new BigUint64Array(loaded.buffer);
		for (let i = 0; i < 4; i++) {
			this.#state.setBig(PDPTE, entries[i] as bigint, i);
		}
	}

	/** Low half of a top entry, as it was when it was loaded. */
	pdpte(index: number): number {
		return this.#pdptes[index * 2] ?? 0;
	}

	/**
	 * Walks for one access and fills in the results: `true`; or `false`, and
	 * `errorCode` is that of the #PF. Page faults are daily business and throwing
	 * costs more than the walk, so it is the caller's who has no other way.
	 */
	walk(linear: number, write: boolean, user: boolean, fetch: boolean): boolean {
		this.#linear = linear;
		this.#write = write;
		this.#userAccess = user;
		this.#fetch = fetch;
		switch (this.#mode) {
			case "off":
				this.physicalPage = linear - (linear % 4096);
				this.writable = this.user = this.executable = this.dirty = true;
				this.global = false;
				return this.#checkFrame(this.physicalPage);
			case "two-level":
				return this.#walkTwoLevel();
			case "pae":
				return this.#walkPae();
			case "four-level":
				return this.#walkFourLevel();
		}
	}

	#walkTwoLevel(): boolean {
		const linear = this.#linear;
		const directory = (this.#state.get32(CR3) & ~0xfff) >>> 0;
		const pdeAt = directory + (linear >>> 22) * 4;
		const pde = this.#memory.read32(pdeAt);
		if (!(pde & ENTRY_P)) return this.#fault(0);
		if (pde & ENTRY_PS && this.#pse) return this.#endLarge(pdeAt, pde);
		if (!this.#checkReserved(pde, this.#rules.directoryReserved)) return false;
		const pteAt = ((pde & ~0xfff) >>> 0) + ((linear >>> 12) & 0x3ff) * 4;
		const pte = this.#memory.read32(pteAt);
		if (!(pte & ENTRY_P)) return this.#fault(0);
		if (!this.#checkReserved(pte, this.#rules.pageReserved)) return false;
		if (!this.#checkFrame((pte & ~0xfff) >>> 0)) return false;
		if (!this.#checkRights(pde & pte, pte, true)) return false;
		this.#markAccessed(pdeAt, pde);
		this.#markLeaf(pteAt, pte);
		this.physicalPage = (pte & ~0xfff) >>> 0;
		return true;
	}

	/** A 4 MiB page. */
	#endLarge(pdeAt: number, pde: number): boolean {
		if (pde & RESERVED_PSE) return this.#fault(PF_PRESENT | PF_RESERVED);
		if (!this.#checkRights(pde, pde, true)) return false;
		this.#markLeaf(pdeAt, pde);
		// PSE-36: bits 13..16 are address bits 32..35.
		const high = (pde >>> 13) & 0xf;
		const low = ((pde & 0xffc0_0000) | (this.#linear & 0x3f_f000)) >>> 0;
		this.physicalPage = high * FOUR_GIB + low;
		return true;
	}

	#walkPae(): boolean {
		const index = this.#linear >>> 30;
		const low = this.#pdptes[index * 2] as number;
		const high = this.#pdptes[index * 2 + 1] as number;
		if (!(low & ENTRY_P)) return this.#fault(0);
		// PDPTEs carry no rights.
		return this.#walkDirectory(tableAddress(low, high), ENTRY_RW | ENTRY_US, 0);
	}

	#walkFourLevel(): boolean {
		const top = Math.floor(this.#linear / 0x80_0000_0000) % 512;
		const at = ((this.#state.get32(CR3) & ~0xfff) >>> 0) + top * 8;
		if (!this.#readWide(at)) return false;
		const low4 = this.#low;
		const table = tableAddress(low4, this.#high);
		const nx4 = this.#high & ENTRY_HIGH_NX;
		const index = Math.floor(this.#linear / 0x4000_0000) % 512;
		const pdpteAt = table + index * 8;
		if (!this.#readWide(pdpteAt)) return false;
		const low3 = this.#low;
		const nx = nx4 | (this.#high & ENTRY_HIGH_NX);
		const next = tableAddress(low3, this.#high);
		if (low3 & ENTRY_PS) {
			if (low3 & 0x3fff_e000) return this.#fault(PF_PRESENT | PF_RESERVED);
			if (!this.#checkRights(low4 & low3, low3, nx === 0)) return false;
			this.#markAccessed(at, low4);
			this.#markLeaf(pdpteAt, low3);
			const offset = this.#linear % 0x4000_0000;
			this.physicalPage = next + offset - (offset % 4096);
			return true;
		}
		if (!this.#walkDirectory(next, low4 & low3, nx)) return false;
		this.#markAccessed(at, low4);
		this.#markAccessed(pdpteAt, low3);
		return true;
	}

	/** The two lowest levels of PAE and 4-level paging. */
	#walkDirectory(directory: number, upper: number, upperNx: number): boolean {
		const page = Math.floor(this.#linear / 4096);
		const pdeAt = directory + (Math.floor(page / 512) % 512) * 8;
		if (!this.#readWide(pdeAt)) return false;
		const pde = this.#low;
		const pdeNx = this.#high & ENTRY_HIGH_NX;
		const table = tableAddress(pde, this.#high);
		if (pde & ENTRY_PS) {
			if (pde & 0x1f_e000) return this.#fault(PF_PRESENT | PF_RESERVED);
			const executable = (upperNx | pdeNx) === 0;
			if (!this.#checkRights(upper & pde, pde, executable)) return false;
			this.#markLeaf(pdeAt, pde);
			// Bit 12 of a large entry is PAT.
			const base = table - (table % 0x20_0000);
			this.physicalPage = base + (page % 512) * 4096;
			return true;
		}
		const pteAt = table + (page % 512) * 8;
		if (!this.#checkReserved(pde, this.#rules.directoryReserved)) return false;
		if (!this.#readWide(pteAt)) return false;
		const pte = this.#low;
		const nx = upperNx | pdeNx | (this.#high & ENTRY_HIGH_NX);
		const physical = tableAddress(pte, this.#high);
		if (!this.#checkReserved(pte, this.#rules.pageReserved)) return false;
		if (!this.#checkFrame(physical)) return false;
		if (!this.#checkRights(upper & pde & pte, pte, nx === 0)) return false;
		this.#markAccessed(pdeAt, pde);
		this.#markLeaf(pteAt, pte);
		this.physicalPage = physical;
		return true;
	}

	#low = 0;
	#high = 0;

	/** Reads a 64-bit entry into #low and #high; a fault when it is not present or has reserved bits set. */
	#readWide(at: number): boolean {
		this.#low = this.#memory.read32(at);
		if (!(this.#low & ENTRY_P)) return this.#fault(0);
		this.#high = this.#memory.read32(at + 4);
		return this.#checkReserved(this.#high, this.#reservedHigh);
	}

	#checkReserved(entry: number, reserved: number): boolean {
		if ((entry & reserved) === 0) return true;
		return this.#fault(PF_PRESENT | PF_RESERVED);
	}

	#checkFrame(physical: number): boolean {
		if (physical < this.#rules.physicalEnd) return true;
		return this.#fault(PF_PRESENT | PF_RESERVED);
	}

	/** Checks rights and notes them; `combined` = AND of all levels' RW and US. */
	#checkRights(combined: number, leaf: number, executable: boolean): boolean {
		const writable = (combined & ENTRY_RW) !== 0;
		const user = (combined & ENTRY_US) !== 0;
		if (this.#userAccess && !user) return this.#fault(PF_PRESENT);
		if (this.#write && !writable && (this.#userAccess || this.#writeProtect)) {
			return this.#fault(PF_PRESENT);
		}
		if (this.#fetch && !executable) return this.#fault(PF_PRESENT);
		this.writable = writable;
		this.user = user;
		this.executable = executable;
		this.global = this.#globalPages && (leaf & ENTRY_G) !== 0;
		this.dirty = this.#write || (leaf & ENTRY_D) !== 0;
		return true;
	}

	#markAccessed(at: number, entry: number): void {
		if (!(entry & ENTRY_A)) this.#memory.write32(at, entry | ENTRY_A);
	}

	#markLeaf(at: number, entry: number): void {
		const wanted = entry | ENTRY_A | (this.#write ? ENTRY_D : 0);
		if (wanted !== entry) this.#memory.write32(at, wanted);
	}

	#fault(code: number): false {
		this.errorCode =
			code |
			(this.#write ? PF_WRITE : 0) |
			(this.#userAccess ? PF_USER : 0) |
			(this.#fetch && this.#noExecute ? PF_FETCH : 0);
		return false;
	}
}

/** Address bits of a 64-bit entry. */
function tableAddress(low: number, high: number): number {
	return (high & 0xf_ffff) * FOUR_GIB + ((low & ~0xfff) >>> 0);
}
