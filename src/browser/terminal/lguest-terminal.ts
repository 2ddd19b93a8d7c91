/**
 * `<lguest-terminal>`: a guest and its terminal as one element of a page.
 *
 * ```html
 * <lguest-terminal src="guest/guest.json" memory="128" autostart></lguest-terminal>
 * ```
 *
 * | Attribute   | Meaning                                                     |
 * | ----------- | ----------------------------------------------------------- |
 * | `src`       | a file of options for `launch`, beside its kernel           |
 * | `kernel`    | a kernel's URL, where there is no `src`                     |
 * | `initrd`    | an initrd's                                                 |
 * | `memory`    | in MiB                                                      |
 * | `append`    | more words for the kernel                                   |
 * | `autostart` | starts when it is there; else a button does                 |
 * | `scheme`    | `dark` or `light`; by default what the user likes           |
 * | `speak`     | lines are spoken by screen readers                          |
 *
 * What attributes cannot say is in `options`. It fires `statechange`,
 * `progress` and `trouble`.
 *
 * Relies on `launch`; pages rely on it, ours among them.
 *
 * @journey L:312 A guest in a document
 */

import type {
	ConsoleSize,
	Guest,
	GuestEnd,
	ProgressEvent,
} from "../../index.ts";
import type { BrowserLaunchOptions } from "../launch-in.ts";
import { describeEnd, describeError, describeProgress } from "./describe.ts";
import { readGuestFile } from "./guest-file.ts";
import { Screen } from "./screen.ts";

/** How it is with the guest of an element. */
export type TerminalState =
	| "idle"
	| "loading"
	| "running"
	| "paused"
	| "ended"
	| "failed";

const STARTING: ProgressEvent = {
	activity: "starting",
	doneBytes: 0,
	totalBytes: 0,
};

/** The custom element. */
export class LguestTerminal extends HTMLElement {
	/** How guests are started; set before the element is defined. */
	static launch: (
		options: BrowserLaunchOptions | Promise<BrowserLaunchOptions>,
	) => Promise<Guest>;
	static readonly observedAttributes = ["scheme", "speak"];
	/** Go before attributes, and those before what `src` says. */
	options: Partial<BrowserLaunchOptions> = {};
	#screen: Screen | undefined;
	#guest: Guest | undefined;
	#state: TerminalState = "idle";
	#launching: AbortController | undefined;
	#input: WritableStreamDefaultWriter<Uint8Array> | undefined;

	get state(): TerminalState {
		return this.#state;
	}

	/** The guest that runs, or ran last. */
	get guest(): Guest | undefined {
		return this.#guest;
	}

	/** All that the terminal shows, as text. */
	get text(): string {
		return this.#screen?.text ?? "";
	}

