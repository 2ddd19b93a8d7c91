/**
 * `launch` for Node: each guest on a worker thread.
 *
 * Relies on the core's `launchOn` and Node's worker threads; programs that embed
 * lguest rely on it.
 *
 * @journey L:276 Launching from Node
 */

import { Worker } from "node:worker_threads";
import {
	type Guest,
	type LaunchOptions,
	launchOn,
	type Platform,
	type WorkerChannel,
} from "../index.ts";
import { completed, defaultGuest } from "./default-guest.ts";
import { type DeviceArguments, deviceArguments } from "./device-backends.ts";

/** Decoding makes much short-lived garbage, for which V8 would take 60 MiB. */
const YOUNG_GENERATION_MB = 4;

/** What a guest is made of; without a kernel it is the default guest. */
export type NodeLaunchOptions = Omit<LaunchOptions, "kernel" | "devices"> &
	Partial<Pick<LaunchOptions, "kernel">> &
	DeviceArguments;

/**
 * Starts a guest. Rejects with `UsageError` for wrong options, or with the
 * signal's reason.
 */
export async function launch(options: NodeLaunchOptions = {}): Promise<Guest> {
	const { kernel, ...others } = options;
	const given = { ...others, devices: deviceArguments(options) };
	return launchGiven(
		kernel === undefined
			? completed(defaultGuest(), given)
			: { ...given, kernel },
	);
}

/** Starts a guest of which nothing is left to be said. */
export function launchGiven(options: LaunchOptions): Promise<Guest> {
	return launchOn(nodePlatform, options);
}

const nodePlatform: Platform = { startWorker };

function startWorker(): WorkerChannel {
	const program = new URL("./guest-worker.js", import.meta.url);
	const worker = new Worker(program, {
		name: "lguest",
		resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
	});
	const channel: WorkerChannel = {
		post: (message, transfer = []) =>
			worker.postMessage(message, [...transfer]),
		onMessage: () => {},
		onDeath: () => {},
		terminate: async () => {
			await worker.terminate();
		},
	};
	worker.on("message", (message: unknown) => channel.onMessage(message));
	worker.on("error", (error) => channel.onDeath(error));
	worker.on("exit", (code) =>
		channel.onDeath(new Error(`The guest's thread ended with ${code}.`)),
	);
	return channel;
}
