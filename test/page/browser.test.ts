/**
 * `launch` in a real browser: Debian's Chromium, without special headers, runs
 * guests in Web Workers from a page that Vite has bundled. Relies on the built
 * package; skipped where there is no Chromium.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../scripts/sources.ts";
import {
	debugExitCode,
	greeterCode,
	multibootImage,
} from "../boot/multiboot-image.ts";

const MINUTES = 60_000;
const CHROMIUM = "/usr/bin/chromium";
const GUEST = process.env.LGUEST_GUEST ?? join(projectRoot, "guests/default");
const hasGuest = existsSync(join(GUEST, "vmlinuz"));
const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html",
	".js": "text/javascript",
	".wasm": "application/wasm",
};

/** In the page the library is a global. */
declare const lguest: typeof import("lguest/browser");

let folder: string;
let server: Server;
let browser: Browser;
let page: Page;

async function openPage(): Promise<void> {
	folder = mkdtempSync(join(tmpdir(), "lguest-page-"));
	await build({
		root: join(projectRoot, "test/page"),
		logLevel: "error",
		base: "./",
		worker: { format: "es" },
		build: { outDir: folder, emptyOutDir: true, target: "es2022" },
	});
	server = createServer((request, response) => {
		const name = new URL(request.url ?? "/", "http://page").pathname;
		const path =
			name === "/"
				? join(folder, "index.html")
				: name.startsWith("/guest/")
					? join(GUEST, name.slice("/guest/".length))
					: join(folder, name);
		if (!existsSync(path)) {
			response.writeHead(404).end();
			return;
		}
		const type = TYPES[extname(path)] ?? "application/octet-stream";
		response.writeHead(200, { "content-type": type }).end(readFileSync(path));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	browser = await chromium.launch({
		executablePath: CHROMIUM,
		args: ["--no-sandbox"],
	});
	page = await browser.newPage();
	page.on("pageerror", (error) => console.error(error));
	const { port } = server.address() as AddressInfo;
	await page.goto(`http://127.0.0.1:${port}/`);
	await page.waitForFunction("globalThis.lguest");
}

describe.skipIf(!existsSync(CHROMIUM))(
	"In a browser",
	{ timeout: 5 * MINUTES },
	() => {
		beforeAll(openPage, 5 * MINUTES);

		afterAll(async () => {
			await browser?.close();
			server?.close();
			rmSync(folder, { recursive: true, force: true });
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
			"the default guest boots and runs commands, and the page stays responsive",
			async () => {
				const description = JSON.parse(
					readFileSync(join(GUEST, "guest.json"), "utf8"),
				);
				const given = { description, page: page.url() };
				const result = await page.evaluate(async ({ description, page }) => {
					let longest = 0;
					let last = performance.now();
					const timer = setInterval(() => {
						const now = performance.now();
						longest = Math.max(longest, now - last);
						last = now;
					}, 5);
					const started = performance.now();
					const guest = await lguest.launch({
						...description,
						kernel: new URL("guest/vmlinuz", page),
						initrd: new URL("guest/initramfs.cpio.gz", page),
					});
					const { stdoutText } = await guest.exec(["tr", "a-z", "A-Z"], {
						stdin: "hello\n",
					});
					const ms = performance.now() - started;
					clearInterval(timer);
					await guest.stop();
					return { stdoutText, ms, longest };
				}, given);
				console.log(
					`default guest in Chromium: first command after ${result.ms.toFixed(0)} ms; longest turn of the page ${result.longest.toFixed(0)} ms`,
				);
				expect(result.stdoutText).toBe("HELLO\n");
			},
		);
	},
);
