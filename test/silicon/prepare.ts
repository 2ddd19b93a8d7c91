/**
 * What an instruction needs to do more than fault: counts, pointers,
 * divisors, selectors, images in memory. For each mnemonic that needs
 * something, one function chooses registers and fields before encoding, and
 * one puts operands into memory afterwards.
 *
 * Relies on sequence.ts and encode.ts; cases.ts relies on it.
 *
 * @journey M:626 Operands worth having
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import type { Encoded, Wishes } from "./encode.ts";
import {
	ARITHMETIC_FLAGS,
	CS_32,
	CS_64,
	DATA_BASE,
	DATA_WRITABLE_BYTES,
	Flag,
	ldtSelector,
	SS_FLAT,
} from "./environment.ts";
import { vectorsOfHypervisor } from "./hypervisor.ts";
import { randomControlWord, randomFx, randomMxcsr } from "./initial-state.ts";
import {
	biasedBcd,
	biasedDouble,
	biasedExtended,
	biasedInteger,
	biasedSingle,
	type Random,
	storeBits,
} from "./random.ts";
import { Gpr, type Sequence } from "./sequence.ts";

type Before = (s: Sequence, row: OpcodeRow) => Wishes | undefined;
/** False from one of these means that the instruction is not to be used. */
type After = (s: Sequence, e: Encoded) => unknown;

/** Selectors for data: good ones, and each way to be bad. */
function anySelector(random: Random): number {
	if (random.chance(0.5)) return SS_FLAT;
	return random.pick([
		0,
		3,
		0x08,
		0x10,
		0x18,
		0x1b,
		0x20,
		CS_32,
		0x28,
		0x2a,
		CS_64,
		0x38,
		0x63,
		ldtSelector(random.below(11)),
		ldtSelector(random.below(10)) - random.below(4),
		0x83,
		0xfffb,
	]);
}

/** Selectors for CS that do not change the code size. */
function codeSelector(s: Sequence): number {
	if (s.random.chance(0.12))
		return s.random.pick([
			0,
			3,
			SS_FLAT,
			0x08,
			0x1b,
			0x83,
			ldtSelector(0),
			ldtSelector(4),
			0x104,
		]);
	if (s.mode === 64) return CS_64;
	return s.random.chance(0.7) ? CS_32 : ldtSelector(s.random.pick([5, 6, 8]));
}

function smallCount(s: Sequence): void {
	const count = s.random.chance(0.15) ? 0 : s.random.below(12);
	s.wish(Gpr.CX, BigInt(count));
}

function pointer(
	s: Sequence,
	register: number,
	segment: number,
	length: number,
): void {
	if (!s.isFree(register)) return;
	const base = s.segmentBase(segment) ?? 0;
	const align = s.random.chance(0.5) ? length : 1;
	s.decide(
		register,
		BigInt.asUintN(64, BigInt(s.target(length * 4, align) - base)),
	);
}

function stringWishes(s: Sequence, row: OpcodeRow): Wishes {
	const repeats = s.isFree(Gpr.CX) || s.random.chance(0.2);
	if (repeats) smallCount(s);
	const override = s.random.chance(0.15) ? s.random.below(6) : -1;
	if (row.operands.some((o) => o.startsWith("Y"))) pointer(s, Gpr.DI, 0, 8);
	if (row.operands.some((o) => o.startsWith("X"))) {
		// In 64-bit mode only FS and GS move the address.
		const segment = override < 0 ? 3 : override;
		pointer(s, Gpr.SI, segment, 8);
	}
	if (s.random.chance(0.1)) s.flags |= Flag.DF;
	return {
		override,
		noRep: !repeats,
		no67: s.mode === 32 && s.random.chance(0.9),
	};
}

function divisionWishes(s: Sequence): Wishes {
	if (s.isFree(Gpr.DX) && s.random.chance(0.7))
		s.decide(
			Gpr.DX,
			BigInt.asUintN(
				64,
				BigInt(s.random.pick([0, 0, 0, 1, -1, s.random.below(256)])),
			),
		);
	if (s.isFree(Gpr.AX) && s.random.chance(0.4))
		s.decide(Gpr.AX, BigInt(s.random.below(0x400)));
	return {};
}

/** A register that can still be given a value, for operands that need a certain one. */
function freeRegister(s: Sequence): number | undefined {
	for (let attempt = 0; attempt < 6; attempt++) {
		const register = s.random.below(s.mode === 64 ? 16 : 8);
		if (s.isFree(register)) return register;
	}
	return undefined;
}

/** r/m gets a selector: in a free register, or in memory later (`selectorAfter`). */
function selectorWishes(s: Sequence): Wishes | undefined {
	const register = freeRegister(s);
	if (register === undefined) return { memory: true };
	if (s.random.chance(0.4)) return { memory: true };
	const above = biasedInteger(s.random, s.mode) & ~0xffffn;
	s.decide(register, above | BigInt(anySelector(s.random)));
	return { rm: register, memory: false };
}

