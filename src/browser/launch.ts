/**
 * `launch` for browsers: each guest in a Web Worker. The worker is written so
 * that bundlers find it, and so that a page can use the modules as they are.
 *
 * Relies on `launch-in.ts`; pages rely on it.
 *
 * @journey L:290 Launching from a page
 */

import type { Guest } from "../index.ts";
import { type BrowserLaunchOptions, launchIn } from "./launch-in.ts";

/**
 * Starts a guest. A kernel, an initrd or a disk is a URL, a `File` or bytes; a
 * disk's overlay that has a name is kept in OPFS. Rejects with `UsageError` for
 * wrong options, or with the signal's reason.
 */
export function launch(options: BrowserLaunchOptions): Promise<Guest> {
	return launchIn(startWorker, options);
}

/** For `launchIn`. */
export function startWorker(name: string): Worker {
	return new Worker(new URL("./guest-worker.js", import.meta.url), {
		type: "module",
		name,
	});
}
