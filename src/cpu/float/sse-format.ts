/**
 * Single and double precision as bit patterns, and the questions that kernels
 * ask about a pattern: NaN, denormal, zero? Both formats are handled as i64,
 * singles in the low half, so that one text serves both.
 *
 * Relies on `terms.ts`; all SSE kernels rely on it.
 *
 * @journey E:662 Two formats, one text
 */

import {
	MXCSR_DAZ,
	MXCSR_DE,
	MXCSR_IE,
	MXCSR_RC_SHIFT,
	SCRATCH_RAISED,
} from "../mxcsr.ts";
import type { I32, I64, Variable } from "../semantics/emitter.ts";
import { FLOAT_SCRATCH, MXCSR } from "../state.ts";
import type { KernelEmitter } from "./kernel.ts";
import { Terms } from "./terms.ts";

/** An IEEE 754 binary format; the patterns are masks over an i64. */
export interface Format {
	readonly name: "f32" | "f64";
	readonly fractionBits: number;
	/** The exponent field of infinities and NaNs. */
	readonly exponentMax: number;
	readonly bias: number;
	readonly sign: bigint;
	/** All but the sign. */
	readonly magnitude: bigint;
	readonly fraction: bigint;
	readonly infinity: bigint;
	/** The fraction bit that tells quiet NaNs from signalling ones. */
	readonly quiet: bigint;
	/** The NaN that a masked invalid operation gives. */
	readonly indefinite: bigint;
	readonly smallestNormal: bigint;
}

function format(name: "f32" | "f64", bits: bigint, fraction: bigint): Format {
	const sign = 1n << (bits - 1n);
	const infinity = sign - (1n << fraction);
	const quiet = 1n << (fraction - 1n);
	const exponentMax = Number(infinity >> fraction);
	return {
		name,
		fractionBits: Number(fraction),
		exponentMax,
		bias: exponentMax >> 1,
		sign,
		magnitude: sign - 1n,
		fraction: (1n << fraction) - 1n,
		infinity,
		quiet,
		indefinite: sign | infinity | quiet,
		smallestNormal: 1n << fraction,
	};
}

export const F32 = format("f32", 32n, 23n);
export const F64 = format("f64", 64n, 52n);
export const FORMATS: readonly Format[] = [F32, F64];

/** Adds to the flags that the instruction at hand has raised. */
export function addRaised(t: Terms, flags: I32): void {
	const before = t.state32(FLOAT_SCRATCH, SCRATCH_RAISED);
	t.setState32(FLOAT_SCRATCH, t.or(before, flags), SCRATCH_RAISED);
}

/** The flags raised since the last call. */
export function takeRaised(t: Terms): I32 {
	const raised = t.state32(FLOAT_SCRATCH, SCRATCH_RAISED);
	t.setState32(FLOAT_SCRATCH, 0, SCRATCH_RAISED);
	return raised;
}

/** A kernel in the making: formulas, MXCSR as it was at the start, the flags raised on the way. */
export class SseTerms extends Terms {
	readonly mxcsr: I32;
	readonly #flags: Variable<"i32">;

	constructor(e: KernelEmitter) {
		super(e);
		this.mxcsr = this.state32(MXCSR);
		this.#flags = this.var32(0);
	}

	raise(flags: I32 | number): void {
		this.#flags.set(this.or(this.#flags.get(), flags));
	}

	/** `flags` when `condition` (0 or 1) holds. */
	raiseIf(condition: I32, flags: number): void {
		this.raise(this.select(condition, flags, this.i32(0)));
	}

	/** Files the flags; the last thing a kernel does before it returns. */
	finish(): void {
		addRaised(this, this.#flags.get());
	}

	/** MXCSR.RC. */
	roundingMode(): I32 {
		return this.let(this.and(this.shrU(this.mxcsr, MXCSR_RC_SHIFT), 3));
	}

	magnitude(f: Format, x: I64): I64 {
		return this.and(x, f.magnitude);
	}

	isNan(f: Format, x: I64): I32 {
		return this.gtU(this.magnitude(f, x), f.infinity);
	}

	isSignalling(f: Format, x: I64): I32 {
		return this.and(this.isNan(f, x), this.eqz(this.and(x, f.quiet)));
	}

	isInfinite(f: Format, x: I64): I32 {
		return this.eq(this.magnitude(f, x), f.infinity);
	}

	isZero(f: Format, x: I64): I32 {
		return this.eqz(this.magnitude(f, x));
	}

	isDenormal(f: Format, x: I64): I32 {
		return this.ltU(this.sub(this.magnitude(f, x), 1), f.smallestNormal - 1n);
	}

	/** The operand as arithmetic sees it: with DAZ, denormals are zeros. */
	operand(f: Format, x: I64): I64 {
		const flushed = this.and(
			this.isDenormal(f, x),
			this.nonzero(this.and(this.mxcsr, MXCSR_DAZ)),
		);
		return this.let(this.select(flushed, this.and(x, f.sign), x));
	}

	raiseDenormal(f: Format, ...operands: readonly I64[]): void {
		for (const x of operands) this.raiseIf(this.isDenormal(f, x), MXCSR_DE);
	}

	raiseSignalling(f: Format, ...operands: readonly I64[]): void {
		for (const x of operands) this.raiseIf(this.isSignalling(f, x), MXCSR_IE);
	}

	/** Where the result, with operands that are not denormal, cannot have raised more than PE: not tiny, not infinite, no zero. */
	isSafe(f: Format, x: I64): I32 {
		const least = f.smallestNormal + 1n;
		return this.ltU(this.sub(this.magnitude(f, x), least), f.infinity - least);
	}

	/** The bits as a WebAssembly float, for comparing and rounding; never of a NaN that shall survive. */
	toFloat(f: Format, x: I64) {
		return f.name === "f64"
			? this.e.op<"f64">("f64.reinterpret_i64", x)
			: this.e.op<"f64">(
					"f64.promote_f32",
					this.e.op<"f32">("f32.reinterpret_i32", this.wrap(x)),
				);
	}
}

/** A finite number other than zero as significand × 2^(exponent - bias - 62): bit 62 of the significand is set. */
export interface Unpacked {
	readonly exponent: I32;
	readonly significand: I64;
}

/**
 * Takes a finite pattern apart, denormals normalised. Of a zero the
 * significand is 0 and the exponent below every other number's.
 */
export function unpack(t: SseTerms, f: Format, x: I64): Unpacked {
	const fraction = t.let(t.and(x, f.fraction));
	const field = t.let(t.and(t.wrap(t.shrU(x, f.fractionBits)), f.exponentMax));
	const shift = t.let(t.sub(t.clz(fraction), 1));
	const atTop = 62 - f.fractionBits;
	const normal = t.shl(t.or(fraction, f.smallestNormal), atTop);
	const denormal = t.shl(fraction, shift);
	return {
		exponent: t.let(t.select(field, field, t.sub(1 + atTop, shift))),
		significand: t.let(t.select(field, normal, denormal)),
	};
}