function patchTarget(s: Sequence, e: Encoded, value: bigint, length: number) {
	return (
		e.target !== undefined && e.rm < 0 && s.patchBits(e.target, value, length)
	);
}

const selectorAfter: After = (s, e) => {
	patchTarget(s, e, BigInt(anySelector(s.random)), 2);
};

/** Double shifts of 16 bits by more than 16 have no defined result. */
function doubleShiftWishes(s: Sequence, row: OpcodeRow): Wishes {
	if (row.operands[2] === "Ib") {
		const wide = s.random.chance(0.5);
		return {
			immediate: wide
				? s.random.below(256)
				: s.random.below(17) | (s.random.pick([0, 0x60]) & ~0x10),
			no66: wide,
		};
	}
	if (!s.isFree(Gpr.CX)) return { no66: true };
	const above = biasedInteger(s.random, s.mode) & ~0x1fn;
	s.decide(Gpr.CX, above | BigInt(s.random.below(17)));
	return {};
}

function loopWishes(s: Sequence): Wishes {
	smallCount(s);
	return {};
}

/** The selector of a far pointer in the instruction; those in memory come later. */
function farWishes(s: Sequence, row: OpcodeRow): Wishes {
	return row.operands[0] === "Ap" ? { immediate2: codeSelector(s) } : {};
}

/** Whether a byte that is masked out can fault is up to the processor, so none may. */
function maskedStoreWishes(s: Sequence): Wishes | undefined {
	if (!s.isFree(Gpr.DI) || s.segmentBase(3) !== 0) return undefined;
	const room = DATA_WRITABLE_BYTES - 16;
	s.decide(Gpr.DI, BigInt(DATA_BASE + s.random.below(room)));
	return { override: -1, no67: s.mode === 32 };
}

function framePointer(s: Sequence): void {
	if (s.isFree(Gpr.BP))
		s.decide(
			Gpr.BP,
			(s.gpr[Gpr.SP] as bigint) + BigInt(8 * s.random.between(-8, 16)),
		);
}

function lengths(s: Sequence): Wishes {
	for (const register of [Gpr.AX, Gpr.DX])
		if (s.isFree(register) && s.random.chance(0.8))
			s.decide(register, BigInt.asUintN(64, BigInt(s.random.between(-20, 20))));
	return {};
}

function bitWishes(s: Sequence, row: OpcodeRow): Wishes {
	if (row.operands[1] !== "Gv") return {};
	const register = freeRegister(s);
	if (register === undefined) return { memory: s.random.chance(0.1) };
	if (s.random.chance(0.6))
		s.decide(register, BigInt.asUintN(64, BigInt(s.random.between(-100, 300))));
	return { reg: register };
}

function immediateOf(choose: (random: Random) => number): Before {
	return (s) => ({ immediate: choose(s.random) });
}

/** Mnemonic → choices before encoding; undefined from one means "not now". */
export const BEFORE: Readonly<Record<string, Before>> = {
	MOVS: stringWishes,
	CMPS: stringWishes,
	STOS: stringWishes,
	LODS: stringWishes,
	SCAS: stringWishes,
	DIV: divisionWishes,
	IDIV: divisionWishes,
	SHLD: doubleShiftWishes,
	SHRD: doubleShiftWishes,
	LOOP: loopWishes,
	LOOPZ: loopWishes,
	LOOPNZ: loopWishes,
	JCXZ: (s) => {
		if (s.isFree(Gpr.CX) && s.random.chance(0.5))
			s.decide(Gpr.CX, s.random.pick([0n, 0x10000n]));
		return {};
	},
	LAR: selectorWishes,
	LSL: selectorWishes,
	VERR: selectorWishes,
	VERW: selectorWishes,
	MOV: (s, row) => (row.operands[0] === "Sw" ? selectorWishes(s) : {}),
	XLAT: (s) => {
		const override = s.random.chance(0.2) ? s.random.below(6) : -1;
		pointer(s, Gpr.BX, override < 0 ? 3 : override, 1);
		return { override };
	},
	MASKMOVQ: maskedStoreWishes,
	MASKMOVDQU: maskedStoreWishes,
	CALLF: farWishes,
	JMPF: farWishes,
	ENTER: (s) => {
		framePointer(s);
		return {
			immediate: s.random.chance(0.9)
				? s.random.below(64)
				: s.random.below(65536),
			immediate2: s.random.chance(0.7)
				? s.random.below(4)
				: s.random.below(256),
		};
	},
	LEAVE: (s) => {
		framePointer(s);
		return {};
	},
	PCMPESTRM: lengths,
	PCMPESTRI: lengths,
	BT: bitWishes,
	BTS: bitWishes,
	BTR: bitWishes,
	BTC: bitWishes,
	AAM: immediateOf((r) => (r.chance(0.6) ? 10 : r.below(256))),
	AAD: immediateOf((r) => (r.chance(0.6) ? 10 : r.below(256))),
	INT: immediateOf((r) => {
		const vector = r.chance(0.3) ? r.pick([3, 4]) : r.below(256);
		return vector === 0x80 || vectorsOfHypervisor().has(vector) ? 0x81 : vector;
	}),
};

