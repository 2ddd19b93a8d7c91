/**
 * Random x87, MXCSR and XMM states in the form of an FXSAVE image: every
 * rounding mode, precision and exception mask, any top of stack, empty
 * registers, sticky flags, and now and then an exception already pending.
 *
 * Relies on random.ts; cases.ts and prepare.ts rely on it.
 *
 * @journey M:628 Floating-point states
 */
import {
	biasedDouble,
	biasedExtended,
	biasedInteger,
	biasedSingle,
	type Random,
	storeBits,
} from "./random.ts";

/** An x87 control word: mostly all exceptions masked. */
export function randomControlWord(random: Random): number {
	const masks = random.chance(0.75) ? 0x3f : random.below(64);
	const precision = random.pick([3, 3, 2, 0]); // 1 is reserved
	const rounding = random.chance(0.4) ? 0 : random.below(4);
	return masks | 0x40 | (precision << 8) | (rounding << 10);
}

/** An MXCSR without reserved bits; bit 17 is AMD's alone. */
export function randomMxcsr(random: Random): number {
	const masks = random.chance(0.75) ? 0x3f : random.below(64);
	const rounding = random.chance(0.4) ? 0 : random.below(4);
	const flush = random.chance(0.15) ? 0x8000 : 0;
	const denormalsAreZero = random.chance(0.15) ? 0x40 : 0;
	const sticky = random.chance(0.5) ? 0 : random.below(64);
	return sticky | denormalsAreZero | (masks << 7) | (rounding << 13) | flush;
}

/** Status word whose ES and B agree with flags and masks, as in any state a CPU saved. */
function randomStatusWord(random: Random, control: number): number {
	const unmasked = ~control & 0x3f;
	let flags = random.chance(0.6) ? 0 : random.below(64);
	if (!random.chance(0.08)) flags &= ~unmasked;
	const pending = (flags & unmasked) !== 0 ? 0x8080 : 0;
	const stackFault = (flags & 1) !== 0 && random.chance(0.3) ? 0x40 : 0;
	const top = random.below(8) << 11;
	const conditions = random.below(16);
	return (
		flags |
		stackFault |
		pending |
		top |
		((conditions & 7) << 8) |
		((conditions & 8) << 11)
	);
}

/** Abridged tag word: one bit per physical register, set = not empty. */
function randomTags(random: Random): number {
	const kind = random.below(10);
	if (kind === 0) return 0;
	if (kind <= 2) return random.below(256);
	return random.chance(0.6) ? 0xff & ~(1 << random.below(8)) : 0xff;
}

function fillXmm(random: Random, fx: Uint8Array, at: number): void {
	const kind = random.below(4);
	if (kind === 0)
		for (let i = 0; i < 16; i += 4)
			storeBits(fx, at + i, biasedSingle(random), 4);
	else if (kind === 1)
		for (let i = 0; i < 16; i += 8)
			storeBits(fx, at + i, biasedDouble(random), 8);
	else if (kind === 2)
		for (let i = 0; i < 16; i += 4)
			storeBits(fx, at + i, biasedInteger(random, 32), 4);
	else
		for (let i = 0; i < 16; i += 8)
			storeBits(fx, at + i, biasedInteger(random, 64), 8);
}

/** A whole image that FXRSTOR accepts. */
export function randomFx(random: Random): Uint8Array {
	const fx = new Uint8Array(512);
	const control = randomControlWord(random);
	storeBits(fx, 0, BigInt(control), 2);
	storeBits(fx, 2, BigInt(randomStatusWord(random, control)), 2);
	fx[4] = randomTags(random);
	storeBits(fx, 24, BigInt(randomMxcsr(random)), 4);
	for (let i = 0; i < 8; i++)
		storeBits(fx, 32 + 16 * i, biasedExtended(random), 10);
	for (let i = 0; i < 16; i++) fillXmm(random, fx, 160 + 16 * i);
	return fx;
}
