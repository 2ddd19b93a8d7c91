/**
 * Adds to the machine's counters what only the process knows: its memory.
 *
 * Relies on Node's `process`; the run command relies on it.
 *
 * @journey L:140 What it cost
 */

import type { MachineStatistics } from "../index.ts";

/** `maxRSS` is in KiB. */
const KIB = 1024;

/** For `--stats`. */
export function processStatistics(
	statistics: MachineStatistics,
): MachineStatistics {
	return {
		...statistics,
		memory: {
			...statistics.memory,
			rssBytes: process.memoryUsage.rss(),
			peakRssBytes: process.resourceUsage().maxRSS * KIB,
		},
	};
}
