/**
 * All of a guest's thread: `serveGuest` at the worker's end of the wire.
 *
 * Relies on the core and `surroundings.ts`; the worker's program relies on it.
 *
 * @journey L:287 The other end
 */

import { type Channel, serveGuest } from "../index.ts";
import { browserSurroundings } from "./surroundings.ts";
import { LOCKED } from "./worker-channel.ts";

/** As much of a worker's global scope as is used: the DOM library has only windows. */
interface WorkerScope {
	readonly name: string;
	postMessage(message: unknown, transfer: Transferable[]): void;
}

/** Serves one guest; the value takes what comes over the wire. */
export function serve(): (event: MessageEvent<unknown>) => void {
	const scope = self as unknown as WorkerScope;
	const channel: Channel = {
		post: (message, transfer = []) => scope.postMessage(message, [...transfer]),
		onMessage: () => {},
	};
	serveGuest(channel, browserSurroundings);
	// Held until the worker is no more. A page without HTTPS has no locks.
	void navigator.locks?.request(scope.name, () => {
		scope.postMessage(LOCKED, []);
		return new Promise(() => {});
	});
	return ({ data }) => channel.onMessage(data);
}
