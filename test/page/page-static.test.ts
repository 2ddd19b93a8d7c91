/**
 * The page as a page, whatever its guests do: what comes over the network, how
 * long its thread is busy at a time, whether everybody can use it. The figures
 * are printed. Skipped where there is no Chromium or no default guest.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
	canBoot,
	GuestPage,
	newUser,
	openBrowser,
	openPage,
} from "./guest-page.ts";
import { MINUTE, PROMPT } from "./guest-shell.ts";
import { longestOf, watchTasks } from "./main-thread.ts";
import { PageServer } from "./page-server.ts";

const MIB = 2 ** 20;
/** As much as a first prompt may cost. */
const MOST_BYTES = 10 * MIB;
/** What a user notices (W3C Long Tasks). */
const LONG_TASK_MS = 50;

/** In the page axe is a global. */
declare const axe: { run(): Promise<AxeResults> };
const axeSource = readFileSync(
	createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
	"utf8",
);

/** Rules that are broken, and where. */
async function violations(page: Page): Promise<string[]> {
	await page.evaluate(axeSource);
	const { violations } = await page.evaluate(() => axe.run());
	return violations.flatMap(({ id, help, nodes }) =>
		nodes.map(({ target }) => `${id}: ${help}: ${target.join(" ")}`),
	);
}

describe.skipIf(!canBoot)("The page itself", { timeout: MINUTE }, () => {
	let server: PageServer;
	let browser: Browser;

	beforeAll(async () => {
		server = await PageServer.start();
		browser = await openBrowser();
	}, MINUTE);

	afterAll(async () => {
		await browser?.close();
		await server?.close();
	});

	it("costs at most 10 MiB to the first prompt, nothing twice, and nothing keeps it from being shown", async () => {
		const user = await newUser(browser);
		const before = server.sentBytes;
		const tab = await openPage(user, server.url);
		await tab.guest().shows(PROMPT);
		const sent = server.sentBytes - before;
		const resources = await tab.page.evaluate(() =>
			[
				...performance.getEntriesByType("navigation"),
				...performance.getEntriesByType("resource"),
			].map((entry) => {
				const { name, renderBlockingStatus } =
					entry as PerformanceResourceTiming & { renderBlockingStatus: string };
				return { name: new URL(name).pathname, renderBlockingStatus };
			}),
		);
		const firstPaint = await tab.page.evaluate(
			() =>
				performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
		);
		console.log(
			`page: ${(sent / MIB).toFixed(2)} MiB to the first prompt; first paint after ${firstPaint?.toFixed(0)} ms`,
		);
		expect(sent).toBeGreaterThan(MIB);
		expect(sent).toBeLessThanOrEqual(MOST_BYTES);
		const blocking = resources.filter(
			({ renderBlockingStatus }) => renderBlockingStatus === "blocking",
		);
		// One style sheet, without which it would look wrong.
		expect(blocking.map(({ name }) => name)).toEqual([
			expect.stringMatching(/\.css$/),
		]);
		const twice = [...server.requests].filter(([, count]) => count > 1);
		expect(twice).toEqual([]);
		await user.close();
	});

	it("stays responsive while guests compute and print", async () => {
		const user = await newUser(browser);
		const page = await user.newPage();
		const tab = new GuestPage(page);
		const loading = await watchTasks(browser, page, async () => {
			await page.goto(`${server.url}#;memory=128`);
			await tab.guest(1).shows(PROMPT);
			await tab.guest(2).shows(PROMPT);
		});
		const computing = await watchTasks(browser, page, async () => {
			await tab.guest(2).type("while :; do :; done\n");
			await tab.guest(1).run("head -c 20000000 /dev/zero | sha256sum");
			await tab.guest(1).run("seq 20000");
		});
		for (const [name, tasks] of Object.entries({ loading, computing })) {
			const { clockMs, workMs } = longestOf(tasks);
			console.log(
				`page, ${name}: ${tasks.length} tasks of its thread; the longest took ${clockMs.toFixed(0)} ms, at most ${workMs.toFixed(0)} ms of it work`,
			);
			expect(tasks.length).toBeGreaterThan(100);
			expect(workMs).toBeLessThanOrEqual(LONG_TASK_MS);
		}
		await user.close();
	});

	it.each([
		["in the dark", { colorScheme: "dark" }],
		["in the light", { colorScheme: "light" }],
		["on a phone", { viewport: { width: 360, height: 740 }, hasTouch: true }],
	] as const)(
		"has nothing that axe-core objects to, %s",
		async (_, options) => {
			const user = await newUser(browser, options);
			const tab = await openPage(user, `${server.url}#;start=no`);
			await tab.guest(1).shows(PROMPT);
			await tab.guest(1).section.getByText("Set-up").click();
			expect(await violations(tab.page)).toEqual([]);
			const overhang = await tab.page.evaluate(() => {
				const { scrollWidth, clientWidth } = document.documentElement;
				return scrollWidth - clientWidth;
			});
			expect(overhang).toBe(0);
			await tab.guest(1).button("Stop").click();
			await tab.guest(1).isIn("ended");
			expect(await violations(tab.page)).toEqual([]);
			await user.close();
		},
	);

	it("can be used by keyboard alone", async () => {
		const user = await newUser(browser);
		const tab = await openPage(user, server.url);
		const guest = tab.guest();
		await guest.shows(PROMPT);
		const { keyboard } = tab.page;
		const focused = () =>
			tab.page.evaluate(() => {
				const { activeElement } = document;
				const inner = activeElement?.shadowRoot?.activeElement;
				return (inner ?? activeElement)?.textContent ?? "";
			});
		/** Goes on to the control called `name`. */
		const tabTo = async (name: string) => {
			for (let i = 0; i < 40; i++) {
				await keyboard.press("Tab");
				if ((await focused()).trim() === name) return;
			}
			throw new Error(`no way to "${name}" by keyboard`);
		};
		await tabTo("Pause");
		await keyboard.press("Enter");
		await guest.isIn("paused");
		await keyboard.press("Enter");
		await guest.isIn("running");
		await tabTo("Remove");
		// Next is the terminal, which keeps Tab for the guest.
		await keyboard.press("Tab");
		await keyboard.type("echo a$((1 + 1))b\n");
		await guest.shows("a2b");
		await keyboard.press("Tab");
		await keyboard.press("Control+F6");
		expect(await focused()).toBe("Pause");
		await keyboard.press("Shift+Tab");
		await keyboard.press("Shift+Tab");
		await tabTo("Stop");
		await keyboard.press("Enter");
		await guest.isIn("ended");
		await tabTo("Start again");
		// Behind it is the terminal, to be read: it lets go of the keyboard, too.
		await keyboard.press("Tab");
		await keyboard.press("Control+F6");
		expect(await focused()).toBe("Start");
		await tabTo("Start again");
		await keyboard.press("Enter");
		await guest.isIn("running");
		await user.close();
	});
});
