/**
 * A command that runs in the guest, as its caller sees it: three streams, a
 * way to send signals, and an end. Streams hold the command back when nobody
 * reads them, and are held back when the command does not read.
 *
 * Relies on the agent's protocol; the agent's client makes it.
 *
 * @journey L:255 A process elsewhere
 */

import { AgentError } from "../errors.ts";
import {
	encodeWords,
	FRAME_CLOSE,
	FRAME_CREDIT,
	FRAME_EXITED,
	FRAME_FAILED,
	FRAME_KILL,
	FRAME_STDERR,
	FRAME_STDERR_END,
	FRAME_STDIN,
	FRAME_STDIN_CLOSED,
	FRAME_STDIN_CREDIT,
	FRAME_STDIN_END,
	FRAME_STDOUT,
	FRAME_STDOUT_END,
	type Frame,
	MOST_CONTENTS_BYTES,
	STDIN_WINDOW_BYTES,
	wordAt,
} from "./agent-protocol.ts";
import { describeErrno, signalName, signalNumber } from "./linux-numbers.ts";

/** How a command ended. */
export interface ProcessEnd {
	/** As a shell reports it: 128 and the signal's number if one ended it. */
	readonly exitCode: number;
	/** The signal that ended it: "SIGKILL". */
	readonly signal: string | undefined;
}

type Send = (type: number, contents?: Uint8Array) => void;

/** Make one with `Guest.spawn`. */
export class GuestProcess {
	/** Closing it is the command's end of input. */
	readonly stdin: WritableStream<Uint8Array>;
	readonly stdout: ReadableStream<Uint8Array>;
	readonly stderr: ReadableStream<Uint8Array>;
	/**
	 * Resolves when the command has ended; rejects if it never began, or if the
	 * guest or its agent went away. Output may still wait in the streams.
	 */
	readonly exited: Promise<ProcessEnd>;
	readonly #send: Send;
	readonly #input = new Credit(STDIN_WINDOW_BYTES);
	readonly #output: OutputStream;
	readonly #errors: OutputStream;
	#resolve!: (end: ProcessEnd) => void;
	#reject!: (error: Error) => void;
	#over = false;

	constructor(send: Send, onOver: () => void) {
		this.#send = send;
		this.exited = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		// Whoever looks at the streams alone must not be told twice.
		this.exited.catch(() => {});
		const finished = () => {
			if (this.#over && this.#output.ended && this.#errors.ended) onOver();
		};
		this.#output = new OutputStream((bytes) => this.#grant(1, bytes), finished);
		this.#errors = new OutputStream((bytes) => this.#grant(2, bytes), finished);
		this.stdout = this.#output.stream;
		this.stderr = this.#errors.stream;
		this.stdin = new WritableStream<Uint8Array>({
			write: (bytes) => this.#write(bytes),
			close: () => this.#send(FRAME_STDIN_END),
			abort: () => this.#send(FRAME_STDIN_END),
		});
	}

	/** Sends a signal to the command and whatever it started. */
	kill(signal: string = "SIGTERM"): void {
		const number = signalNumber(signal);
		if (number === undefined) {
			throw new AgentError(`There is no signal "${signal}".`, {
				hint: 'Signals are written as in "SIGTERM".',
			});
		}
		if (!this.#over) this.#send(FRAME_KILL, encodeWords(number));
	}

	/** Kills it and lets go of its streams. */
	close(): void {
		this.#send(FRAME_CLOSE);
		this.#output.end();
		this.#errors.end();
	}

	/** What the agent says of it. */
	receive({ type, contents }: Frame): void {
		switch (type) {
			case FRAME_STDOUT:
				this.#output.push(contents.slice());
				break;
			case FRAME_STDERR:
				this.#errors.push(contents.slice());
				break;
			case FRAME_STDOUT_END:
				this.#output.end();
				break;
			case FRAME_STDERR_END:
				this.#errors.end();
				break;
			case FRAME_STDIN_CREDIT:
				this.#input.add(wordAt(contents, 0));
				break;
			case FRAME_STDIN_CLOSED:
				this.#input.refuse(new AgentError("The command reads no more."));
				break;
			case FRAME_EXITED:
				this.#ended(wordAt(contents, 0));
				break;
			case FRAME_FAILED:
				this.fail(notStarted(wordAt(contents, 0)));
				break;
		}
	}

	/** It never began, or nothing more will be heard of it. */
	fail(error: Error): void {
		this.#over = true;
		this.#reject(error);
		this.#input.refuse(error);
		this.#output.end();
		this.#errors.end();
	}

	#ended(status: number): void {
		this.#over = true;
		const number = status & 0x7f;
		this.#resolve({
			exitCode: number === 0 ? (status >> 8) & 0xff : 128 + number,
			signal: number === 0 ? undefined : signalName(number),
		});
		this.#input.refuse(new AgentError("The command has ended."));
		this.#output.check();
	}

	#grant(stream: number, bytes: number): void {
		this.#send(FRAME_CREDIT, encodeWords(stream, bytes));
	}

	async #write(bytes: Uint8Array): Promise<void> {
		for (let at = 0; at < bytes.length; ) {
			const most = Math.min(bytes.length - at, MOST_CONTENTS_BYTES);
			const part = await this.#input.take(most);
			this.#send(FRAME_STDIN, bytes.subarray(at, at + part));
			at += part;
		}
	}
}

function notStarted(errno: number): AgentError {
	const { name, text } = describeErrno(errno);
	return new AgentError(`The command did not start: ${text}.`, { code: name });
}

/** The right to send, which may have to be waited for. */
class Credit {
	#bytes: number;
	#refusal: Error | undefined;
	#waiting: (() => void)[] = [];

	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	add(bytes: number): void {
		this.#bytes += bytes;
		this.#wake();
	}

	/** From now on there is none; first reason wins. */
	refuse(error: Error): void {
		this.#refusal ??= error;
		this.#wake();
	}

	/** At least one byte and at most `most`. */
	async take(most: number): Promise<number> {
		while (this.#bytes === 0 && this.#refusal === undefined) {
			await new Promise<void>((resolve) => {
				this.#waiting.push(resolve);
			});
		}
		if (this.#refusal !== undefined) throw this.#refusal;
		const taken = Math.min(most, this.#bytes);
		this.#bytes -= taken;
		return taken;
	}

	#wake(): void {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}
}

/** What a command prints: at most a window of it waits here. */
class OutputStream {
	readonly stream: ReadableStream<Uint8Array>;
	ended = false;
	readonly #onEnd: () => void;
	#waiting: Uint8Array[] = [];
	#wake: () => void = () => {};

	constructor(grant: (bytes: number) => void, onEnd: () => void) {
		this.#onEnd = onEnd;
		this.stream = new ReadableStream<Uint8Array>(
			{
				pull: async (controller) => {
					const bytes = await this.#next();
					if (bytes === undefined) return controller.close();
					controller.enqueue(bytes);
					if (!this.ended) grant(bytes.length);
				},
			},
			{ highWaterMark: 0 },
		);
	}

	push(bytes: Uint8Array): void {
		this.#waiting.push(bytes);
		this.#wake();
	}

	end(): void {
		this.ended = true;
		this.#wake();
		this.check();
	}

	/** Says so if it is all over. */
	check(): void {
		this.#onEnd();
	}

	async #next(): Promise<Uint8Array | undefined> {
		for (;;) {
			const bytes = this.#waiting.shift();
			if (bytes !== undefined) return bytes;
			if (this.ended) return undefined;
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}
}
