/**
 * The mode key: the few facts about the CPU's mode that decoded code depends
 * on. Decoded records and regions are made for one key and are only run under
 * it, so that semantics can treat these facts as constants.
 *
 * | bits | meaning |
 * | --- | --- |
 * | 0..1 | code size: 0 = 16, 1 = 32, 2 = 64 (CS.D, or long mode with CS.L) |
 * | 2..3 | stack size: 0 = 16, 1 = 32, 2 = 64 (SS.B) |
 * | 4 | flat: CS, DS, ES and SS have base 0 and reach all of memory unchecked |
 *
 * @journey E:220 What code depends on besides its bytes
 */

import type { SizeAttribute } from "./decode/instruction.ts";

/** A mode key; equal keys share decoded code. */
export type Mode = number;

export const MODE_FLAT = 1 << 4;
/** The bits of the code size, and what they are for 64. */
export const MODE_CODE_SIZE = 3;
export const MODE_CODE_64 = 2;
/** Number of different keys. */
export const MODE_COUNT = 32;

const SIZES: readonly SizeAttribute[] = [16, 32, 64];

export function makeMode(
	codeSize: SizeAttribute,
	stackSize: SizeAttribute,
	flat: boolean,
): Mode {
	return (
		SIZES.indexOf(codeSize) |
		(SIZES.indexOf(stackSize) << 2) |
		(flat ? MODE_FLAT : 0)
	);
}

export function modeCodeSize(mode: Mode): SizeAttribute {
	return SIZES[mode & MODE_CODE_SIZE] as SizeAttribute;
}

export function modeStackSize(mode: Mode): SizeAttribute {
	return SIZES[(mode >> 2) & 3] as SizeAttribute;
}
