/**
 * The growing case: which initial register values are still free to choose,
 * which have been overwritten, what lies in memory, and which places wait for
 * an address that is known only when the sequence is complete.
 *
 * Initial values are chosen as late as possible. An instruction that needs a
 * pointer, a count or a divisor finds its register mostly still free, takes
 * it, and gets what it needs without a preparing instruction.
 *
 * Relies on random.ts and environment.ts; encode.ts and cases.ts rely on it.
 *
 * @journey M:622 A case grows
 */
import type { ByteRange, Mode, Patch, PlacedInstruction } from "./case.ts";
import {
	DATA_BASE,
	DATA_BYTES,
	DATA_WRITABLE_BYTES,
	FS_BASE_64,
	GS_BASE_64,
	LDT,
	ldtSelector,
	SS_FLAT,
} from "./environment.ts";
import { biasedInteger, type Random, storeBits } from "./random.ts";

/** Register numbers in encoding order. */
export const Gpr = {
	AX: 0,
	CX: 1,
	DX: 2,
	BX: 3,
	SP: 4,
	BP: 5,
	SI: 6,
	DI: 7,
} as const;

/** A place that gets a code address when all instructions are known. */
export interface Fixup {
	/** What `at` means: a byte in the code, a register, or an offset in the data area. */
	readonly kind: "relative" | "code" | "register" | "data";
	readonly at: number;
	/** Bytes to write (not for registers). */
	readonly length: number;
	/** Code offset that a relative displacement counts from. */
	readonly end: number;
	/** Index of the boundary aimed at, or -1 - i for any boundary after instruction i. */
	readonly boundary: number;
	/** Aim at this linear address instead, … */
	readonly address?: number;
	/** … or at this byte of the code. */
	readonly codeOffset?: number;
}

export class Sequence {
	readonly random: Random;
	readonly mode: Mode;
	readonly code: number[] = [];
	readonly instructions: PlacedInstruction[] = [];
	readonly patches: Patch[] = [];
	readonly fixups: Fixup[] = [];
	readonly masks: ByteRange[] = [];
	readonly gpr = new BigUint64Array(16);
	readonly selectors: number[];
	/** Bit sets over the registers. */
	#decided = 0;
	#written = 0;
	/** Bit set over ES..GS. */
	#segmentsWritten = 0;
	/** Set once pushes or pops make the stack pointer inexact. */
	stackMoved = false;
	flags = 0;
	/** Runs where code can be written; then it may change itself. */
	readonly writableCode: boolean;

	constructor(random: Random, mode: Mode) {
		this.random = random;
		this.mode = mode;
		this.writableCode = random.chance(0.1);
		this.selectors = this.#chooseSelectors();
		this.decide(Gpr.SP, this.#stackPointer());
	}

	/** ES CS SS DS FS GS; mostly flat, FS and GS with bases. */
	#chooseSelectors(): number[] {
		if (this.mode === 64) return [SS_FLAT, 0, SS_FLAT, SS_FLAT, 0, 0];
		const any = () =>
			ldtSelector(this.random.pick([0, 0, 0, 0, 1, 1, 5, 2, 3, 7, 9]));
		const flat = (p: number) => (this.random.chance(p) ? any() : SS_FLAT);
		return [flat(0.04), 0, SS_FLAT, flat(0.04), any(), any()];
	}

	#stackPointer(): bigint {
		const at = this.random.chance(0.96)
			? 0x400 + 8 * this.random.below(0x300)
			: this.random.pick([0, 8, 0x1004, 0x1ffe, 0x2004, 0x0ffc, 0x801]);
		return BigInt(DATA_BASE + at);
	}

	/** Fixes an initial value; the register must not be decided yet. */
	decide(register: number, value: bigint): void {
		this.#decided |= 1 << register;
		this.gpr[register] = this.mode === 64 ? value : BigInt.asUintN(32, value);
	}

	/** True while the initial value of the register can still be chosen. */
	isFree(register: number): boolean {
		return ((this.#decided | this.#written) & (1 << register)) === 0;
	}

	/** The value the register surely has, if no earlier instruction wrote it. */
	known(register: number): bigint | undefined {
		if ((this.#written & (1 << register)) !== 0) return undefined;
		if (register === Gpr.SP && this.stackMoved) return undefined;
		if (this.isFree(register))
			this.decide(register, biasedInteger(this.random, this.mode));
		return this.gpr[register];
	}

	/** Chooses the initial value if it is free; true if the register has that value. */
	wish(register: number, value: bigint): boolean {
		if (!this.isFree(register)) return this.known(register) === value;
		this.decide(register, value);
		return true;
	}

	/** Records that an instruction may write these registers (bit set). */
	write(registers: number): void {
		this.#written |= registers;
	}

	writeSegment(segment: number): void {
		this.#segmentsWritten |= 1 << segment;
	}

	/** Linear base of a segment register. */
	segmentBase(segment: number): number | undefined {
		if ((this.#segmentsWritten & (1 << segment)) !== 0) return undefined;
		if (this.mode === 64)
			return segment === 4 ? FS_BASE_64 : segment === 5 ? GS_BASE_64 : 0;
		const selector = this.selectors[segment] as number;
		if ((selector & 4) === 0) return 0;
		return LDT[selector >> 3]?.base ?? 0;
	}

	/** Puts bytes where an operand will be read; false outside the data area. */
	patch(linear: number, bytes: Uint8Array): boolean {
		const offset = linear - DATA_BASE;
		if (offset < 0 || offset + bytes.length > DATA_BYTES) return false;
		this.patches.push({ offset, bytes });
		return true;
	}

	patchBits(linear: number, value: bigint, length: number): boolean {
		const bytes = new Uint8Array(length);
		storeBits(bytes, 0, value, length);
		return this.patch(linear, bytes);
	}

	/** The linear address of the stack's top, while nothing has moved it. */
	stackTop(): number | undefined {
		const sp = this.known(Gpr.SP);
		const base = this.segmentBase(2);
		return sp === undefined || base === undefined
			? undefined
			: Number(BigInt.asUintN(32, sp)) + base;
	}

	/**
	 * A linear address for an operand of `length` bytes: mostly inside the
	 * writable pages and mostly aligned, else where something special happens.
	 */
	target(length: number, alignment: number): number {
		const { random } = this;
		const align = (offset: number) => {
			const unit = alignment > 1 ? alignment : 1;
			return Math.floor(offset / unit) * unit;
		};
		const room = Math.max(1, DATA_WRITABLE_BYTES - length);
		const kind = random.below(100);
		if (kind < 88) return DATA_BASE + align(random.below(room));
		if (kind < 92) return DATA_BASE + random.below(room);
		const inside = random.below(length + 1);
		if (kind < 95) return DATA_BASE + 0x1000 - inside;
		if (kind < 96) return DATA_BASE + DATA_WRITABLE_BYTES - inside;
		if (kind < 97)
			return DATA_BASE + DATA_WRITABLE_BYTES + align(random.below(0x800));
		if (kind < 98) return DATA_BASE + DATA_BYTES - inside;
		if (kind < 99) return DATA_BASE - inside;
		return random.bits32();
	}
}
