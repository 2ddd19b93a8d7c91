/**
 * `launch` for browsers: each guest in a Web Worker. The worker is written so
 * that bundlers find it, and so that a page can use the modules as they are.
 *
 * Relies on the core's `launchOn`; pages rely on it.
 *
 * @journey L:290 Launching from a page
 */

import {
	type Guest,
	type LaunchOptions,
	LguestError,
	launchOn,
	type Platform,
	type WorkerChannel,
} from "../index.ts";

/**
 * Starts a guest. A kernel, an initrd or a disk is a URL, a `File` or bytes.
 * Rejects with `UsageError` for wrong options, or with the signal's reason.
 */
export function launch(options: LaunchOptions): Promise<Guest> {
	return launchOn(browserPlatform, options);
}

const browserPlatform: Platform = { startWorker };

function startWorker(): WorkerChannel {
	const worker = new Worker(new URL("./guest-worker.js", import.meta.url), {
		type: "module",
		name: "lguest",
	});
	const channel: WorkerChannel = {
		post: (message, transfer = []) =>
			worker.postMessage(message, [...transfer]),
		onMessage: () => {},
		onDeath: () => {},
		terminate: async () => worker.terminate(),
	};
	worker.onmessage = ({ data }) => channel.onMessage(data);
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
