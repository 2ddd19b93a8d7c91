/**
 * What the page's user is told when something goes wrong, and that the page
 * still works afterwards. Skipped where there is no Chromium or no default
 * guest.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { multibootImage } from "../boot/multiboot-image.ts";
import {
	canBoot,
	drop,
	type GuestOnPage,
	type GuestPage,
	newLastingUser,
	newUser,
	openBrowser,
	openPage,
} from "./guest-page.ts";
import { MINUTE, PROMPT } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";

const MIB = 2 ** 20;

describe.skipIf(!canBoot)("The page says", { timeout: 2 * MINUTE }, () => {
	let server: PageServer;
	let browser: Browser;
	let user: BrowserContext;
	let folder: string;

	beforeAll(async () => {
		server = await PageServer.start();
		browser = await openBrowser();
	}, MINUTE);

	beforeEach(async () => {
		server.mend();
		user = await newUser(browser);
		folder = await mkdtemp(join(tmpdir(), "lguest-user-"));
		return async () => {
			await user.close();
			await rm(folder, { recursive: true, force: true });
		};
	});

	afterAll(async () => {
		await browser?.close();
		await server?.close();
	});

	/** Lets the page have so much and no more; the value is how to end that. */
	async function limitStorage(tab: GuestPage, quotaSize: number) {
		const session = await user.newCDPSession(tab.page);
		const { origin } = new URL(server.url);
		await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
		return () => session.detach();
	}

	const open = (hash = "") => openPage(user, `${server.url}#${hash}`);

	/** Its end is told in front of the terminal; the button there is the way back. */
	async function failsWith(guest: GuestOnPage, reason: RegExp) {
		await guest.isIn("failed");
		expect(await guest.cover.innerText()).toMatch(reason);
	}

	async function startsAgain(guest: GuestOnPage) {
		await guest.coverButton.click();
		await guest.shows(PROMPT);
		expect(await guest.run("echo back")).toBe("back\n");
	}

	it("that a dropped file is nothing it knows, and lets the guest run on", async () => {
		const guest = (await open()).guest();
		await guest.shows(PROMPT);
		const bytes = new TextEncoder().encode("Dear diary");
		await drop(guest.section, [{ name: "diary.txt", bytes }]);
		await expect
			.poll(() => guest.trouble.innerText())
			.toMatch(/^diary\.txt is no kernel, initrd or disk/);
		expect(await guest.run("echo still here")).toBe("still here\n");
	});

	it("that a file chosen as kernel is none", async () => {
		const guest = (await open("start=no")).guest();
		await guest.section.getByText("Set-up").click();
		await guest.field("kernel-file").setInputFiles({
			name: "holiday.jpg",
			mimeType: "image/jpeg",
			buffer: Buffer.alloc(5000, 0xd8),
		});
		await guest.button("Start").click();
		await failsWith(guest, /holiday\.jpg.*kernel/);
		await guest.field("kernel-file").setInputFiles([]);
		await startsAgain(guest);
	});

	it.each([
		["kernel", "/guest/vmlinuz"],
		["initrd", "/guest/initramfs.cpio.gz"],
	])("that the network was lost while the %s came", async (role, path) => {
		server.break(path, { kind: "lost", afterBytes: MIB });
		const guest = (await open()).guest();
		await failsWith(
			guest,
			new RegExp(`^The ${role} .*${path} cannot be fetched: the connection`),
		);
		server.mend();
		await startsAgain(guest);
	});

	it.each([
		["kernel", "/guest/vmlinuz"],
		["initrd", "/guest/initramfs.cpio.gz"],
	])("that the %s on the server is cut short", async (role, path) => {
		server.break(path, { kind: "short", afterBytes: 2 * MIB });
		const guest = (await open()).guest();
		await failsWith(guest, new RegExp(`${role}.* (truncated|damaged)`));
		expect(await guest.cover.innerText()).not.toContain("fetch");
		server.mend();
		await startsAgain(guest);
	});

	it("that the network is away, from guest.json on", async () => {
		const tab = await open("start=no");
		const guest = tab.guest();
		await guest.coverButton.waitFor();
		await user.setOffline(true);
		await guest.coverButton.click();
		await failsWith(guest, /cannot be fetched/);
		await user.setOffline(false);
		await startsAgain(guest);
	});

	it("that the browser's storage is full, and the guest runs on", async () => {
		await user.close();
		user = await newLastingUser(folder);
		const tab = await open("blank=64&keep=big");
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const makeRoom = await limitStorage(tab, 4 * MIB);
		await expect(
			guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=32 conv=fsync"),
		).rejects.toThrow("error");
		expect(await guest.trouble.innerText()).toMatch(
			/no more room for the disk "big"/,
		);
		expect(await guest.run("echo still here")).toBe("still here\n");
		await makeRoom();
		await guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=8 conv=fsync");
	});

	it("that a disk cannot be made where there is no room, and makes it when there is", async () => {
		await user.close();
		user = await newLastingUser(folder);
		const tab = await open("blank=64&keep=new&start=no");
		const guest = tab.guest();
		const makeRoom = await limitStorage(tab, 1000);
		await guest.coverButton.click();
		await failsWith(guest, /no more room for the disk "new"/);
		await makeRoom();
		await startsAgain(guest);
	});

	it("that another tab has the disk", async () => {
		const first = (await open("blank=16&keep=one")).guest();
		await first.shows(PROMPT);
		const second = (await open("blank=16&keep=one")).guest();
		await failsWith(second, /The disk "one" is in use/);
		await first.button("Stop").click();
		await first.isIn("ended");
		await startsAgain(second);
	});

	it("that the guest's worker was ended", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const [worker] = tab.page.workers();
		await worker?.evaluate(() => self.close());
		await failsWith(guest, /The browser has ended the guest's worker\./);
		await startsAgain(guest);
		expect(tab.errors).toEqual([]);
	});

	it("that the guest's worker failed", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const [worker] = tab.page.workers();
		await worker?.evaluate(() => {
			setTimeout(() => {
				throw new Error("out of luck");
			});
		});
		await failsWith(guest, /The guest's worker failed: .*out of luck/);
		await startsAgain(guest);
	});

	it.each([
		["the guest's worker cannot be had", /guest-worker/],
		["the rest of the worker cannot be had", /guest-thread/],
	])("that %s", async (_, script) => {
		const tab = await open("start=no");
		const guest = tab.guest();
		await tab.page.route(script, (route) => route.abort());
		await guest.coverButton.click();
		await failsWith(guest, /The guest's worker failed/);
		await tab.page.unroute(script);
		await startsAgain(guest);
	});

	it("that the guest has crashed", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const bytes = multibootImage([0x0f, 0x0b]);
		await drop(guest.section, [{ name: "ud2", bytes }]);
		await guest.isIn("ended");
		expect(await guest.cover.innerText()).toMatch(
			/crashed: a triple fault at 0x1[0-9a-f]{5}/,
		);
		await guest.section.getByText("Set-up").click();
		await guest.field("kernel-file").setInputFiles([]);
		await startsAgain(guest);
	});
});
