/**
 * The wire to a guest's Web Worker. A worker that a browser ends says nothing;
 * so each holds a lock for as long as it lives, and whoever gets that lock knows
 * that it does not live any more.
 *
 * Relies on workers and Web Locks; `launch` relies on it, and whoever starts
 * workers in another way.
 *
 * @journey L:289 A sign of life
 */

import { LguestError, type WorkerChannel } from "../index.ts";

/** What a worker says when it has the lock that is called as the worker is. */
export const LOCKED = "lguest-locked";

/** A name for a worker that no other has. */
export function workerName(): string {
	return `lguest ${crypto.randomUUID()}`;
}

/** For `Platform`; `name` is what the worker was started with. */
export function workerChannel(worker: Worker, name: string): WorkerChannel {
	const channel = new Wire(worker);
	worker.onmessage = ({ data }) => {
		if (data === LOCKED) void watch(name, channel);
		else channel.onMessage(data);
	};
	worker.onmessageerror = () =>
		channel.die(new LguestError("A message of the guest was lost."));
	worker.onerror = ({ message }) =>
		channel.die(
			new LguestError(
				`The guest's worker failed${message ? `: ${message}` : " to start"}.`,
			),
		);
	return channel;
}

class Wire implements WorkerChannel {
	onMessage: (message: unknown) => void = () => {};
	readonly #worker: Worker;
	#onDeath: (cause: unknown) => void = () => {};
	#death: LguestError | undefined;

	constructor(worker: Worker) {
		this.#worker = worker;
	}

	post(message: unknown, transfer: readonly ArrayBuffer[] = []): void {
		this.#worker.postMessage(message, [...transfer]);
	}

	get onDeath(): (cause: unknown) => void {
		return this.#onDeath;
	}

	/** Told also of what was before it was set: workers start early. */
	set onDeath(listener: (cause: unknown) => void) {
		this.#onDeath = listener;
		if (this.#death !== undefined) queueMicrotask(() => listener(this.#death));
	}

	die(cause: LguestError): void {
		this.#death = cause;
		this.#onDeath(cause);
	}

	async terminate(): Promise<void> {
		this.#worker.terminate();
	}
}

async function watch(name: string, channel: Wire): Promise<void> {
	await navigator.locks.request(name, () => {
		channel.die(
			new LguestError("The browser has ended the guest's worker.", {
				hint: "It may be short of memory: give the guest less, or close other tabs.",
			}),
		);
	});
}
