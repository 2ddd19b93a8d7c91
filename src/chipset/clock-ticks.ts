/**
 * Conversion between the machine's nanoseconds and the ticks of a crystal, in
 * exact integer steps, so that a timer programmed for a year fires on the very
 * tick it should: rounding never accumulates because every answer is computed
 * from zero.
 *
 * Relies on nothing; the PIT, the RTC and the ACPI timer rely on it.
 *
 * @journey P:305 Time that does not drift
 */

const NS_PER_SECOND = 1e9;

/**
 * Whole ticks of a `frequencyHz` crystal in the first `ns` nanoseconds. Seconds
 * and remainder are converted apart: the remainder's product stays below
 * 2^53 for every frequency up to 9 MHz.
 */
export function ticksAt(ns: number, frequencyHz: number): number {
	const seconds = Math.floor(ns / NS_PER_SECOND);
	const rest = Math.floor(ns - seconds * NS_PER_SECOND);
	return (
		seconds * frequencyHz + Math.floor((rest * frequencyHz) / NS_PER_SECOND)
	);
}

/** The first nanosecond at which `ticksAt` has reached `tick`. */
export function nsOfTick(tick: number, frequencyHz: number): number {
	const seconds = Math.floor(tick / frequencyHz);
	const rest = tick - seconds * frequencyHz;
	return (
		seconds * NS_PER_SECOND + Math.ceil((rest * NS_PER_SECOND) / frequencyHz)
	);
}
