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
	const channel: WorkerChannel = {
		post: (message, transfer = []) =>
			worker.postMessage(message, [...transfer]),
		onMessage: () => {},
		onDeath: () => {},
		terminate: async () => worker.terminate(),
	};
	worker.onmessage = ({ data }) => {
		if (data === LOCKED) void watch(name, channel);
		else channel.onMessage(data);
	};
	worker.onmessageerror = () =>
		channel.onDeath(new LguestError("A message of the guest was lost."));
	worker.onerror = ({ message }) =>
		channel.onDeath(
			new LguestError(
				`The guest's worker failed${message ? `: ${message}` : " to start"}.`,
			),
		);
	return channel;
}

async function watch(name: string, channel: WorkerChannel): Promise<void> {
	await navigator.locks.request(name, () => {
		channel.onDeath(
			new LguestError("The browser has ended the guest's worker.", {
				hint: "It may be short of memory: give the guest less, or close other tabs.",
			}),
		);
	});
}
