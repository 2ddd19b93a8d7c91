/**
 * What is seen of a guest: its terminal and, in front of it while there is
 * nothing to be seen there, how far it has come, or how it ended and a button.
 *
 * The terminal is large, and loaded while the guest's files are: until then the
 * cover is all there is.
 *
 * Relies on the terminal's view; the custom element relies on it.
 *
 * @journey L:311 In front of the glass
 */

import type { ConsoleSize, ProgressEvent } from "../../index.ts";
import { style } from "./style.ts";
import type { TerminalListeners, TerminalView } from "./terminal-view.ts";

/** What its owner is told. */
export interface ScreenListeners extends TerminalListeners {
	/** The cover's button. */
	readonly onStart: () => void;
}

const darkness = matchMedia("(prefers-color-scheme: dark)");

/** Lives in a shadow root of its own. */
export class Screen {
	readonly #listeners: ScreenListeners;
	readonly #box = part("div", "glass");
	readonly #cover = part("div", "cover");
	readonly #text = part("p", "text");
	readonly #bar = part("progress", "bar");
	readonly #button = part("button", "button");
	#view: TerminalView | undefined;
	#scheme: "dark" | "light" | undefined;
	#speaks = false;
	#opening: Promise<void> | undefined;

	constructor(owner: HTMLElement, listeners: ScreenListeners) {
		this.#listeners = listeners;
		const sheet = document.createElement("style");
		sheet.textContent = style;
		this.#text.setAttribute("role", "status");
		this.#bar.setAttribute("aria-label", "Loading the guest");
		this.#bar.hidden = true;
		this.#button.type = "button";
		this.#button.onclick = () => listeners.onStart();
		this.#cover.append(this.#text, this.#bar, this.#button);
		const root = owner.attachShadow({ mode: "open", delegatesFocus: true });
		// By keyboard its button comes before the terminal, which keeps Tab for itself.
		root.append(sheet, this.#cover, this.#box);
		darkness.addEventListener("change", () => this.#paint());
		this.#paint();
	}

	/** Resolves when there is a terminal. */
	get opened(): Promise<void> {
		return this.#opening ?? Promise.resolve();
	}

	get size(): ConsoleSize | undefined {
		return this.#view?.size;
	}

	get text(): string {
		return this.#view?.text ?? "";
	}

	/** Loads the terminal, once. */
	open(): Promise<void> {
		this.#opening ??= this.#open();
		return this.#opening;
	}

	async #open(): Promise<void> {
		const { TerminalView } = await import("./terminal-view.ts");
		this.#view = await TerminalView.open(this.#box, this.#listeners);
		this.#view.setScreenReader(this.#speaks);
		this.#paint();
	}

	async write(bytes: Uint8Array): Promise<void> {
		await this.opened;
		await this.#view?.write(bytes);
	}

	clear(): void {
		this.#view?.clear();
	}

	focus(): void {
		if (this.#cover.hidden) this.#view?.focus();
		else this.#button.focus();
	}

	/** Something takes a while. */
	wait(text: string, { doneBytes, totalBytes }: ProgressEvent): void {
		this.#say(text);
		this.#cover.classList.remove("over");
		this.#bar.hidden = false;
		this.#button.hidden = true;
		if (totalBytes === 0) {
			this.#bar.removeAttribute("value");
		} else {
			this.#bar.max = totalBytes;
			this.#bar.value = doneBytes;
		}
	}

	/** It is over, or not begun; what the terminal shows stays to be read. */
	offer(text: string, button: string): void {
		this.#say(text);
		this.#cover.classList.toggle("over", this.text !== "");
		this.#bar.hidden = true;
		this.#button.textContent = button;
		this.#button.hidden = false;
	}

	uncover(): void {
		this.#cover.hidden = true;
	}

	/** By default what the user likes. */
	setScheme(scheme: "dark" | "light" | undefined): void {
		this.#scheme = scheme;
		this.#paint();
	}

	setScreenReader(on: boolean): void {
		this.#speaks = on;
		this.#view?.setScreenReader(on);
	}

	#say(text: string): void {
		this.#cover.hidden = false;
		if (this.#text.textContent !== text) this.#text.textContent = text;
	}

	#paint(): void {
		const scheme = this.#scheme ?? (darkness.matches ? "dark" : "light");
		for (const one of [this.#box, this.#cover]) one.dataset.scheme = scheme;
		this.#view?.setScheme(scheme);
	}
}

/** An element with a name by which a page may style it, and tests find it. */
function part<Tag extends keyof HTMLElementTagNameMap>(
	tag: Tag,
	name: string,
): HTMLElementTagNameMap[Tag] {
	const element = document.createElement(tag);
	element.className = name;
	element.setAttribute("part", name);
	return element;
}
