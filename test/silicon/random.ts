/**
 * Seeded randomness with a taste for trouble: integers near the corners where
 * carries and signs change, and floating-point values of every class the
 * manuals name. The same seed gives the same run on every machine.
 *
 * Relies on nothing; the case generator relies on it.
 *
 * @journey M:606 Values with a taste for trouble
 */

/** xorshift128 (Marsaglia), seeded through splitmix32 so that small seeds differ at once. */
export class Random {
	#a: number;
	#b: number;
	#c: number;
	#d: number;

	constructor(seed: number) {
		let state = seed | 0;
		const next = () => {
			state = (state + 0x9e3779b9) | 0;
			let z = state ^ (state >>> 16);
			z = Math.imul(z, 0x21f0aaad);
			z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
			return z ^ (z >>> 15);
		};
		this.#a = next();
		this.#b = next();
		this.#c = next();
		this.#d = next() | 1;
	}

	/** 32 random bits, unsigned. */
	bits32(): number {
		let t = this.#d;
		const s = this.#a;
		this.#d = this.#c;
		this.#c = this.#b;
		this.#b = s;
		t ^= t << 11;
		t ^= t >>> 8;
		this.#a = t ^ s ^ (s >>> 19);
		return this.#a >>> 0;
	}

	/** Uniform in 0 … limit - 1, for limits well below 2^32. */
	below(limit: number): number {
		return Math.floor((this.bits32() / 0x100000000) * limit);
	}

	/** Uniform in first … last. */
	between(first: number, last: number): number {
		return first + this.below(last - first + 1);
	}

	chance(probability: number): boolean {
		return this.bits32() < probability * 0x100000000;
	}

	pick<T>(list: readonly T[]): T {
		return list[this.below(list.length)] as T;
	}

	bits64(): bigint {
		return (BigInt(this.bits32()) << 32n) | BigInt(this.bits32());
	}
}

/** An integer of `bits` bits: corners, powers of two and their neighbours, small, or any. */
export function biasedInteger(random: Random, bits: number): bigint {
	const mask = (1n << BigInt(bits)) - 1n;
	switch (random.below(8)) {
		case 0:
			return random.pick([0n, 1n, mask, mask >> 1n, (mask >> 1n) + 1n]);
		case 1:
			return BigInt(random.below(256)) & mask;
		case 2:
			return -BigInt(random.below(256)) & mask;
		case 3: {
			const power = 1n << BigInt(random.below(bits));
			return (power + BigInt(random.between(-1, 1))) & mask;
		}
		case 4: {
			// The corner of a narrower width, with any bits above it.
			const narrow = BigInt(random.pick([8, 16, 32]));
			const corner = (1n << (narrow - 1n)) - BigInt(random.below(2));
			return (((random.bits64() >> narrow) << narrow) | corner) & mask;
		}
		default:
			return random.bits64() & mask;
	}
}

/** An 8-, 16- or 32-bit pattern as a number; what immediates are made of. */
export function biasedImmediate(random: Random, bits: 8 | 16 | 32): number {
	return Number(biasedInteger(random, bits));
}

/** Exponents that reach overflow, underflow, integers and each other. */
function biasedExponent(random: Random, bias: number): number {
	const top = 2 * bias + 1;
	switch (random.below(10)) {
		case 0:
			return random.pick([0, top]);
		case 1:
			return random.between(0, 3);
		case 2:
			return top - random.below(4);
		case 3:
			return random.between(0, top);
		case 4:
			return bias + random.between(-70, 70);
		case 5:
			return (bias >> 1) + random.between(-4, 4);
		case 6:
			return bias + (bias >> 1) + random.between(-4, 4);
		default:
			return bias + random.between(-6, 6);
	}
}

