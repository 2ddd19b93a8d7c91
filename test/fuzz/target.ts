/**
 * What can be fuzzed: one case is everything that follows from one seed, so a
 * finding is its seed. A case ends by itself, soon, and leaves nothing behind.
 */

import type { Random } from "../support/random.ts";

/** One kind of hostile input. */
export interface FuzzTarget {
	/** For `--target`. */
	readonly name: string;
	/** One line for `--list`. */
	readonly about: string;
	/** Runs one case; a throw or a rejection is a finding. */
	run(random: Random): void | Promise<void>;
}
