/**
 * `launch` in a real browser: Debian's Chromium, without special headers, runs
 * guests in Web Workers from a page that Vite has bundled. Relies on the built
 * package; skipped where there is no Chromium.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../scripts/sources.ts";
import {
	debugExitCode,
	greeterCode,
	multibootImage,
} from "../boot/multiboot-image.ts";
import { CHROMIUM, openBrowser } from "./guest-page.ts";
import { MINUTE } from "./guest-shell.ts";
import { PageServer } from "./page-server.ts";

const GUEST = process.env.LGUEST_GUEST ?? join(projectRoot, "guests/default");
const hasGuest = existsSync(join(GUEST, "vmlinuz"));

/** In the page the library is a global. */
declare const lguest: typeof import("lguest/browser");

let server: PageServer;
let browser: Browser;
let page: Page;

async function openPage(): Promise<void> {
	const files = ["vmlinuz", "initramfs.cpio.gz"].map((name) => [
		`/guest/${name}`,
		join(GUEST, name),
	]);
	server = await PageServer.start(Object.fromEntries(files), (folder) =>
		build({
			root: join(projectRoot, "test/page"),
			logLevel: "error",
			base: "./",
			worker: { format: "es" },
			build: { outDir: folder, emptyOutDir: true, target: "es2022" },
		}),
	);
	browser = await openBrowser();
	page = await browser.newPage();
	page.on("pageerror", (error) => console.error(error));
	await page.goto(server.url);
	await page.waitForFunction("globalThis.lguest");
}

describe.skipIf(!existsSync(CHROMIUM))(
	"In a browser",
	{ timeout: 2 * MINUTE },
	() => {
		beforeAll(openPage, 2 * MINUTE);

		afterAll(async () => {
			await browser?.close();
			await server?.close();
		});

		it("a guest prints to its console and is stopped", async () => {
			const kernel = [...multibootImage(greeterCode("hello page"))];
			const said = await page.evaluate(async (kernel) => {
				const guest = await lguest.launch({
					kernel: Uint8Array.from(kernel),
					memoryBytes: 8 << 20,
				});
				const reader = guest.console.readable.getReader();
				let text = "";
				while (!text.includes("page")) {
					text += new TextDecoder().decode((await reader.read()).value);
				}
				return `${text}, ${(await guest.stop()).kind}`;
			}, kernel);
			expect(said).toBe("hello page, stopped");
		});

		it("a guest ends with its value, from a file of the user's", async () => {
			const kernel = [...multibootImage(debugExitCode(0xf4, 42))];
			const end = await page.evaluate(async (kernel) => {
				const file = new File([Uint8Array.from(kernel)], "kernel");
				const guest = await lguest.launch({
					kernel: file,
					memoryBytes: 8 << 20,
					debugExitPort: 0xf4,
				});
				return guest.exited;
			}, kernel);
			expect(end).toEqual({ kind: "debug-exit", value: 42 });
		});

		it("what is wrong is said, with the class and the hint it has elsewhere", async () => {
			const errors = await page.evaluate(async () => {
				const kernels = ["no/such/kernel", new Uint8Array(4096)];
				return Promise.all(
					kernels.map((kernel) =>
						lguest.launch({ kernel }).catch((error) => ({
							isUsageError: error instanceof lguest.UsageError,
							message: String(error.message),
						})),
					),
				);
			});
			expect(errors).toMatchObject(
				[
					{ isUsageError: true, message: /status 404|says 404/ },
					{ isUsageError: true, message: /kernel/ },
				].map(({ isUsageError, message }) => ({
					isUsageError,
					message: expect.stringMatching(message),
				})),
			);
		});

		it.skipIf(!hasGuest)(
			"the default guest boots and runs commands",
			async () => {
				const description = JSON.parse(
					readFileSync(join(GUEST, "guest.json"), "utf8"),
				);
				const given = { description, page: page.url() };
				const said = await page.evaluate(async ({ description, page }) => {
					const guest = await lguest.launch({
						...description,
						kernel: new URL("guest/vmlinuz", page),
						initrd: new URL("guest/initramfs.cpio.gz", page),
						disks: [{ source: new Uint8Array(1 << 20) }],
					});
					const size = await guest.exec(["cat", "/sys/block/vda/size"]);
					const { stdoutText } = await guest.exec(["tr", "a-z", "A-Z"], {
						stdin: "hello\n",
					});
					await guest.stop();
					return { stdoutText, sectors: Number(size.stdoutText) };
				}, given);
				expect(said).toEqual({ stdoutText: "HELLO\n", sectors: 2048 });
			},
		);
	},
);
