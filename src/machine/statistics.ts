/**
 * The numbers by which a run is judged: what `--stats` writes, and what
 * benchmarks divide by each other.
 *
 * Relies on the CPU's counters; the machine fills it in and the embedders add
 * what only they can know.
 *
 * @journey H:145 Counting
 */

import type { CpuStatistics, ExitReason } from "../cpu/index.ts";
import type { DeviceCounters } from "../virtio/device.ts";

/** Everything since the machine was made; resets do not start it anew. */
export interface MachineStatistics extends CpuStatistics {
	readonly instructionsRetired: number;
	/** Real time spent in `run`, idle time included, loading excluded. */
	readonly wallSeconds: number;
	/** Time as the guest's clocks count it. */
	readonly guestSeconds: number;
	/** How often the CPU came back to the run loop, and why. */
	readonly exits: Readonly<Record<ExitReason, number>>;
	/** How often the guest restarted itself. */
	readonly resets: number;
	readonly memory: MemoryStatistics;
	/** In the order of the machine's devices. */
	readonly devices: readonly DeviceCounters[];
}

/** In bytes. */
export interface MemoryStatistics {
	readonly guestBytes: number;
	/** Memory of the whole process, where the embedder can find out. */
	readonly rssBytes?: number;
	/** The most it ever was. */
	readonly peakRssBytes?: number;
}
