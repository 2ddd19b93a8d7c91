/**
 * All kernels of SSE in one list, as `index.ts` wants them.
 *
 * @journey E:676 The list of SSE kernels
 */

import type { Kernel } from "./kernel.ts";
import { SSE_APPROXIMATION_KERNELS } from "./sse-approximate.ts";
import { SSE_ARITHMETIC_KERNELS } from "./sse-arithmetic.ts";
import { SSE_COMPARE_KERNELS } from "./sse-compare.ts";
import { SSE_CONVERT_KERNELS } from "./sse-convert.ts";
import { SSE_PACKED_KERNELS } from "./sse-packed.ts";
import { SSE_ROUND_KERNELS } from "./sse-round.ts";
import { SSE_STRING_KERNELS } from "./sse-string.ts";

export const sseKernels: readonly Kernel[] = [
	...SSE_ROUND_KERNELS,
	...SSE_ARITHMETIC_KERNELS,
	...SSE_COMPARE_KERNELS,
	...SSE_CONVERT_KERNELS,
	...SSE_APPROXIMATION_KERNELS,
	...SSE_PACKED_KERNELS,
	...SSE_STRING_KERNELS,
];
