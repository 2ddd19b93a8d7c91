/** Chance for tests: from a seed that a failure names, so that it can be had again. */

/** A number below `below`. */
export type Random = (below: number) => number;

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
