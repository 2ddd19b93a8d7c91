/**
 * Our side of the x87 oracle: one instruction at a time through the cold
 * engine, with the state of a case put in and taken out.
 *
 * @journey M:746 The coprocessor on trial
 */

import { decode } from "../../src/cpu/decode/decoder.ts";
import { ColdEngine } from "../../src/cpu/engine/cold-engine.ts";
import {
	HANDLER_FAULT,
	RECORD_BYTES,
	RECORD_IMMEDIATE,
	writePseudoRecord,
	writeRecord,
} from "../../src/cpu/engine/record.ts";
import { STATUS_FAULT } from "../../src/cpu/engine/status.ts";
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
import type { SemanticsTable } from "../../src/cpu/semantics/emitter.ts";
import {
	BUDGET,
	CPL,
	CR0,
	CR4,
	FAULT_VECTOR,
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
	GPR,
	MXCSR,
	RIP,
	SEGMENT,
	SEGMENT_SELECTOR,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../../src/cpu/state.ts";
import { StateView } from "../../src/cpu/state-view.ts";
import {
	type Batch,
	CASE_BYTES,
	CODE_ADDRESS,
	DATA_ADDRESS,
	IMAGE_BYTES,
	RESULT_BYTES,
	SIGFPE,
} from "./case.ts";

const PAGE = 4096;
/** Past what the masks below test. */
const ANYTHING = 1;
const VECTOR_MF = 16;
const VECTOR_END = 3;
const RDX = 2;
const [CS, DS] = [1, 3];

export class Subject {
	readonly #state: StateView;
	readonly #view: DataView;
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;
	readonly #engine: ColdEngine;
	readonly #record = ARENA_BASE;

	constructor(semantics: SemanticsTable) {
		const pages = RAM_BASE / WASM_PAGE_BYTES + 1;
		const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
		this.#bytes = new Uint8Array(memory.buffer);
		this.#view = new DataView(memory.buffer);
		this.#words = new Int32Array(memory.buffer);
		this.#state = new StateView(memory.buffer, STATE_BASE);
		const code = new Tlb(memory.buffer);
		code.set(CODE_ADDRESS / PAGE, RAM_BASE + PAGE, 0, false);
		const data = new WideTlb(memory.buffer);
		data.set(DATA_ADDRESS, RAM_BASE, 0, false);
		const imports = {
			translate: () => 0,
			checkSegment: () => 1,
			commit: () => {},
			system: () => 0,
			resolve: () => this.#record,
			hot: undefined,
			misplaced: () => {},
			hotArrivals: 0,
			fetchPage: () => 0,
			fetchWidePage: () => 0,
			ramBytes: 0,
		};
		const source = {
			semanticsOf: (mnemonic: string) => semantics[mnemonic],
			kernels: KERNELS,
		};
		this.#engine = new ColdEngine(memory, imports, source, {
			inline: () => [],
			usual: () => [],
		});
		for (const mask of [TLB_READ_MASK, TLB_WRITE_MASK, TLB_EXECUTE_MASK]) {
			this.#state.set32(mask, ANYTHING);
		}
		this.#state.set32(CPL, 3);
		this.#state.set32(CR0, 0x8005_0033);
		this.#state.set32(CR4, 1 << 9);
		this.#selector(CS, 0x33);
		this.#selector(DS, 0);
	}

	/** The results of the batch's cases, as native.c gives them. */
	run(batch: Batch): Uint8Array {
		this.#prepare(batch.code);
		const caseBytes = CASE_BYTES + batch.memoryBytes;
		const resultBytes = RESULT_BYTES + batch.memoryBytes;
		const results = new Uint8Array(batch.count * resultBytes);
		for (let i = 0; i < batch.count; i++) {
			const from = i * caseBytes;
			const to = i * resultBytes;
			this.#enter(batch, from);
			const signal = this.#step();
			this.#leave(batch, results, to, signal);
		}
		return results;
	}

	#selector(segment: number, value: number): void {
		const at = STATE_BASE + SEGMENT.offset + segment * SEGMENT.stride;
		this.#view.setInt32(at + SEGMENT_SELECTOR, value, true);
	}

	/** Records for the code, and one behind that ends the run. */
	#prepare(code: readonly number[]): void {
		const bytes = new Uint8Array(code.length + 15);
		bytes.set(code);
		const mode = makeMode(64, 64, true);
		let record = this.#record;
		let at = 0;
		while (at < code.length) {
			const instruction = decode(bytes, at, 15, { codeSize: 64 });
			if (typeof instruction === "string") {
				throw new Error(`${code.map((x) => x.toString(16))}: ${instruction}`);
			}
			const handler = this.#engine.handlerFor(instruction, mode);
			writeRecord(this.#words, record, handler, at, instruction);
			record += RECORD_BYTES;
			at += instruction.lengthBytes;
		}
		writePseudoRecord(this.#words, record, HANDLER_FAULT, at);
		this.#view.setInt32(record + RECORD_IMMEDIATE, VECTOR_END, true);
	}

	/** 0, or the signal that Linux would send. */
	#step(): number {
		this.#state.setWide(RIP, CODE_ADDRESS);
		this.#state.set32(BUDGET, 10);
		const status = this.#engine.run();
		const vector = this.#state.get32(FAULT_VECTOR);
		if (status !== STATUS_FAULT) throw new Error(`ended with ${status}`);
		if (vector === VECTOR_END) return 0;
		return vector === VECTOR_MF ? SIGFPE : vector;
	}

	#enter(batch: Batch, from: number): void {
		const state = this.#state;
		const { cases } = batch;
		const image = new DataView(cases.buffer, cases.byteOffset + from);
		const status = image.getUint16(2, true);
		const top = (status >> 11) & 7;
		state.set32(FPU_CONTROL, image.getUint16(0, true));
		state.set32(FPU_STATUS, status & ~0x3800);
		state.set32(FPU_TOP, top);
		state.set32(FPU_TAG, image.getUint8(4));
		state.set32(FPU_OPCODE, image.getUint16(6, true));
		state.setBig(FPU_IP, image.getBigUint64(8, true));
		state.setBig(FPU_DATA, image.getBigUint64(16, true));
		state.set32(FPU_IP_SELECTOR, 0);
		state.set32(FPU_DATA_SELECTOR, 0);
		state.set32(MXCSR, 0x1f80);
		const registers = STATE_BASE + FPR.offset;
		for (let i = 0; i < 8; i++) {
			const to = registers + ((top + i) & 7) * 16;
			const at = 32 + 16 * i;
			this.#view.setBigUint64(to, image.getBigUint64(at, true), true);
			const se = image.getUint16(at + 8, true);
			this.#view.setBigUint64(to + 8, BigInt(se), true);
		}
		state.setBig(GPR, image.getBigUint64(IMAGE_BYTES, true));
		state.setWide(GPR, DATA_ADDRESS, RDX);
		writeEflags(state, image.getUint32(IMAGE_BYTES + 8, true));
		const memory = from + CASE_BYTES;
		const data = cases.subarray(memory, memory + batch.memoryBytes);
		this.#bytes.set(data, RAM_BASE);
	}

	#leave(batch: Batch, results: Uint8Array, to: number, signal: number): void {
		const state = this.#state;
		const image = new DataView(results.buffer, to);
		const top = state.get32(FPU_TOP);
		const status = state.get32(FPU_STATUS);
		image.setUint16(0, state.get32(FPU_CONTROL), true);
		image.setUint16(2, status | (top << 11), true);
		image.setUint8(4, state.get32(FPU_TAG));
		if (status & 0x80) {
			image.setUint16(6, state.get32(FPU_OPCODE), true);
			image.setBigUint64(8, state.getBig(FPU_IP), true);
			image.setBigUint64(16, state.getBig(FPU_DATA), true);
		}
		image.setUint32(24, state.get32(MXCSR), true);
		const registers = STATE_BASE + FPR.offset;
		for (let i = 0; i < 8; i++) {
			const from = registers + ((top + i) & 7) * 16;
			const at = 32 + 16 * i;
			image.setBigUint64(at, this.#view.getBigUint64(from, true), true);
			const se = this.#view.getBigUint64(from + 8, true);
			image.setBigUint64(at + 8, se, true);
		}
		image.setBigUint64(IMAGE_BYTES, state.getBig(GPR), true);
		image.setBigUint64(IMAGE_BYTES + 8, BigInt(readEflags(state)), true);
		image.setBigUint64(IMAGE_BYTES + 16, BigInt(signal), true);
		const memory = this.#bytes.subarray(RAM_BASE, RAM_BASE + batch.memoryBytes);
		results.set(memory, to + RESULT_BYTES);
	}
}
