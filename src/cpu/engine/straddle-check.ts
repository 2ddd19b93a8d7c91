/**
 * Whether the second page of an instruction that lies in two is where it was
 * when the instruction was decoded.
 *
 * @journey E:471 Two pages, one instruction
 */

import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { I32, I64 } from "../semantics/emitter.ts";
import { SEGMENT, SEGMENT_BASE, TLB_EXECUTE_MASK } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { StateEmitter } from "./state-emitter.ts";
import { emitTlbLookup } from "./tlb-lookup.ts";
import { emitWideLookup, highHalf } from "./wide-lookup.ts";

const PAGE = 4096;
const CS = 1;

/** `page`: RIP of the first page; `decoded`: host address of the second then. Branches to `changed` if it is not there. */
export function emitStraddleCheck(
	code: FunctionBuilder,
	e: StateEmitter,
	{ page, decoded }: { page: I64; decoded: I32 },
	changed: Label,
): void {
	const mask = () => e.readState(TLB_EXECUTE_MASK) as I32;
	const second = e.variable(e.i32(0));
	code.if(
		expr(highHalf(e, page)),
		() => {
			const linear = e.let(e.add(page, e.i64(PAGE)));
			const low = e.let(e.wrap(linear));
			const at = { linear, low, bytes: 1 };
			const { distance } = emitWideLookup(code, e, at, mask, changed);
			second.set(e.add(low, distance));
		},
		() => {
			const base = e.readState(SEGMENT, CS, SEGMENT_BASE, 4) as I32;
			const start = e.add(e.wrap(page), base);
			const linear = e.let(e.add(e.and(start, e.i32(-PAGE)), e.i32(PAGE)));
			const entry = emitTlbLookup(code, e, linear, mask, changed);
			second.set(e.add(linear, e.and(entry, e.i32(-PAGE))));
		},
	);
	code.brIf(changed, expr(e.ne(second.get(), decoded)));
}
