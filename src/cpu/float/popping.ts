/**
 * The frame of FPATAN, FYL2X and FYL2XP1: ST(1) becomes f(ST(0), ST(1)), and
 * ST(0) is popped.
 *
 * Relies on `operand-class.ts`; `arctangent.ts` and `logarithm.ts` rely on it.
 *
 * @journey E:638 Two in, one out
 */

import type { I32, Variable } from "../semantics/emitter.ts";
import { FPU_TAG, FPU_TOP } from "../state.ts";
import type { Kernel } from "./kernel.ts";
import { type Parts, SPECIAL_ORDINARY } from "./operand-class.ts";
import {
	exponentOf,
	isEmpty,
	significandOf,
	stackRegister,
} from "./status-word.ts";
import { Terms } from "./terms.ts";

/** What to do with operands that are no NaNs; `done` is 1 and may be cleared. */
export type PoppingBody = (
	t: Terms,
	register: I32,
	st0: Parts,
	st1: Parts,
	done: Variable<"i32">,
) => void;

/** () → done. */
export function poppingKernel(name: string, body: PoppingBody): Kernel {
	return {
		name,
		params: [],
		result: "i32",
		build(e) {
			const t = new Terms(e);
			const top = stackRegister(t, 0);
			const next = stackRegister(t, t.i32(1));
			const done = t.var32(0);
			t.ifRarely(
				t.or(isEmpty(t, top), isEmpty(t, next)),
				() => done.set(t.kernel32("x87_stack_underflow", next)),
				() => {
					const a = { m: significandOf(t, top), se: exponentOf(t, top) };
					const b = { m: significandOf(t, next), se: exponentOf(t, next) };
					const operands = [a.m, a.se, b.m, b.se];
					done.set(t.kernel32("f80_nan2", next, ...operands));
					t.if(t.eq(done.get(), SPECIAL_ORDINARY), () => {
						done.set(t.i32(1));
						body(t, next, a, b, done);
					});
				},
			);
			t.if(done.get(), () => {
				const bit = t.shl(t.i32(1), top);
				t.setState32(FPU_TAG, t.and(t.state32(FPU_TAG), t.not(bit)));
				t.setState32(FPU_TOP, next);
			});
			return done.get();
		},
	};
}
