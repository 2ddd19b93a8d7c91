/**
 * Our CPU as a subject: one `Cpu` for each mode, its tables and pages laid out
 * as environment.ts says, and every exception caught before the guest sees it.
 *
 * Each case has a frame, the physical pages of its code areas, which are mapped
 * where all cases have theirs. The cold engine uses one frame; for the hot
 * engine the code of many cases is compiled as one module first, each in a
 * frame of its own, because a module each would cost more than the cases.
 *
 * 32-bit cases run under PAE paging, 64-bit ones in long mode. The descriptor
 * tables lie in a supervisor page that no case is likely to hit; silicon has
 * nothing there, so faults on it are reported as if it were absent.
 *
 * Relies on the CPU and on case.ts; subjects.ts relies on it.
 *
 * @journey M:649 Our CPU under the microscope
 */
import type { CpuBus } from "../../src/cpu/bus.ts";
import { Cpu } from "../../src/cpu/cpu.ts";
import type { CpuStatistics } from "../../src/cpu/cpu-options.ts";
import { ALL_FEATURES } from "../../src/cpu/decode/opcode-table.ts";
import {
	type GuestFault,
	VECTOR_DB,
	VECTOR_GP,
	VECTOR_PF,
} from "../../src/cpu/exceptions.ts";
import { readEflags, writeEflags } from "../../src/cpu/flags.ts";
import { RAM_BASE, STATE_BASE } from "../../src/cpu/memory-layout.ts";
import {
	CR0,
	CR2,
	CR3,
	CR4,
	EFER,
	FPR,
	FPU_CONTROL,
	FPU_DATA,
	FPU_DATA_SELECTOR,
	FPU_IP,
	FPU_IP_SELECTOR,
	FPU_OPCODE,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
	GDTR_BASE,
	GDTR_LIMIT,
	GPR,
	HALTED,
	LDTR,
	MXCSR,
	NEXT_RIP,
	RIP,
	SEGMENT_BASE,
	SHADOW,
	TR,
	XMM,
} from "../../src/cpu/state.ts";
import {
	selectorOf,
	setNullSegment,
	setSegment,
	setSegmentFromDescriptor,
} from "../../src/cpu/system/segments.ts";
import {
	type Change,
	codeStart,
	initialFlags,
	initialSegments,
	type Mode,
	type SiliconCase,
	type SiliconResult,
} from "./case.ts";
import { dataPattern } from "./data-pattern.ts";
import {
	CODE_BASE,
	CODE_BYTES,
	CODE_WRITABLE_BASE,
	DATA_BASE,
	DATA_BYTES,
	DATA_WRITABLE_BYTES,
	descriptorBits,
	FS_BASE_64,
	GS_BASE_64,
	SubjectControl,
} from "./environment.ts";
import { descriptorsHere } from "./oracle.ts";
import type { Subject } from "./subject.ts";

const PAGE = 0x1000;
const INT1 = 0xf1;
const INT3 = 0xcc;
/** Enough for every loop the generator makes. */
const MOST_INSTRUCTIONS = 20_000;
/** Cases whose code is compiled as one module. */
const FRAMES = 12;

// Physical addresses
const PDPT = 0x1000;
const DIRECTORY = 0x2000;
const CODE_TABLE = 0x3000;
const DATA_TABLE = 0x4000;
const SYSTEM_TABLE = 0x5000;
const PML4 = 0x6000;
const PDPT_LONG = 0x7000;
const DESCRIPTORS = 0x8000;
const DATA = 0x10000;
/** The frames: a code area each, and behind it the writable one. */
const CODE = 0x20000;
const FRAME_BYTES = 2 * CODE_BYTES;
const RAM_BYTES = CODE + FRAMES * FRAME_BYTES;

/** Where the descriptor tables are in linear memory: GDT, then LDT. */
const SYSTEM_LINEAR = 0x3ffff000;
const LDT_OFFSET = 0x400;
const GDT_LIMIT = 0x7f;

/** What an entry of the top table maps. */
const PML4_SPAN = 2 ** 39;
/** Where Linux puts programs. */
const HIGH_BASE = 0xaa * PML4_SPAN;

