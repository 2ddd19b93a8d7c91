/**
 * The page that `npm run web` builds, in Debian's Chromium: what its user sees
 * when all goes well. Skipped where there is no Chromium or no default guest.
 */

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { greeterCode, multibootImage } from "../boot/multiboot-image.ts";
import {
	canBoot,
	drop,
	freeze,
	newUser,
	openBrowser,
	openPage,
} from "./guest-page.ts";
import { MINUTE, PROMPT } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";
import { pingEachOther } from "./ping-each-other.ts";

/** The page's time may be off by what a message to the guest takes. */
const CLOCK_SLACK_S = 2;
const FROZEN_MS = 3000;

describe.skipIf(!canBoot)("The page", { timeout: 2 * MINUTE }, () => {
	let server: PageServer;
	let browser: Browser;
	let user: BrowserContext;

	beforeAll(async () => {
		server = await PageServer.start();
		browser = await openBrowser();
	}, MINUTE);

	beforeEach(async () => {
		user = await newUser(browser);
		return () => user.close();
	});

	afterAll(async () => {
		await browser?.close();
		await server?.close();
	});

	const open = (hash = "") => openPage(user, `${server.url}#${hash}`);

	it("boots, and runs what is typed", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		expect(await guest.run("echo $((6 * 7)); tty")).toBe("42\n/dev/hvc0\n");
		await guest.isIn("running");
		expect(tab.errors).toEqual([]);
	});

	it("shows long output without being waited for line by line", async () => {
		const guest = (await open()).guest();
		await guest.shows(PROMPT);
		await guest.run("seq 20000");
		expect(await guest.text()).toContain("\n19999\n20000\n");
	});

	it("tells the guest the terminal's size, also when it changes", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const wide = await guest.run("stty size");
		await tab.page.setViewportSize({ width: 640, height: 900 });
		await expect.poll(() => guest.run("stty size")).not.toBe(wide);
		const columns = (size: string) => Number(size.split(" ")[1]);
		const narrow = await guest.run("stty size");
		expect(columns(narrow)).toBeGreaterThan(40);
		expect(columns(narrow)).toBeLessThan(columns(wide));
		// What fits is what the guest believes fits.
		const line = "x".repeat(columns(narrow));
		expect(await guest.run(`printf %0${columns(narrow)}d 0; echo`)).toBe(
			`${line.replaceAll("x", "0")}\n`,
		);
	});

	it("keeps a disk over a reload", async () => {
		const tab = await open("blank=16&keep=notes");
		const guest = tab.guest();
		await guest.shows(PROMPT);
		await guest.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt");
		await guest.run("echo remember me > /mnt/note && umount /mnt && sync");
		await tab.page.reload();
		await guest.shows(PROMPT);
		await guest.run("mount /dev/vda /mnt");
		expect(await guest.run("cat /mnt/note")).toBe("remember me\n");
	});

	it("makes a kept disk anew that a tab had no time to make whole", async () => {
		const tab = await open("blank=16&keep=begun&start=no");
		await tab.page.evaluate(async () => {
			const root = await navigator.storage.getDirectory();
			const disks = await root.getDirectoryHandle("lguest-disks", {
				create: true,
			});
			const file = await disks.getFileHandle("begun", { create: true });
			const writable = await file.createWritable();
			await writable.write(new Uint8Array(70_000));
			await writable.close();
		});
		const guest = tab.guest();
		await guest.coverButton.click();
		await guest.shows(PROMPT);
		expect(await guest.run("cat /sys/block/vda/size")).toBe("32768\n");
	});

	it("boots a kernel that is dropped on it", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const bytes = multibootImage(greeterCode("dropped kernel speaking"));
		await drop(guest.section, [{ name: "greeter", bytes }]);
		await guest.shows("dropped kernel speaking");
		await guest.isIn("running");
	});

	it("lets two guests side by side reach each other, and a third in another tab", () =>
		pingEachOther(open));

	it("puts the set-up into a link that brings it back", async () => {
		const tab = await open("start=no");
		const first = tab.guest();
		await first.section.getByText("Set-up").click();
		await first.field("append").fill("greeting=hello");
		await first.field("net").fill("lab");
		await tab.page.getByRole("button", { name: "Add a guest" }).click();
		await tab.guest(2).isIn("running");
		await tab.page.getByRole("button", { name: "Copy link" }).click();
		await tab.page.getByText("The link is").waitFor();
		const again = await openPage(user, tab.page.url());
		expect(again.page.url()).toContain("#");
		await again.guest(1).isIn("idle");
		expect(await again.guest(1).field("append").inputValue()).toBe(
			"greeting=hello",
		);
		await again.guest(2).shows(PROMPT);
		expect(await again.guest(2).field("net").inputValue()).toBe("lab");
		await again.guest(1).button("Start").click();
		await again.guest(1).shows(PROMPT);
		expect(await again.guest(1).run("cat /proc/cmdline")).toContain(
			"greeting=hello",
		);
	});

	it("pauses, goes on, stops and starts again", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		await guest.button("Pause").click();
		await guest.isIn("paused");
		await guest.type("echo a$((1 + 1))b\n");
		await guest.button("Resume").click();
		await guest.shows("a2b");
		await guest.button("Stop").click();
		await guest.isIn("ended");
		expect(await guest.cover.innerText()).toContain("The guest was stopped.");
		await guest.coverButton.click();
		await guest.shows(PROMPT);
		expect(await guest.text()).not.toContain("a2b");
	});

	it("lets a guest power off, and says so", async () => {
		const guest = (await open()).guest();
		await guest.shows(PROMPT);
		await guest.type("poweroff\n");
		await guest.isIn("ended");
		expect(await guest.cover.innerText()).toContain("has powered off");
	});

	it("keeps the guest's clock right over a time in which its tab was frozen", async () => {
		const tab = await open();
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const clocks = async () => {
			const asked = Date.now() / 1000;
			const [now = 0, up = 0] = (await guest.run("date +%s; cat /proc/uptime"))
				.split(/\s+/)
				.map(Number);
			// The guest looked at its clocks somewhen between question and answer.
			const answered = Date.now() / 1000;
			const off = Math.max(asked - now, now - answered);
			return { off, up, asked, answered };
		};
		const before = await clocks();
		await freeze(browser, FROZEN_MS);
		const after = await clocks();
		expect(before.off).toBeLessThan(CLOCK_SLACK_S);
		expect(after.off).toBeLessThan(CLOCK_SLACK_S);
		const passedInside = after.up - before.up;
		const [least, most] = [
			after.asked - before.answered,
			after.answered - before.asked,
		];
		expect(passedInside).toBeGreaterThan(least - CLOCK_SLACK_S);
		expect(passedInside).toBeLessThan(most + CLOCK_SLACK_S);
		// And its timers fire.
		await guest.run("sleep 0.1");
	});
});
