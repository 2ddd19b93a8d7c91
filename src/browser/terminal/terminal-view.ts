/**
 * The terminal itself: xterm.js with its add-ons, in whatever box it is given.
 *
 * Relies on xterm.js; the custom element relies on it, and loads it while the
 * guest's files are on their way.
 *
 * @journey L:310 A glass teletype
 */

import { ClipboardAddon } from "@xterm/addon-clipboard";
import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { type ITheme, Terminal } from "@xterm/xterm";
import xtermStyle from "@xterm/xterm/css/xterm.css?inline";
import type { ConsoleSize } from "../../index.ts";

/** Both have a contrast of at least 4.5 (WCAG 2.2, 1.4.3) between text and paper. */
const THEMES: Readonly<Record<"dark" | "light", ITheme>> = {
	dark: {
		background: "#10141a",
		foreground: "#d8dee6",
		cursor: "#8fd18f",
		selectionBackground: "#3a4a60",
	},
	light: {
		background: "#fbfbf8",
		foreground: "#22262b",
		cursor: "#2f6f2f",
		cursorAccent: "#fbfbf8",
		selectionBackground: "#b9d2f0",
	},
};

const LEAST_CONTRAST = 4.5;
const SCROLLBACK_LINES = 5000;
/** Not shown yet: little enough to be shown at once when a guest is interrupted. */
const MOST_WAITING_BYTES = 1 << 17;

/** What its owner is told. */
export interface TerminalListeners {
	/** Something was typed or pasted; binary strings are bytes already. */
	readonly onInput: (bytes: Uint8Array) => void;
	readonly onResize: (size: ConsoleSize) => void;
	/** The user wants out of it, by keyboard (WCAG 2.2, 2.1.2). */
	readonly onLeave: () => void;
}

/** Open one in an element that has a size. */
export class TerminalView {
	readonly #terminal: Terminal;
	readonly #fit = new FitAddon();
	#waitingBytes = 0;
	readonly #observer = new ResizeObserver(() => this.#fit.fit());

	/** In several turns: none of them may keep the page's thread for long. */
	static async open(
		box: HTMLElement,
		listeners: TerminalListeners,
	): Promise<TerminalView> {
		await turn();
		const view = new TerminalView(listeners);
		await turn();
		view.#open(box);
		return view;
	}

	private constructor(listeners: TerminalListeners) {
		const terminal = new Terminal({
			allowProposedApi: true,
			cursorBlink: false,
			fontFamily: "ui-monospace, Menlo, Consolas, monospace",
			fontSize: 14,
			minimumContrastRatio: LEAST_CONTRAST,
			scrollback: SCROLLBACK_LINES,
		});
		this.#terminal = terminal;
		this.#load();
		const encoder = new TextEncoder();
		terminal.onData((text) => listeners.onInput(encoder.encode(text)));
		terminal.onBinary((text) => listeners.onInput(bytesOf(text)));
		terminal.onResize(({ cols, rows }) =>
			listeners.onResize({ columns: cols, rows }),
		);
		terminal.attachCustomKeyEventHandler((event) =>
			this.#isForGuest(event, listeners),
		);
	}

	#open(box: HTMLElement): void {
		const style = document.createElement("style");
		style.textContent = xtermStyle;
		box.before(style);
		this.#terminal.open(box);
		this.#fit.fit();
		this.#observer.observe(box);
	}

	get size(): ConsoleSize {
		const { cols, rows } = this.#terminal;
		return { columns: cols, rows };
	}

	/** What is on the screen and above it, as text. */
	get text(): string {
		const { active } = this.#terminal.buffer;
		return Array.from(
			{ length: active.length },
			(_, line) => active.getLine(line)?.translateToString(true) ?? "",
		)
			.join("\n")
			.trimEnd();
	}

	/**
	 * Resolves when there is room for more, for which whoever writes should wait:
	 * xterm.js takes a turn of its own for each time that it is waited for.
	 */
	write(bytes: Uint8Array): Promise<void> {
		this.#waitingBytes += bytes.length;
		return new Promise((resolve) => {
			this.#terminal.write(bytes, () => {
				this.#waitingBytes -= bytes.length;
				resolve();
			});
			if (this.#waitingBytes < MOST_WAITING_BYTES) resolve();
		});
	}

	focus(): void {
		this.#terminal.focus();
	}

	clear(): void {
		this.#terminal.reset();
	}

	setScheme(scheme: "dark" | "light"): void {
		this.#terminal.options.theme = THEMES[scheme];
	}

	/** Lines are spoken, at some cost. */
	setScreenReader(on: boolean): void {
		this.#terminal.options.screenReaderMode = on;
	}

	close(): void {
		this.#observer.disconnect();
		this.#terminal.dispose();
	}

	#load(): void {
		const terminal = this.#terminal;
		terminal.loadAddon(this.#fit);
		terminal.loadAddon(new WebLinksAddon());
		terminal.loadAddon(new Unicode11Addon());
		terminal.unicode.activeVersion = "11";
		// A guest may fill the clipboard, and never read it.
		terminal.loadAddon(
			new ClipboardAddon(undefined, {
				readText: () => "",
				writeText: (_selection, text) => navigator.clipboard.writeText(text),
			}),
		);
	}

	#isForGuest(event: KeyboardEvent, { onLeave }: TerminalListeners): boolean {
		if (event.type !== "keydown") return true;
		const { key, ctrlKey, shiftKey } = event;
		if (ctrlKey && key === "F6") {
			event.preventDefault();
			onLeave();
			return false;
		}
		if (ctrlKey && shiftKey && key === "C" && this.#terminal.hasSelection()) {
			event.preventDefault();
			void navigator.clipboard.writeText(this.#terminal.getSelection());
			return false;
		}
		return true;
	}
}

function turn(): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve));
}

/** One byte a character, as old mouse reports have it. */
function bytesOf(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
