/**
 * `launch` for whoever starts workers in a way of its own, as the element does,
 * which carries its worker inside.
 *
 * Relies on the core's `launchOn`; `launch` and the element rely on it.
 *
 * @journey L:291 Launching, wherever the worker is from
 */

import {
	type Guest,
	type LaunchOptions,
	launchOn,
	type WorkerChannel,
} from "../index.ts";
import type { BrowserDevices } from "./device-backends.ts";
import { workerChannel, workerName } from "./worker-channel.ts";

/** What a guest is made of. */
export interface BrowserLaunchOptions
	extends Omit<LaunchOptions, "devices">,
		BrowserDevices {}

/** As `launch`; the worker that `startWorker` starts must have the name it is given. */
export function launchIn(
	startWorker: (name: string) => Worker,
	{ nets = [], ...options }: BrowserLaunchOptions,
): Promise<Guest> {
	const start = (): WorkerChannel => {
		const name = workerName();
		return workerChannel(startWorker(name), name);
	};
	return launchOn({ startWorker: start }, { ...options, devices: { nets } });
}
