/**
 * What a region keeps in WebAssembly locals instead of memory: general
 * registers, XMM registers, and state that nothing in a region can change
 * (segment bases, TLB masks, control registers), and what x87 instructions note
 * of themselves. Each is loaded on entry if the region uses it at all; what the
 * region writes is stored on the way out.
 *
 * A low byte that was written by itself is kept beside its register until the
 * end of the block: compilers write it to read it, and taking it out of the
 * register that it has just been put into takes four steps.
 *
 * @journey E:720 State that stays in registers
 */

import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import {
	CPL,
	CR0,
	CR4,
	type Field,
	FPU_DATA,
	FPU_DATA_SELECTOR,
	FPU_IP,
	FPU_IP_SELECTOR,
	FPU_OPCODE,
	GPR,
	SEGMENT,
	TLB_EXECUTE_MASK,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
	XMM,
} from "../state.ts";

/** A field of the state that is kept in a local. */
export interface Kept {
	readonly local: Local;
	readonly offset: number;
	readonly size: number;
}

/** Fields that only system operations write which regions do not contain, those of segments perhaps. */
const CONSTANTS = [
	...[TLB_READ_MASK, TLB_WRITE_MASK, TLB_EXECUTE_MASK],
	...[CPL, CR0, CR4],
];

/** What every x87 instruction notes of itself, for the next to write over. */
const NOTES = [
	...[FPU_IP, FPU_IP_SELECTOR, FPU_OPCODE],
	...[FPU_DATA, FPU_DATA_SELECTOR],
];

function contains({ offset, stride, count }: Field, place: number): boolean {
	return place >= offset && place < offset + stride * count;
}

export class HotRegisters {
	/** 32: eight registers of 32 bits; 64: sixteen of 64. */
	readonly width: 32 | 64;
	/** Registers that some instruction reads or writes. */
	readonly used = new Set<number>();
	/** Registers that some instruction writes. */
	readonly written = new Set<number>();
	readonly #code: FunctionBuilder;
	readonly #general: Local<"i32" | "i64">[];
	readonly #constants: readonly Field[];
	readonly #invariants = new Map<number, Kept>();
	readonly #notes = new Map<number, Kept>();
	/** By number: XMM registers that some instruction reads or writes. */
	readonly #vectors = new Map<number, Local<"v128">>();
	/** XMM registers that some instruction writes. */
	readonly #vectorsWritten = new Set<number>();
	/** By register: where its low byte is kept. */
	readonly #lowBytes = new Map<number, Local<"i32">>();
	/** Registers whose low byte is there now. */
	readonly #known = new Set<number>();

	/** `loadsSegments`: some instruction does. */
	constructor(code: FunctionBuilder, long: boolean, loadsSegments: boolean) {
		this.#code = code;
		this.#constants = loadsSegments ? CONSTANTS : [SEGMENT, ...CONSTANTS];
		this.width = long ? 64 : 32;
		const type = long ? "i64" : "i32";
		this.#general = Array.from({ length: long ? 16 : 8 }, () =>
			code.local(type),
		);
	}

	/** Register number of a state offset, or -1. */
	indexOf(offset: number): number {
		const index = (offset - GPR.offset) >> 3;
		const count = this.#general.length;
		return offset >= GPR.offset && index < count ? index : -1;
	}

	read(index: number): Local<"i32" | "i64"> {
		this.used.add(index);
		return this.#general[index] as Local<"i32" | "i64">;
	}

	write(index: number): Local<"i32" | "i64"> {
		this.written.add(index);
		return this.read(index);
	}

	/** XMM register of a state offset, or -1. */
	vectorOf(offset: number): number {
		const index = (offset - XMM.offset) >> 4;
		return offset >= XMM.offset && index < XMM.count ? index : -1;
	}

	readVector(index: number): Local<"v128"> {
		let local = this.#vectors.get(index);
		if (local === undefined) {
			local = this.#code.lasting("v128");
			this.#vectors.set(index, local);
		}
		return local;
	}

	writeVector(index: number): Local<"v128"> {
		this.#vectorsWritten.add(index);
		return this.readVector(index);
	}

	/** Number and local of each XMM register in use. */
	get vectors(): Iterable<[number, Local<"v128">]> {
		return this.#vectors;
	}

	get vectorsWritten(): Iterable<number> {
		return this.#vectorsWritten;
	}

	/** Where a register's low byte is, zero-extended, if it was written by itself. */
	lowByte(index: number): Local<"i32"> | undefined {
		return this.#known.has(index) ? this.#lowBytes.get(index) : undefined;
	}

	/** Keeps a low byte, which the caller sets, until something else is written. */
	keepLowByte(index: number): Local<"i32"> {
		let local = this.#lowBytes.get(index);
		if (local === undefined) {
			local = this.#code.lasting("i32");
			this.#lowBytes.set(index, local);
		}
		this.#known.add(index);
		return local;
	}

	forgetLowByte(index: number): void {
		this.#known.delete(index);
	}

	/** Where control may come from elsewhere. */
	forgetLowBytes(): void {
		this.#known.clear();
	}

	/** The local of a field that cannot change; undefined = it can. */
	invariant(offset: number, size: number): Local | undefined {
		const isConstant = this.#constants.some((one) => contains(one, offset));
		if (!isConstant) return undefined;
		const key = offset * 16 + size;
		const known = this.#invariants.get(key);
		if (known !== undefined) return known.local;
		const local = this.#code.lasting(size === 8 ? "i64" : "i32");
		this.#invariants.set(key, { local, offset, size });
		return local;
	}

	/** Fields that are the same for the whole stay in a region. */
	get invariants(): Iterable<Kept> {
		return this.#invariants.values();
	}

	/** The local of a field that instructions write and hardly ever read; undefined = it is none. */
	note(offset: number, size: number): Local | undefined {
		const field = NOTES.find((one) => contains(one, offset));
		if (field === undefined) return undefined;
		if (size !== field.size) throw new Error("a note is written as a whole");
		const known = this.#notes.get(offset);
		if (known !== undefined) return known.local;
		const local = this.#code.lasting(size === 8 ? "i64" : "i32");
		this.#notes.set(offset, { local, offset, size });
		return local;
	}

	get notes(): Iterable<Kept> {
		return this.#notes.values();
	}
}
