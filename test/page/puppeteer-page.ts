/**
 * The page in the browsers that playwright-core does not drive as they are:
 * Debian's Firefox, over WebDriver BiDi, of which playwright asks for commands
 * that an ESR does not have; and a Chromium whose tabs are hidden by those in
 * front of them, which playwright keeps from happening. Relies on
 * puppeteer-core.
 */

import { existsSync } from "node:fs";
import {
	type Browser,
	type BrowserContext,
	type ElementHandle,
	launch,
	type Page,
} from "puppeteer-core";
import type { LguestTerminal } from "../../src/browser/terminal/lguest-terminal.ts";
import { CHROMIUM } from "./guest-page.ts";
import { GuestShell, hasDefaultGuest } from "./guest-shell.ts";

const FIREFOX = "/usr/bin/firefox-esr";
/** Both are needed for a boot in the page. */
export const canBootInFirefox = existsSync(FIREFOX) && hasDefaultGuest;
/** Of those that automation gives it: what keeps hidden tabs as quick as others. */
const NEVER_HIDDEN = [
	"--disable-backgrounding-occluded-windows",
	"--disable-background-timer-throttling",
	"--disable-renderer-backgrounding",
];
const PATIENCE_MS = 60_000;
/** A tab in the background has no animation frames to look in. */
const waiting = { polling: 20, timeout: PATIENCE_MS } as const;

/** With preferences besides those that automation sets. */
export function openFirefox(
	extraPrefsFirefox: Readonly<Record<string, unknown>> = {},
): Promise<Browser> {
	return launch({
		browser: "firefox",
		executablePath: FIREFOX,
		extraPrefsFirefox,
	});
}

/** One in which tabs get hidden, and then are slowed down. */
export function openHidingChromium(): Promise<Browser> {
	return launch({
		executablePath: CHROMIUM,
		args: ["--no-sandbox"],
		ignoreDefaultArgs: NEVER_HIDDEN,
	});
}

/** Opens the page; its own errors fail whoever looks at `errors`. */
export async function openIn(
	user: BrowserContext,
	url: string,
): Promise<PuppeteerPage> {
	const page = await user.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	const one = new PuppeteerPage(page);
	await page.goto(url);
	return one;
}

/** One tab with the page in it. */
export class PuppeteerPage {
	readonly page: Page;
	/** What the page threw at nobody. */
	readonly errors: unknown[] = [];

	constructor(page: Page) {
		this.page = page;
		page.on("pageerror", (error) => this.errors.push(error));
	}

	/** The guest that is shown in that place. */
	guest(number = 1): PuppeteerGuest {
		return new PuppeteerGuest(this.page, number);
	}
}

/** One of the page's guests. */
export class PuppeteerGuest extends GuestShell {
	readonly #page: Page;
	readonly #section: string;

	constructor(page: Page, number: number) {
		super();
		this.#page = page;
		// By its name, as assistive technology has it, the search takes long.
		this.#section = `section:nth-of-type(${number})`;
	}

	/** Presses one of the buttons that rule the guest. */
	async press(button: string): Promise<void> {
		const named = `::-p-aria([name="${button}"][role="button"])`;
		await this.#page.locator(`${this.#section} ${named}`).click();
	}

	/** Presses the cover's own. */
	async pressCover(): Promise<void> {
		await this.#page.locator(`${this.#section} >>> .cover button`).click();
	}

	/** What is in front of a terminal that shows nothing yet, or no more. */
	async cover(): Promise<string> {
		return innerText(await this.#find(">>> .cover"));
	}

	/** What is wrong with a guest that runs on. */
	async trouble(): Promise<string> {
		return innerText(await this.#find('[role="alert"]'));
	}

	async text(): Promise<string> {
		return (await this.#terminal()).evaluate(({ text }) => text);
	}

	async shows(text: string): Promise<void> {
		await this.#page.waitForFunction(
			(terminal, text) => terminal.text.includes(text),
			waiting,
			await this.#terminal(),
			text,
		);
	}

	async isIn(state: string): Promise<void> {
		await this.#page.waitForFunction(
			(element, state) => element.textContent === state,
			waiting,
			await this.#find(".state"),
			state,
		);
	}

	async type(text: string): Promise<void> {
		await (await this.#terminal()).focus();
		await this.#page.keyboard.type(text);
	}

	/** Presses a key with Control. */
	async control(key: "C" | "F6"): Promise<void> {
		await this.#page.keyboard.down("Control");
		await this.#page.keyboard.press(key === "C" ? "c" : key);
		await this.#page.keyboard.up("Control");
	}

	/** Drops a file on it, as from the user's desktop. */
	async drop(name: string, bytes: Uint8Array): Promise<void> {
		const drop = (target: Element, name: string, bytes: number[]) => {
			const dataTransfer = new DataTransfer();
			dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
			const init = { dataTransfer, bubbles: true, cancelable: true };
			target.dispatchEvent(new DragEvent("dragover", init));
			target.dispatchEvent(new DragEvent("drop", init));
		};
		await (await this.#terminal()).evaluate(drop, name, [...bytes]);
	}

	async #terminal(): Promise<ElementHandle<LguestTerminal>> {
		const found = await this.#find("lguest-terminal");
		return found as ElementHandle<LguestTerminal>;
	}

	async #find(selector: string): Promise<ElementHandle<Element>> {
		const found = await this.#page.waitForSelector(
			`${this.#section} ${selector}`,
		);
		if (found === null) throw new Error(`no ${selector}`);
		return found;
	}
}

function innerText(element: ElementHandle<Element>): Promise<string> {
	return element.evaluate((one) => (one as HTMLElement).innerText);
}
