/**
 * The program of a guest's worker thread in Node: `serveGuest` at the end of a
 * message port.
 *
 * Relies on the core and `surroundings.ts`; `launch.ts` starts it.
 *
 * @journey L:274 A thread for a guest
 */

import { parentPort } from "node:worker_threads";
import { type Channel, serveGuest } from "../index.ts";
import { heedBranchHints } from "./early-optimising.ts";
import { nodeSurroundings } from "./surroundings.ts";

const port = parentPort;
if (port !== null) {
	heedBranchHints();
	const channel: Channel = {
		post: (message, transfer = []) => port.postMessage(message, [...transfer]),
		onMessage: () => {},
	};
	port.on("message", (message: unknown) => channel.onMessage(message));
	serveGuest(channel, nodeSurroundings);
}
