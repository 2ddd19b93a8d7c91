/**
 * Sleep that can be interrupted. While the guest is halted the run loop sleeps
 * here, and whatever could wake the guest (a key, a signal) wakes the loop.
 *
 * Relies on the embedder's timers; the clocks rely on it.
 *
 * @journey H:125 Sleeping lightly
 */

/** Timers keep only 31 bits of milliseconds; beyond, they would fire at once. */
const LONGEST_SLEEP_MS = 0x7fff_ffff;

/** For one sleeper. */
export class Alarm {
	#ring: (() => void) | undefined;
	#rung = false;

	/** Ends the sleep, or the next one if nobody sleeps: no call is lost. */
	wake(): void {
		if (this.#ring === undefined) this.#rung = true;
		else this.#ring();
	}

	/**
	 * Ends the sleep if somebody sleeps: for interrupts, which the processor looks
	 * for itself before it halts. Remembered, each would cost a sleep too short.
	 */
	nudge(): void {
		this.#ring?.();
	}

	/** Resolves after `ms`, which may be Infinity, or at the first `wake`. */
	async sleep(ms: number): Promise<void> {
		if (!this.#rung) await this.#wait(ms);
		this.#rung = false;
	}

	/** A pending timer also tells Node that the program has not ended. */
	#wait(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const finish = () => {
				clearTimeout(timer);
				this.#ring = undefined;
				resolve();
			};
			const timer = setTimeout(finish, Math.min(ms, LONGEST_SLEEP_MS));
			this.#ring = finish;
		});
	}
}