/** Puts a code address at the top of the stack, then what else a far return pops. */
function returnFrame(
	s: Sequence,
	e: Encoded,
	far: boolean,
	flags: boolean,
): void {
	const top = s.stackTop();
	const size = e.operandSize >> 3;
	if (top === undefined) return;
	const at = s.patches.length;
	if (!s.patchBits(top, 0n, size)) return;
	if (size > 2) addDataFixup(s, top, size);
	if (far) s.patchBits(top + size, BigInt(codeSelector(s)), size);
	if (flags) s.patchBits(top + 2 * size, flagImage(s.random), size);
	if (flags && s.mode === 64) {
		s.patchBits(top + 3 * size, (s.gpr[Gpr.SP] as bigint) + 64n, size);
		const ss = s.random.chance(0.8) ? SS_FLAT : anySelector(s.random);
		s.patchBits(top + 4 * size, BigInt(ss), size);
	}
	if (s.patches.length === at) return;
}

function addDataFixup(s: Sequence, linear: number, length: number): void {
	s.fixups.push({
		kind: "data",
		at: linear,
		length,
		end: 0,
		boundary: -1 - s.instructions.length,
	});
}

/**
 * An EFLAGS image for POPF and IRET. Without NT: in 32-bit mode IRET would
 * then return from a task, which compatibility mode refuses and a 32-bit
 * kernel does not.
 */
function flagImage(random: Random): bigint {
	let image = random.bits32() & (ARITHMETIC_FLAGS | Flag.DF);
	if (random.chance(0.2)) image = random.bits32() & ~(Flag.TF | Flag.NT);
	if (random.chance(0.03)) image |= Flag.TF;
	return BigInt(image >>> 0);
}

function stackPatch(s: Sequence, value: bigint, length: number): void {
	const top = s.stackTop();
	if (top !== undefined) s.patchBits(top, value, length);
}

const farPointerAfter: After = (s, e) => {
	const size = e.operandSize >> 3;
	if (patchTarget(s, e, biasedInteger(s.random, 64), size))
		s.patchBits((e.target as number) + size, BigInt(anySelector(s.random)), 2);
};

const farBranchAfter: After = (s, e) => {
	const size = e.operandSize >> 3;
	if (!patchTarget(s, e, 0n, size)) return;
	addDataFixup(s, e.target as number, size);
	s.patchBits((e.target as number) + size, BigInt(codeSelector(s)), 2);
};

/** JMP and CALL through r/m. */
const nearBranchAfter: After = (s, e) => {
	if (e.row.operands[0] !== "Ev" || e.operandSize === 16) return;
	if (e.rm < 0) {
		if (patchTarget(s, e, 0n, e.operandSize >> 3))
			addDataFixup(s, e.target as number, e.operandSize >> 3);
	} else if (s.isFree(e.rm) && s.random.chance(0.97)) {
		s.decide(e.rm, 0n);
		s.fixups.push({
			kind: "register",
			at: e.rm,
			length: 0,
			end: 0,
			boundary: -1 - s.instructions.length,
		});
	}
};

/** x87 environment, 28 or 14 bytes, made of a state image. */
function environmentImage(random: Random, short: boolean): Uint8Array {
	const fx = randomFx(random);
	const unit = short ? 2 : 4;
	const image = new Uint8Array(7 * unit);
	if (random.chance(0.1))
		for (let i = 0; i < image.length; i += 4)
			storeBits(image, i, random.bits64(), Math.min(4, image.length - i));
	image.set(fx.subarray(0, 2), 0);
	image.set(fx.subarray(2, 4), unit);
	storeBits(image, 2 * unit, BigInt(random.below(65536)), 2);
	return image;
}

function stateImage(random: Random, short: boolean): Uint8Array {
	const environment = environmentImage(random, short);
	const image = new Uint8Array(environment.length + 80);
	image.set(environment);
	for (let i = 0; i < 8; i++)
		storeBits(image, environment.length + 10 * i, biasedExtended(random), 10);
	return image;
}

/**
 * An image to load. It must be there: reserved bits of whatever else lies in
 * memory mean different things to different processors.
 */
function imageAfter(
	make: (random: Random, short: boolean) => Uint8Array,
): After {
	return (s, e) => {
		if (e.target === undefined) return false;
		s.patch(e.target, make(s.random, e.operandSize === 16));
		return true;
	};
}

