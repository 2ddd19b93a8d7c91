/**
 * A guest as a file beside its kernel: options for `launch` as JSON, in which
 * kernel and initrd are named as seen from that file.
 *
 * Relies on `fetch`; the custom element relies on it.
 *
 * @journey L:308 A guest in a file
 */

import { UsageError } from "../../index.ts";
import type { BrowserLaunchOptions } from "../launch-in.ts";

/** Fetches it. Throws `UsageError` where that fails. */
export async function readGuestFile(
	url: string,
	signal: AbortSignal,
): Promise<BrowserLaunchOptions> {
	const options = await fetchJson(url, signal);
	const { kernel, initrd } = options;
	if (typeof kernel !== "string") {
		throw new UsageError(`${url} names no kernel.`);
	}
	return {
		...options,
		kernel: new URL(kernel, url),
		...(typeof initrd === "string" && { initrd: new URL(initrd, url) }),
	};
}

async function fetchJson(
	url: string,
	signal: AbortSignal,
): Promise<BrowserLaunchOptions> {
	try {
		const response = await fetch(url, { signal });
		if (!response.ok) throw new Error(`the server says ${response.status}`);
		return await response.json();
	} catch (cause) {
		signal.throwIfAborted();
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw new UsageError(`The guest ${url} cannot be fetched: ${reason}.`, {
			hint: "Try again.",
			cause,
		});
	}
}