// Page-table entries, accessed and dirty already
const PRESENT = 0x01n;
const ENTRY_READ_ONLY = 0x65n;
const ENTRY_WRITABLE = 0x67n;
const ENTRY_SYSTEM = 0x63n;
const NO_EXECUTE = 1n << 63n;

const EFER_LONG = 0xd01;
const EFER_LEGACY = 0x801;
const ES = 0;
const FS = 4;
const GS = 5;
const FPU_ES_B = 0x8080;
const PF_PRESENT = 1;

/** Nothing is connected. */
const BUS: CpuBus = {
	readPort: () => -1,
	writePort: () => {},
	readPhysical: () => -1,
	writePhysical: () => {},
	acknowledgeInterrupt: () => 0,
	timeStampCounter: () => 0,
	random: () => 0x5eed,
};

/** How a case ended. */
interface Ending {
	readonly vector: number;
	readonly errorCode: number;
	readonly rip: bigint;
}

/** The descriptors that cases can name. */
type Descriptors = ReturnType<typeof descriptorsHere>;

/** What of a frame is not INT3: physical address and length. */
interface Dirty {
	readonly at: number;
	readonly bytes: number;
}

/** One CPU set up for one mode. */
class Bench {
	readonly #cpu: Cpu;
	readonly #mode: Mode;
	/** Where in linear space all is that cases know of: added to their code's address. */
	readonly #base: number;
	readonly #gpr: BigUint64Array;
	readonly #xmm: Uint8Array;
	/** The data area as words, ours and as the case found it. */
	readonly #data: Uint32Array;
	readonly #dataBytes: Uint8Array;
	readonly #before = new Uint32Array(DATA_BYTES / 4);
	readonly #dirty: Dirty[] = Array.from({ length: FRAMES }, (_, frame) => ({
		at: CODE + frame * FRAME_BYTES,
		bytes: FRAME_BYTES,
	}));
	/** The cases whose code is compiled, by frame. */
	#warm: readonly SiliconCase[] = [];
	#ending: Ending | undefined;

	constructor(
		mode: Mode,
		engine: "cold" | "auto",
		descriptors: Descriptors,
		base: number,
	) {
		this.#mode = mode;
		this.#base = base;
		this.#cpu = new Cpu({
			memoryBytes: RAM_BYTES,
			bus: BUS,
			decodedFeatures: ALL_FEATURES,
			engine,
		});
		const { buffer } = this.#cpu.state.view;
		this.#gpr = new BigUint64Array(buffer, STATE_BASE + GPR.offset, 16);
		this.#xmm = new Uint8Array(buffer, STATE_BASE + XMM.offset, 256);
		this.#data = new Uint32Array(buffer, RAM_BASE + DATA, DATA_BYTES / 4);
		this.#dataBytes = new Uint8Array(buffer, RAM_BASE + DATA, DATA_BYTES);
		this.#cpu.onException = (fault, isSoftware) => {
			this.#ending = isSoftware
				? this.#software(fault.vector)
				: this.#exception(fault);
			return true;
		};
		this.#writeTables(descriptors);
		this.#setControl(descriptors.ldt.length);
	}

	get statistics(): CpuStatistics {
		return this.#cpu.statistics;
	}

	/** Instructions retired since the start. */
	get retired(): number {
		return this.#cpu.retiredCount();
	}

	run(test: SiliconCase): SiliconResult {
		const frame = this.#warm.indexOf(test);
		if (frame < 0) this.#place(test, 0);
		this.#show(Math.max(0, frame));
		this.#loadData(test);
		this.#loadState(test, this.#base + codeStart(test));
		this.#ending = undefined;
		this.#cpu.controlChanged();
		this.#cpu.run(MOST_INSTRUCTIONS);
		return this.#result();
	}

	/** Whether the code of a case is compiled. */
	isWarm(test: SiliconCase): boolean {
		return this.#warm.includes(test);
	}

	/** Compiles the code of at most FRAMES cases. */
	warmUp(tests: readonly SiliconCase[]): void {
		this.#warm = tests;
		tests.forEach((test, frame) => {
			this.#place(test, frame);
			this.#show(frame);
			this.#loadState(test, this.#base + codeStart(test));
			this.#cpu.controlChanged();
			this.#cpu.warmUp();
		});
		this.#cpu.run(0);
	}

	// The world

	#map(table: number, linear: number, to: number, bits: bigint): void {
		const at = table + 8 * ((linear / PAGE) % 512);
		this.#cpu.memory.writeU64(at, BigInt(to) | bits);
	}

	/** Maps a frame where cases run. */
	#show(frame: number): void {
		const code = CODE + frame * FRAME_BYTES;
		for (let at = 0; at < CODE_BYTES; at += PAGE) {
			this.#map(CODE_TABLE, CODE_BASE + at, code + at, ENTRY_READ_ONLY);
			const linear = CODE_WRITABLE_BASE + at;
			const writable = code + CODE_BYTES + at;
			this.#map(CODE_TABLE, linear, writable, ENTRY_WRITABLE);
			this.#cpu.mmu.invalidatePage(this.#base + CODE_BASE + at);
			this.#cpu.mmu.invalidatePage(this.#base + linear);
		}
	}

	#writeTables({ gdt, ldt }: Descriptors): void {
		const { memory } = this.#cpu;
		const link = (at: number, index: number, to: number, bits: bigint) =>
			memory.writeU64(at + 8 * index, BigInt(to) | bits);
		link(PDPT, 0, DIRECTORY, PRESENT);
		link(PML4, 0, PDPT_LONG, ENTRY_WRITABLE);
		// Data is there as well as where cases look for it.
		link(PML4, this.#base / PML4_SPAN, PDPT_LONG, ENTRY_WRITABLE);
		link(PDPT_LONG, 0, DIRECTORY, ENTRY_WRITABLE);
		for (const [linear, table] of [
			[CODE_BASE, CODE_TABLE],
			[DATA_BASE, DATA_TABLE],
			[SYSTEM_LINEAR, SYSTEM_TABLE],
		] as const)
			link(DIRECTORY, Math.floor(linear / 0x200000), table, ENTRY_WRITABLE);
		for (let at = 0; at < DATA_BYTES; at += PAGE) {
			const bits = at < DATA_WRITABLE_BYTES ? ENTRY_WRITABLE : ENTRY_READ_ONLY;
			this.#map(DATA_TABLE, DATA_BASE + at, DATA + at, bits | NO_EXECUTE);
		}
		this.#map(
			SYSTEM_TABLE,
			SYSTEM_LINEAR,
			DESCRIPTORS,
			ENTRY_SYSTEM | NO_EXECUTE,
		);
		for (const [selector, bits] of gdt)
			memory.writeU64(DESCRIPTORS + selector, bits);
		for (const d of ldt)
			memory.writeU64(
				DESCRIPTORS + LDT_OFFSET + 8 * d.entry,
				descriptorBits(d),
			);
	}

	#setControl(entries: number): void {
		const { state, mmu } = this.#cpu;
		const long = this.#mode === 64;
		state.setWide(CR0, SubjectControl.cr0);
		state.setWide(CR4, SubjectControl.cr4);
		state.setWide(CR3, long ? PML4 : PDPT);
		state.setWide(EFER, long ? EFER_LONG : EFER_LEGACY);
		state.setWide(GDTR_BASE, SYSTEM_LINEAR);
		state.set32(GDTR_LIMIT, GDT_LIMIT);
		const system = 0x82;
		if (entries === 0) setNullSegment(state, LDTR, 0);
		else {
			const at = SYSTEM_LINEAR + LDT_OFFSET;
			setSegment(state, LDTR, 0x50, at, 8 * entries - 1, system);
		}
		// No I/O permission map: ports are out of reach.
		setNullSegment(state, TR, 0);
		if (!long) mmu.loadPdptes(PDPT);
	}

	// Before a case

	#loadData(test: SiliconCase): void {
		this.#dataBytes.set(dataPattern(test.pattern));
		for (const { offset, bytes } of test.patches)
			this.#dataBytes.set(bytes, offset);
		this.#before.set(this.#data);
	}

	/** Puts the code of a case into a frame. */
	#place(test: SiliconCase, frame: number): void {
		const { memory } = this.#cpu;
		const { at, bytes } = this.#dirty[frame] as Dirty;
		memory.fill(at, INT3, bytes);
		const code = CODE + frame * FRAME_BYTES;
		const area = test.writableCode ? code + CODE_BYTES : code;
		memory.write(area + test.codeOffset, test.code);
		this.#dirty[frame] = test.writableCode
			? { at: area, bytes: CODE_BYTES }
			: { at: area + test.codeOffset, bytes: test.code.length };
	}

	#loadState(test: SiliconCase, rip: number): void {
		const { state } = this.#cpu;
		this.#gpr.set(test.gpr);
		writeEflags(state, initialFlags(test));
		state.setWide(RIP, rip);
		state.set32(SHADOW, -1);
		state.set32(HALTED, 0);
		initialSegments(test).forEach((selector, index) => {
			this.#setSegment(index, selector);
		});
		if (this.#mode === 64) {
			const { view } = state;
			view.setUint32(state.segmentAt(FS, SEGMENT_BASE), FS_BASE_64, true);
			view.setUint32(state.segmentAt(GS, SEGMENT_BASE), GS_BASE_64, true);
		}
		this.#loadFx(test.fx);
	}

	#setSegment(index: number, selector: number): void {
		const { state, memory } = this.#cpu;
		if (selector < 4) {
			setNullSegment(state, index, selector);
			return;
		}
		const table = selector & 4 ? DESCRIPTORS + LDT_OFFSET : DESCRIPTORS;
		const at = table + (selector & ~7);
		const low = memory.readU32(at);
		const high = memory.readU32(at + 4);
		setSegmentFromDescriptor(state, index, selector, low, high);
	}

	#loadFx(fx: Uint8Array): void {
		const { state } = this.#cpu;
		const image = new DataView(fx.buffer, fx.byteOffset, 512);
		const control = image.getUint16(0, true);
		const status = image.getUint16(2, true);
		const top = (status >> 11) & 7;
		const pending = status & ~control & 0x3f;
		state.set32(FPU_CONTROL, control);
		state.set32(FPU_TOP, top);
		state.set32(FPU_STATUS, (status & 0x477f) | (pending === 0 ? 0 : FPU_ES_B));
		state.set32(FPU_TAG, image.getUint8(4));
		for (const field of [FPU_OPCODE, FPU_IP_SELECTOR, FPU_DATA_SELECTOR])
			state.set32(field, 0);
		state.setWide(FPU_IP, 0);
		state.setWide(FPU_DATA, 0);
		for (let i = 0; i < 8; i++) {
			const at = STATE_BASE + FPR.offset + ((top + i) & 7) * FPR.stride;
			const { view } = state;
			view.setBigUint64(at, image.getBigUint64(32 + 16 * i, true), true);
			view.setUint32(at + 8, image.getUint16(40 + 16 * i, true), true);
		}
		this.#xmm.set(fx.subarray(160, 416));
		state.set32(MXCSR, image.getUint32(24, true));
	}

	// The end of a case

	/** Software interrupts go through gates that user mode may or may not call. */
	#software(vector: number): Ending {
		const { state } = this.#cpu;
		const here = state.getBig(RIP);
		const next = state.getBig(NEXT_RIP);
		const allowed: readonly number[] = SubjectControl.userVectors;
		// INT1 asks no gate for permission; INT 1 does.
		const isInt1 = vector === VECTOR_DB && this.#byteBefore(next) === INT1;
		if (isInt1 || allowed.includes(vector))
			return { vector, errorCode: 0, rip: next };
		return { vector: VECTOR_GP, errorCode: vector * 8 + 2, rip: here };
	}

	#byteBefore(next: bigint): number {
		return this.#cpu.mmu.readU8(Number(next) - 1, false);
	}

	#exception({ vector, errorCode = 0 }: GuestFault): Ending {
		const { state } = this.#cpu;
		const inTables =
			vector === VECTOR_PF &&
			state.getBig(CR2) >> 12n === BigInt(SYSTEM_LINEAR / PAGE);
		return {
			vector,
			errorCode: inTables ? errorCode & ~PF_PRESENT : errorCode,
			rip: state.getBig(RIP),
		};
	}

	#result(): SiliconResult {
		const { state } = this.#cpu;
		const ending = this.#ending;
		const segments = new Uint16Array(6);
		for (let i = ES; i <= GS; i++) segments[i] = selectorOf(state, i);
		return {
			ended: ending !== undefined,
			vector: ending?.vector ?? 0,
			errorCode: ending?.errorCode ?? 0,
			faultAddress: ending?.vector === VECTOR_PF ? state.getBig(CR2) : 0n,
			rip: ending?.rip ?? 0n,
			flags: readEflags(state),
			gpr: this.#gpr.slice(),
			segments,
			fx: this.#saveFx(),
			changes: this.#changes(),
		};
	}

	#saveFx(): Uint8Array {
		const { state } = this.#cpu;
		const fx = new Uint8Array(512);
		const image = new DataView(fx.buffer);
		const top = state.get32(FPU_TOP);
		image.setUint16(0, state.get32(FPU_CONTROL), true);
		image.setUint16(2, state.get32(FPU_STATUS) | (top << 11), true);
		image.setUint8(4, state.get32(FPU_TAG));
		image.setUint32(24, state.get32(MXCSR), true);
		for (let i = 0; i < 8; i++) {
			const at = STATE_BASE + FPR.offset + ((top + i) & 7) * FPR.stride;
			image.setBigUint64(32 + 16 * i, state.view.getBigUint64(at, true), true);
			image.setUint16(40 + 16 * i, state.view.getUint16(at + 8, true), true);
		}
		fx.set(this.#xmm, 160);
		return fx;
	}

	#changes(): Change[] {
		const now = this.#data;
		const before = this.#before;
		const changes: Change[] = [];
		for (let i = 0; i < now.length; i += 2) {
			const low = now[i] as number;
			const high = now[i + 1] as number;
			if (low === before[i] && high === before[i + 1]) continue;
			changes.push({
				offset: i * 4,
				value: (BigInt(high) << 32n) | BigInt(low),
			});
		}
		return changes;
	}
}

