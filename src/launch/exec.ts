/**
 * `exec`: a command in the guest from start to end, with its output collected;
 * and files, which are commands that the agent knows itself.
 *
 * Relies on processes; the `Guest` relies on it.
 *
 * @journey L:260 Do this, and tell me how it went
 */

import { AgentError, ExecTimeoutError } from "../errors.ts";
import type { GuestProcess } from "./guest-process.ts";

/** Where a command runs, and with what. */
export interface SpawnOptions {
	/** Added to the environment that the agent has. */
	readonly env?: Readonly<Record<string, string>>;
	/** Default: the agent's, which is `/`. */
	readonly cwd?: string;
}

/** How `exec` runs a command. */
export interface ExecOptions extends SpawnOptions {
	/** What it reads; default: nothing. */
	readonly stdin?: string | Uint8Array | ReadableStream<Uint8Array>;
	/** Kills the command, and everything it started in its process group. */
	readonly signal?: AbortSignal;
	/** After so many milliseconds it is killed, and `exec` rejects. */
	readonly timeoutMs?: number;
	/** More output than this is an error; default 256 MiB. */
	readonly maxOutputBytes?: number;
}

/** What became of it. */
export interface ExecResult {
	/** As a shell reports it: 128 and the signal's number if one ended it. */
	readonly exitCode: number;
	/** The signal that ended it: "SIGKILL". */
	readonly signal: string | undefined;
	readonly stdout: Uint8Array;
	readonly stderr: Uint8Array;
	/** `stdout`, decoded as UTF-8. */
	readonly stdoutText: string;
	/** `stderr`, decoded as UTF-8. */
	readonly stderrText: string;
}

const MOST_OUTPUT_BYTES = 256 << 20;

/** Sees `process` to its end; whatever goes wrong, it is not left running. */
export async function finish(
	process: GuestProcess,
	options: ExecOptions,
): Promise<ExecResult> {
	const most = options.maxOutputBytes ?? MOST_OUTPUT_BYTES;
	const interruption = new Interruption(options);
	try {
		const [end, stdout, stderr] = await Promise.race([
			Promise.all([
				process.exited,
				collect(process.stdout, most),
				collect(process.stderr, most),
				feed(process.stdin, options.stdin),
			]),
			interruption.happens,
		]);
		return { ...end, ...texts(stdout, stderr) };
	} catch (error) {
		process.close();
		throw error;
	} finally {
		interruption.dispose();
	}
}

function texts(stdout: Uint8Array, stderr: Uint8Array) {
	return {
		stdout,
		stderr,
		get stdoutText() {
			return new TextDecoder().decode(stdout);
		},
		get stderrText() {
			return new TextDecoder().decode(stderr);
		},
	};
}

/** What may end the wait early: time, or the caller. */
class Interruption {
	/** Rejects when it happens. */
	readonly happens: Promise<never>;
	readonly #signal: AbortSignal | undefined;
	readonly #timer: UniversalTimer | undefined;
	#abort: () => void = () => {};

	constructor({ signal, timeoutMs }: ExecOptions) {
		signal?.throwIfAborted();
		this.#signal = signal;
		let timer: UniversalTimer | undefined;
		this.happens = new Promise((_, reject) => {
			this.#abort = () => reject(signal?.reason);
			if (timeoutMs === undefined) return;
			timer = setTimeout(() => {
				reject(
					new ExecTimeoutError(
						`The command was killed: it took longer than ${timeoutMs} ms.`,
					),
				);
			}, timeoutMs);
		});
		this.happens.catch(() => {});
		this.#timer = timer;
		signal?.addEventListener("abort", this.#abort, { once: true });
	}

	dispose(): void {
		clearTimeout(this.#timer);
		this.#signal?.removeEventListener("abort", this.#abort);
	}
}

async function collect(
	stream: ReadableStream<Uint8Array>,
	mostBytes: number,
): Promise<Uint8Array> {
	const reader = stream.getReader();
	const pieces: Uint8Array[] = [];
	let length = 0;
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return joined(pieces, length);
		pieces.push(value);
		length += value.length;
		if (length > mostBytes) {
			throw new AgentError(
				`The command printed more than ${mostBytes} bytes.`,
				{ hint: "Give exec a larger maxOutputBytes, or use spawn." },
			);
		}
	}
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
	const all = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		all.set(piece, at);
		at += piece.length;
	}
	return all;
}

/** A command need not read all of its input: that is no error. */
async function feed(
	stdin: WritableStream<Uint8Array>,
	input: ExecOptions["stdin"],
): Promise<void> {
	const writer = stdin.getWriter();
	try {
		for await (const piece of pieces(input)) await writer.write(piece);
		await writer.close();
	} catch (error) {
		if (!(error instanceof AgentError)) throw error;
	}
}

async function* pieces(input: ExecOptions["stdin"]) {
	if (input === undefined) return;
	if (typeof input === "string") yield new TextEncoder().encode(input);
	else if (input instanceof Uint8Array) yield input;
	else yield* read(input);
}

/** Streams are not everywhere iterable. */
async function* read(stream: ReadableStream<Uint8Array>) {
	const reader = stream.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			yield value;
		}
	} finally {
		await reader.cancel().catch(() => {});
	}
}
