/**
 * A guest whose tab is behind another one, where browsers let a page's timers
 * run once a second: it goes on as if nothing were.
 */

import type { Browser, Page } from "puppeteer-core";
import { describe, expect, it } from "vitest";
import { canBoot } from "./guest-page.ts";
import { MINUTE, PROMPT } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";
import {
	canBootInFirefox,
	openFirefox,
	openHidingChromium,
	openIn,
} from "./puppeteer-page.ts";

const BEATS = 6;
const BEAT_S = 0.5;
/** A loaded machine may be late for one, but not for all of them together. */
const SLACK_S = 1;
/** What a throttled page has of its timers in that time, and more. */
const TICK_MS = 100;
const THROTTLED_TICKS = 10;

/** Tells how often a timer of the page fires while the beats go on. */
function ticksMeanwhile(page: Page): Promise<number> {
	return page.evaluate(
		(everyMs, forMs) =>
			new Promise<number>((resolve) => {
				let ticks = 0;
				setInterval(() => ticks++, everyMs);
				setTimeout(() => resolve(ticks), forMs);
			}),
		TICK_MS,
		(BEATS + 2) * BEAT_S * 1000,
	);
}

async function staysRight(browser: Browser, url: string): Promise<void> {
	const user = await browser.createBrowserContext();
	const tab = await openIn(user, url);
	const guest = tab.guest();
	await guest.shows(PROMPT);
	await guest.type(
		`(for i in $(seq ${BEATS}); do cut -d " " -f 1 /proc/uptime; sleep ${BEAT_S}; done >/tmp/beats &)\n`,
	);
	const other = await user.newPage();
	await other.bringToFront();
	await tab.page.waitForFunction(() => document.hidden, { polling: 50 });
	expect(await ticksMeanwhile(tab.page)).toBeLessThan(THROTTLED_TICKS);
	await tab.page.bringToFront();

	const asked = Date.now() / 1000;
	const [now = 0, ...beats] = (await guest.run("date +%s; cat /tmp/beats"))
		.trim()
		.split("\n")
		.map(Number);
	// The guest looked at its clock somewhen between question and answer.
	expect(now).toBeGreaterThan(asked - 2);
	expect(now).toBeLessThan(Date.now() / 1000 + 2);
	expect(beats).toHaveLength(BEATS);
	const took = Number(beats.at(-1)) - Number(beats[0]);
	expect(Math.abs(took - (BEATS - 1) * BEAT_S)).toBeLessThan(SLACK_S);
	expect(tab.errors).toEqual([]);
}

describe("A guest in a tab that is hidden", { timeout: 2 * MINUTE }, () => {
	for (const { name, can, open } of [
		{ name: "Chromium", can: canBoot, open: openHidingChromium },
		{ name: "Firefox", can: canBootInFirefox, open: () => openFirefox() },
	]) {
		it.skipIf(!can)(`keeps time, in ${name}`, async () => {
			const server = await PageServer.start();
			const browser = await open();
			try {
				await staysRight(browser, server.url);
			} finally {
				await browser.close();
				await server.close();
			}
		});
	}
});