/** The destination equals the accumulator, half of the time. */
const compareExchangeAfter: After = (s, e) => {
	const accumulator = s.known(Gpr.AX);
	if (accumulator === undefined || s.random.chance(0.5)) return;
	if (e.rm < 0) patchTarget(s, e, accumulator, e.memoryLength);
	else if (s.isFree(e.rm)) s.decide(e.rm, accumulator);
};

const compareExchangeWideAfter: After = (s, e) => {
	const low = s.known(Gpr.AX);
	const high = s.known(Gpr.DX);
	if (low === undefined || high === undefined || s.random.chance(0.4)) return;
	const half = e.memoryLength * 4;
	const value =
		BigInt.asUintN(half, low) | (BigInt.asUintN(half, high) << BigInt(half));
	patchTarget(s, e, value, e.memoryLength);
};

/** Mnemonic → what to put in place once the encoding is known. */
export const AFTER: Readonly<Record<string, After>> = {
	RET: (s, e) => returnFrame(s, e, false, false),
	RETF: (s, e) => returnFrame(s, e, true, false),
	IRET: (s, e) => returnFrame(s, e, true, true),
	POPF: (s, e) => stackPatch(s, flagImage(s.random), e.operandSize >> 3),
	POP: (s, e) => {
		if (/^[EDFGS]S$/.test(e.row.operands[0] ?? ""))
			stackPatch(s, BigInt(anySelector(s.random)), 2);
	},
	CALL: nearBranchAfter,
	JMP: nearBranchAfter,
	CALLF: farBranchAfter,
	JMPF: farBranchAfter,
	LDS: farPointerAfter,
	LES: farPointerAfter,
	LSS: farPointerAfter,
	LFS: farPointerAfter,
	LGS: farPointerAfter,
	LAR: selectorAfter,
	LSL: selectorAfter,
	VERR: selectorAfter,
	VERW: selectorAfter,
	MOV: (s, e) => {
		if (e.row.operands[0] === "Sw") selectorAfter(s, e);
	},
	BOUND: (s, e) => {
		const size = e.operandSize >> 3;
		if (s.random.chance(0.3)) return;
		const limit = 1n << BigInt(8 * size - 1);
		patchTarget(s, e, s.random.chance(0.8) ? limit : 0n, size);
		s.patchBits((e.target ?? 0) + size, limit - 1n, size);
	},
	CMPXCHG: compareExchangeAfter,
	CMPXCHG8B: compareExchangeWideAfter,
	CMPXCHG16B: compareExchangeWideAfter,
	FLDCW: imageAfter((random) => {
		const image = new Uint8Array(2);
		storeBits(image, 0, BigInt(randomControlWord(random)), 2);
		return image;
	}),
	LDMXCSR: imageAfter((random) => {
		const image = new Uint8Array(4);
		// Reserved bits fault, except bit 17, which is one of AMD's own.
		const reserved = random.chance(0.05) ? random.bits32() | 0x10000 : 0;
		storeBits(image, 0, BigInt(randomMxcsr(random) | reserved), 4);
		return image;
	}),
	FLDENV: imageAfter(environmentImage),
	FRSTOR: imageAfter(stateImage),
	FXRSTOR: imageAfter((random) => randomFx(random)),
};

/** A floating-point or BCD operand of the kind the mnemonic reads. */
function typedOperand(random: Random, e: Encoded): bigint | undefined {
	const { mnemonic, feature, opcode } = e.row;
	if (feature === "x87" || mnemonic === "FISTTP") {
		if (mnemonic.startsWith("FB")) return biasedBcd(random);
		if (mnemonic.startsWith("FI"))
			return biasedInteger(random, 8 * e.memoryLength);
		if (e.memoryLength === 10) return biasedExtended(random);
		return e.memoryLength === 8 ? biasedDouble(random) : biasedSingle(random);
	}
	if (!feature.startsWith("sse")) return undefined;
	if (e.row.map === "0f" && (opcode >= 0xd0 || opcode < 0x10)) return undefined;
	const single = /PS|SS/.test(mnemonic);
	if (!single && !/PD|SD/.test(mnemonic)) return undefined;
	const width = single ? 4 : 8;
	let value = 0n;
	for (let at = 0; at < e.memoryLength; at += width)
		value |=
			(single ? biasedSingle(random) : biasedDouble(random)) << BigInt(8 * at);
	return value;
}

/** Gives a floating-point memory operand a value of its type, often. */
export function patchTypedOperand(s: Sequence, e: Encoded): void {
	if (e.rm >= 0 || e.target === undefined || e.memoryLength === 0) return;
	if (s.random.chance(0.35)) return;
	const value = typedOperand(s.random, e);
	if (value !== undefined) s.patchBits(e.target, value, e.memoryLength);
}
