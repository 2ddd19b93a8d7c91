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
	Operand,
	Semantics,
	SemanticsTable,
	Value,
	Vector,
} from "./emitter.ts";
import { pair } from "./integer-values.ts";
import { aligned, immediate, lanes32, settle, sse } from "./sse-access.ts";
import {
	DOUBLE,
	type FloatFormat,
	fromFloat,
	hasDoubtfulLanes,
	isDoubtful,
	isNotPlain,
	mayBeDenormal,
	type SafeResult,
	SINGLE,
	toFloat,
	widen,
} from "./sse-float-shape.ts";

type Binary = "add" | "sub" | "mul" | "div";

/** A tiny sum or difference is exact; a product or quotient may be an underflow, even where it is zero. */
function safeResult(name: Binary): SafeResult {
	return name === "add" || name === "sub" ? "finite" : "normal";
}

/** Computes fast or by kernel, flags raised and settled. */
function binaryScalar(
	e: Emitter,
	f: FloatFormat,
	name: Binary,
	destination: Operand,
	source: Operand,
): void {
	const b = source.readFloat();
	const a = destination.readFloat();
	const result = e.variable(e.let(e.op(`${f.name}.${name}`, a, b) as Value));
	const [x, y] = [a, b].map((v) => e.let(fromFloat(e, f, v)) as Integer);
	const z = fromFloat(e, f, result.get());
	const doubts = [
		isDoubtful(e, f, z, safeResult(name)),
		mayBeDenormal(e, f, x as Integer),
		mayBeDenormal(e, f, y as Integer),
		isNotPlain(e),
	];
	e.ifAny(doubts, () => {
		const operands = [x, y].map((v) => widen(e, v as Integer));
		const bits = e.kernel(`sse_${name}_${f.name}`, "i64", ...operands);
		settle(e);
		result.set(toFloat(e, f, e.toWidth(f.bits, bits)));
	});
	destination.writeFloat(result.get());
}

function binaryPacked(
	e: Emitter,
	f: FloatFormat,
	name: Binary,
	a: Vector,
	b: Vector,
): Vector {
	const computed = e.let(e.op(`${f.packed}.${name}`, a, b));
	const safe = safeResult(name);
	const doubtful = hasDoubtfulLanes(e, f, [a, b], computed, safe);
	const result = e.variable(computed);
	e.ifAny([doubtful, isNotPlain(e)], () => {
		result.set(e.kernel(`sse_${name}_${f.packed}`, "v128", a, b));
		settle(e);
	});
	return result.get();
}

const scalar = (f: FloatFormat, name: Binary): Semantics =>
	sse((e, form) => binaryScalar(e, f, name, ...pair(form)));

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
		const a = source.readFloat();
		const result = e.variable(e.let(e.op(`${f.name}.sqrt`, a) as Value));
		const x = e.let(fromFloat(e, f, a)) as Integer;
		const z = fromFloat(e, f, result.get());
		const doubts = [isDoubtful(e, f, z, "finite"), mayBeDenormal(e, f, x)];
		e.ifAny([...doubts, isNotPlain(e)], () => {
			const bits = e.kernel(`sse_sqrt_${f.name}`, "i64", widen(e, x));
			settle(e);
			result.set(toFloat(e, f, e.toWidth(f.bits, bits)));
		});
		destination.writeFloat(result.get());
	});

const sqrtPacked = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const a = aligned(source).readVector();
		const computed = e.let(e.op(`${f.packed}.sqrt`, a));
		const doubtful = hasDoubtfulLanes(e, f, [a], computed, "finite");
		const result = e.variable(computed);
		e.ifAny([doubtful, isNotPlain(e)], () => {
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
		const doubtful = hasDoubtfulLanes(e, f, [a, b], computed, "finite");
		const result = e.variable(computed);
		e.ifAny([doubtful, isNotPlain(e)], () => {
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
