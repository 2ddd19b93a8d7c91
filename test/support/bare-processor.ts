/**
 * The cold engine over a few pages of flat memory, with neither MMU nor system
 * architecture: enough to execute user-mode integer code in a unit test.
 *
 * Pages 0..13 are plain memory, page 14 is read-only, page 15 is absent. Code
 * runs at CODE until the INT3 behind it. Relies on the engine's own interface
 * (`ColdEngine`), playing MMU, decoder cache and system for it; the vectors of
 * `cpu/semantics` rely on it.
 */

import { decode } from "../../src/cpu/decode/decoder.ts";
import type { SizeAttribute } from "../../src/cpu/decode/instruction.ts";
import { ColdEngine } from "../../src/cpu/engine/cold-engine.ts";
import { INTENT_BITS } from "../../src/cpu/engine/instruction-emitter.ts";
import {
	HANDLER_CROSS,
	HANDLER_FAULT,
	RECORD_BYTES,
	RECORD_IMMEDIATE,
	writePseudoRecord,
	writeRecord,
} from "../../src/cpu/engine/record.ts";
import {
	STATUS_FAULT,
	STATUS_STOP,
	STATUS_STOP_JUMP,
} from "../../src/cpu/engine/status.ts";
import { readEflags, writeEflags } from "../../src/cpu/flags.ts";
import { KERNELS } from "../../src/cpu/float/index.ts";
import {
	ARENA_BASE,
	RAM_BASE,
	STATE_BASE,
	WASM_PAGE_BYTES,
} from "../../src/cpu/memory-layout.ts";
import { Tlb } from "../../src/cpu/mmu/tlb.ts";
import { WideTlb } from "../../src/cpu/mmu/wide-tlb.ts";
import { makeMode } from "../../src/cpu/mode.ts";
import { semanticsOf } from "../../src/cpu/semantics/index.ts";
import {
	BUDGET,
	CPL,
	CR0,
	CR2,
	FAULT_ERROR_CODE,
	FAULT_HAS_ERROR_CODE,
	FAULT_VECTOR,
	type Field,
	GPR,
	INTERRUPT_PENDING,
	NEXT_RIP,
	REP_LIMIT,
	RIP,
	SCRATCH,
	SEGMENT,
	SEGMENT_LIMIT,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../../src/cpu/state.ts";
import { StateView } from "../../src/cpu/state-view.ts";

export const CODE = 0x1000;
export const READ_ONLY_PAGE = 0xe000;
export const ABSENT_PAGE = 0xf000;
const PAGE = 4096;
const RAM_BYTES = 0x1_0000;
const CS = 1;
const PAGE_FAULT = 14;
const INTENT_MASK = (1 << INTENT_BITS) - 1;
const BREAKPOINT = 3;
const STAGING = STATE_BASE + SCRATCH.offset;

export class BareProcessor {
	readonly state: StateView;
	/** Guest memory, address by address. */
	readonly ram: Uint8Array;
	readonly #size: SizeAttribute;
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	readonly #words: Int32Array;
	readonly #tlb: Tlb;
	readonly #wideTlb: WideTlb;
	readonly #engine: ColdEngine;
	#nextRecord = ARENA_BASE;
	#staged: number[] = [];

	constructor(size: SizeAttribute) {
		const pages = (RAM_BASE + RAM_BYTES) / WASM_PAGE_BYTES;
		const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
		this.#size = size;
		this.#bytes = new Uint8Array(memory.buffer);
		this.#view = new DataView(memory.buffer);
		this.#words = new Int32Array(memory.buffer);
		this.ram = this.#bytes.subarray(RAM_BASE);
		this.state = new StateView(memory.buffer, STATE_BASE);
		this.#tlb = new Tlb(memory.buffer);
		this.#wideTlb = new WideTlb(memory.buffer);
		this.#mapPages();
		this.#resetState();
		const imports = {
			translate: (low: number, high: number, bytes: number, intent: number) =>
				this.#translate(low >>> 0, high, bytes, (intent & INTENT_MASK) !== 0),
			checkSegment: () => 1,
			commit: () => this.#commit(),
			system: () => this.#breakpoint(),
			resolve: () => this.#resolve(),
			hot: undefined,
			misplaced: () => {},
			hotArrivals: 0,
			fetchPage: () => 0,
			fetchWidePage: () => 0,
			ramBytes: 0,
		};
		const source = { semanticsOf, kernels: KERNELS };
		this.#engine = new ColdEngine(memory, imports, source, {
			inline: () => [],
			usual: () => [],
		});
	}

	/** Runs `code` to its end; the vector of the fault that came first, if any. */
	execute(code: readonly number[]): number | undefined {
		this.ram.fill(0xcc, CODE, CODE + PAGE);
		this.ram.set(code, CODE);
		this.state.setBig(RIP, BigInt(CODE));
		this.state.set32(BUDGET, 100_000);
		let status = this.#engine.run();
		while (status === STATUS_STOP) status = this.#engine.run();
		if (status === STATUS_STOP_JUMP) return undefined;
		if (status !== STATUS_FAULT) throw new Error(`ended with ${status}`);
		return this.state.get32(FAULT_VECTOR);
	}

	/** Gives the instruction's form a handler, which the next execution generates; its mnemonic, or undefined for an invalid one. */
	announce(
		code: Uint8Array,
		stackSize = this.#size,
		flat = true,
	): string | undefined {
		const instruction = decode(code, 0, code.length, { codeSize: this.#size });
		if (typeof instruction === "string") return undefined;
		this.#engine.handlerFor(instruction, makeMode(this.#size, stackSize, flat));
		return instruction.row.mnemonic;
	}

	gpr(index: number): bigint {
		return this.state.getBig(GPR, index);
	}

	setGpr(index: number, value: bigint): void {
		this.state.setBig(GPR, BigInt.asUintN(64, value), index);
	}

	get eflags(): number {
		return readEflags(this.state);
	}

	set eflags(image: number) {
		writeEflags(this.state, image);
	}

	/** Most iterations of one REP step, 1 as under single-step. */
	set repLimit(iterations: number) {
		this.state.set32(REP_LIMIT, iterations);
	}

	#mapPages(): void {
		const readOnly = READ_ONLY_PAGE / PAGE;
		for (let page = 0; page <= readOnly; page++) {
			const host = RAM_BASE + page * PAGE;
			const refused = page === readOnly ? WRITE : 0;
			this.#tlb.set(page, host, refused, false);
			this.#wideTlb.set(page * PAGE, host, refused, false);
		}
	}

	#resetState(): void {
		const fields: readonly (readonly [Field, number])[] = [
			[TLB_READ_MASK, READ],
			[TLB_WRITE_MASK, WRITE],
			[TLB_EXECUTE_MASK, 0],
			[CPL, 3],
			[CR0, 1],
			[REP_LIMIT, 1 << 20],
			[INTERRUPT_PENDING, 0],
		];
		for (const [field, value] of fields) this.state.set32(field, value);
		const limit = STATE_BASE + SEGMENT.offset + CS * SEGMENT.stride;
		this.#view.setInt32(limit + SEGMENT_LIMIT, -1, true);
	}

	#translate(
		linear: number,
		high: number,
		bytes: number,
		write: boolean,
	): number {
		const end = write ? READ_ONLY_PAGE : ABSENT_PAGE;
		if (high !== 0 || linear + bytes > end) {
			const first = high === 0 && linear < end ? end : linear;
			return this.#pageFault(first, write);
		}
		const crosses = (linear % PAGE) + bytes > PAGE;
		if (!crosses) return RAM_BASE + linear;
		this.#staged = Array.from({ length: bytes }, (_, i) => linear + i);
		for (const [i, at] of this.#staged.entries()) {
			this.#bytes[STAGING + i] = this.ram[at] as number;
		}
		return STAGING;
	}

	#commit(): void {
		for (const [i, at] of this.#staged.entries()) {
			this.ram[at] = this.#bytes[STAGING + i] as number;
		}
	}

	#pageFault(linear: number, write: boolean): 0 {
		this.state.setBig(CR2, BigInt(linear));
		this.state.set32(FAULT_VECTOR, PAGE_FAULT);
		this.state.set32(FAULT_HAS_ERROR_CODE, 1);
		this.state.set32(FAULT_ERROR_CODE, write ? 6 : 4);
		return 0;
	}

	/** Every system operation ends the run as the INT3 behind the code does. */
	#breakpoint(): number {
		this.state.set32(FAULT_VECTOR, BREAKPOINT);
		this.state.setBig(RIP, this.state.getBig(NEXT_RIP));
		return STATUS_STOP_JUMP;
	}

	/** A record for the instruction at RIP, and one that comes here again. */
	#resolve(): number {
		const rip = Number(this.state.getBig(RIP));
		const size = this.#size;
		const instruction = decode(this.ram, rip, 15, { codeSize: size });
		const at = this.#nextRecord;
		this.#nextRecord += 2 * RECORD_BYTES;
		if (typeof instruction === "string") {
			writePseudoRecord(this.#words, at, HANDLER_FAULT, rip % PAGE);
			this.#view.setInt32(at + RECORD_IMMEDIATE, 6, true);
			return at;
		}
		const mode = makeMode(size, size, true);
		const handler = this.#engine.handlerFor(instruction, mode);
		writeRecord(this.#words, at, handler, rip % PAGE, instruction);
		const next = (rip % PAGE) + instruction.lengthBytes;
		writePseudoRecord(this.#words, at + RECORD_BYTES, HANDLER_CROSS, next);
		return at;
	}
}

/** TLB bits that the masks above test. */
const READ = 1 << 0;
const WRITE = 1 << 1;
