/**
 * The guest's serial line on standard input and output, whatever they are: a
 * terminal, a pipe, a file. Output is held back when the reader is slow; input
 * stays with the system until the guest takes it; the end of input does not
 * end the guest.
 *
 * Relies on Node's streams and the terminal; the run command relies on it.
 *
 * @journey L:130 The two ends of a pipe
 */

import { fstatSync, readSync } from "node:fs";
import { ReadStream } from "node:tty";
import type {
	ConsoleBackend,
	ConsolePortBackend,
	ConsoleSize,
} from "../index.ts";
import { CtrlCCounter, RawTerminal } from "./terminal.ts";

/** Input that nobody takes is left in the pipe beyond this. */
const MOST_WAITING_BYTES = 0x1_0000;
const NOTHING = new Uint8Array(0);

/** Console on the process's own streams. */
export class StandardStreams implements ConsoleBackend, ConsolePortBackend {
	onInput: () => void = () => {};
	/** The window has another size. */
	onResize: () => void = () => {};
	/** Three Ctrl-C were typed. */
	onInterrupt: () => void = () => {};
	/** Nobody reads our output any more. */
	onOutputLost: () => void = () => {};
	readonly #input: InputSource;
	#outputLost = false;

	constructor() {
		this.#input = openInput({
			onInput: () => this.onInput(),
			onInterrupt: () => this.onInterrupt(),
		});
		process.stdout.on("error", () => {
			this.#outputLost = true;
			this.onOutputLost();
		});
		process.stdout.on("resize", () => this.onResize());
	}

	/** Undefined where output goes to no terminal. */
	get size(): ConsoleSize | undefined {
		const { columns, rows } = process.stdout;
		return columns === undefined ? undefined : { columns, rows };
	}

	get inputOpen(): boolean {
		return this.#input.open;
	}

	/** Puts a terminal into raw mode and begins to read. */
	start(): void {
		this.#input.start();
	}

	/** Gives the terminal back; no more input. */
	stop(): void {
		this.#input.stop();
	}

	read(maxBytes: number): Uint8Array {
		return this.#input.read(maxBytes);
	}

	write(bytes: Uint8Array): Promise<void> | undefined {
		if (this.#outputLost || process.stdout.write(bytes)) return undefined;
		return new Promise((resolve) => {
			const done = () => {
				process.stdout.off("drain", done).off("error", done);
				resolve();
			};
			process.stdout.on("drain", done).on("error", done);
		});
	}
}

/** Where keys come from. */
interface InputSource {
	readonly open: boolean;
	start(): void;
	stop(): void;
	read(maxBytes: number): Uint8Array;
}

interface InputEvents {
	readonly onInput: () => void;
	readonly onInterrupt: () => void;
}

function openInput(events: InputEvents): InputSource {
	return isRegularFile() ? new FileInput() : new StreamInput(events);
}

function isRegularFile(): boolean {
	try {
		return fstatSync(process.stdin.fd).isFile();
	} catch {
		// Closed, as `<&-` does.
		return false;
	}
}

/** A file can be read exactly when the guest asks, so that a virtual run stays reproducible. */
class FileInput implements InputSource {
	open = true;

	start(): void {}

	stop(): void {
		this.open = false;
	}

	read(maxBytes: number): Uint8Array {
		if (!this.open) return NOTHING;
		const bytes = new Uint8Array(maxBytes);
		const length = readSync(process.stdin.fd, bytes);
		if (length === 0) this.open = false;
		return bytes.subarray(0, length);
	}
}

/** Terminals and pipes: what was read ahead waits here, and not much of it. */
class StreamInput implements InputSource {
	open = true;
	readonly #events: InputEvents;
	readonly #terminal: RawTerminal | undefined;
	readonly #ctrlC = new CtrlCCounter();
	#waiting: Uint8Array = NOTHING;

	constructor(events: InputEvents) {
		this.#events = events;
		const { stdin } = process;
		if (stdin instanceof ReadStream) this.#terminal = new RawTerminal(stdin);
	}

	start(): void {
		this.#terminal?.take();
		process.stdin.on("data", this.#onData);
		process.stdin.on("end", this.#onEnd).on("error", this.#onEnd);
		process.stdin.resume();
	}

	stop(): void {
		this.open = false;
		process.stdin.off("data", this.#onData);
		process.stdin.pause();
		this.#terminal?.release();
	}

	read(maxBytes: number): Uint8Array {
		const bytes = this.#waiting.subarray(0, maxBytes);
		this.#waiting = this.#waiting.subarray(maxBytes);
		if (this.open && this.#waiting.length < MOST_WAITING_BYTES) {
			process.stdin.resume();
		}
		return bytes;
	}

	readonly #onData = (bytes: Uint8Array): void => {
		if (this.#terminal && this.#ctrlC.sees(bytes, performance.now())) {
			this.#events.onInterrupt();
		}
		this.#waiting = Buffer.concat([this.#waiting, bytes]);
		// A terminal is always read, or Ctrl-C could not be seen.
		if (this.#waiting.length >= MOST_WAITING_BYTES) {
			if (this.#terminal) this.#waiting = NOTHING;
			else process.stdin.pause();
		}
		this.#events.onInput();
	};

	readonly #onEnd = (): void => {
		this.open = false;
		this.#events.onInput();
	};
}
