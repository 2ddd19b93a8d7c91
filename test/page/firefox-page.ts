/**
 * The page in Debian's Firefox, driven over WebDriver BiDi. Playwright's BiDi
 * asks for commands that a Firefox ESR does not have, so this relies on
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
import { GuestShell, hasDefaultGuest } from "./guest-shell.ts";

const FIREFOX = "/usr/bin/firefox-esr";
/** Both are needed for a boot in the page. */
export const canBootInFirefox = existsSync(FIREFOX) && hasDefaultGuest;
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

/** Opens the page; its own errors fail whoever looks at `errors`. */
export async function openInFirefox(
	user: BrowserContext,
	url: string,
): Promise<FirefoxPage> {
	const page = await user.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	const one = new FirefoxPage(page);
	await page.goto(url);
	return one;
}

/** One tab with the page in it. */
export class FirefoxPage {
	readonly page: Page;
	/** What the page threw at nobody. */
	readonly errors: unknown[] = [];

	constructor(page: Page) {
		this.page = page;
		page.on("pageerror", (error) => this.errors.push(error));
	}

	/** The guest that is shown in that place. */
	guest(number = 1): FirefoxGuest {
		return new FirefoxGuest(this.page, number);
	}
}

/** One of the page's guests. */
export class FirefoxGuest extends GuestShell {
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
