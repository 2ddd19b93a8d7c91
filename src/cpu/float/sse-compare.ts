/**
 * Comparisons of one lane: MIN, MAX, the CMPcc predicates and COMIS, with the
 * flags that NaNs and denormals raise.
 *
 * Relies on `sse-format.ts`.
 *
 * @journey E:668 Which one is larger
 */

import { MXCSR_IE } from "../mxcsr.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import type { Kernel } from "./kernel.ts";
import { FORMATS, type Format, SseTerms } from "./sse-format.ts";

/** Two operands that are being compared. */
interface Pair {
	readonly unordered: I32;
	readonly a: Value<"f64">;
	readonly b: Value<"f64">;
}

/** Raises what comparing raises; `quietToo` (0 or 1): a quiet NaN is invalid as well. */
function compare(t: SseTerms, f: Format, x: I64, y: I64, quietToo: I32): Pair {
	const unordered = t.let(t.or(t.isNan(f, x), t.isNan(f, y)));
	const a = t.operand(f, x);
	const b = t.operand(f, y);
	t.if(
		unordered,
		() => {
			t.raiseSignalling(f, x, y);
			t.raiseIf(quietToo, MXCSR_IE);
		},
		() => t.raiseDenormal(f, a, b),
	);
	return {
		unordered,
		a: t.let(t.toFloat(f, a)),
		b: t.let(t.toFloat(f, b)),
	};
}

/** MIN and MAX give the second operand for NaNs, signalling ones too, and for two zeros. */
function extremeKernel(
	name: string,
	f: Format,
	better: "f64.lt" | "f64.gt",
): Kernel {
	return {
		name: `sse_${name}_${f.name}`,
		params: ["i64", "i64"],
		result: "i64",
		build(e, ...args) {
			const [x, y] = args as [I64, I64];
			const t = new SseTerms(e);
			const { unordered, a, b } = compare(t, f, x, y, t.i32(1));
			const first = e.op<"i32">(better, a, b);
			const chosen = t.and(first, t.eqz(unordered));
			t.finish();
			return t.select(chosen, t.operand(f, x), t.operand(f, y));
		},
	};
}

/** (a, b, predicate 0..7) → all ones or zero (Intel SDM vol. 2, CMPPS). */
function predicateKernel(f: Format): Kernel {
	return {
		name: `sse_cmp_${f.name}`,
		params: ["i64", "i64", "i32"],
		result: "i64",
		build(e, ...args) {
			const [x, y, predicate] = args as [I64, I64, I32];
			const t = new SseTerms(e);
			// EQ 0, LT 1, LE 2, UNORD 3, and from 4 on their opposites.
			const base = t.let(t.and(predicate, 3));
			const signals = t.ltU(t.sub(base, 1), 2);
			const { unordered, a, b } = compare(t, f, x, y, signals);
			const equal = t.and(e.op<"i32">("f64.eq", a, b), t.eqz(t.and(base, 1)));
			const less = t.and(e.op<"i32">("f64.lt", a, b), signals);
			const none = t.and(unordered, t.eq(base, 3));
			const holds = t.or(t.or(equal, less), none);
			const opposite = t.shrU(predicate, 2);
			t.finish();
			const all = f.sign | f.magnitude;
			return t.select(t.xor(holds, opposite), all, t.i64(0));
		},
	};
}

/** (a, b, quiet NaNs signal) → ZF, PF and CF at their places in EFLAGS. */
function relationKernel(f: Format): Kernel {
	return {
		name: `sse_comi_${f.name}`,
		params: ["i64", "i64", "i32"],
		result: "i32",
		build(e, ...args) {
			const [x, y, quietToo] = args as [I64, I64, I32];
			const t = new SseTerms(e);
			const { unordered, a, b } = compare(t, f, x, y, quietToo);
			const below = e.op<"i32">("f64.lt", a, b);
			const equal = t.shl(e.op<"i32">("f64.eq", a, b), 6);
			t.finish();
			return t.select(unordered, 0x45, t.or(below, equal));
		},
	};
}

export const SSE_COMPARE_KERNELS: readonly Kernel[] = FORMATS.flatMap((f) => [
	extremeKernel("min", f, "f64.lt"),
	extremeKernel("max", f, "f64.gt"),
	predicateKernel(f),
	relationKernel(f),
]);
