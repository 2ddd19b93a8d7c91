/**
 * A guest on the page: its terminal, the buttons that rule it, plots, messages,
 * its set-up and its kept disk.
 *
 * Relies on the custom element and the parts beside it; the page relies on it.
 *
 * @journey L:332 Guest, with controls
 */

import { StorageFullError } from "../browser/index.ts";
import { describeError } from "../browser/terminal/describe.ts";
import { LguestTerminal } from "../browser/terminal/lguest-terminal.ts";
import { button, element } from "./dom.ts";
import { type FileRole, roleOf } from "./dropped.ts";
import { KeptDiskRow } from "./kept-disk-row.ts";
import { Plots } from "./plots.ts";
import { type GuestSetup, optionsOf } from "./setup.ts";
import { SetupForm } from "./setup-form.ts";

/** What its owner is told. */
export interface PanelListeners {
	readonly onRemove: (panel: GuestPanel) => void;
}

/** One of the page's guests. */
export class GuestPanel {
	readonly element = element("section", { className: "guest" });
	readonly #terminal = new LguestTerminal();
	readonly #state = element("span", { className: "state" });
	readonly #trouble = element("p", { className: "trouble" });
	readonly #plots = new Plots();
	readonly #form: SetupForm;
	readonly #address = chanceAddress();
	readonly #buttons = {
		start: button("Start", () => void this.#terminal.start()),
		pause: button("Pause", () => void this.#pauseOrResume()),
		stop: button("Stop", () => void this.#terminal.stop()),
		reset: button("Reset", () => void this.#terminal.reset()),
	};

	constructor(number: number, setup: GuestSetup, listeners: PanelListeners) {
		const title = element("h2", { id: `guest-${number}` }, `Guest ${number}`);
		this.element.setAttribute("aria-labelledby", title.id);
		this.#terminal.setAttribute("src", "guest/guest.json");
		this.#terminal.setAttribute("aria-label", `Terminal of guest ${number}`);
		this.#state.setAttribute("role", "status");
		this.#trouble.setAttribute("role", "alert");
		this.#form = new SetupForm(setup, this.#address, {
			onChange: () => this.#configure(),
			onRestart: () => void this.#terminal.reset(),
		});
		const kept = new KeptDiskRow({
			name: () => this.#form.setup.keep,
			isFree: () => !this.#isBusy,
			onMessage: (text) => this.#tell(text),
		});
		const tools = element("div", { className: "row" }, title, this.#state);
		tools.append(
			...Object.values(this.#buttons),
			button("Remove", () => listeners.onRemove(this)),
		);
		tools.setAttribute("role", "toolbar");
		tools.setAttribute("aria-label", `Guest ${number}`);
		this.element.append(
			...[tools, this.#trouble, this.#terminal, this.#plots.element],
			element(
				"details",
				{},
				element("summary", {}, "Set-up"),
				this.#form.element,
				kept.element,
			),
		);
		this.#listen();
		this.#configure();
		if (setup.start === "yes") this.#terminal.setAttribute("autostart", "");
	}

	/** What a link can tell of it. */
	get setup(): GuestSetup {
		return this.#form.setup;
	}

	setScheme(scheme: string): void {
		this.#terminal.setAttribute("scheme", scheme);
	}

	setScreenReader(on: boolean): void {
		this.#terminal.toggleAttribute("speak", on);
	}

	get #isBusy(): boolean {
		return ["loading", "running", "paused"].includes(this.#terminal.state);
	}

	/** What is chosen holds from the next start on. */
	#configure(): void {
		const { setup, files } = this.#form;
		this.#terminal.options = optionsOf(setup, files, {
			address: this.#address,
			baseUrl: document.baseURI,
		});
	}

	#listen(): void {
		const terminal = this.#terminal;
		terminal.addEventListener("statechange", () => this.#showState());
		terminal.addEventListener("leave", () => this.#leaveTerminal());
		terminal.addEventListener("trouble", (event) => {
			const { detail } = event as CustomEvent<Error>;
			if (terminal.state !== "loading") this.#tell(describeTrouble(detail));
		});
		const { element } = this;
		element.addEventListener("dragover", (event) => {
			event.preventDefault();
			element.classList.add("dropping");
		});
		element.addEventListener("dragleave", () =>
			element.classList.remove("dropping"),
		);
		element.addEventListener("drop", (event) => {
			event.preventDefault();
			element.classList.remove("dropping");
			void this.#drop([...(event.dataTransfer?.files ?? [])], event.target);
		});
		this.#showState();
	}

	#showState(): void {
		const { state, guest } = this.#terminal;
		const { start, pause, stop, reset } = this.#buttons;
		this.#state.textContent = state;
		start.disabled = this.#isBusy;
		pause.disabled = state !== "running" && state !== "paused";
		pause.textContent = state === "paused" ? "Resume" : "Pause";
		stop.disabled = !this.#isBusy;
		reset.disabled = !this.#isBusy;
		if (state === "loading") this.#tell("");
		if (state !== "running" || guest === undefined || guest === this.#followed)
			return;
		this.#followed = guest;
		void this.#plots.follow(guest);
	}

	#followed: unknown;

	/** To the first button that does something: none else takes the keyboard. */
	#leaveTerminal(): void {
		Object.values(this.#buttons)
			.find(({ disabled }) => !disabled)
			?.focus();
	}

	async #pauseOrResume(): Promise<void> {
		if (this.#terminal.state === "paused") this.#terminal.resume();
		else await this.#terminal.pause();
	}

	/** A file on a field is for that; elsewhere it says itself what it is. */
	async #drop(
		files: readonly File[],
		target: EventTarget | null,
	): Promise<void> {
		const field = target instanceof HTMLInputElement ? target.name : "";
		const named = /^(kernel|initrd|disk)-file$/.exec(field)?.[1] as
			| FileRole
			| undefined;
		for (const file of files) {
			const role = named ?? (await roleOf(file));
			if (role === undefined) {
				this.#tell(
					`${file.name} is no kernel, initrd or disk that lguest knows. If it is one, choose it in the set-up.`,
				);
				return;
			}
			this.#form.choose(role, file);
		}
		this.#configure();
		if (files.length > 0) await this.#terminal.reset();
	}

	#tell(text: string): void {
		this.#trouble.textContent = text;
	}
}

function describeTrouble(error: Error): string {
	const consequence =
		error instanceof StorageFullError
			? " The guest was told that its write failed."
			: "";
	return `${describeError(error)}${consequence}`;
}

/** Two guests of one network should have two, also in two tabs. */
function chanceAddress(): string {
	const [high = 0, low = 0] = crypto.getRandomValues(new Uint8Array(2));
	return `10.0.${high}.${1 + (low % 254)}`;
}
