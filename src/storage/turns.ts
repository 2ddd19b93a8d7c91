/**
 * Taking turns: what must not interleave with its like waits for the one
 * before. Not a lock to be held for long; whoever waits inside a turn for
 * another turn waits for ever.
 *
 * Relies on nothing; images rely on it.
 *
 * @journey D:335 One after the other
 */

/** A queue of one. */
export class Turns {
	#last: Promise<unknown> = Promise.resolve();

	/** Runs `act` when everybody before has ended, well or badly. */
	take<Result>(act: () => Promise<Result> | Result): Promise<Result> {
		const result = this.#last.then(act);
		this.#last = result.catch(() => {});
		return result;
	}
}
