/**
 * Memory operands: the two ModR/M tables (16-bit, and 32/64-bit with SIB).
 * `readMemoryReference` gets the ModR/M byte and the bytes after it and
 * leaves the number of bytes it used in `addressingLengthBytes`.
 *
 * Reads may run past the bytes that the decoder was allowed to see; the
 * decoder compares lengths afterwards and drops the result, so nothing has
 * to be checked here byte by byte.
 *
 * @journey E:134 ModR/M and SIB
 */

import { type MemoryReference, SegmentRegister } from "./instruction.ts";

/** Bytes of SIB and displacement that the last `readMemoryReference` used. */
export let addressingLengthBytes = 0;

const BX = 3;
const RSP = 4;
const BP = 5;
const SI = 6;
const DI = 7;

/** Intel SDM vol. 2, "16-Bit Addressing Forms with the ModR/M Byte", by r/m. */
const BASES_16 = [BX, BX, BP, BP, SI, DI, BP, BX];
const INDEXES_16 = [SI, DI, SI, DI, -1, -1, -1, -1];

/**
 * `offset` is that of the byte after ModR/M; `override` a segment or -1;
 * `rexX` and `rexB` are 0 or 8.
 */
export function readMemoryReference(
	bytes: Uint8Array,
	offset: number,
	modrm: number,
	addressSize: number,
	is64: boolean,
	override: number,
	rexX: number,
	rexB: number,
): MemoryReference {
	return addressSize === 16
		? readReference16(bytes, offset, modrm, override)
		: readReference32(bytes, offset, modrm, is64, override, rexX, rexB);
}

function readReference16(
	bytes: Uint8Array,
	offset: number,
	modrm: number,
	override: number,
): MemoryReference {
	const mod = modrm >> 6;
	const rm = modrm & 7;
	const absolute = mod === 0 && rm === 6;
	const base = absolute ? -1 : BASES_16[rm];
	const index = absolute ? -1 : INDEXES_16[rm];
	let displacement = 0;
	addressingLengthBytes = 0;
	if (mod === 1) displacement = readByteDisplacement(bytes, offset);
	else if (mod === 2 || absolute) {
		displacement = readInt16(bytes, offset);
		addressingLengthBytes = 2;
	}
	const segment = segmentOf(override, base);
	return reference(segment, base, index, 0, displacement, false);
}

function readReference32(
	bytes: Uint8Array,
	offset: number,
	modrm: number,
	is64: boolean,
	override: number,
	rexX: number,
	rexB: number,
): MemoryReference {
	const mod = modrm >> 6;
	let low = modrm & 7;
	let index = -1;
	let scale = 0;
	let next = offset;
	const hasSib = low === RSP;
	if (hasSib) {
		const sib = bytes[next++];
		index = ((sib >> 3) & 7) | rexX;
		if (index === RSP) index = -1;
		scale = index < 0 ? 0 : sib >> 6;
		low = sib & 7;
	}
	// Without a base only the low three bits count: R13 is no base either.
	const baseless = mod === 0 && low === BP;
	const base = baseless ? -1 : low | rexB;
	let displacement = 0;
	addressingLengthBytes = next - offset;
	if (mod === 1) displacement = readByteDisplacement(bytes, next);
	else if (mod === 2 || baseless) {
		displacement = readInt32(bytes, next);
		addressingLengthBytes += 4;
	}
	const ripRelative = is64 && baseless && !hasSib;
	const segment = segmentOf(override, base);
	return reference(segment, base, index, scale, displacement, ripRelative);
}

function readByteDisplacement(bytes: Uint8Array, offset: number): number {
	addressingLengthBytes++;
	return (bytes[offset] << 24) >> 24;
}

/** Bases rBP and rSP mean the stack (Intel SDM vol. 1, "Specifying a Segment Selector"). */
function segmentOf(override: number, base: number): SegmentRegister {
	if (override >= 0) return override as SegmentRegister;
	return base === RSP || base === BP ? SegmentRegister.SS : SegmentRegister.DS;
}

function reference(
	segment: SegmentRegister,
	base: number,
	index: number,
	scale: number,
	displacement: number,
	ripRelative: boolean,
): MemoryReference {
	return { segment, base, index, scale, displacement, ripRelative };
}

/** Little-endian, sign-extended; bytes beyond the array read as zero. */
export function readInt16(bytes: Uint8Array, offset: number): number {
	const low = bytes[offset];
	const high = bytes[offset + 1];
	return low | ((high << 24) >> 16);
}

/** Little-endian; bytes beyond the array read as zero. */
export function readInt32(bytes: Uint8Array, offset: number): number {
	return (
		bytes[offset] |
		(bytes[offset + 1] << 8) |
		(bytes[offset + 2] << 16) |
		(bytes[offset + 3] << 24)
	);
}
