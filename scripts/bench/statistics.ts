/**
 * The few statistics a benchmark table needs. Medians, because a shared machine
 * disturbs some rounds and never speeds one up; geometric means, because ratios
 * multiply. `report.ts` relies on it.
 */

/** The middle value; of an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	const half = sorted.length >> 1;
	const upper = sorted[half] ?? Number.NaN;
	if (sorted.length % 2 === 1) return upper;
	return ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** Distance from the smallest to the largest value, relative to the median. */
export function relativeSpread(values: readonly number[]): number {
	return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** The mean of ratios: 2 and 1/2 cancel. */
export function geometricMean(values: readonly number[]): number {
	const logs = values.reduce((sum, value) => sum + Math.log(value), 0);
	return Math.exp(logs / values.length);
}
