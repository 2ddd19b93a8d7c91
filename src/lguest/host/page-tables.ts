/**
 * The Guest's page tables. The original Host kept *shadows* of them, because
 * what silicon walks must hold real addresses. Here Guest memory begins at
 * physical address 0 of a processor that is ours, so the Guest's own tables
 * are walked as they are, and all that remains of this part is to know when a
 * cached translation is stale, and what a table must not say.
 *
 * The contract is the processor's: what is present may be cached, what is absent
 * may not. Kernel pages are marked global by the Guest, and so stay when the top
 * level changes.
 *
 * Relies on the Guest's CPU; the Guest relies on it.
 *
 * @journey H:255 Page tables
 */

import { asFault, fields } from "../../cpu/index.ts";
import { LGUEST_PAGE_BYTES } from "../abi.ts";
import type { Guest } from "./guest.ts";
import { hex } from "./hex.ts";

const ENTRY_P = 1 << 0;
/** Present, writable, for user mode: what the original Launcher's tables said. */
const ENTRY_INITIAL = 7;
/** What a directory entry may say besides where its table is: P RW US A D. */
const DIRECTORY_ALLOWED = 0x67;
/** A PTE that claims to be a large page. */
const ENTRY_PSE = 1 << 7;
const FRAME = ~0xfff;

const ENTRIES = 1024;
const CR0_PG = 1 << 31;
const CR4_PAE = 1 << 5;
const RIP_DISTANCE = 1;

/** Bits of a page fault's error code that only the Host understands. */
const PF_PRESENT = 1;
const PF_RESERVED = 8;

/** One Guest's translations. */
export class PageTables {
	readonly #guest: Guest;
	/** The first NEW_PGTABLE has been seen, and with it the format. */
	#hasOwn = false;
	#isPae = false;

	constructor(guest: Guest) {
		this.#guest = guest;
	}

