/**
 * Who wants to be called when. A machine has half a dozen timers, so a linear
 * search finds the earliest; what the run loop asks all the time, the earliest
 * deadline, is kept.
 *
 * Relies on nothing; both clocks rely on it.
 *
 * @journey H:120 Alarm clocks for chips
 */

interface TimerRequest {
	readonly deadlineNs: number;
	readonly callback: () => void;
}

/** At most one pending request for each owner (see `DeviceClock`). */
export class TimerQueue {
	readonly #requests = new Map<object, TimerRequest>();
	#earliestNs = Number.POSITIVE_INFINITY;

	/** Infinity when nobody waits. */
	get earliestNs(): number {
		return this.#earliestNs;
	}

	/** Replaces what `owner` asked for before; without a deadline, cancels it. */
	schedule(
		owner: object,
		deadlineNs: number | undefined,
		callback: (() => void) | undefined,
	): void {
		if (deadlineNs === undefined || callback === undefined) {
			this.#requests.delete(owner);
		} else {
			this.#requests.set(owner, { deadlineNs, callback });
		}
		this.#findEarliest();
	}

	/** Forgets everything: the chips that asked are gone. */
	clear(): void {
		this.#requests.clear();
		this.#findEarliest();
	}

	/**
	 * Calls everybody whose time has come by `nowNs`, earliest first. A callback
	 * that asks again for a time not after `nowNs` is served as well, which is
	 * how a late timer catches up.
	 */
	runDue(nowNs: number): void {
		while (this.#earliestNs <= nowNs) {
			for (const [owner, { deadlineNs, callback }] of this.#requests) {
				if (deadlineNs !== this.#earliestNs) continue;
				this.#requests.delete(owner);
				this.#findEarliest();
				callback();
				break;
			}
		}
	}

	#findEarliest(): void {
		let earliest = Number.POSITIVE_INFINITY;
		for (const { deadlineNs } of this.#requests.values()) {
			if (deadlineNs < earliest) earliest = deadlineNs;
		}
		this.#earliestNs = earliest;
	}
}
