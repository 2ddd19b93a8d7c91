/**
 * Where indirect branches have been seen to go. By physical address of the
 * branch; the places are distances, for the same code may be mapped anywhere.
 *
 * @journey E:706 What branches have been seen to do
 */

const MOST_TARGETS = 24;
const MOST_BRANCHES = 20_000;

export class BranchHistory {
	readonly #targets = new Map<number, number[]>();

	/** A branch was seen to go `distance` bytes on; whether that is news. */
	note(branch: number, distance: number): boolean {
		const known = this.#targets.get(branch);
		if (known === undefined) {
			// Code comes and goes: what is still true will be seen again.
			if (this.#targets.size >= MOST_BRANCHES) this.#targets.clear();
			this.#targets.set(branch, [distance]);
			return true;
		}
		if (known.includes(distance) || known.length >= MOST_TARGETS) return false;
		known.push(distance);
		return true;
	}

	/** Distances from the branch to where it has gone. */
	targetsOf(branch: number): readonly number[] {
		return this.#targets.get(branch) ?? [];
	}
}