	/** What is walked must stay within the Guest. */
	applyRules(): void {
		this.#guest.cpu.mmu.setTableRules({
			physicalEnd: this.#guest.pfnLimit * LGUEST_PAGE_BYTES,
			directoryReserved: ~DIRECTORY_ALLOWED & ~FRAME,
			pageReserved: ENTRY_PSE,
		});
	}

	/** Turns on paging with tables that someone else has built. */
	use(top: number): void {
		this.#guest.cpu.state.setWide(fields.CR3, top);
		this.#setControl(fields.CR0, CR0_PG);
	}

	/**
	 * Builds the tables that Guests up to 3.0 start with: all of RAM at its own
	 * address, and again where the kernel is. They are below the initrd; the
	 * Guest may overwrite them once it has its own.
	 */
	build(kernelAddress: number): number {
		const { memory, ramBytes, initrdBytes } = this.#guest;
		const pages = Math.floor(ramBytes / LGUEST_PAGE_BYTES);
		const tables = Math.ceil(pages / ENTRIES);
		const initrd = Math.ceil(initrdBytes / LGUEST_PAGE_BYTES);
		const directory = (pages - initrd - 1) * LGUEST_PAGE_BYTES;
		const first = directory - tables * LGUEST_PAGE_BYTES;
		if (first < 0) {
			this.#guest.kill("no room for the initial page tables");
			return 0;
		}
		memory.fill(directory, 0, LGUEST_PAGE_BYTES);
		const entries = new DataView(new ArrayBuffer(tables * LGUEST_PAGE_BYTES));
		for (let i = 0; i < pages; i++) {
			entries.setUint32(i * 4, (i * LGUEST_PAGE_BYTES) | ENTRY_INITIAL, true);
		}
		memory.write(first, new Uint8Array(entries.buffer));
		const kernelSlot = kernelAddress >>> 22;
		for (let k = 0; k < tables; k++) {
			const entry = (first + k * LGUEST_PAGE_BYTES) | ENTRY_INITIAL;
			memory.writeU32(directory + k * 4, entry);
			if (kernelSlot + k >= ENTRIES) continue;
			memory.writeU32(directory + (kernelSlot + k) * 4, entry);
		}
		return directory;
	}

	/** NEW_PGTABLE. */
	load(top: number): void {
		const guest = this.#guest;
		const { cpu } = guest;
		if (!guest.mayRead(top & ~0x1f, 32)) return;
		if (!this.#hasOwn) this.#adopt(top);
		else if (this.#isPae) this.#loadPdptes(top);
		cpu.state.setWide(fields.CR3, top);
		cpu.mmu.flushLocal();
		cpu.leave();
	}

	/** FLUSH_TLB. */
	flush(everything: boolean): void {
		const { cpu } = this.#guest;
		if (everything) cpu.mmu.flushAll();
		else cpu.mmu.flushLocal();
		cpu.leave();
	}

	/**
	 * SET_PTE. The Guest has written its table already; the value is of no use to
	 * a Host without shadows, and a value of 0 only means "look again".
	 */
	entryChanged(linear: number): void {
		const { cpu } = this.#guest;
		cpu.mmu.invalidatePage(linear);
		const distance = (linear >>> 12) - (cpu.state.getU32(fields.RIP) >>> 12);
		if (Math.abs(distance) <= RIP_DISTANCE) cpu.leave();
	}

	/** SET_PGD: of the top level, or of the four entries above PAE's. */
	topChanged(top: number, index: number): void {
		const { cpu, data } = this.#guest;
		if (this.#isPae) {
			this.#loadPdptes(cpu.state.getU32(fields.CR3));
			cpu.mmu.flushAll();
		} else if (index * ENTRIES >= (data?.kernelAddress ?? 0) >>> 12) {
			cpu.mmu.flushAll();
		} else if (top === cpu.state.getU32(fields.CR3)) {
			cpu.mmu.flushLocal();
		}
	}

	/** SET_PMD: PAE's middle level. Nobody knows which address space it belongs to. */
	middleChanged(): void {
		this.#guest.cpu.mmu.flushAll();
	}

	/** Whether the Guest could touch a linear address in its kernel. */
	isMapped(linear: number): boolean {
		try {
			this.#guest.cpu.mmu.readU8(linear, false);
			return true;
		} catch (fault) {
			asFault(fault);
			return false;
		}
	}

	/**
	 * A page fault: undefined if it need not come to the Guest, otherwise the
	 * error code that it would have had on silicon.
	 */
	fault(errorCode: number): number | undefined {
		if (this.#isPae && this.#refreshPdptes()) return undefined;
		if ((errorCode & PF_RESERVED) === 0) return errorCode;
		const isLinear = (this.#guest.cpu.state.get32(fields.CR0) & CR0_PG) === 0;
		if (isLinear || (this.#guest.dialect?.forgivesBadEntries ?? false)) {
			return errorCode & ~(PF_RESERVED | PF_PRESENT);
		}
		this.#guest.kill(this.#whatIsBad());
		return undefined;
	}

	/** The first tables of the Guest's own tell their format by what they map. */
	#adopt(top: number): void {
		const { data, dialect } = this.#guest;
		const text = data?.noirqStart ?? 0;
		const expected = (text - (data?.kernelAddress ?? 0)) >>> 0;
		const isTwoLevel = this.#walkTwoLevel(top, text) === (expected & FRAME);
		this.#isPae =
			(dialect?.mayUsePae ?? false) &&
			!isTwoLevel &&
			this.#walkPae(top, text) === (expected & FRAME);
		this.#hasOwn = true;
		if (this.#isPae) {
			this.#loadPdptes(top);
			this.#setControl(fields.CR4, CR4_PAE);
		}
		this.use(top);
	}

	/** Frame of a linear page, or -1. */
	#walkTwoLevel(top: number, linear: number): number {
		const pde = this.#entry(top + (linear >>> 22) * 4);
		const at = (pde & FRAME) >>> 0;
		const pte = pde & ENTRY_P ? this.#entry(at + pageIndex(linear) * 4) : 0;
		return pte & ENTRY_P ? pte & FRAME : -1;
	}

	#walkPae(top: number, linear: number): number {
		const pdpte = this.#entry((top & ~0x1f) + (linear >>> 30) * 8);
		if (!(pdpte & ENTRY_P)) return -1;
		const directory = (pdpte & FRAME) >>> 0;
		const pde = this.#entry(directory + ((linear >>> 21) & 0x1ff) * 8);
		if (!(pde & ENTRY_P)) return -1;
		const table = (pde & FRAME) >>> 0;
		const pte = this.#entry(table + ((linear >>> 12) & 0x1ff) * 8);
		return pte & ENTRY_P ? pte & FRAME : -1;
	}

	/** A word of a table; absent outside the Guest. */
	#entry(physical: number): number {
		const { memory } = this.#guest;
		return memory.contains(physical, 4) ? memory.readU32(physical) | 0 : 0;
	}

	#loadPdptes(top: number): void {
		try {
			this.#guest.cpu.mmu.loadPdptes(top);
		} catch (fault) {
			asFault(fault);
			this.#guest.kill("bad page directory entry");
		}
	}

	/**
	 * The four top entries are in registers, on silicon as here. The Guest may
	 * have filled one that was empty, and told us of it in a call that still
	 * waits: true if so.
	 */
	#refreshPdptes(): boolean {
		const { cpu } = this.#guest;
		const linear = cpu.state.getU32(fields.CR2);
		const top = cpu.state.getU32(fields.CR3);
		const was = cpu.mmu.pdpte(linear >>> 30);
		if (was & ENTRY_P) return false;
		this.#loadPdptes(top);
		return (cpu.mmu.pdpte(linear >>> 30) & ENTRY_P) !== 0;
	}

	#whatIsBad(): string {
		const { state } = this.#guest.cpu;
		const linear = state.getU32(fields.CR2);
		if (this.#isPae) return "bad page table entry";
		const pde = this.#entry(state.getU32(fields.CR3) + (linear >>> 22) * 4);
		const outside =
			(pde & FRAME) >>> 0 >= this.#guest.pfnLimit * LGUEST_PAGE_BYTES;
		const isBad = (pde & ~DIRECTORY_ALLOWED & ~FRAME) !== 0 || outside;
		return isBad ? "bad page directory entry" : "bad page table entry";
	}

	#setControl(register: typeof fields.CR0, bit: number): void {
		const { cpu } = this.#guest;
		cpu.state.set32(register, cpu.state.get32(register) | bit);
		cpu.controlChanged();
		cpu.leave();
	}
}

function pageIndex(linear: number): number {
	return (linear >>> 12) & 0x3ff;
}

/** For messages about an address that the Guest gave. */
export function badRead(address: number, bytes: number): string {
	return `bad read address ${hex(address)} len ${bytes}`;
}
