/**
 * Runs a guest in Debian's Chromium with the same command line shape as `lguest
 * run`: serial port on standard input and output. It exists so that the
 * benchmark and the session driver can treat the browser as one more engine; the
 * guest is launched as the page does it, and shown to nobody. Relies on the
 * built page and on playwright-core.
 */

import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import type { LguestTerminal } from "../../src/browser/terminal/lguest-terminal.ts";
import type { Guest } from "../../src/index.ts";
import { openBrowser } from "../../test/page/guest-page.ts";
import { PageServer } from "../../test/page/page-server.ts";

/** In the page: what it says, and what is typed. */
declare global {
	var said: (text: string) => Promise<void>;
	var type: (text: string) => Promise<void>;
}

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		memory: { type: "string", default: "256M" },
		initrd: { type: "string" },
	},
});
const [kernel, ...kernelArguments] = positionals;
if (kernel === undefined) {
	throw new Error("usage: web-guest.ts [options] KERNEL [-- arguments]");
}

const { initrd } = values;
const server = await PageServer.start({
	"/kernel": kernel,
	...(initrd !== undefined && { "/initrd": initrd }),
});
const browser = await openBrowser();
const page = await browser.newPage();
await page.exposeFunction("said", (text: string) => {
	process.stdout.write(Buffer.from(text, "latin1"));
});
await page.goto(`${server.url}#start=no`);
await launch(page);
process.stdin.setEncoding("latin1").on("data", (text: string) => {
	void page.evaluate((text) => type(text), text);
});
process.stdin.on("end", () => void end());
process.on("SIGTERM", () => void end());

async function launch(page: Page): Promise<void> {
	await page.evaluate(
		async ({ memoryBytes, hasInitrd, kernelArguments }) => {
			const element = customElements.get("lguest-terminal");
			const guest: Guest = await (element as typeof LguestTerminal).launch({
				kernel: new URL("kernel", document.baseURI),
				...(hasInitrd && { initrd: new URL("initrd", document.baseURI) }),
				memoryBytes,
				kernelArguments,
			});
			const writer = guest.console.writable.getWriter();
			globalThis.type = (text) =>
				writer.write(
					Uint8Array.from(text, (character) => character.charCodeAt(0)),
				);
			const reader = guest.console.readable.getReader();
			const show = async (): Promise<void> => {
				const { done, value } = await reader.read();
				if (done || value === undefined) return;
				await said(
					Array.from(value, (byte) => String.fromCharCode(byte)).join(""),
				);
				return show();
			};
			void show();
		},
		{
			memoryBytes: Number.parseInt(values.memory, 10) * 2 ** 20,
			hasInitrd: initrd !== undefined,
			kernelArguments,
		},
	);
}

async function end(): Promise<void> {
	await browser.close();
	await server.close();
	process.exit();
}
