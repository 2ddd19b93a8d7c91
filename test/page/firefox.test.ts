/**
 * The page in Debian's Firefox: what another engine could do differently.
 * Skipped where there is no Firefox or no default guest.
 */

import type { Browser, BrowserContext } from "puppeteer-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { greeterCode, multibootImage } from "../boot/multiboot-image.ts";
import { MINUTE, PROMPT } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";
import { pingEachOther } from "./ping-each-other.ts";
import { canBootInFirefox, openFirefox, openIn } from "./puppeteer-page.ts";

/** Of all origins together. */
const STORAGE_KIB = 12 * 1024;

describe.skipIf(!canBootInFirefox)(
	"The page in Firefox",
	{ timeout: 2 * MINUTE },
	() => {
		let server: PageServer;
		let browser: Browser;
		let user: BrowserContext;

		beforeAll(async () => {
			server = await PageServer.start();
			browser = await openFirefox();
		}, MINUTE);

		beforeEach(async () => {
			user = await browser.createBrowserContext();
			return () => user.close();
		});

		afterAll(async () => {
			await browser?.close();
			await server?.close();
		});

		const open = (hash = "") => openIn(user, `${server.url}#${hash}`);

		it("boots, and runs what is typed", async () => {
			const tab = await open();
			const guest = tab.guest();
			await guest.shows(PROMPT);
			expect(await guest.run("echo $((6 * 7)); tty")).toBe("42\n/dev/hvc0\n");
			await guest.isIn("running");
			expect(tab.errors).toEqual([]);
		});

		it("shows long output, and tells the guest the terminal's size", async () => {
			const tab = await open();
			const guest = tab.guest();
			await guest.shows(PROMPT);
			await guest.run("seq 5000");
			expect(await guest.text()).toContain("\n4999\n5000\n");
			const columns = async () =>
				Number((await guest.run("stty size")).split(" ")[1]);
			const wide = await columns();
			await tab.page.setViewport({ width: 640, height: 900 });
			await expect.poll(columns).toBeLessThan(wide);
			expect(await columns()).toBeGreaterThan(40);
		});

		it("takes Ctrl+C from a guest that is busy, and gives the keyboard back", async () => {
			const tab = await open();
			const guest = tab.guest();
			await guest.shows(PROMPT);
			await guest.type("while :; do echo spinning; done\n");
			await guest.shows("spinning\nspinning");
			await guest.control("C");
			expect(await guest.run("echo $((40 + 2))")).toBe("42\n");
			await guest.control("F6");
			const focused = () => document.activeElement?.textContent;
			expect(await tab.page.evaluate(focused)).toBe("Pause");
		});

		it("keeps a disk over a reload, from other tabs too", async () => {
			const tab = await open("blank=16&keep=notes");
			const guest = tab.guest();
			await guest.shows(PROMPT);
			await guest.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt");
			await guest.run("echo remember me > /mnt/note && umount /mnt && sync");
			await tab.page.reload();
			await guest.shows(PROMPT);
			await guest.run("mount /dev/vda /mnt");
			expect(await guest.run("cat /mnt/note")).toBe("remember me\n");
			const other = (await open("blank=16&keep=notes")).guest();
			await other.isIn("failed");
			expect(await other.cover()).toContain('The disk "notes" is in use');
		});

		it("lets two guests side by side reach each other, and a third in another tab", () =>
			pingEachOther(open));

		it("pauses, goes on, stops and starts again with a kernel that is dropped on it", async () => {
			const guest = (await open()).guest();
			await guest.shows(PROMPT);
			await guest.press("Pause");
			await guest.isIn("paused");
			await guest.type("echo a$((1 + 1))b\n");
			await guest.press("Resume");
			await guest.shows("a2b");
			await guest.press("Stop");
			await guest.isIn("ended");
			expect(await guest.cover()).toContain("The guest was stopped.");
			const bytes = multibootImage(greeterCode("dropped kernel speaking"));
			await guest.drop("greeter", bytes);
			await guest.shows("dropped kernel speaking");
			await guest.isIn("running");
		});

		it("says that the guest's worker was ended, and starts again", async () => {
			const tab = await open("start=no");
			await tab.page.evaluate(() => {
				globalThis.Worker = class extends Worker {
					constructor(url: string | URL, options?: WorkerOptions) {
						super(url, options);
						addEventListener("out of memory", () => this.terminate());
					}
				};
			});
			const guest = tab.guest();
			await guest.press("Start");
			await guest.shows(PROMPT);
			await tab.page.evaluate(() => dispatchEvent(new Event("out of memory")));
			await guest.isIn("failed");
			expect(await guest.cover()).toContain(
				"The browser has ended the guest's worker.",
			);
			await guest.pressCover();
			await guest.shows(PROMPT);
		});

		it("says that the browser's storage is full, and the guest runs on", async () => {
			const small = await openFirefox({
				"dom.quotaManager.temporaryStorage.fixedLimit": STORAGE_KIB,
			});
			try {
				const tab = await openIn(
					small.defaultBrowserContext(),
					`${server.url}#blank=64&keep=big`,
				);
				const guest = tab.guest();
				await guest.shows(PROMPT);
				await expect(
					guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=32 conv=fsync"),
				).rejects.toThrow("error");
				expect(await guest.trouble()).toContain(
					'no more room for the disk "big"',
				);
				expect(await guest.run("echo still here")).toBe("still here\n");
			} finally {
				await small.close();
			}
		});
	},
);