/** An engine, with everything it can decode switched on. */
export class CpuSubject implements Subject {
	readonly name: string;
	readonly modes = [32, 64] as const;
	readonly #engine: "cold" | "auto";
	readonly #place: "low" | "high";
	readonly #descriptors: Descriptors | undefined;
	readonly #benches = new Map<Mode, Bench>();
	/** What will be run next. */
	#announced: readonly SiliconCase[] = [];

	/**
	 * "hot" has the code of every case compiled before the case is run; "high" runs
	 * 64-bit code far above 4 GiB.
	 */
	constructor(
		engine: "cold" | "hot" = "cold",
		descriptors?: Descriptors,
		place: "low" | "high" = "low",
	) {
		this.#place = place;
		this.name = engine;
		this.#engine = engine === "cold" ? "cold" : "auto";
		this.#descriptors = descriptors;
	}

	prepare(cases: readonly SiliconCase[]): void {
		this.#announced = cases;
	}

	run(test: SiliconCase): SiliconResult {
		const bench = this.bench(test.mode);
		if (this.#engine !== "cold" && !bench.isWarm(test)) {
			const from = this.#announced.indexOf(test);
			const next = this.#announced.slice(from, from + FRAMES);
			bench.warmUp(from < 0 ? [test] : next);
		}
		return bench.run(test);
	}

	/** The CPU that runs the cases of a mode. */
	bench(mode: Mode): Bench {
		let bench = this.#benches.get(mode);
		if (bench === undefined) {
			const descriptors = this.#descriptors ?? descriptorsHere();
			const base = mode === 64 && this.#place === "high" ? HIGH_BASE : 0;
			bench = new Bench(mode, this.#engine, descriptors, base);
			this.#benches.set(mode, bench);
		}
		return bench;
	}
}
