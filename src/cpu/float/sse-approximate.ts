/**
 * RCP and RSQRT. The manual promises a relative error of at most
 * 1.5 × 2^-12 and leaves the rest to the maker: silicon answers from tables,
 * each vendor from its own. We compute the true value and keep 12 significant
 * bits of it, which is as good as the promise and needs no table.
 *
 * Neither raises any flag or heeds rounding control; denormals are zeros, as
 * results too (Intel SDM vol. 2, RCPPS and RSQRTPS).
 *
 * Relies on `sse-format.ts`.
 *
 * @journey E:672 Good enough, quickly
 */

import type { I64, Value } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import { F32, F64, SseTerms } from "./sse-format.ts";

/** Significant bits of a result. */
const PRECISION = 12;
/** Fraction bits of a double beyond those. */
const EXCESS = F64.fractionBits + 1 - PRECISION;

/** The smallest normal single, as a double's pattern. */
const SMALLEST = BigInt(F64.bias - F32.bias + 1) << BigInt(F64.fractionBits);

/** A single's pattern from a double's, kept to 12 bits; below the normal range, zero. */
function shortened(t: SseTerms, x: Value<"f64">): I64 {
	const { e } = t;
	const bits = t.let(e.op<"i64">("i64.reinterpret_f64", x));
	const half = 1n << BigInt(EXCESS - 1);
	const cut = t.and(t.add(bits, half), -(1n << BigInt(EXCESS)));
	const single = e.op<"f32">(
		"f32.demote_f64",
		e.op<"f64">("f64.reinterpret_i64", cut),
	);
	const pattern = t.let(t.wide(e.op<"i32">("i32.reinterpret_f32", single)));
	// Zero as silicon has it: the smallest normal counts as tiny, and rounding
	// must not lift a result above it.
	const tiny = t.leU(t.magnitude(F64, bits), SMALLEST);
	return t.select(tiny, t.and(pattern, F32.sign), pattern);
}

function approximationKernel(
	name: string,
	negativesAllowed: boolean,
	compute: (t: SseTerms, x: Value<"f64">) => Value<"f64">,
): Kernel {
	return {
		name: `sse_${name}_f32`,
		params: ["i64"],
		result: "i64",
		build(e, ...args) {
			const pattern = args[0] as I64;
			const t = new SseTerms(e);
			const flushed = t.or(t.isDenormal(F32, pattern), t.isZero(F32, pattern));
			const zero = t.and(pattern, F32.sign);
			const x = t.let(t.select(flushed, zero, pattern));
			const y = t.let(shortened(t, compute(t, t.toFloat(F32, x))));
			const negative = t.and(
				t.nonzero(t.and(x, F32.sign)),
				t.nonzero(t.magnitude(F32, x)),
			);
			const number = negativesAllowed
				? y
				: t.select(negative, F32.indefinite, y);
			const quiet = t.or(pattern, F32.quiet);
			return t.select(t.isNan(F32, pattern), quiet, number);
		},
	};
}

export const SSE_APPROXIMATION_KERNELS: readonly Kernel[] = [
	approximationKernel("rcp", true, ({ e }, x) => e.op("f64.div", e.f64(1), x)),
	approximationKernel("rsqrt", false, ({ e }, x) =>
		// The root of -0 is -0, and its inverse -infinity, as it should be.
		e.op("f64.div", e.f64(1), e.op("f64.sqrt", x)),
	),
];
