/**
 * ADD, SUB, MUL, DIV, SQRT and what is made of them: the horizontal and
 * alternating forms, dot products, and the approximations.
 *
 * Fast path in line, everything doubtful through the kernels named `sse_*`
 * (`float/sse-kernels.ts`). Relies on `sse-float-shape.ts`.
 *
 * @journey E:692 Fast when it can be, right always
 */

import type {
	Emitter,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import { aligned, immediate, lanes32, settle, sse } from "./sse-access.ts";
import {
	areNotDenormal,
	areSafeLanes,
	DOUBLE,
	type FloatFormat,
	fromFloat,
	isPlain,
	isSafeResult,
	SINGLE,
	toFloat,
	widen,
} from "./sse-float-shape.ts";

type Binary = "add" | "sub" | "mul" | "div";

/** Of sums and differences a zero is exact; of products it may be an underflow. */
function zerosAreExact(name: Binary): boolean {
	return name === "add" || name === "sub";
}

/** Computes fast or by kernel, flags raised and settled. */
function binaryScalar(
	e: Emitter,
	f: FloatFormat,
	name: Binary,
	a: Integer,
	b: Integer,
	write: (value: Integer) => void,
): void {
	const result = e.let(
		fromFloat(
			e,
			f,
			e.op(`${f.name}.${name}`, toFloat(e, f, a), toFloat(e, f, b)),
		) as Integer,
	) as Integer;
	const safe = isSafeResult(e, f, result);
	const good = zerosAreExact(name) ? e.or(safe, isZero(e, result)) : safe;
	const fast = e.and(e.and(good, areNotDenormal(e, f, a, b)), isPlain(e));
	e.if(
		fast,
		() => write(result),
		() => {
			const kernel = `sse_${name}_${f.name}`;
			const bits = e.kernel(kernel, "i64", widen(e, a), widen(e, b));
			settle(e);
			write(e.toWidth(f.bits, bits));
		},
	);
}

/** 1 for +0 and -0. */
function isZero(e: Emitter, x: Integer): I32 {
	const shifted = e.shl(x, e.constant(x.type === "i64" ? 64 : 32, 1));
	return e.eqz(shifted);
}

function binaryPacked(
	e: Emitter,
	f: FloatFormat,
	name: Binary,
	a: Vector,
	b: Vector,
): Vector {
	const computed = e.let(e.op(`${f.packed}.${name}`, a, b));
	const zeros = zerosAreExact(name) ? "zeros too" : "no zeros";
	const safe = areSafeLanes(e, f, [a, b], computed, zeros);
	const result = e.variable(computed);
	e.if(e.eqz(e.and(safe, isPlain(e))), () => {
		result.set(e.kernel(`sse_${name}_${f.packed}`, "v128", a, b));
		settle(e);
	});
	return result.get();
}

const scalar = (f: FloatFormat, name: Binary): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = source.read();
		binaryScalar(e, f, name, destination.read(), b, (value) =>
			destination.write(value),
		);
	});

const packed = (f: FloatFormat, name: Binary): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = aligned(source).readVector();
		const a = destination.readVector();
		destination.writeVector(binaryPacked(e, f, name, a, b));
	});

/** SQRT's result is never tiny, and a NaN or infinity only for odd operands. */
const sqrtScalar = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const a = source.read();
		const root = e.op(`${f.name}.sqrt`, toFloat(e, f, a));
		const result = e.let(fromFloat(e, f, root) as Integer) as Integer;
		const good = e.and(isSafeResult(e, f, result), areNotDenormal(e, f, a));
		e.if(
			e.and(good, isPlain(e)),
			() => destination.write(result),
			() => {
				const bits = e.kernel(`sse_sqrt_${f.name}`, "i64", widen(e, a));
				settle(e);
				destination.write(e.toWidth(f.bits, bits));
			},
		);
	});

const sqrtPacked = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const a = aligned(source).readVector();
		const computed = e.let(e.op(`${f.packed}.sqrt`, a));
		const safe = areSafeLanes(e, f, [a], computed, "zeros too");
		const result = e.variable(computed);
		e.if(e.eqz(e.and(safe, isPlain(e))), () => {
			result.set(e.kernel(`sse_sqrt_${f.packed}`, "v128", a));
			settle(e);
		});
		destination.writeVector(result.get());
	});

const SINGLES_EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const DOUBLES_EVEN = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

/** Neighbours combined: destination's pairs in the low half, the source's in the high half. */
const horizontal = (f: FloatFormat, name: Binary): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = aligned(source).readVector();
		const a = destination.readVector();
		const even = f === SINGLE ? SINGLES_EVEN : DOUBLES_EVEN;
		const odd = even.map((i) => i + f.bits / 8);
		const left = e.let(e.shuffle(a, b, even));
		const right = e.let(e.shuffle(a, b, odd));
		destination.writeVector(binaryPacked(e, f, name, left, right));
	});

