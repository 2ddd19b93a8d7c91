/**
 * FPATAN: the angle of the point (ST(0), ST(1)).
 *
 * The smaller coordinate over the larger is brought near 0 by the angle of the
 * nearest of eight directions, exactly: for the direction k / 8,
 * tan(a - b) = (8s - kl) / (8l + ks). A short series does the rest.
 *
 * Relies on `fixed-point.ts` and `popping.ts`.
 *
 * @journey E:659 The angle of a point
 */

import type { I32, I64 } from "../semantics/emitter.ts";
import { F80_SIGN } from "../x87-bits.ts";
import {
	chooseWide,
	divideLong,
	type Long,
	loadLong,
	long,
	longOf,
	multiplyByFixed,
	multiplyFixed,
	ratio,
	roundLong,
	saveLong,
	series,
	toFixed,
	wideConstant,
} from "./fixed-point.ts";
import type { Kernel } from "./kernel.ts";
import {
	isInfinite,
	isZero,
	normalise,
	type Parts,
	signOf,
} from "./operand-class.ts";
import { poppingKernel } from "./popping.ts";
import { report, writeRegister } from "./status-word.ts";
import { Terms } from "./terms.ts";
import { admitting } from "./unary.ts";
import {
	addWide,
	divideWide,
	shiftLeftWide,
	shiftRightSticky,
	subWide,
	type Wide,
} from "./wide.ts";

/** Terms until they fall below 2^-90 for arguments up to 1/16. */
const TERMS = 13;
const SERIES = Array.from({ length: TERMS }, (_, k) =>
	ratio(1n, BigInt(2 * k + 1)),
);
/** Bits of the fixed point in which angles up to pi are added. */
const POINT = 125n;

/** atan(n / d) times 2^160, by its series: for the table, when kernels are generated. */
function arctangentScaled(n: bigint, d: bigint): bigint {
	let power = (n << 160n) / d;
	let sum = 0n;
	for (let k = 1n; power !== 0n; k += 2n) {
		sum += k % 4n === 1n ? power / k : -power / k;
		power = (power * n * n) / (d * d);
	}
	return sum;
}

/** pi by Machin's formula. */
const PI =
	(16n * arctangentScaled(1n, 5n) - 4n * arctangentScaled(1n, 239n)) >>
	(160n - POINT);

/** atan(k / 8); the last by pi, where the series would not end. */
const ANGLES = Array.from({ length: 9 }, (_, k) =>
	k === 8 ? PI / 4n : arctangentScaled(BigInt(k), 8n) >> (160n - POINT),
);

/** Slots of FLOAT_SCRATCH: numerator and denominator in, angle out. */
const NUMERATOR = 4;
const DENOMINATOR = 6;
const ANGLE = 8;

/** () : ANGLE := atan(NUMERATOR / DENOMINATOR), which is at most 1/16. */
const smallAngle: Kernel = {
	name: "atan_series",
	params: [],
	build(e) {
		const t = new Terms(e);
		const { value, sign } = loadLong(t, NUMERATOR);
		const quotient = divideLong(t, value, loadLong(t, DENOMINATOR).value);
		const x = toFixed(t, quotient);
		const sum = series(t, multiplyFixed(t, x, x), SERIES, true);
		// A trace less, as atan x is below x even where it cannot be told.
		const trace = { hi: t.i64(0), lo: t.i64(1n) };
		const angle = multiplyByFixed(t, quotient, subWide(t, sum, trace));
		saveLong(t, ANGLE, angle, sign);
	},
};

/** A constant of the table chosen at run time. */
function tableAngle(t: Terms, index: I32): Wide {
	let angle = wideConstant(t, 0n);
	for (const [k, value] of ANGLES.entries()) {
		angle = chooseWide(t, t.eq(index, k), wideConstant(t, value), angle);
	}
	return angle;
}

/** round(8 s / l) for numbers whose exponents are at most 4 apart. */
function nearestEighth(t: Terms, s: I64, l: I64, distance: I32): I32 {
	const half = t.let(t.shrU(s, 1));
	const { quotient } = divideWide(t, { hi: half, lo: t.i64(0) }, l);
	// quotient / 2^63 = s / l, still without their exponents.
	const down = t.add(distance, 59);
	const sixteenths = t.let(t.wrap(t.shrU(quotient, down)));
	return t.let(t.shrU(t.add(sixteenths, 1), 1));
}

/** (8s - kl) / (8l + ks) into the slots, exactly. */
function turnBack(t: Terms, s: I64, l: I64, distance: I32, k: I32): void {
	const zero = t.i64(0);
	const place = (m: I64, count: I32) =>
		shiftLeftWide(t, { hi: zero, lo: m }, count);
	const large = place(l, t.i32(57));
	const small = place(s, t.let(t.sub(57, distance)));
	const eight = t.i32(3);
	const left = shiftLeftWide(t, small, eight);
	const right = timesSmall(t, large, k);
	const below = t.let(
		t.or(
			t.ltU(left.hi, right.hi),
			t.and(t.eq(left.hi, right.hi), t.ltU(left.lo, right.lo)),
		),
	);
	const difference = chooseWide(
		t,
		below,
		subWide(t, right, left),
		subWide(t, left, right),
	);
	const sum = addWide(
		t,
		shiftLeftWide(t, large, eight),
		timesSmall(t, small, k),
	);
	const sign = t.mul(below, F80_SIGN);
	saveLong(t, NUMERATOR, long(t, difference, t.i32(0)), sign);
	saveLong(t, DENOMINATOR, long(t, sum, t.i32(0)), t.i32(0));
}

