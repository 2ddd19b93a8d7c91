/**
 * From two readings of a guest's counters to what happened between them.
 *
 * Relies on the machine's statistics; the plots rely on it.
 *
 * @journey L:324 How fast is it?
 */

import type { MachineStatistics } from "../browser/index.ts";

/** Of a stretch of time. */
export interface Rates {
	readonly instructionsPerSecond: number;
	/** From 0 to 1: how many of them ran in compiled regions. */
	readonly hotShare: number;
	/** Notifications and interrupts of all devices. */
	readonly deviceEventsPerSecond: number;
}

/** What a reading is made of. */
export type Reading = Pick<
	MachineStatistics,
	"instructionsRetired" | "hotRetired" | "devices"
>;

/** `seconds` is the time between the readings. */
export function ratesBetween(
	before: Reading,
	after: Reading,
	seconds: number,
): Rates {
	const retired = after.instructionsRetired - before.instructionsRetired;
	const hot = after.hotRetired - before.hotRetired;
	return {
		instructionsPerSecond: seconds > 0 ? retired / seconds : 0,
		hotShare: retired > 0 ? hot / retired : 0,
		deviceEventsPerSecond:
			seconds > 0 ? (eventsOf(after) - eventsOf(before)) / seconds : 0,
	};
}

function eventsOf({ devices }: Reading): number {
	return devices.reduce(
		(sum, { kicks, interrupts }) => sum + kicks + interrupts,
		0,
	);
}
