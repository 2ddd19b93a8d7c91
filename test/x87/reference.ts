/**
 * The transcendental functions to a few hundred bits in plain bigint
 * arithmetic: slow, simple, and sharing nothing with the kernels.
 *
 * A number is a bigint in units of 2^-bits.
 *
 * @journey M:756 The truth, slowly
 */

/** pi / 2 as processors reduce by it, in units of 2^-65. */
const HALF_PI_66 = 0x3_243f_6a88_85a3_08d3n;

/** An 80-bit number's value as m * 2^exponent. */
export interface Exact {
	readonly m: bigint;
	readonly exponent: number;
}

/** Finite numbers only. */
export function exactOf(m: bigint, se: number): Exact {
	const field = Math.max(se & 0x7fff, 1);
	return { m: se & 0x8000 ? -m : m, exponent: field - 16383 - 63 };
}

/** In units of 2^-bits, cut off. */
export function scaled({ m, exponent }: Exact, bits: number): bigint {
	const shift = BigInt(exponent + bits);
	return shift >= 0n ? m << shift : m >> -shift;
}

function sum(first: bigint, next: (term: bigint, k: bigint) => bigint): bigint {
	let total = 0n;
	let term = first;
	for (let k = 1n; term !== 0n && term !== -1n; k++) {
		total += term;
		term = next(term, k);
	}
	return total;
}

/** Sine and cosine of x, reduced by the processor's pi. */
export function sineAndCosine(
	x: bigint,
	bits: number,
): { sine: bigint; cosine: bigint } {
	const b = BigInt(bits);
	const quarter = HALF_PI_66 << (b - 65n);
	let turns = (x + quarter / 2n) / quarter;
	if (x + quarter / 2n < 0n) turns -= 1n;
	const r = x - turns * quarter;
	const square = (r * r) >> b;
	const series = (first: bigint, offset: bigint) =>
		sum(first, (term, k) => {
			const divisor = (2n * k - offset) * (2n * k + 1n - offset);
			return -((term * square) >> b) / divisor;
		});
	const sine = series(r, 0n);
	const cosine = series(1n << b, 1n);
	switch (((turns % 4n) + 4n) % 4n) {
		case 0n:
			return { sine, cosine };
		case 1n:
			return { sine: cosine, cosine: -sine };
		case 2n:
			return { sine: -sine, cosine: -cosine };
		default:
			return { sine: -cosine, cosine: sine };
	}
}

function squareRoot(value: bigint): bigint {
	if (value < 2n) return value;
	let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
	for (;;) {
		const next = (root + value / root) >> 1n;
		if (next >= root) return root;
		root = next;
	}
}

/** atan of n / d, both positive. */
function arctangentOf(n: bigint, d: bigint, bits: number): bigint {
	const b = BigInt(bits);
	if (n > d) return halfPi(bits) - arctangentOf(d, n, bits);
	let z = (n << b) / d;
	const halvings = 8n;
	for (let i = 0n; i < halvings; i++) {
		const root = squareRoot((1n << (2n * b)) + z * z);
		z = (z << b) / ((1n << b) + root);
	}
	return arctangentSeries(z, b) << halvings;
}

function arctangentSeries(z: bigint, b: bigint): bigint {
	const square = (z * z) >> b;
	let total = 0n;
	let power = z;
	for (let k = 1n; power > 0n; k += 2n) {
		total += k % 4n === 1n ? power / k : -(power / k);
		power = (power * square) >> b;
	}
	return total;
}

/** The real pi / 2: twice atan(1/2) + twice atan(1/3). */
function halfPi(bits: number): bigint {
	const b = BigInt(bits);
	const one = 1n << b;
	const angle = (n: bigint) => arctangentSeries(one / n, b);
	return 2n * (angle(2n) + angle(3n));
}

/** The angle of (x, y), 0 < |y|, x not 0. */
export function angle(x: bigint, y: bigint, bits: number): bigint {
	const size = (v: bigint) => (v < 0n ? -v : v);
	const acute = arctangentOf(size(y), size(x), bits);
	const positive = x < 0n ? 2n * halfPi(bits) - acute : acute;
	return y < 0n ? -positive : positive;
}

/** ln of n / d for 1/2 <= n / d <= 2. */
function logarithmOf(n: bigint, d: bigint, bits: number): bigint {
	const b = BigInt(bits);
	const z = ((n - d) << b) / (n + d);
	const square = (z * z) >> b;
	let total = 0n;
	let power = z;
	for (let k = 1n; power !== 0n && power !== -1n; k += 2n) {
		total += power / k;
		power = (power * square) >> b;
	}
	return 2n * total;
}

/** log2 of a positive number of any size. */
export function logarithm2(x: bigint, bits: number): bigint {
	const b = BigInt(bits);
	const ln2 = logarithmOf(2n, 1n, bits);
	const power = BigInt(x.toString(2).length - 1) - b;
	const unit = 1n << (b + power);
	const fraction = (logarithmOf(x, unit, bits) << b) / ln2;
	return (power << b) + fraction;
}

/** 2^x - 1 for |x| <= 1. */
export function powerLessOne(x: bigint, bits: number): bigint {
	const b = BigInt(bits);
	const y = (x * logarithmOf(2n, 1n, bits)) >> b;
	return sum(y, (term, k) => (term * y) / (k + 1n) / (1n << b));
}
