/**
 * MIN, MAX, CMPcc, COMIS and UCOMIS. Rounding plays no part, so the fast path
 * only needs operands that are neither NaNs nor denormals.
 *
 * Relies on `sse-float-shape.ts`.
 *
 * @journey E:694 Comparing
 */

import type {
	Emitter,
	I32,
	Integer,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { bit, pair } from "./integer-values.ts";
import { aligned, immediate, settle, sse } from "./sse-access.ts";
import {
	DOUBLE,
	type FloatFormat,
	hasOddLanes,
	oddities,
	SINGLE,
	toFloat,
	widen,
} from "./sse-float-shape.ts";

/** The first operand if it is less (or greater), else the second: so for zeros of either sign. */
const extremeScalar = (f: FloatFormat, name: "min" | "max"): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = source.read();
		const a = destination.read();
		e.ifAny(
			oddities(e, f, a, b),
			() => {
				const kernel = `sse_${name}_${f.name}`;
				const bits = e.kernel(kernel, "i64", widen(e, a), widen(e, b));
				settle(e);
				destination.write(e.toWidth(f.bits, bits));
			},
			() => {
				const comparison = name === "min" ? "lt" : "gt";
				const first = e.op<"i32">(
					`${f.name}.${comparison}`,
					toFloat(e, f, a),
					toFloat(e, f, b),
				);
				destination.write(e.select(first, a, b) as Integer);
			},
		);
	});

/** Wasm's pmin and pmax are x86's with the operands exchanged. */
const extremePacked = (f: FloatFormat, name: "min" | "max"): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = aligned(source).readVector();
		const a = destination.readVector();
		e.ifAny(
			[hasOddLanes(e, f, a, b)],
			() => {
				const result = e.kernel(`sse_${name}_${f.packed}`, "v128", a, b);
				settle(e);
				destination.writeVector(result);
			},
			() => destination.writeVector(e.op(`${f.packed}.p${name}`, b, a)),
		);
	});

/** The predicate's three bits: EQ LT LE UNORD, then their opposites. */
interface Predicate {
	readonly number: I32;
	/** EQ and LE hold for equal operands, LT and LE for lesser ones. */
	readonly equal: I32;
	readonly less: I32;
	readonly opposite: I32;
}

function predicate(e: Emitter, by: I32): Predicate {
	const number = e.let(e.and(by, e.i32(7)));
	const low = bit(e, number, 0);
	const high = bit(e, number, 1);
	return {
		number,
		equal: e.let(e.eqz(low)),
		less: e.let(e.xor(low, high)),
		opposite: e.let(bit(e, number, 2)),
	};
}

const compareScalar = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = source.read();
		const a = destination.read();
		const p = predicate(e, immediate(e, form));
		e.ifAny(
			oddities(e, f, a, b),
			() => {
				const kernel = `sse_cmp_${f.name}`;
				const [x, y] = [widen(e, a), widen(e, b)];
				const bits = e.kernel(kernel, "i64", x, y, p.number);
				settle(e);
				destination.write(e.toWidth(f.bits, bits));
			},
			() => {
				const x = toFloat(e, f, a);
				const y = toFloat(e, f, b);
				const equal = e.op<"i32">(`${f.name}.eq`, x, y);
				const less = e.op<"i32">(`${f.name}.lt`, x, y);
				const holds = e.or(e.and(equal, p.equal), e.and(less, p.less));
				const mask = e.neg(e.xor(holds, p.opposite));
				destination.write(f.bits === 64 ? e.extendS(mask) : mask);
			},
		);
	});

/** Vectors of ones or zeros for a bit. */
function lanesIf(e: Emitter, condition: I32): Vector {
	return e.op("i32x4.splat", e.neg(condition));
}

const comparePacked = (f: FloatFormat): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const b = aligned(source).readVector();
		const a = destination.readVector();
		const p = predicate(e, immediate(e, form));
		const both = (name: string, wanted: I32) =>
			e.op("v128.and", e.op(`${f.packed}.${name}`, a, b), lanesIf(e, wanted));
		e.ifAny(
			[hasOddLanes(e, f, a, b)],
			() => {
				const kernel = `sse_cmp_${f.packed}`;
				const result = e.kernel(kernel, "v128", a, b, p.number);
				settle(e);
				destination.writeVector(result);
			},
			() => {
				const holds = e.op("v128.or", both("eq", p.equal), both("lt", p.less));
				const result = e.op("v128.xor", holds, lanesIf(e, p.opposite));
				destination.writeVector(result);
			},
		);
	});

/** COMIS, or UCOMIS, which lets quiet NaNs pass. */
const relation = (f: FloatFormat, quietToo: 0 | 1): Semantics =>
	sse((e, form) => {
		const [first, second] = pair(form);
		const b = second.read();
		const a = first.read();
		const none = e.i32(0);
		const write = (ZF: I32, PF: I32, CF: I32) =>
			e.setFlags({ ZF, PF, CF, OF: none, AF: none, SF: none });
		e.ifAny(
			oddities(e, f, a, b),
			() => {
				const kernel = `sse_comi_${f.name}`;
				const [x, y] = [widen(e, a), widen(e, b)];
				const flags = e.kernel(kernel, "i32", x, y, e.i32(quietToo));
				settle(e);
				write(bit(e, flags, 6), bit(e, flags, 2), bit(e, flags, 0));
			},
			() => {
				const [x, y] = [toFloat(e, f, a), toFloat(e, f, b)];
				const equal = e.op<"i32">(`${f.name}.eq`, x, y);
				write(equal, none, e.op<"i32">(`${f.name}.lt`, x, y));
			},
		);
	});

export const SSE_COMPARE: SemanticsTable = {
	MINPS: extremePacked(SINGLE, "min"),
	MINPD: extremePacked(DOUBLE, "min"),
	MINSS: extremeScalar(SINGLE, "min"),
	MINSD: extremeScalar(DOUBLE, "min"),
	MAXPS: extremePacked(SINGLE, "max"),
	MAXPD: extremePacked(DOUBLE, "max"),
	MAXSS: extremeScalar(SINGLE, "max"),
	MAXSD: extremeScalar(DOUBLE, "max"),
	CMPPS: comparePacked(SINGLE),
	CMPPD: comparePacked(DOUBLE),
	CMPSS: compareScalar(SINGLE),
	CMPSD: compareScalar(DOUBLE),
	COMISS: relation(SINGLE, 1),
	COMISD: relation(DOUBLE, 1),
	UCOMISS: relation(SINGLE, 0),
	UCOMISD: relation(DOUBLE, 0),
};
