/**
 * What fills the data area of a case: numbered patterns made of integers and
 * floating-point values of all classes side by side, so that an operand read
 * from nearly anywhere is interesting. Pattern 0 is all zeros, for shrinking.
 *
 * Relies on random.ts; cases, oracle and subjects rely on it.
 *
 * @journey M:608 What lies in memory
 */
import { DATA_BYTES } from "./environment.ts";
import {
	biasedBcd,
	biasedDouble,
	biasedExtended,
	biasedInteger,
	biasedSingle,
	Random,
	storeBits,
} from "./random.ts";

/** How many patterns the generator uses; few, since each is sent to the runner when it changes. */
export const PATTERN_COUNT = 64;

const made = new Map<number, Uint8Array>();

function fillSlot(random: Random, data: Uint8Array, offset: number): void {
	switch (random.below(6)) {
		case 0:
			for (let i = 0; i < 16; i += 8)
				storeBits(data, offset + i, biasedDouble(random), 8);
			return;
		case 1:
			for (let i = 0; i < 16; i += 4)
				storeBits(data, offset + i, biasedSingle(random), 4);
			return;
		case 2:
			storeBits(data, offset, biasedExtended(random), 10);
			storeBits(data, offset + 10, random.bits64(), 6);
			return;
		case 3:
			storeBits(data, offset, biasedBcd(random), 10);
			return;
		case 4:
			for (let i = 0; i < 16; i += 4)
				storeBits(data, offset + i, biasedInteger(random, 32), 4);
			return;
		default:
			for (let i = 0; i < 16; i += 8)
				storeBits(data, offset + i, biasedInteger(random, 64), 8);
	}
}

/** The bytes of a pattern; do not write to them. */
export function dataPattern(pattern: number): Uint8Array {
	let data = made.get(pattern);
	if (data === undefined) {
		data = new Uint8Array(DATA_BYTES);
		const random = new Random(pattern);
		if (pattern !== 0)
			for (let at = 0; at < DATA_BYTES; at += 16) fillSlot(random, data, at);
		made.set(pattern, data);
	}
	return data;
}
