/**
 * All kernels there are, for the engines to compile.
 *
 * @journey E:602 The list of kernels
 */

import { ADD_KERNELS } from "./add.ts";
import { ARCTANGENT_KERNELS } from "./arctangent.ts";
import { COMPARE_KERNELS } from "./compare.ts";
import { EXPONENTIAL_KERNELS } from "./exponential.ts";
import { FIXED_POINT_KERNELS } from "./fixed-point.ts";
import type { Kernel } from "./kernel.ts";
import { LOAD_KERNELS } from "./load.ts";
import { LOGARITHM_KERNELS } from "./logarithm.ts";
import { MULTIPLY_DIVIDE_KERNELS } from "./multiply-divide.ts";
import { CLASS_KERNELS } from "./operand-class.ts";
import { REMAINDER_KERNELS } from "./remainder.ts";
import { ROUND_KERNELS } from "./round.ts";
import { ROUND_MEMORY_KERNELS } from "./round-memory.ts";
import { SINE_KERNELS } from "./sine.ts";
import { sseKernels } from "./sse-kernels.ts";
import { STATUS_KERNELS } from "./status-word.ts";
import { STORE_KERNELS } from "./store.ts";
import { UNARY_KERNELS } from "./unary.ts";

/** What the x87's semantics call. */
export const x87Kernels: readonly Kernel[] = [
	...STATUS_KERNELS,
	...CLASS_KERNELS,
	...ROUND_KERNELS,
	...ROUND_MEMORY_KERNELS,
	...ADD_KERNELS,
	...MULTIPLY_DIVIDE_KERNELS,
	...LOAD_KERNELS,
	...STORE_KERNELS,
	...COMPARE_KERNELS,
	...UNARY_KERNELS,
	...REMAINDER_KERNELS,
	...FIXED_POINT_KERNELS,
	...SINE_KERNELS,
	...EXPONENTIAL_KERNELS,
	...LOGARITHM_KERNELS,
	...ARCTANGENT_KERNELS,
];

/** Every kernel of the processor, by name. */
export const KERNELS: ReadonlyMap<string, Kernel> = new Map(
	[...x87Kernels, ...sseKernels].map((kernel) => [kernel.name, kernel]),
);
