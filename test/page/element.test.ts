/**
 * `<lguest-terminal>` in a document that has nothing else: the package's one
 * module, as it is, on a server of static files. Skipped where there is no
 * browser or no default guest.
 */

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../scripts/sources.ts";
import { buildElement } from "../../scripts/web.ts";
import { canBoot, newUser, openBrowser, openPage } from "./guest-page.ts";
import { type GuestShell, MINUTE, PROMPT } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";
import { canBootInFirefox, openFirefox, openIn } from "./puppeteer-page.ts";

describe.skipIf(!canBoot && !canBootInFirefox)(
	"The element is one module, and boots what its attributes say",
	{ timeout: 2 * MINUTE },
	() => {
		let server: PageServer;

		beforeAll(async () => {
			const file = (name: string) => join(projectRoot, name);
			server = await PageServer.start(
				{
					"/": file("test/page/element.html"),
					"/guest/guest.json": file("guests/default/guest.json"),
					"/guest/vmlinuz": file("guests/default/vmlinuz"),
					"/guest/initramfs.cpio.gz": file("guests/default/initramfs.cpio.gz"),
				},
				buildElement,
			);
		}, MINUTE);

		afterAll(() => server?.close());

		async function boots(guest: GuestShell): Promise<void> {
			await guest.shows(PROMPT);
			const output = await guest.run("grep MemTotal /proc/meminfo; stty size");
			expect(Number(/\d+/.exec(output)?.[0])).toBeLessThan(64 * 1024);
			expect([...server.requests.keys()].sort()).toEqual([
				...["/", "/guest/guest.json", "/guest/initramfs.cpio.gz"],
				...["/guest/vmlinuz", "/index.js"],
			]);
		}

		it.skipIf(!canBoot)("in Chromium", async () => {
			const browser = await openBrowser();
			try {
				const tab = await openPage(await newUser(browser), server.url);
				const guest = tab.guest();
				await guest.coverButton.click();
				await boots(guest);
				expect(tab.errors).toEqual([]);
			} finally {
				await browser.close();
			}
		});

		it.skipIf(!canBootInFirefox)("in Firefox", async () => {
			const browser = await openFirefox();
			try {
				const user = browser.defaultBrowserContext();
				const tab = await openIn(user, server.url);
				const guest = tab.guest();
				await guest.pressCover();
				await boots(guest);
				expect(tab.errors).toEqual([]);
			} finally {
				await browser.close();
			}
		});
	},
);
