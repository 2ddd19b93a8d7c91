/**
 * The page in Debian's Chromium, driven as its user would: what guests show,
 * what is typed, which state they are in. Relies on playwright-core.
 */

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Browser,
	type BrowserContext,
	type BrowserContextOptions,
	chromium,
	type Locator,
	type Page,
} from "playwright-core";
import type { LguestTerminal } from "../../src/browser/terminal/lguest-terminal.ts";
import { GuestShell, hasDefaultGuest } from "./guest-shell.ts";

export const CHROMIUM = "/usr/bin/chromium";
/** Both are needed for a boot in the page. */
export const canBoot = existsSync(CHROMIUM) && hasDefaultGuest;
const PATIENCE_MS = 60_000;

export function openBrowser(): Promise<Browser> {
	return chromium.launch({
		executablePath: CHROMIUM,
		args: ["--no-sandbox"],
	});
}

/** One with a disk, which alone is ever full; the folder is the caller's. */
export async function newLastingUser(folder: string): Promise<BrowserContext> {
	const context = await chromium.launchPersistentContext(folder, {
		executablePath: CHROMIUM,
		args: ["--no-sandbox"],
	});
	context.setDefaultTimeout(PATIENCE_MS);
	return context;
}

/** In a context, which is a user of the browser with files of its own. */
export async function newUser(
	browser: Browser,
	options: BrowserContextOptions = {},
): Promise<BrowserContext> {
	const context = await browser.newContext(options);
	context.setDefaultTimeout(PATIENCE_MS);
	return context;
}

/** Opens the page; its own errors fail whoever looks at `errors`. */
export async function openPage(
	context: BrowserContext,
	url: string,
): Promise<GuestPage> {
	const page = await context.newPage();
	const one = new GuestPage(page);
	await page.goto(url);
	return one;
}

/** One tab with the page in it. */
export class GuestPage {
	readonly page: Page;
	/** What the page threw at nobody. */
	readonly errors: Error[] = [];

	constructor(page: Page) {
		this.page = page;
		page.on("pageerror", (error) => this.errors.push(error));
	}

	/** The guest whose heading says `number`. */
	guest(number = 1): GuestOnPage {
		const section = this.page.getByRole("region", {
			name: `Guest ${number}`,
			exact: true,
		});
		return new GuestOnPage(this.page, section);
	}
}

/** One of the page's guests. */
export class GuestOnPage extends GuestShell {
	readonly section: Locator;
	readonly terminal: Locator;
	/** What is in front of a terminal that shows nothing yet, or no more. */
	readonly cover: Locator;
	readonly trouble: Locator;
	readonly #page: Page;

	constructor(page: Page, section: Locator) {
		super();
		this.#page = page;
		this.section = section;
		this.terminal = section.locator("lguest-terminal");
		this.cover = this.terminal.locator(".cover");
		this.trouble = section.getByRole("alert");
	}

	/** One of those that rule the guest. */
	button(name: string): Locator {
		return this.section
			.getByRole("toolbar")
			.getByRole("button", { name, exact: true });
	}

	/** The cover's own. */
	get coverButton(): Locator {
		return this.cover.getByRole("button");
	}

	field(name: string): Locator {
		return this.section.locator(`[name="${name}"]`);
	}

	text(): Promise<string> {
		return this.terminal.evaluate(
			(element) => (element as LguestTerminal).text,
		);
	}

	async shows(text: string): Promise<void> {
		const terminal = await this.terminal.elementHandle();
		await this.#page.waitForFunction(
			([element, text]) => (element as LguestTerminal).text.includes(text),
			[terminal, text] as const,
			{ polling: 20 },
		);
	}

	async isIn(state: string): Promise<void> {
		await this.section
			.locator(".state", { hasText: new RegExp(`^${state}$`) })
			.waitFor();
	}

	async type(text: string): Promise<void> {
		await this.terminal.evaluate((element) => element.focus());
		await this.#page.keyboard.type(text);
	}
}

/** Drops files on an element, as from the user's desktop. */
export async function drop(
	target: Locator,
	files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
): Promise<void> {
	const dataTransfer = await target.page().evaluateHandle(
		(files) => {
			const transfer = new DataTransfer();
			for (const { name, bytes } of files) {
				transfer.items.add(new File([Uint8Array.from(bytes)], name));
			}
			return transfer;
		},
		files.map(({ name, bytes }) => ({ name, bytes: [...bytes] })),
	);
	await target.dispatchEvent("dragover", { dataTransfer });
	await target.dispatchEvent("drop", { dataTransfer });
}

/** Lets all tabs stand still, workers too, as for a browser that saves power. */
export async function freeze(browser: Browser, ms: number): Promise<void> {
	const session = await browser.newBrowserCDPSession();
	const { processInfo } = await session.send("SystemInfo.getProcessInfo");
	const tabs = processInfo.filter(({ type }) => type === "renderer");
	const signal = (name: NodeJS.Signals) => {
		for (const { id } of tabs) process.kill(id, name);
	};
	signal("SIGSTOP");
	await sleep(ms);
	signal("SIGCONT");
	await session.detach();
}