/** A wide number times 0..8, which fits. */
function timesSmall(t: Terms, a: Wide, k: I32): Wide {
	const factor = t.let(t.wide(k));
	const low = t.let(t.mul(t.and(a.lo, 0xffff_ffffn), factor));
	const middle = t.let(t.add(t.mul(t.shrU(a.lo, 32), factor), t.shrU(low, 32)));
	return {
		hi: t.let(t.add(t.mul(a.hi, factor), t.shrU(middle, 32))),
		lo: t.let(t.or(t.shl(middle, 32), t.and(low, 0xffff_ffffn))),
	};
}

/** A Long below 8 in the fixed point of angles. */
function toAngle(t: Terms, { m, exponent }: Long): Wide {
	return shiftRightSticky(t, m, t.sub(2, exponent));
}

function roundAngle(t: Terms, register: I32, sign: I32, angle: Wide): void {
	roundLong(t, register, sign, long(t, angle, t.i32(2)));
}

/** Everything finite and not 0. */
function ordinary(t: Terms, register: I32, x: Parts, y: Parts): void {
	const [nx, ny] = [normalise(t, x), normalise(t, y)];
	const signY = t.let(signOf(t, y.se));
	const left = t.let(t.nonzero(signOf(t, x.se)));
	const steep = t.let(
		t.or(
			t.gtS(ny.exponent, nx.exponent),
			t.and(t.eq(ny.exponent, nx.exponent), t.gtU(ny.m, nx.m)),
		),
	);
	const s = t.let(t.select(steep, nx.m, ny.m));
	const l = t.let(t.select(steep, ny.m, nx.m));
	const es = t.let(t.select(steep, nx.exponent, ny.exponent));
	const el = t.let(t.select(steep, ny.exponent, nx.exponent));
	const distance = t.let(t.sub(el, es));
	const k = t.var32(0);
	t.if(t.leS(distance, 4), () => k.set(nearestEighth(t, s, l, distance)));
	const direction = k.get();
	t.if(
		direction,
		() => turnBack(t, s, l, distance, direction),
		() => {
			saveLong(t, NUMERATOR, longOf(t, s, es), t.i32(0));
			saveLong(t, DENOMINATOR, longOf(t, l, el), t.i32(0));
		},
	);
	const exact = t.eqz(loadLong(t, NUMERATOR).value.m.hi);
	const zero = t.i64(0);
	t.if(
		exact,
		() =>
			saveLong(
				t,
				ANGLE,
				{ m: { hi: zero, lo: zero }, exponent: t.i32(0) },
				t.i32(0),
			),
		() => t.run("atan_series"),
	);
	const rest = loadLong(t, ANGLE);
	const plain = t.eqz(t.or(t.or(direction, steep), left));
	t.if(
		plain,
		() => roundLong(t, register, signY, rest.value),
		() => {
			const base = tableAngle(t, direction);
			const fraction = toAngle(t, rest.value);
			const negative = t.let(t.nonzero(rest.sign));
			const flat = chooseWide(
				t,
				negative,
				subWide(t, base, fraction),
				addWide(t, base, fraction),
			);
			const half = wideConstant(t, PI / 2n);
			const acute = chooseWide(t, steep, subWide(t, half, flat), flat);
			const whole = wideConstant(t, PI);
			const angle = chooseWide(t, left, subWide(t, whole, acute), acute);
			roundAngle(t, register, signY, angle);
		},
	);
}

/** Multiples of pi / 4, rounded. */
function constantAngle(
	t: Terms,
	register: I32,
	sign: I32,
	quarters: I32,
): void {
	const quarter = wideConstant(t, PI / 4n);
	roundAngle(t, register, sign, timesSmall(t, quarter, quarters));
}

const arctangent = poppingKernel(
	"x87_arctangent",
	(t, register, x, y, done) => {
		const signY = t.let(signOf(t, y.se));
		const left = t.let(t.nonzero(signOf(t, x.se)));
		const [zeroX, zeroY] = [t.let(isZero(t, x)), t.let(isZero(t, y))];
		const infiniteX = t.let(isInfinite(t, x));
		const infiniteY = t.let(isInfinite(t, y));
		const flat = t.let(t.or(infiniteX, zeroY));
		const upright = t.let(t.or(infiniteY, zeroX));
		admitting(t, [x, y], done, () =>
			t.if(
				t.or(flat, upright),
				() => {
					// On an axis; a corner at infinity lies on a diagonal, the origin
					// counts as a point of the x axis.
					const corner = t.and(infiniteX, infiniteY);
					const diagonal = t.select(left, 3, t.i32(1));
					const axis = t.select(flat, t.shl(left, 2), t.i32(2));
					const quarters = t.let(t.select(corner, diagonal, axis));
					t.if(
						quarters,
						() => constantAngle(t, register, signY, quarters),
						() => {
							report(t, t.i32(0));
							writeRegister(t, register, t.i64(0), signY);
						},
					);
				},
				() => ordinary(t, register, x, y),
			),
		);
	},
);

export const ARCTANGENT_KERNELS: readonly Kernel[] = [smallAngle, arctangent];
