/**
 * Multiplication and division, up to 64 × 64 → 128 bits and back.
 *
 * The machine type below has no 128-bit arithmetic, so products of 64 bits
 * are put together from four of 32, and a quotient that really needs 128 bits
 * is found bit by bit; the common case, a dividend that is a mere extension,
 * takes one machine division.
 *
 * Relies on the emitter and `integer-values.ts`.
 *
 * @journey E:328 Twice the width
 */

import type {
	Emitter,
	I32,
	I64,
	Integer,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import { first, pair, RAX, RDX, readAs, VECTOR_DE } from "./integer-values.ts";

/** Both halves of a product; `high` is as signed as the multiplication. */
interface Product {
	readonly low: Integer;
	readonly high: Integer;
}

const lowHalf = (e: Emitter, a: I64): I64 => e.and(a, e.i64(0xffff_ffffn));
const highHalf = (e: Emitter, a: I64): I64 => e.shrU(a, e.i64(32));

/** Upper 64 bits of the unsigned product, by schoolbook with 32-bit digits; no partial sum exceeds 64 bits. */
function multiplyHighUnsigned(e: Emitter, a: I64, b: I64): I64 {
	const [a0, a1] = [e.let(lowHalf(e, a)), e.let(highHalf(e, a))];
	const [b0, b1] = [e.let(lowHalf(e, b)), e.let(highHalf(e, b))];
	const middle = e.let(e.add(e.mul(a1, b0), highHalf(e, e.mul(a0, b0))));
	const cross = e.let(e.add(e.mul(a0, b1), lowHalf(e, middle)));
	const carried = e.add(highHalf(e, middle), highHalf(e, cross));
	return e.let(e.add(e.mul(a1, b1), carried));
}

/** A negative factor counts 2^64 too much of the other one in the unsigned product. */
function multiplyHighSigned(e: Emitter, a: I64, b: I64): I64 {
	const sign = (x: I64) => e.shrS(x, e.i64(63));
	const excess = e.add(e.and(sign(a), b), e.and(sign(b), a));
	return e.let(e.sub(multiplyHighUnsigned(e, a, b), excess));
}

/** a * b in full; the factors have `width` bits, in their plain type. */
function multiply(
	e: Emitter,
	width: number,
	signed: boolean,
	a: Integer,
	b: Integer,
): Product {
	if (width === 64) {
		const factors = [a as I64, b as I64] as const;
		const high = signed ? multiplyHighSigned : multiplyHighUnsigned;
		return { low: e.let(e.mul(...factors)), high: high(e, ...factors) };
	}
	const double = width === 32 ? 64 : 32;
	const product = e.let(
		e.mul(extended(e, width, signed, a), extended(e, width, signed, b)),
	);
	const count = e.constant(double, width);
	const high = signed ? e.shrS(product, count) : e.shrU(product, count);
	return { low: e.toWidth(width, product), high: e.toWidth(width, high) };
}

/** The low `width` bits of `value` in a type of at least twice the width. */
function extended(
	e: Emitter,
	width: number,
	signed: boolean,
	value: Integer,
): Integer {
	if (width < 32) {
		return signed ? e.signExtend(width, value) : e.zeroExtend(width, value);
	}
	const narrow = e.wrap(value);
	return signed ? e.extendS(narrow) : e.extendU(narrow);
}

/** CF = OF = the upper half matters. SF by the lower half, as most processors do; the manual leaves the rest undefined. */
function setProductFlags(
	e: Emitter,
	width: number,
	signed: boolean,
	{ low, high }: Product,
): void {
	const filler = signed ? signOf(e, width, low) : e.constant(width, 0);
	const matters = e.let(
		e.ne(e.zeroExtend(width, high), e.zeroExtend(width, filler)),
	);
	e.setFlagsFrom(width, low, { CF: matters, OF: matters, AF: e.i32(0) });
}

/** All bits equal to the sign bit of a `width`-bit value. */
function signOf(e: Emitter, width: number, value: Integer): Integer {
	const bits = width === 64 ? 64 : 32;
	return e.shrS(e.signExtend(width, value), e.constant(bits, bits - 1));
}

/** MUL and the one-operand IMUL: rDX:rAX (AX for bytes) = rAX * operand. */
const multiplyAccumulator =
	(signed: boolean): Semantics =>
	(e, form) => {
		const source = first(form);
		const { width } = source;
		const factor = source.read();
		const accumulator = e.readGpr(RAX, width);
		const product = multiply(e, width, signed, accumulator, factor);
		setProductFlags(e, width, signed, product);
		if (width === 8) {
			const high = e.shl(product.high, e.constant(16, 8));
			e.writeGpr(RAX, 16, e.or(high, e.zeroExtend(8, product.low)));
			return;
		}
		e.writeGpr(RAX, width, product.low);
		e.writeGpr(RDX, width, product.high);
	};

/** IMUL with two or three operands keeps the lower half only. */
const imul: Semantics = (e, form) => {
	if (form.operands.length === 1) {
		multiplyAccumulator(true)(e, form);
		return;
	}
	const [destination, source] = pair(form);
	const { width } = destination;
	const factor = form.operands[2] ?? destination;
	const b = readAs(e, factor, width);
	const a = source.read();
	const { low: half, high } = multiply(e, width, true, a, b);
	// By itself: where nobody asks for the flags, nobody needs the whole product.
	const low = width === 32 ? e.let(e.mul(e.wrap(a), e.wrap(b))) : half;
	destination.write(low);
	setProductFlags(e, width, true, { low, high });
};

/** Dividend, divisor, and where quotient and remainder go. */
interface Division {
	readonly quotient: Integer;
	readonly remainder: Integer;
}

function deliver(e: Emitter, width: number, result: Division): void {
	e.writeGpr(RAX, width, e.toWidth(width, result.quotient));
	const remainder = e.toWidth(width, result.remainder);
	if (width === 8) e.writeHighByte(RAX, e.wrap(remainder));
	else e.writeGpr(RDX, width, remainder);
}

/** AX, DX:AX or EDX:EAX as one value of twice `width` bits. */
function readDividend(e: Emitter, width: number): Integer {
	if (width === 8) return e.readGpr(RAX, 16);
	const double = width * 2;
	const high = e.toWidth(double, e.readGpr(RDX, width));
	const low = e.toWidth(double, e.readGpr(RAX, width));
	return e.let(e.or(e.shl(high, e.constant(double, width)), low));
}

/** #DE when the quotient does not fit: high half >= divisor, which covers zero. */
const div: Semantics = (e, form) => {
	const source = first(form);
	const { width } = source;
	const divisor = source.read();
	if (width === 64) {
		deliver(e, 64, divideWide(e, divisor as I64));
		return;
	}
	const double = width * 2;
	const dividend = readDividend(e, width);
	const wide = e.let(e.toWidth(double, divisor));
	const high = e.shrU(dividend, e.constant(double, width));
	e.faultIf(e.geU(high, wide), VECTOR_DE);
	deliver(e, width, {
		quotient: e.let(e.divU(dividend, wide)),
		remainder: e.let(e.remU(dividend, wide)),
	});
};

/** #DE for zero and when the quotient is no `width`-bit signed number; -2^n / -1 would trap the machine below. */
const idiv: Semantics = (e, form) => {
	const source = first(form);
	const { width } = source;
	if (width === 64) {
		deliver(e, 64, divideWideSigned(e, source.read() as I64));
		return;
	}
	const wide = e.let(extended(e, width, true, source.read()));
	const unsigned = readDividend(e, width);
	const dividend = width === 8 ? e.let(e.signExtend(16, unsigned)) : unsigned;
	e.faultIf(e.or(e.eqz(wide), overflows(e, dividend, wide)), VECTOR_DE);
	const quotient = e.let(e.divS(dividend, wide));
	e.faultIf(e.ne(quotient, e.signExtend(width, quotient)), VECTOR_DE);
	const remainder = e.let(e.remS(dividend, wide));
	deliver(e, width, { quotient, remainder });
};

/** The one signed division whose quotient the machine type cannot hold. */
function overflows(e: Emitter, dividend: Integer, divisor: Integer): I32 {
	const [minimum, minusOne] =
		dividend.type === "i64"
			? [e.i64(-(1n << 63n)), e.i64(-1n)]
			: [e.i32(-(2 ** 31)), e.i32(-1)];
	return e.and(
		e.eq<Integer>(dividend, minimum),
		e.eq<Integer>(divisor, minusOne),
	);
}

/** RDX:RAX / divisor, unsigned. */
function divideWide(e: Emitter, divisor: I64): Division {
	const high = e.readGpr(RDX, 64) as I64;
	const low = e.readGpr(RAX, 64) as I64;
	e.faultIf(e.geU(high, divisor), VECTOR_DE);
	return divide128(e, high, low, divisor);
}

/** high:low / divisor, where high < divisor. */
function divide128(e: Emitter, high: I64, low: I64, divisor: I64): Division {
	const quotient = e.variable(low);
	const remainder = e.variable(high);
	e.if(
		e.eqz(high),
		() => {
			quotient.set(e.divU(low, divisor));
			remainder.set(e.remU(low, divisor));
		},
		() => divideBitwise(e, quotient, remainder, divisor),
	);
	return { quotient: quotient.get(), remainder: remainder.get() };
}

/**
 * Long division in base 2: the dividend moves left out of `low` into
 * `remainder`, quotient bits move in behind it. A bit lost at the top of
 * `remainder` means that the divisor fits for certain.
 */
function divideBitwise(
	e: Emitter,
	low: { get(): I64; set(value: I64): void },
	remainder: { get(): I64; set(value: I64): void },
	divisor: I64,
): void {
	const left = e.variable(e.i32(64));
	const one = e.i64(1);
	const top = (value: I64) => e.shrU(value, e.i64(63));
	e.loop((again) => {
		const before = e.let(remainder.get());
		const old = e.let(low.get());
		const shifted = e.let(e.or(e.shl(before, one), top(old)));
		const lost = e.wrap(top(before));
		const fits = e.let(e.or(lost, e.geU(shifted, divisor)));
		remainder.set(e.select(fits, e.sub(shifted, divisor), shifted));
		low.set(e.or(e.shl(old, one), e.extendU(fits)));
		left.set(e.sub(left.get(), e.i32(1)));
		again(left.get());
	});
}

/** RDX:RAX / divisor, signed: magnitudes divide, then the signs come back. The remainder has the dividend's. */
function divideWideSigned(e: Emitter, divisor: I64): Division {
	const high = e.readGpr(RDX, 64) as I64;
	const low = e.readGpr(RAX, 64) as I64;
	const negative = e.let(e.ltS(high, e.i64(0)));
	const differ = e.let(e.xor(negative, e.ltS(divisor, e.i64(0))));
	const absLow = e.let(negateIf(e, negative, low));
	const borrow = e.extendU(e.ne(low, e.i64(0)));
	const negatedHigh = e.sub(e.neg(high), borrow);
	const absHigh = e.let(e.select(negative, negatedHigh, high));
	const absDivisor = e.let(negateIf(e, e.ltS(divisor, e.i64(0)), divisor));
	e.faultIf(e.geU(absHigh, absDivisor), VECTOR_DE);
	const { quotient, remainder } = divide128(e, absHigh, absLow, absDivisor);
	const size = e.let(quotient) as I64;
	const limit = e.add(e.i64((1n << 63n) - 1n), e.extendU(differ));
	e.faultIf(e.gtU(size, limit), VECTOR_DE);
	return {
		quotient: e.let(negateIf(e, differ, size)),
		remainder: e.let(negateIf(e, negative, remainder as I64)),
	};
}

function negateIf(e: Emitter, condition: I32, value: I64): I64 {
	return e.select(condition, e.neg(value), value);
}

export const MULTIPLY_DIVIDE: SemanticsTable = {
	MUL: multiplyAccumulator(false),
	IMUL: imul,
	DIV: div,
	IDIV: idiv,
};
