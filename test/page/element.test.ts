/**
 * `<lguest-terminal>` in a document that has nothing else: the package's one
 * module, as it is, on a server of static files. Skipped where there is no
 * Chromium or no default guest.
 */

import { join } from "node:path";
import { expect, it } from "vitest";
import { projectRoot } from "../../scripts/sources.ts";
import { buildElement } from "../../scripts/web.ts";
import {
	canBoot,
	MINUTE,
	newUser,
	openBrowser,
	openPage,
	PROMPT,
} from "./guest-page.ts";
import { PageServer } from "./page-server.ts";

it.skipIf(!canBoot)(
	"the element is one module, and boots what its attributes say",
	{ timeout: 2 * MINUTE },
	async () => {
		const file = (name: string) => join(projectRoot, name);
		const server = await PageServer.start(
			{
				"/": file("test/page/element.html"),
				"/guest/guest.json": file("guests/default/guest.json"),
				"/guest/vmlinuz": file("guests/default/vmlinuz"),
				"/guest/initramfs.cpio.gz": file("guests/default/initramfs.cpio.gz"),
			},
			buildElement,
		);
		const browser = await openBrowser();
		try {
			const tab = await openPage(await newUser(browser), server.url);
			const guest = tab.guest();
			await guest.coverButton.click();
			await guest.shows(PROMPT);
			const output = await guest.run("grep MemTotal /proc/meminfo; stty size");
			expect(Number(/\d+/.exec(output)?.[0])).toBeLessThan(64 * 1024);
			expect([...server.requests.keys()].sort()).toEqual([
				...["/", "/guest/guest.json", "/guest/initramfs.cpio.gz"],
				...["/guest/vmlinuz", "/index.js"],
			]);
			expect(tab.errors).toEqual([]);
		} finally {
			await browser.close();
			await server.close();
		}
	},
);
