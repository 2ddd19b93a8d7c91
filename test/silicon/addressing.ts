/**
 * Chooses among all addressing forms of ModR/M and SIB, and solves for the
 * base register or the displacement so that the operand lies where it should.
 *
 * Relies on sequence.ts; encode.ts relies on it.
 *
 * @journey M:623 Addresses at random
 */
import { Gpr, type Sequence } from "./sequence.ts";

/** Segment override prefixes by register number. */
export const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** The fields of an encoding while they are being chosen. */
export interface Draft {
	prefixes: number[];
	rex: number;
	opcode: number;
	modrm: number;
	sib: number;
	displacement: number;
	displacementLength: number;
	ripRelative: boolean;
	target: number | undefined;
	segment: number;
}

/** The address-size attribute that the prefixes chosen so far give. */
export function addressSize(s: Sequence, d: Draft): 16 | 32 | 64 {
	const has67 = d.prefixes.includes(0x67);
	if (s.mode === 64) return has67 ? 32 : 64;
	return has67 ? 16 : 32;
}

const FORMS_16 = [
	[Gpr.BX, Gpr.SI],
	[Gpr.BX, Gpr.DI],
	[Gpr.BP, Gpr.SI],
	[Gpr.BP, Gpr.DI],
	[Gpr.SI],
	[Gpr.DI],
	[Gpr.BP],
	[Gpr.BX],
] as const;

/** The segment of an address without override. */
export function defaultSegment(d: Draft, base: number): void {
	if (d.segment < 0) d.segment = base === Gpr.SP || base === Gpr.BP ? 2 : 3;
}

function setDisplacement(s: Sequence, d: Draft, value: number, wide: number) {
	const fits8 = value === (value << 24) >> 24;
	d.displacement = value;
	if (fits8 && s.random.chance(0.8)) {
		d.modrm |= 0x40;
		d.displacementLength = 1;
	} else {
		d.modrm |= 0x80;
		d.displacementLength = wide;
	}
}

/** 16-bit addressing (Intel SDM vol. 2, "16-Bit Addressing Forms with the ModR/M Byte"). */
function address16(s: Sequence, d: Draft, target: number): void {
	const { random } = s;
	// Only a segment with a base reaches mapped memory by 16 bits.
	if (d.segment < 0 && random.chance(0.85)) {
		d.segment = random.pick([4, 5]);
		d.prefixes.push(SEGMENT_PREFIXES[d.segment] as number);
	}
	const rm = random.below(8);
	if (random.chance(0.15)) {
		d.modrm |= 6;
		defaultSegment(d, -1);
		d.displacement = target - (s.segmentBase(d.segment) ?? 0);
		d.displacementLength = 2;
		return;
	}
	const registers = FORMS_16[rm] as readonly number[];
	d.modrm |= rm;
	defaultSegment(d, registers[0] === Gpr.BP ? Gpr.BP : -1);
	let sum = 0;
	for (const register of registers) {
		const value = s.known(register);
		if (value === undefined) d.target = undefined;
		sum += Number((value ?? 0n) & 0xffffn);
	}
	const offset = target - (s.segmentBase(d.segment) ?? 0);
	if (offset !== (offset & 0xffff)) d.target = undefined;
	setDisplacement(s, d, ((offset - sum) << 16) >> 16, 2);
}

/** An address without registers; RIP-relative in 64-bit mode, or through a SIB byte. */
function addressAbsolute(s: Sequence, d: Draft, target: number): void {
	d.displacementLength = 4;
	if (s.mode === 64 && s.random.chance(0.5)) {
		d.modrm |= 5;
		d.ripRelative = true;
		defaultSegment(d, -1);
		d.target = target;
		return;
	}
	defaultSegment(d, -1);
	d.displacement = target - (s.segmentBase(d.segment) ?? 0);
	if (s.mode === 32 && s.random.chance(0.8)) d.modrm |= 5;
	else {
		d.modrm |= 4;
		d.sib = 0x25 | (s.random.below(4) << 6);
	}
}

/** The value a base register must have, or undefined if it cannot be had. */
function solveBase(
	s: Sequence,
	base: number,
	bits: 32 | 64,
	offset: bigint,
): bigint | undefined {
	if (s.isFree(base)) {
		const displacement = s.random.chance(0.4)
			? 0
			: s.random.chance(0.6)
				? s.random.between(-128, 127)
				: s.random.bits32() | 0;
		let value = BigInt.asUintN(bits, offset - BigInt(displacement));
		// Address arithmetic in 32 bits must ignore the upper half.
		if (bits === 32 && s.mode === 64) value |= s.random.bits64() << 32n;
		s.decide(base, BigInt.asUintN(64, value));
		return BigInt(displacement);
	}
	const value = s.known(base);
	if (value === undefined) return undefined;
	const displacement = BigInt.asIntN(bits, offset - value);
	return displacement === BigInt.asIntN(32, displacement)
		? displacement
		: undefined;
}

function chooseIndex(s: Sequence, d: Draft, bits: 32 | 64): bigint {
	const index = s.random.below(s.mode === 64 ? 16 : 8);
	if (index === Gpr.SP) {
		d.sib = 0x20 | (s.random.below(4) << 6);
		return 0n;
	}
	const scale = s.random.below(4);
	d.sib = ((index & 7) << 3) | (scale << 6);
	if (index > 7) d.rex |= 0x42;
	if (s.isFree(index) && s.random.chance(0.8))
		s.decide(index, BigInt.asUintN(64, BigInt(s.random.between(-64, 64))));
	const value = s.known(index);
	if (value === undefined) d.target = undefined;
	return BigInt.asIntN(bits, (value ?? 0n) << BigInt(scale));
}

/** 32- and 64-bit addressing with a base, mostly, and an index, often. */
function addressRegisters(
	s: Sequence,
	d: Draft,
	bits: 32 | 64,
	target: number,
): boolean {
	const { random } = s;
	const base = random.below(s.mode === 64 ? 16 : 8);
	const useSib = (base & 7) === 4 || random.chance(0.4);
	defaultSegment(d, base);
	let offset = BigInt(target - (s.segmentBase(d.segment) ?? 0));
	if (useSib) {
		// The base must not be the index too, or it would be solved for twice.
		const indexed = chooseIndex(s, d, bits);
		if (((d.sib >> 3) & 7) + (d.rex & 2 ? 8 : 0) === base) return false;
		offset -= indexed;
		d.sib |= base & 7;
	}
	const displacement = solveBase(s, base, bits, offset);
	if (displacement === undefined) return false;
	d.modrm |= useSib ? 4 : base & 7;
	if (base > 7) d.rex |= 0x41;
	if (displacement !== 0n || (base & 7) === 5 || random.chance(0.1))
		setDisplacement(s, d, Number(BigInt.asIntN(32, displacement)), 4);
	return true;
}

/** Chooses an addressing form whose effective address is, if possible, `target`. */
export function chooseAddress(s: Sequence, d: Draft, target: number): void {
	const bits = addressSize(s, d);
	const { modrm, segment, rex } = d;
	d.target = target;
	if (bits === 16) {
		address16(s, d, target);
		return;
	}
	for (let attempt = 0; attempt < 3; attempt++) {
		if (addressRegisters(s, d, bits, target)) return;
		Object.assign(d, { modrm, segment, rex, sib: -1, displacementLength: 0 });
	}
	addressAbsolute(s, d, target);
}
