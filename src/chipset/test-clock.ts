/**
 * A device clock whose time moves only when a test says so: it runs callbacks
 * in order of their deadlines, exactly on time or all late.
 *
 * Relies on the bus contract; only tests rely on it.
 *
 * @journey P:306 A clock for tests
 */

import type { DeviceClock } from "./bus.ts";

/** Starts at zero. */
export class TestClock implements DeviceClock {
	#now = 0;
	readonly #requests = new Map<object, { at: number; callback: () => void }>();

	nowNs(): number {
		return this.#now;
	}

	schedule(owner: object, deadlineNs?: number, callback?: () => void): void {
		this.#requests.delete(owner);
		if (deadlineNs !== undefined && callback !== undefined) {
			this.#requests.set(owner, { at: deadlineNs, callback });
		}
	}

	/** The earliest deadline asked for, or undefined. */
	nextDeadline(): number | undefined {
		return this.#first()?.[1].at;
	}

	/** Moves to `ns`, stopping at every deadline on the way. */
	runTo(ns: number): void {
		for (;;) {
			const first = this.#first();
			if (first === undefined || first[1].at > ns) break;
			const [owner, request] = first;
			this.#requests.delete(owner);
			this.#now = Math.max(this.#now, request.at);
			request.callback();
		}
		this.#now = Math.max(this.#now, ns);
	}

	/** Moves by `ns`. */
	run(ns: number): void {
		this.runTo(this.#now + ns);
	}

	/** Time goes by while nobody looks: late deadlines are served afterwards. */
	jump(ns: number): void {
		this.#now += ns;
		this.runTo(this.#now);
	}

	#first(): [object, { at: number; callback: () => void }] | undefined {
		let best: [object, { at: number; callback: () => void }] | undefined;
		for (const entry of this.#requests) {
			if (best === undefined || entry[1].at < best[1].at) best = entry;
		}
		return best;
	}
}
