/**
 * Chance for tests: from a seed that a failure names, so that it can be had
 * again.
 *
 * Relies on nothing; tests and fuzzing rely on it.
 *
 * @journey D:365 Chance that repeats
 */

/** A number below `below`. */
export type Random = (below: number) => number;

/** 32 bits, mostly plausible ones, so that something happens. */
export function plausible(random: Random): number {
	switch (random(5)) {
		case 0:
			return random(8);
		case 1:
			return 2 ** random(32);
		case 2:
			return random(256) * 1024;
		case 3:
			return 0xffff_ffff;
		default:
			return random(2 ** 32);
	}
}

/** A linear congruence, its high bits: small, and good enough to choose by. */
export function randomFrom(seed: number): Random {
	let state = seed >>> 0;
	return (below) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor((state / 2 ** 32) * below);
	};
}

/** True once in `times`. */
export function chance(random: Random, times: number): boolean {
	return random(times) === 0;
}
