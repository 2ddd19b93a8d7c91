/**
 * A `Cpu` at level 0 in flat 32-bit or in 64-bit code, with paging and nothing
 * else: no descriptor tables, no handlers, no devices. What it is to execute is
 * written to memory and mapped wherever in linear space it is wanted. The first
 * fault that the guest raises ends `run`.
 *
 * Relies on the public face of the CPU; tests of 64-bit code and the bench of
 * wide loops rely on it.
 */

import type { CpuBus } from "../../src/cpu/bus.ts";
import { Cpu } from "../../src/cpu/cpu.ts";
import type { EngineKind, ExitReason } from "../../src/cpu/cpu-options.ts";
import { ALL_FEATURES } from "../../src/cpu/decode/opcode-table.ts";
import type { GuestFault } from "../../src/cpu/exceptions.ts";
import { writeEflags } from "../../src/cpu/flags.ts";
import {
	CR0,
	CR3,
	CR4,
	EFER,
	GPR,
	HALTED,
	LDTR,
	RIP,
	TR,
} from "../../src/cpu/state.ts";
import { setNullSegment, setSegment } from "../../src/cpu/system/segments.ts";

/** Where page tables grow from; below is nothing but the top one. */
const ROOT = 0x1000;
const FIRST_TABLE = 0x1_0000;
const TABLE_BYTES = 0x1000;
const PAGE = 0x1000n;
const LARGE_PAGE = 0x20_0000n;
/** Present, writable, for user mode, accessed, dirty. */
export const PLAIN = 0x67n;
export const LARGE = 0x80n;
export const GLOBAL = 0x100n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

const CR0_PG_WP_NE_MP_PE = 0x8001_0023;
const CR4_PAE_PGE_OSFXSR_OSXMMEXCPT = 0x6a0;
const EFER_NXE_LMA_LME = 0xd00;
const EFER_NXE = 0x800;
const DATA_SEGMENT = 0xc093;
const CODE_SEGMENT = { 32: 0xc09b, 64: 0xa09b } as const;
const CS = 1;
const RSP = 4;

const BUS: CpuBus = {
	readPort: () => -1,
	writePort: () => {},
	readPhysical: () => -1,
	writePhysical: () => {},
	acknowledgeInterrupt: () => 0,
	timeStampCounter: () => 0,
	random: () => 0x5eed,
};

interface FlatOptions {
	readonly width: 32 | 64;
	readonly engine: EngineKind;
	readonly memoryBytes?: number;
	/** See `CpuOptions`. */
	readonly hotArrivals?: number;
	/** What the bus is to have besides, or instead. */
	readonly bus?: Partial<CpuBus>;
}

export class FlatMachine {
	readonly cpu: Cpu;
	readonly width: 32 | 64;
	/** What ended the last run, if it was a fault. */
	fault: GuestFault | undefined;
	#nextTable = FIRST_TABLE;

	constructor({
		width,
		engine,
		memoryBytes = 0x80_0000,
		hotArrivals,
		bus,
	}: FlatOptions) {
		this.width = width;
		this.cpu = new Cpu({
			...{ memoryBytes, engine, decodedFeatures: ALL_FEATURES },
			bus: { ...BUS, ...bus },
			...(hotArrivals !== undefined && { hotArrivals }),
		});
		this.cpu.onException = (fault) => {
			this.fault = fault;
			return true;
		};
		if (width === 32) this.#makeTopTables();
		this.#enterMode();
	}

	/** Maps a page of 4 KiB, or of 2 MiB if LARGE is among the bits. */
	map(linear: bigint, physical: number, bits = PLAIN): void {
		this.cpu.memory.writeU64(
			this.entryOf(linear, bits),
			BigInt(physical) | bits,
		);
	}

	/** Maps a range in large pages. */
	mapLarge(linear: bigint, physical: number, bytes: number): void {
		for (let at = 0n; at < BigInt(bytes); at += LARGE_PAGE) {
			this.map(linear + at, physical + Number(at), PLAIN | LARGE);
		}
	}

	/** Physical address of the entry that maps a page. */
	entryOf(linear: bigint, bits = PLAIN): number {
		const levels = this.width === 64 ? [39n, 30n, 21n, 12n] : [30n, 21n, 12n];
		if (bits & LARGE) levels.pop();
		let table = ROOT;
		for (const [i, shift] of levels.entries()) {
			const at = table + 8 * Number((linear >> shift) & 0x1ffn);
			if (i === levels.length - 1) return at;
			const entry = this.cpu.memory.readU64(at);
			table = Number(entry & ADDRESS);
			if (entry !== 0n) continue;
			table = this.#takeTable();
			this.cpu.memory.writeU64(at, BigInt(table) | PLAIN);
		}
		throw new Error("no levels");
	}

	/** Where the processor is to go on, and its stack; TLBs stay as they are. */
	start(rip: bigint, rsp: bigint): void {
		const { state } = this.cpu;
		writeEflags(state, 0);
		state.setBig(RIP, BigInt.asUintN(64, rip));
		this.setRegister(RSP, rsp);
		state.set32(HALTED, 0);
		this.fault = undefined;
	}

	run(budget: number): ExitReason {
		return this.cpu.run(budget);
	}

	register(index: number): bigint {
		return this.cpu.state.getBig(GPR, index);
	}

	setRegister(index: number, value: bigint): void {
		this.cpu.state.setBig(GPR, BigInt.asUintN(64, value), index);
	}

	/** PAE's top entries are read once, and have no rights. */
	#makeTopTables(): void {
		for (let index = 0; index < 4; index++) {
			const entry = BigInt(this.#takeTable()) | 1n;
			this.cpu.memory.writeU64(ROOT + 8 * index, entry);
		}
	}

	#takeTable(): number {
		const table = this.#nextTable;
		this.#nextTable += TABLE_BYTES;
		return table;
	}

	#enterMode(): void {
		const { state, mmu } = this.cpu;
		const long = this.width === 64;
		state.setWide(CR3, ROOT);
		state.setWide(CR4, CR4_PAE_PGE_OSFXSR_OSXMMEXCPT);
		state.setWide(EFER, long ? EFER_NXE_LMA_LME : EFER_NXE);
		state.setWide(CR0, CR0_PG_WP_NE_MP_PE);
		for (let index = 0; index <= 5; index++) {
			const kind = index === CS ? CODE_SEGMENT[this.width] : DATA_SEGMENT;
			setSegment(state, index, 8 + 8 * index, 0, 0xffff_ffff, kind);
		}
		setNullSegment(state, LDTR, 0);
		setNullSegment(state, TR, 0);
		if (!long) mmu.loadPdptes(ROOT);
		this.cpu.controlChanged();
	}
}

/** The page an address is in. */
export function pageOf(linear: bigint): bigint {
	return linear & -PAGE;
}