/** Even lanes subtract, odd lanes add. */
const alternating = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = aligned(source).readVector();
		const a = destination.readVector();
		const laneBytes = f.bits / 8;
		const lanes = Array.from({ length: 16 }, (_, i) =>
			Math.floor(i / laneBytes) % 2 === 0 ? i : i + 16,
		);
		const difference = e.op(`${f.packed}.sub`, a, b);
		const sum = e.op(`${f.packed}.add`, a, b);
		const computed = e.let(e.shuffle(difference, sum, lanes));
		const safe = areSafeLanes(e, f, [a, b], computed, "zeros too");
		const result = e.variable(computed);
		e.if(e.eqz(e.and(safe, isPlain(e))), () => {
			result.set(e.kernel(`sse_addsub_${f.packed}`, "v128", a, b));
			settle(e);
		});
		destination.writeVector(result.get());
	});

/** Lanes of `vector` where a bit of `by`, from `shift` on, is set; the others +0. */
function selectLanes(
	e: Emitter,
	f: FloatFormat,
	vector: Vector,
	by: I32,
	shift: number,
): Vector {
	const bits = e.shrU(by, e.i32(shift));
	const single = f === SINGLE;
	const mask = lanes32(e, single ? [1, 2, 4, 8] : [1, 1, 2, 2]);
	const spread = e.op("v128.and", e.op("i32x4.splat", bits), mask);
	const chosen = e.op("i32x4.eq", spread, mask);
	return e.let(e.op("v128.and", vector, chosen));
}

/**
 * DPPS, DPPD: products, then sums of neighbours, then of those. Lanes left out
 * multiply zeros, which raises nothing. Each step settles its flags before the
 * next (Intel SDM vol. 2, DPPS, "SIMD Floating-Point Exceptions").
 */
const dotProduct = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const by = immediate(e, form);
		const b = selectLanes(e, f, aligned(source).readVector(), by, 4);
		const a = selectLanes(e, f, destination.readVector(), by, 4);
		let sum = binaryPacked(e, f, "mul", a, b);
		const laneBytes = f.bits / 8;
		for (let bytes = laneBytes; bytes < 16; bytes *= 2) {
			sum = addPairs(e, f, sum, bytes);
		}
		destination.writeVector(selectLanes(e, f, sum, by, 0));
	});

/** Each lane's sum with its partner `bytes` away, lower lane first, in both. */
function addPairs(
	e: Emitter,
	f: FloatFormat,
	v: Vector,
	bytes: number,
): Vector {
	const lower = Array.from({ length: 16 }, (_, i) => i & ~bytes);
	const left = e.let(e.shuffle(v, v, lower));
	const right = e.let(
		e.shuffle(
			v,
			v,
			lower.map((i) => i | bytes),
		),
	);
	return binaryPacked(e, f, "add", left, right);
}

/** RCPSS, RSQRTSS and their packed forms: no flags. */
const approximateScalar = (kernel: string): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const bits = e.kernel(`${kernel}_f32`, "i64", widen(e, source.read()));
		destination.write(e.wrap(bits));
	});

const approximatePacked = (kernel: string): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		destination.writeVector(e.kernel(`${kernel}_f32x4`, "v128", value));
	});

/** The four shapes of one operation. */
function shapes(name: Binary): SemanticsTable {
	const mnemonic = name.toUpperCase();
	return {
		[`${mnemonic}PS`]: packed(SINGLE, name),
		[`${mnemonic}PD`]: packed(DOUBLE, name),
		[`${mnemonic}SS`]: scalar(SINGLE, name),
		[`${mnemonic}SD`]: scalar(DOUBLE, name),
	};
}

export const SSE_ARITHMETIC: SemanticsTable = {
	...shapes("add"),
	...shapes("sub"),
	...shapes("mul"),
	...shapes("div"),
	SQRTPS: sqrtPacked(SINGLE),
	SQRTPD: sqrtPacked(DOUBLE),
	SQRTSS: sqrtScalar(SINGLE),
	SQRTSD: sqrtScalar(DOUBLE),
	HADDPS: horizontal(SINGLE, "add"),
	HADDPD: horizontal(DOUBLE, "add"),
	HSUBPS: horizontal(SINGLE, "sub"),
	HSUBPD: horizontal(DOUBLE, "sub"),
	ADDSUBPS: alternating(SINGLE),
	ADDSUBPD: alternating(DOUBLE),
	DPPS: dotProduct(SINGLE),
	DPPD: dotProduct(DOUBLE),
	RCPPS: approximatePacked("sse_rcp"),
	RCPSS: approximateScalar("sse_rcp"),
	RSQRTPS: approximatePacked("sse_rsqrt"),
	RSQRTSS: approximateScalar("sse_rsqrt"),
};
