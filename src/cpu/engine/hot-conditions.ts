/**
 * Flags and conditions straight from the operation that sets them: after a
 * CMP, "below" is a comparison of its operands, and nobody computes a flag.
 *
 * @journey E:726 Compare and branch, fused
 */

import type { Flag, I32, Integer } from "../semantics/emitter.ts";
import { shiftOverflow } from "../semantics/shift-flags.ts";
import type { ArithmeticEmitter } from "./arithmetic-emitter.ts";
import {
	carryOut,
	isPending,
	type PendingFlags,
	secondOperand,
	shiftOf,
} from "./hot-flags.ts";

type E = ArithmeticEmitter;

/** One flag, 0 or 1; undefined where only the saved note knows. */
export function fusedFlag(
	e: E,
	flags: PendingFlags,
	flag: Flag,
): I32 | undefined {
	const { width, result } = flags;
	const zero = e.constant(width, 0);
	switch (flag) {
		case "CF":
			return carry(e, flags);
		case "ZF":
			return e.eqz(e.zeroExtend(width, result));
		case "SF":
			return e.ltS(e.signExtend(width, result), zero);
		case "PF": {
			const low = e.and(e.wrap(result), e.i32(0xff));
			return e.and(e.not(e.popcnt(low)), e.i32(1));
		}
		case "AF":
			return halfCarry(e, flags);
		case "OF":
			return overflow(e, flags);
	}
}

/** The even condition codes: O B Z BE S P L LE. */
export function fusedCondition(
	e: E,
	flags: PendingFlags,
	pair: number,
): I32 | undefined {
	const { kind, width, a, result } = flags;
	const u = (value: Integer) => e.zeroExtend(width, value);
	const s = (value: Integer) => e.signExtend(width, value);
	const zero = e.constant(width, 0);
	const b = () => secondOperand(e, flags);
	switch (pair) {
		case 0:
			return overflow(e, flags);
		case 1:
			return carry(e, flags);
		case 2:
			return e.eqz(u(result));
		case 3: {
			if (kind === "sub") return e.leU(u(a), u(b()));
			const below = carry(e, flags);
			return below && e.or(below, e.eqz(u(result)));
		}
		case 4:
			return e.ltS(s(result), zero);
		case 5:
			return fusedFlag(e, flags, "PF");
		case 6:
			if (kind === "sub") return e.ltS(s(a), s(b()));
			if (kind === "logic") return e.ltS(s(result), zero);
			return e.xor(e.ltS(s(result), zero), overflow(e, flags));
		default:
			if (kind === "sub") return e.leS(s(a), s(b()));
			if (kind === "logic") return e.leS(s(result), zero);
			return e.or(
				e.xor(e.ltS(s(result), zero), overflow(e, flags)),
				e.eqz(u(result)),
			);
	}
}

function carry(e: E, flags: PendingFlags): I32 | undefined {
	if (flags.carry === undefined) return carryOut(e, flags);
	return isPending(flags.carry) ? carryOut(e, flags.carry) : undefined;
}

function halfCarry(e: E, flags: PendingFlags): I32 {
	const { kind, a, result } = flags;
	const digit = (value: Integer) => e.and(e.wrap(value), e.i32(15));
	if (kind === "logic" || flags.count !== undefined) return e.i32(0);
	if (kind === "inc") return e.eqz(digit(result));
	if (kind === "dec") return e.eq(digit(result), e.i32(15));
	const all = e.xor(e.xor(a, secondOperand(e, flags)), result);
	return e.and(e.shrU(e.wrap(all), e.i32(4)), e.i32(1));
}

function overflow(e: E, flags: PendingFlags): I32 {
	const { kind, width, a, result } = flags;
	const negative = (value: Integer) =>
		e.ltS(e.signExtend(width, value), e.constant(width, 0));
	const smallest = -(2 ** (width - 1));
	switch (kind) {
		case "logic":
			return e.i32(0);
		case "shl":
		case "shr":
		case "sar":
			return shiftOverflow(e, shiftOf(flags));
		case "inc":
		case "dec": {
			const extreme = kind === "inc" ? smallest : -smallest - 1;
			const bound =
				width === 64
					? e.i64(kind === "inc" ? -(1n << 63n) : (1n << 63n) - 1n)
					: e.i32(extreme);
			return e.eq(e.signExtend(width, result), bound as typeof result);
		}
		case "add":
		case "adc": {
			const b = secondOperand(e, flags);
			return negative(e.and(e.xor(a, result), e.xor(b, result)));
		}
		case "sub":
		case "sbb": {
			const b = secondOperand(e, flags);
			return negative(e.and(e.xor(a, b), e.xor(a, result)));
		}
	}
}
