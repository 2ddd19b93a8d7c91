/**
 * 128-bit unsigned arithmetic as pairs of i64: products, shifts that remember
 * what they lost, and a 128-by-64 division.
 *
 * Relies on `terms.ts`; the arithmetic kernels rely on it.
 *
 * @journey E:614 Twice as wide as the machine
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import type { Terms } from "./terms.ts";

/** hi * 2^64 + lo. */
export interface Wide {
	readonly hi: I64;
	readonly lo: I64;
}

const LOW = 0xffff_ffffn;

/** The full product; no partial sum of the four 32-bit products exceeds 64 bits. */
export function multiplyWide(t: Terms, a: I64, b: I64): Wide {
	const [a0, a1] = [t.let(t.and(a, LOW)), t.let(t.shrU(a, 32))];
	const [b0, b1] = [t.let(t.and(b, LOW)), t.let(t.shrU(b, 32))];
	const low = t.let(t.mul(a0, b0));
	const middle = t.let(t.add(t.mul(a1, b0), t.shrU(low, 32)));
	const cross = t.let(t.add(t.mul(a0, b1), t.and(middle, LOW)));
	const carried = t.add(t.shrU(middle, 32), t.shrU(cross, 32));
	return {
		hi: t.let(t.add(t.mul(a1, b1), carried)),
		lo: t.let(t.or(t.shl(cross, 32), t.and(low, LOW))),
	};
}

/** Upper half of the product, which is all that fixed-point fractions need. */
export function multiplyHigh(t: Terms, a: I64, b: I64): I64 {
	return multiplyWide(t, a, b).hi;
}

export function addWide(t: Terms, a: Wide, b: Wide): Wide {
	const lo = t.let(t.add(a.lo, b.lo));
	const carry = t.wide(t.ltU(lo, a.lo));
	return { hi: t.let(t.add(t.add(a.hi, b.hi), carry)), lo };
}

export function subWide(t: Terms, a: Wide, b: Wide): Wide {
	const borrow = t.wide(t.ltU(a.lo, b.lo));
	const hi = t.let(t.sub(t.sub(a.hi, b.hi), borrow));
	return { hi, lo: t.let(t.sub(a.lo, b.lo)) };
}

/** a < b. */
export function lessWide(t: Terms, a: Wide, b: Wide): I32 {
	const low = t.and(t.eq(a.hi, b.hi), t.ltU(a.lo, b.lo));
	return t.let(t.or(t.ltU(a.hi, b.hi), low));
}

/** Shifted left by 0..63. The two steps keep a count of 0 from becoming 64. */
export function shiftLeftWide(t: Terms, a: Wide, count: I32): Wide {
	const n = t.let(count);
	const crossing = t.shrU(t.shrU(a.lo, 1), t.sub(63, n));
	return {
		hi: t.let(t.or(t.shl(a.hi, n), crossing)),
		lo: t.let(t.shl(a.lo, n)),
	};
}

/** Shifted right by 0..63, dropping bits without trace. */
export function shiftRightWide(t: Terms, a: Wide, count: I32): Wide {
	const n = t.let(count);
	const crossing = t.shl(t.shl(a.hi, 1), t.sub(63, n));
	return {
		hi: t.let(t.shrU(a.hi, n)),
		lo: t.let(t.or(t.shrU(a.lo, n), crossing)),
	};
}

/**
 * Shifted right by any count from 0 up; what falls off the end stays as a
 * "sticky" lowest bit, so that rounding still knows it was there.
 */
export function shiftRightSticky(t: Terms, a: Wide, count: I32): Wide {
	const n = t.let(count);
	const hi = t.var64(a.hi);
	const lo = t.var64(a.lo);
	t.if(
		t.ltU(n, 64),
		() => {
			const lost = t.shl(t.shl(a.lo, 1), t.sub(63, n));
			const shifted = shiftRightWide(t, a, n);
			const sticky = t.let(t.wide(t.nonzero(lost)));
			hi.set(shifted.hi);
			lo.set(t.or(shifted.lo, sticky));
		},
		() => {
			const rest = t.let(t.sub(n, 64));
			const lost = t.or(a.lo, t.shl(t.shl(a.hi, 1), t.sub(63, rest)));
			const near = t.or(t.shrU(a.hi, rest), t.wide(t.nonzero(lost)));
			const far = t.wide(t.nonzero(t.or(a.hi, a.lo)));
			lo.set(t.select(t.ltU(rest, 64), near, far));
			hi.set(t.i64(0));
		},
	);
	return { hi: hi.get(), lo: lo.get() };
}

/**
 * (hi:lo) / divisor for a normalised divisor (bit 63 set) and hi < divisor:
 * two digits of 32 bits, each estimated from the divisor's upper half, at most
 * two too large (Knuth, The Art of Computer Programming vol. 2, algorithm D).
 */
export function divideWide(
	t: Terms,
	{ hi, lo }: Wide,
	divisor: I64,
): { quotient: I64; remainder: I64 } {
	const d1 = t.let(t.shrU(divisor, 32));
	const d0 = t.let(t.and(divisor, LOW));
	const digit = (rest: I64, next: I64): { digit: I64; rest: I64 } => {
		const q = t.var64(t.e.divU(rest, d1));
		const r = t.var64(t.sub(rest, t.mul(q.get(), d1)));
		t.loop((again) => {
			const estimate = q.get();
			const left = r.get();
			const tooBig = t.let(
				t.or(
					t.gtU(estimate, LOW),
					t.gtU(t.mul(estimate, d0), t.or(t.shl(left, 32), next)),
				),
			);
			t.if(tooBig, () => {
				q.set(t.sub(estimate, 1));
				r.set(t.add(left, d1));
				again(t.leU(r.get(), LOW));
			});
		});
		const found = q.get();
		// Exact modulo 2^64, and the true remainder is below the divisor.
		const below = t.sub(t.or(t.shl(rest, 32), next), t.mul(found, divisor));
		return { digit: found, rest: t.let(below) };
	};
	const first = digit(hi, t.let(t.shrU(lo, 32)));
	const second = digit(first.rest, t.let(t.and(lo, LOW)));
	return {
		quotient: t.let(t.or(t.shl(first.digit, 32), second.digit)),
		remainder: second.rest,
	};
}