/** A fraction: empty, full, one bit, few leading bits, few trailing bits, any. */
function biasedFraction(random: Random, bits: number): bigint {
	const mask = (1n << BigInt(bits)) - 1n;
	switch (random.below(8)) {
		case 0:
			return 0n;
		case 1:
			return mask;
		case 2:
			return 1n << BigInt(random.below(bits));
		case 3:
			return (BigInt(random.below(16)) << BigInt(bits - 4)) & mask;
		case 4:
			return BigInt(random.below(16));
		case 5:
			return mask - BigInt(random.below(16));
		default:
			return random.bits64() & mask;
	}
}

/** A binary32 pattern. */
export function biasedSingle(random: Random): bigint {
	const sign = BigInt(random.below(2)) << 31n;
	const exponent = BigInt(biasedExponent(random, 127)) << 23n;
	return sign | exponent | biasedFraction(random, 23);
}

/** A binary64 pattern. */
export function biasedDouble(random: Random): bigint {
	const sign = BigInt(random.below(2)) << 63n;
	const exponent = BigInt(biasedExponent(random, 1023)) << 52n;
	return sign | exponent | biasedFraction(random, 52);
}

/**
 * An 80-bit pattern: mostly a normal number, sometimes one that fits a
 * shorter format exactly or nearly, and each class of odd encoding
 * (Intel SDM vol. 1, "Unsupported Double Extended-Precision Encodings").
 */
export function biasedExtended(random: Random): bigint {
	const sign = BigInt(random.below(2)) << 79n;
	const fraction = biasedFraction(random, 63);
	const integerBit = 1n << 63n;
	const compose = (exponent: number, significand: bigint) =>
		sign | (BigInt(exponent & 0x7fff) << 64n) | significand;
	switch (random.below(16)) {
		case 0: // zero, denormal, pseudo-denormal
			return compose(0, random.chance(0.3) ? integerBit | fraction : fraction);
		case 1: // infinity, NaN
			return compose(0x7fff, integerBit | (random.chance(0.4) ? 0n : fraction));
		case 2: // unnormal, pseudo-infinity, pseudo-NaN
			return compose(
				random.chance(0.5) ? 0x7fff : random.between(1, 0x7ffe),
				fraction,
			);
		case 3: // small integers and halves
			return compose(
				0x3fff + random.below(70),
				integerBit | (BigInt(random.below(256)) << 55n),
			);
		case 4: // edges of the single and double formats
			return compose(
				0x3fff +
					random.pick([-127, -126, -149, 127, 128, -1022, -1074, 1023, 1024]) +
					random.between(-2, 2),
				integerBit | fraction,
			);
		case 5:
			return compose(random.between(1, 0x7ffe), integerBit | fraction);
		case 6:
			return compose(random.pick([1, 2, 64, 0x7ffe]), integerBit | fraction);
		case 7: // rounds at bit 24 or 53
			return compose(
				0x3fff + random.between(-3, 3),
				integerBit |
					(fraction & ~(random.chance(0.5) ? 0x3ffn : 0x7fffffffffn)),
			);
		default:
			return compose(0x3fff + random.between(-8, 40), integerBit | fraction);
	}
}

/** Ten bytes of packed BCD, sometimes with digits that are none. */
export function biasedBcd(random: Random): bigint {
	let value = BigInt(random.pick([0, 0, 0x80, 0x80, random.below(256)]));
	const digits = random.below(19);
	for (let i = 17; i >= 0; i--)
		value = (value << 4n) | BigInt(i < digits ? random.below(10) : 0);
	return random.chance(0.05) ? value ^ (random.bits64() & 0xffn) : value;
}

/** Writes the low bytes of `value`, little-endian. */
export function storeBits(
	bytes: Uint8Array,
	offset: number,
	value: bigint,
	length: number,
): void {
	// Through numbers, 32 bits at a time: this runs for every register of every case.
	let rest = value;
	for (let i = 0; i < length; ) {
		let word = Number(BigInt.asUintN(32, rest));
		rest >>= 32n;
		for (const end = Math.min(i + 4, length); i < end; i++) {
			bytes[offset + i] = word & 0xff;
			word >>>= 8;
		}
	}
}
