/**
 * Bits of the x87 status and control words, and the encodings that are the
 * same wherever they occur. Semantics, kernels and anyone who looks into a
 * saved image rely on them.
 *
 * @journey E:610 Words the coprocessor left us
 * The x87 was a chip of its own, and still reports like one: not by faulting
 * where something went wrong, but by bits in a status word, which the *next*
 * x87 instruction trips over if the control word does not mask them.
 */

/** Exception flags, same places as their masks in the control word (Intel SDM vol. 1, "x87 FPU Status Register"). */
export const FPU_IE = 1 << 0;
export const FPU_DE = 1 << 1;
export const FPU_ZE = 1 << 2;
export const FPU_OE = 1 << 3;
export const FPU_UE = 1 << 4;
export const FPU_PE = 1 << 5;
export const FPU_EXCEPTIONS = 0x3f;
/** Stack fault: comes with IE; C1 then tells overflow (1) from underflow (0). */
export const FPU_SF = 1 << 6;
/** Exception summary: some flag is set and not masked. */
export const FPU_ES = 1 << 7;
export const FPU_C0 = 1 << 8;
export const FPU_C1 = 1 << 9;
export const FPU_C2 = 1 << 10;
export const FPU_TOP_SHIFT = 11;
export const FPU_C3 = 1 << 14;
/** Once "busy"; a copy of ES since the 387. */
export const FPU_B = 1 << 15;
export const FPU_CONDITIONS = FPU_C0 | FPU_C1 | FPU_C2 | FPU_C3;

/** Control word: precision at 8..9, rounding at 10..11. */
export const FPU_PRECISION_SHIFT = 8;
export const FPU_ROUNDING_SHIFT = 10;
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_CHOP = 3;
/** After FNINIT: everything masked, 64-bit precision, round to nearest. */
export const FPU_CONTROL_INITIAL = 0x37f;

/** A control word that programs run with: everything masked, 64-bit precision, to nearest; and the bits that say so. */
export const FPU_CONTROL_PLAIN = 0x33f;
export const FPU_CONTROL_PLAIN_MASK = 0xf3f;

/** Exponent field of infinities and NaNs; also the mask of the field. */
export const F80_EXPONENT_MAX = 0x7fff;
export const F80_SIGN = 0x8000;
export const F80_BIAS = 16383;
/** The quiet NaN that an invalid operation gives when it is masked. */
export const F80_INDEFINITE_EXPONENT = 0xffff;
export const F80_INDEFINITE_SIGNIFICAND = 0xc000_0000_0000_0000n;
/** Sign and exponent that an MMX write leaves behind: all ones. */
export const MMX_EXPONENT = 0xffff;

/** Sizes of what is added to the exponent when overflow or underflow is not masked (Intel SDM vol. 1, "Numeric Overflow Exception"). */
export const F80_BIAS_ADJUSTMENT = 24576;

/** A binary format of memory, narrower than 80 bits. */
export interface NarrowFormat {
	readonly bits: 32 | 64;
	/** Bits of the fraction, the leading 1 not counted. */
	readonly fraction: number;
	/** Largest exponent field. */
	readonly most: number;
	/** From its exponents to those of 80 bits. */
	readonly rebias: number;
}

function narrow(bits: 32 | 64, fraction: number, most: number): NarrowFormat {
	return { bits, fraction, most, rebias: F80_BIAS - (most - 1) / 2 };
}

export const NARROW_SINGLE = narrow(32, 23, 0xff);
export const NARROW_DOUBLE = narrow(64, 52, 0x7ff);
