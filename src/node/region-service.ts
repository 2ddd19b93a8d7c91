/**
 * A thread that compiles regions for a guest, so that the guest runs on
 * meanwhile. It starts with the first request, and keeps no process alive.
 *
 * Relies on `compileRegions` of the core; whoever makes a machine relies on it.
 *
 * @journey S:140 A thread for the compiler
 */

import {
	MessageChannel,
	type MessagePort,
	receiveMessageOnPort,
	Worker,
} from "node:worker_threads";
import type { RegionResponse, RegionService } from "../index.ts";

/** The compiler's own garbage is short-lived. */
const YOUNG_GENERATION_MB = 8;

export function nodeRegionService(): RegionService {
	let port: MessagePort | undefined;
	return {
		send: (request) => {
			port ??= startWorker();
			port.postMessage(request);
		},
		receive: () => {
			const message = port && receiveMessageOnPort(port);
			return message?.message as RegionResponse | undefined;
		},
	};
}

function startWorker(): MessagePort {
	// Sources run as they are, too.
	const extension = import.meta.url.slice(-3);
	const program = new URL(`./region-worker${extension}`, import.meta.url);
	const { port1, port2 } = new MessageChannel();
	const worker = new Worker(program, {
		name: "lguest-regions",
		workerData: port2,
		transferList: [port2],
		resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
	});
	// Without it the guest goes on as it is, on the cold engine where it must.
	worker.on("error", () => port1.close());
	worker.unref();
	port1.unref();
	return port1;
}
