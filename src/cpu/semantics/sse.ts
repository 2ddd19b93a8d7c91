/**
 * SSE to SSE4.2, by mnemonic: the rows with XMM registers. Where a mnemonic
 * also has MMX rows, `index.ts` chooses by the row's registers.
 *
 * @journey E:701 All of SSE
 */

import type { SemanticsTable } from "./emitter.ts";
import { SSE_ARITHMETIC } from "./sse-arithmetic.ts";
import { SSE_COMPARE } from "./sse-compare.ts";
import { SSE_CONVERT } from "./sse-convert.ts";
import { SSE_INTEGER } from "./sse-integer.ts";
import { SSE_MMX } from "./sse-mmx.ts";
import { SSE_MOVE } from "./sse-move.ts";
import { SSE_SHIFT } from "./sse-shift.ts";
import { SSE_SHUFFLE } from "./sse-shuffle.ts";
import { SSE_STRING } from "./sse-string.ts";

export const sseSemantics: SemanticsTable = {
	...SSE_MOVE,
	...SSE_INTEGER,
	...SSE_SHIFT,
	...SSE_SHUFFLE,
	...SSE_ARITHMETIC,
	...SSE_COMPARE,
	...SSE_CONVERT,
	...SSE_STRING,
	...SSE_MMX,
};