	connectedCallback(): void {
		this.#screen ??= new Screen(this, {
			onStart: () => void this.start(),
			onInput: (bytes) => void this.#input?.write(bytes).catch(() => {}),
			onResize: (size) => this.#resize(size),
			onLeave: () => this.dispatchEvent(new Event("leave")),
		});
		this.attributeChangedCallback();
		if (this.hasAttribute("autostart")) {
			void this.start();
		} else {
			this.#screen.offer("", "Start");
			void this.#screen.open();
		}
	}

	/** An element that is only moved is connected again at once. */
	disconnectedCallback(): void {
		queueMicrotask(() => {
			if (!this.isConnected) void this.stop();
		});
	}

	attributeChangedCallback(): void {
		const scheme = this.getAttribute("scheme");
		this.#screen?.setScheme(
			scheme === "dark" || scheme === "light" ? scheme : undefined,
		);
		this.#screen?.setScreenReader(this.hasAttribute("speak"));
	}

	/** Starts a guest, unless one runs; resolves when it runs or could not start. */
	async start(): Promise<void> {
		if (this.#isBusy()) return;
		const launching = new AbortController();
		this.#launching = launching;
		this.#screen?.clear();
		this.#setState("loading");
		this.#progress(STARTING);
		try {
			const guest = await LguestTerminal.launch(
				this.#describe(launching.signal),
			);
			await this.#attend(guest);
		} catch (error) {
			if (launching.signal.aborted) this.#conclude({ kind: "stopped" });
			else this.#conclude({ kind: "failed", error: error as Error });
		}
	}

	/** Lets the guest stand still. */
	async pause(): Promise<void> {
		if (this.#state !== "running") return;
		await this.#guest?.pause();
		if (this.#state === "running") this.#setState("paused");
	}

	resume(): void {
		if (this.#state !== "paused") return;
		this.#guest?.resume();
		this.#setState("running");
	}

	/** Ends the guest, as if by pulling its plug; resolves when it has ended. */
	async stop(): Promise<void> {
		if (!this.#isBusy()) return;
		const ended = this.#next("ended", "failed");
		this.#launching?.abort();
		await ended;
	}

	/** Ends the guest and starts it anew. */
	async reset(): Promise<void> {
		await this.stop();
		await this.start();
	}

	override focus(): void {
		this.#screen?.focus();
	}

	#isBusy(): boolean {
		return ["loading", "running", "paused"].includes(this.#state);
	}

	/** Resolves when one of the states is reached. */
	#next(...states: readonly TerminalState[]): Promise<void> {
		return new Promise((resolve) => {
			const look = () => {
				if (!states.includes(this.#state)) return;
				this.removeEventListener("statechange", look);
				resolve();
			};
			this.addEventListener("statechange", look);
		});
	}

	#setState(state: TerminalState): void {
		this.#state = state;
		this.dispatchEvent(new Event("statechange"));
	}

	/** Options, attributes and the guest's file, in this order of precedence. */
	async #describe(signal: AbortSignal): Promise<BrowserLaunchOptions> {
		const { kernel, ...options } = this.options;
		const attribute = (name: string) => this.getAttribute(name) ?? undefined;
		const urlOf = (text: string) => new URL(text, document.baseURI).href;
		const [src, ownKernel] = [attribute("src"), attribute("kernel")];
		const [initrd, memory] = [attribute("initrd"), attribute("memory")];
		const append = attribute("append")?.split(/\s+/).filter(Boolean) ?? [];
		// The options of one kernel are not those of another.
		const base =
			kernel !== undefined
				? { kernel }
				: src !== undefined
					? await readGuestFile(urlOf(src), signal)
					: { kernel: urlOf(ownKernel ?? "vmlinuz") };
		return {
			...base,
			...(initrd !== undefined && { initrd: urlOf(initrd) }),
			...(memory !== undefined && { memoryBytes: Number(memory) * 2 ** 20 }),
			...options,
			signal,
			onProgress: (event) => this.#progress(event),
			kernelArguments: [
				...(base.kernelArguments ?? []),
				...append,
				...(options.kernelArguments ?? []),
				"TERM=xterm-256color",
			],
		};
	}

	async #attend(guest: Guest): Promise<void> {
		this.#guest = guest;
		void guest.exited.then((end) => this.#conclude(end));
		guest.on("trouble", (error) => {
			this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
		});
		this.#input = guest.console.writable.getWriter();
		this.#setState("running");
		this.#screen?.uncover();
		await this.#screen?.open();
		const size = this.#screen?.size;
		if (size !== undefined) this.#resize(size);
		void this.#show(guest);
	}

	async #show(guest: Guest): Promise<void> {
		const reader = guest.console.readable.getReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			await this.#screen?.write(value);
		}
	}

	#resize(size: ConsoleSize): void {
		this.#guest?.console.resize(size);
	}

	#progress(event: ProgressEvent): void {
		// Not before the worker lives, whose start needs this thread, too.
		if (event !== STARTING) void this.#screen?.open();
		if (this.#state === "loading")
			this.#screen?.wait(describeProgress(event), event);
		this.dispatchEvent(new CustomEvent("progress", { detail: event }));
	}

	#conclude(end: GuestEnd): void {
		if (!this.#isBusy()) return;
		this.#input = undefined;
		void this.#screen?.open();
		if (end.kind === "failed") {
			this.#screen?.offer(describeError(end.error), "Try again");
			this.dispatchEvent(new CustomEvent("trouble", { detail: end.error }));
		} else {
			this.#screen?.offer(describeEnd(end), "Start again");
		}
		this.#setState(end.kind === "failed" ? "failed" : "ended");
	}
}
