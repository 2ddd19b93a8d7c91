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
	type Platform,
} from "../index.ts";
import type { BrowserDevices } from "./device-backends.ts";
import { workerChannel, workerName } from "./worker-channel.ts";

/** What a guest is made of. */
export interface BrowserLaunchOptions
	extends Omit<LaunchOptions, "devices">,
		BrowserDevices {}

/**
 * As `launch`; the worker that `startWorker` starts must have the name it is
 * given. It starts while it is still found out what it shall run.
 */
export async function launchIn(
	startWorker: (name: string) => Worker,
	given: BrowserLaunchOptions | Promise<BrowserLaunchOptions>,
): Promise<Guest> {
	const name = workerName();
	const channel = workerChannel(startWorker(name), name);
	try {
		const { nets = [], ...options } = await given;
		const platform: Platform = { startWorker: () => channel };
		return await launchOn(platform, { ...options, devices: { nets } });
	} catch (error) {
		await channel.terminate();
		throw error;
	}
}
