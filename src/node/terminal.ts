/**
 * The user's terminal while a guest has it: raw mode, so that every key goes
 * to the guest, and the one sequence that does not, three Ctrl-C in a second.
 *
 * Raw mode outlives a careless process, and a shell left in it shows nothing
 * that is typed. So it is taken back in an `exit` handler, which runs on every
 * way out that Node survives; `main.ts` sees to it that signals are such ways.
 *
 * Relies on Node's tty streams; the console relies on it.
 *
 * @journey L:125 Borrowing the terminal
 */

import type { ReadStream } from "node:tty";

const CTRL_C = 0x03;
const CTRL_C_COUNT = 3;
const CTRL_C_WITHIN_MS = 1000;

/** Recognises the way out among the keys; they reach the guest all the same. */
export class CtrlCCounter {
	/** When each Ctrl-C of late was typed. */
	#times: number[] = [];

	/** Whether these keys, typed at `nowMs`, complete the sequence. */
	sees(keys: Uint8Array, nowMs: number): boolean {
		for (const key of keys) {
			if (key !== CTRL_C) this.#times = [];
			else this.#times.push(nowMs);
		}
		this.#times = this.#times
			.filter((time) => nowMs - time <= CTRL_C_WITHIN_MS)
			.slice(-CTRL_C_COUNT);
		return this.#times.length === CTRL_C_COUNT;
	}
}

/** Raw mode for as long as the guest runs. */
export class RawTerminal {
	readonly #input: ReadStream;
	readonly #restore = () => this.release();
	#raw = false;

	constructor(input: ReadStream) {
		this.#input = input;
	}

	/** From here on keys are bytes. */
	take(): void {
		if (this.#raw) return;
		this.#raw = true;
		process.once("exit", this.#restore);
		process.on("SIGCONT", this.#retake);
		this.#input.setRawMode(true);
	}

	/** Gives the terminal back as it was; safe to call twice. */
	release(): void {
		if (!this.#raw) return;
		this.#raw = false;
		process.off("exit", this.#restore);
		process.off("SIGCONT", this.#retake);
		this.#input.setRawMode(false);
	}

	/** A shell that stopped us has put the terminal into its own mode since. */
	readonly #retake = (): void => {
		this.#input.setRawMode(false);
		this.#input.setRawMode(true);
	};
}
