/**
 * Three guests in two tabs, joined by a switch: what both browsers have to do
 * alike, whoever drives them.
 */

import { expect } from "vitest";
import { type GuestShell, PROMPT } from "./guest-shell.ts";

/** As much of a driver's tab as is used here. */
interface Tab {
	guest(number?: number): GuestShell;
	readonly page: { bringToFront(): Promise<unknown> };
}

/** `open`: a tab with the page, by what stands behind the # of its address. */
export async function pingEachOther(
	open: (hash: string) => Promise<Tab>,
): Promise<void> {
	const tab = await open(
		"net=lab&address=10.0.0.1&memory=64;net=lab&address=10.0.0.2&memory=64",
	);
	const other = await open("net=lab&address=10.0.0.3&memory=64");
	const [first, second, distant] = [tab.guest(1), tab.guest(2), other.guest()];
	for (const guest of [first, second, distant]) await guest.shows(PROMPT);
	await distant.run("ping -c 1 -W 9 10.0.0.1");
	await tab.page.bringToFront();
	await first.run("ping -c 1 -W 9 10.0.0.2");
	await second.run("ping -c 1 -W 9 10.0.0.3");
	await expect(first.run("ping -c 1 -W 1 10.0.0.9")).rejects.toThrow(
		"100% packet loss",
	);
}
