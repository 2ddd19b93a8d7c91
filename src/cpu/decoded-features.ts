/**
 * Which instructions there are: CPUID says what programs may use, and the
 * decoder knows the same.
 *
 * @journey E:571 No instruction that CPUID denies
 */

import { ALL_FEATURES } from "./decode/opcode-table.ts";
import { type CpuIdentity, FEATURES, type Feature } from "./system/cpuid.ts";

/**
 * Features that have no CPUID bit, or whose instructions without one are hints
 * (ENDBR, PREFETCHW), or the machine's to answer (VMCALL).
 */
const UNREPORTED = "base x87 cet 3dnowprefetch lm syscall vmx".split(" ");

/** The opcode table's features that this processor decodes. */
export function decodedFeatures(cpuid: CpuIdentity): ReadonlySet<string> {
	const reported = [...ALL_FEATURES].filter(
		(name) => name in FEATURES && cpuid.has(name as Feature),
	);
	return new Set([...UNREPORTED, ...reported]);
}
