/**
 * How long somebody waits who opens the page, from there to the default guest's
 * prompt, and who opens a page with v86 and the same files. Each page comes with
 * an empty cache, into a window that is open already. `scripts/web-bench.ts` relies
 * on it.
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser } from "playwright-core";
import type { LguestTerminal } from "../../src/browser/terminal/lguest-terminal.ts";
import { PROMPT } from "../../test/page/guest-shell.ts";
import { type Files, PageServer } from "../../test/page/page-server.ts";
import { debianAsset } from "../debian.ts";
import { projectRoot } from "../sources.ts";

const PATIENCE_MS = 300_000;
const POLLING_MS = 5;
/** A window that has just been opened is busy with itself. */
const SETTLE_MS = 2000;

/** The page, and one with v86 under `v86/` where Debian's firmware is to be had. */
export async function serveBoth(): Promise<PageServer> {
	return PageServer.start(await filesOfV86());
}

async function filesOfV86(): Promise<Files> {
	const bios = await debianAsset("seabios");
	const vgaBios = await debianAsset("seabios-vga");
	if (bios === undefined || vgaBios === undefined) return {};
	const build = dirname(createRequire(import.meta.url).resolve("v86"));
	return {
		"/v86/": join(projectRoot, "scripts/bench/v86-page.html"),
		"/v86/libv86.mjs": join(build, "libv86.mjs"),
		"/v86/v86.wasm": join(build, "v86.wasm"),
		"/v86/bios": bios,
		"/v86/vga-bios": vgaBios,
	};
}

/** Seconds from the page's navigation to the prompt on its terminal. */
export function secondsOfOurs(browser: Browser, url: string): Promise<number> {
	return secondsUntil(
		browser,
		url,
		({ prompt }) =>
			document
				.querySelector<LguestTerminal>("lguest-terminal")
				?.text?.includes(prompt) ?? false,
	);
}

/** The same of v86's, which shows it to nobody. */
export function secondsOfV86(browser: Browser, url: string): Promise<number> {
	return secondsUntil(
		browser,
		`${url}v86/`,
		({ prompt }) =>
			(globalThis as unknown as { said?: string }).said?.includes(prompt) ??
			false,
	);
}

async function secondsUntil(
	browser: Browser,
	url: string,
	isThere: (given: { readonly prompt: string }) => boolean,
): Promise<number> {
	const context = await browser.newContext();
	try {
		const page = await context.newPage();
		await sleep(SETTLE_MS);
		await page.goto(url, { waitUntil: "commit" });
		await page.waitForFunction(
			isThere,
			{ prompt: PROMPT },
			{ polling: POLLING_MS, timeout: PATIENCE_MS },
		);
		// The page's clock starts with its navigation.
		return (await page.evaluate(() => performance.now())) / 1000;
	} finally {
		await context.close();
	}
}
