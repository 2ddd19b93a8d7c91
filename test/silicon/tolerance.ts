/**
 * "Nearly equal", as the manuals define it: x87 transcendentals in units of
 * the last place, reciprocal approximations by relative error.
 *
 * Relies on nothing; compare.ts relies on it.
 *
 * @journey M:636 Nearly equal
 */

/** Each side may be 1 ulp away from the true value. */
const MAX_ULPS = 2n;
/** Each side may be wrong by 1.5 * 2^-12. */
const MAX_RELATIVE_ERROR = 3 / 4096;

function load(bytes: Uint8Array, offset: number, length: number): bigint {
	let value = 0n;
	for (let i = length - 1; i >= 0; i--)
		value = (value << 8n) | BigInt(bytes[offset + i] as number);
	return value;
}

/** Position of an extended number in the order of all of its sign; neighbours differ by 1. */
function ordinal(value: bigint): bigint {
	const exponent = (value >> 64n) & 0x7fffn;
	const fraction = value & ((1n << 63n) - 1n);
	return (exponent << 63n) | fraction;
}

/**
 * How much the argument of a trigonometric function blurs its result: the
 * processor reduces by a value of pi with 66 bits or so, which is part of
 * the function's definition for nobody, so an argument beyond pi/4 may move
 * the result by that much of the argument.
 */
function reductionUlps(argument: bigint, result: bigint): bigint {
	const exponent = Number((argument >> 64n) & 0x7fffn);
	if (exponent < 0x3ffe) return 0n;
	const resultExponent = Number((result >> 64n) & 0x7fffn);
	const shift = exponent - 2 - resultExponent;
	return shift <= 0 ? 1n : 1n << BigInt(Math.min(shift, 70));
}

/** Compares two 80-bit numbers; `argument` is what a trigonometric function was given. */
export function nearlyEqualExtended(
	a: Uint8Array,
	b: Uint8Array,
	offset: number,
	argument: bigint | undefined,
): boolean {
	const x = load(a, offset, 10);
	const y = load(b, offset, 10);
	if (x === y) return true;
	const special = (v: bigint) => ((v >> 64n) & 0x7fffn) === 0x7fffn;
	if (special(x) || special(y)) return false;
	const blur = argument === undefined ? 0n : reductionUlps(argument, x);
	// Around zero the sign may differ; the distance then runs through zero.
	const sameSign = x >> 79n === y >> 79n;
	const distance = sameSign ? ordinal(x) - ordinal(y) : ordinal(x) + ordinal(y);
	return (distance < 0n ? -distance : distance) <= MAX_ULPS + blur;
}

/** The 80-bit value at `offset` of a state image. */
export function extendedAt(bytes: Uint8Array, offset: number): bigint {
	return load(bytes, offset, 10);
}

/** Compares four singles of an XMM register; NaNs, infinities and zeros must be equal. */
export function nearlyEqualSingles(
	a: Uint8Array,
	b: Uint8Array,
	offset: number,
): boolean {
	const x = new DataView(a.buffer, a.byteOffset + offset, 16);
	const y = new DataView(b.buffer, b.byteOffset + offset, 16);
	for (let i = 0; i < 16; i += 4) {
		if (x.getUint32(i, true) === y.getUint32(i, true)) continue;
		const p = x.getFloat32(i, true);
		const q = y.getFloat32(i, true);
		if (!Number.isFinite(p) || !Number.isFinite(q) || p * q <= 0) return false;
		if (Math.abs(p / q - 1) > MAX_RELATIVE_ERROR) return false;
	}
	return true;
}
