/**
 * A pause of the guest: asked for from outside, reached when the run loop gets
 * there, ended from outside. Both sides can wait for the other.
 *
 * Relies on nothing; the machine relies on it.
 *
 * @journey H:126 Standing still
 */

/** For one pause. */
export class Pause {
	/** Resolves when the guest stands still, or the pause is over before that. */
	readonly reached: Promise<void>;
	readonly #ended: Promise<void>;
	#reach!: () => void;
	#end!: () => void;

	constructor() {
		this.reached = new Promise((resolve) => {
			this.#reach = resolve;
		});
		this.#ended = new Promise((resolve) => {
			this.#end = resolve;
		});
	}

	/** The run loop is here; resolves when it may go on. */
	stand(): Promise<void> {
		this.#reach();
		return this.#ended;
	}

	end(): void {
		this.#reach();
		this.#end();
	}
}
