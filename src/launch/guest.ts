/**
 * A running guest, as its owner sees it: a console, commands, files, an end.
 * The guest itself runs on a thread of its own; all this only sends messages,
 * so the caller's event loop stays free.
 *
 * Relies on the wire, the pipes and the agent; `launch` makes it.
 *
 * @journey L:265 A handle on a guest
 */

import {
	AgentError,
	GuestEndedError,
	LguestError,
	UsageError,
} from "../errors.ts";
import type { EndReason } from "../machine/machine.ts";
import type { MachineStatistics } from "../machine/statistics.ts";
import type { DeviceEvent } from "../machine/virtio-slots.ts";
import type { BlockBackend, ConsoleSize } from "../virtio/backends.ts";
import type { BalloonState } from "../virtio/memory-balloon.ts";
import { AgentClient } from "./agent-client.ts";
import {
	SPAWN_COMMAND,
	SPAWN_READ_FILE,
	SPAWN_WRITE_FILE,
} from "./agent-protocol.ts";
import { CallerPipe } from "./caller-pipe.ts";
import type { WorkerChannel } from "./channel.ts";
import type { GuestDescription } from "./description.ts";
import { fromPlain } from "./error-transfer.ts";
import {
	type ExecOptions,
	type ExecResult,
	finish,
	type SpawnOptions,
} from "./exec.ts";
import type { GuestProcess } from "./guest-process.ts";
import { describeErrno } from "./linux-numbers.ts";
import { PipeEnd } from "./pipe.ts";
import {
	type FromGuest,
	PIPE_AGENT,
	PIPE_CONSOLE,
	type ProgressEvent,
	type ToGuest,
} from "./protocol.ts";
import { answerRemoteCall } from "./remote-disk.ts";

/** Why a guest ended; "failed" is a defect of ours or too little memory. */
export type GuestEnd =
	| EndReason
	| { readonly kind: "failed"; readonly error: Error };

/** What can be listened to. */
export interface GuestEvents {
	/** A device was set up, reset or stopped for its driver's fault. */
	readonly device: DeviceEvent;
	/**
	 * The guest gets on with its start. What comes before the guest is made only
	 * `launch` can tell: give it `onProgress`.
	 */
	readonly progress: ProgressEvent;
	/** A disk has failed, which the guest saw as an I/O error. */
	readonly trouble: Error;
}

/** The guest's console. */
export interface GuestConsole {
	/** What it prints. Nobody reads? The newest 256 KiB are kept for who will. */
	readonly readable: ReadableStream<Uint8Array>;
	/** What is typed. */
	readonly writable: WritableStream<Uint8Array>;
	/** Tells a virtio console how large its window is now. */
	resize(size: ConsoleSize): void;
}

/** A guest that is told to stop has so long to say its last words. */
const STOP_WITHIN_MS = 2000;
const READY: ProgressEvent = { activity: "ready", doneBytes: 0, totalBytes: 0 };
/** A guest with an agent starts it at boot, however slow the computer is. */
const AGENT_WITHIN_MS = 120_000;

/** Where a `using` declaration looks; some engines do not have it yet. */
const asyncDispose: typeof Symbol.asyncDispose =
	Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** Who may speak up, or is told, while a guest is being made. */
export interface LaunchListeners {
	/** Gives up the launch, or stops the guest when it runs. */
	readonly signal?: AbortSignal;
	/** Told how far the guest has come, from the first byte that is read. */
	readonly onProgress?: (event: ProgressEvent) => void;
}

/** Make one with `launch`. */
export class Guest implements AsyncDisposable {
	readonly console: GuestConsole;
	/** Resolves with the reason when the guest has ended and its memory is free. */
	readonly exited: Promise<GuestEnd>;
	readonly #channel: WorkerChannel;
	readonly #consoleEnd: PipeEnd;
	readonly #agentEnd: PipeEnd;
	readonly #agent: AgentClient;
	readonly #hasAgent: boolean;
	readonly #backends: readonly BlockBackend[];
	readonly #listeners = new Map<string, Set<(event: never) => void>>();
	readonly #requests = new Map<
		number,
		(answer: FromGuest | undefined) => void
	>();
	#requestCount = 0;
	#created!: (error?: unknown) => void;
	#finish!: (end: GuestEnd) => void;
	#end: GuestEnd | undefined;

	/** Resolves when the guest's kernel is about to start; rejects as `launch` does. */
	static async start(
		channel: WorkerChannel,
		description: GuestDescription,
		backends: readonly BlockBackend[],
		{ signal, onProgress }: LaunchListeners = {},
	): Promise<Guest> {
		const guest = new Guest(channel, description, backends);
		if (onProgress !== undefined) guest.on("progress", onProgress);
		const created = new Promise<void>((resolve, reject) => {
			guest.#created = (error) =>
				error === undefined ? resolve() : reject(error);
		});
		const abort = () => {
			guest.#created(signal?.reason);
			void guest.stop();
		};
		signal?.addEventListener("abort", abort, { once: true });
		void guest.exited.then(() => signal?.removeEventListener("abort", abort));
		guest.#post({ kind: "create", description });
		await created;
		return guest;
	}

	private constructor(
		channel: WorkerChannel,
		description: GuestDescription,
		backends: readonly BlockBackend[],
	) {
		this.#channel = channel;
		this.#backends = backends;
		this.#hasAgent = description.agent ?? false;
		this.exited = new Promise((resolve) => {
			this.#finish = resolve;
		});
		this.#consoleEnd = new PipeEnd(channel, PIPE_CONSOLE);
		this.#agentEnd = new PipeEnd(channel, PIPE_AGENT);
		const { readable, writable } = new CallerPipe(this.#consoleEnd);
		const resize = (size: ConsoleSize) =>
			this.#post({ kind: "terminal", size });
		this.console = { readable, writable, resize };
		this.#agent = new AgentClient(this.#agentEnd);
		channel.onMessage = (message) => this.#receive(message as FromGuest);
		channel.onDeath = (cause) => void this.#conclude(failure(cause));
	}

	/** Lets the guest stand still, its clock too; resolves when it does. */
	async pause(): Promise<void> {
		await this.#ask((request) => ({ kind: "pause", request }));
	}

	/** The guest runs on, as if nothing had been. */
	resume(): void {
		this.#post({ kind: "resume" });
	}

	/** Presses the power button: the guest may shut itself down. */
	pressPowerButton(): void {
		this.#post({ kind: "power-button" });
	}

	/** Ends the guest, as if by pulling its plug; resolves as `exited` does. */
	async stop(): Promise<GuestEnd> {
		if (this.#end === undefined) {
			this.#post({ kind: "stop" });
			const timer = setTimeout(
				() => void this.#conclude({ kind: "stopped" }),
				STOP_WITHIN_MS,
			);
			await this.exited;
			clearTimeout(timer);
		}
		return this.exited;
	}

	/** As `stop`, for `await using`. */
	async [asyncDispose](): Promise<void> {
		await this.stop();
	}

	/** Counters, as they stand; rejects once the guest has ended. */
	async statistics(): Promise<MachineStatistics> {
		const answer = await this.#ask((request) => ({
			kind: "statistics",
			request,
		}));
		if (answer?.kind !== "statistics") throw this.#gone();
		return answer.statistics;
	}

	/**
	 * Asks the guest to do without so much memory, in its own time; 0 gives it all
	 * back. A guest without a balloon takes no notice.
	 */
	resizeBalloon(targetBytes: number): void {
		if (!Number.isSafeInteger(targetBytes) || targetBytes < 0) {
			throw new UsageError(`A balloon cannot have ${targetBytes} bytes.`);
		}
		this.#post({ kind: "balloon", targetBytes });
	}

	/** What its balloon holds; undefined for a guest without one. */
	async balloonState(): Promise<BalloonState | undefined> {
		const answer = await this.#ask((request) => ({
			kind: "balloon-state",
			request,
		}));
		if (answer?.kind !== "balloon-state") throw this.#gone();
		return answer.state;
	}

	/**
	 * Asks the guest what it has free, in large pieces, and gives how many bytes
	 * it hints at; undefined where no driver of a balloon can.
	 */
	async balloonHints(): Promise<number | undefined> {
		const answer = await this.#ask((request) => ({
			kind: "balloon-hints",
			request,
		}));
		if (answer?.kind !== "balloon-hints") throw this.#gone();
		return answer.hintedBytes;
	}

	/** Calls `listener` with every event of a kind; what is returned ends that. */
	on<Name extends keyof GuestEvents>(
		name: Name,
		listener: (event: GuestEvents[Name]) => void,
	): () => void {
		const listeners = this.#listeners.get(name) ?? new Set();
		this.#listeners.set(name, listeners);
		listeners.add(listener);
		return () => listeners.delete(listener);
	}

	/**
	 * Starts a command: a program and its arguments, or a line for the guest's
	 * `sh`. Rejects with `AgentError` where the guest has no agent.
	 */
	async spawn(
		command: string | readonly string[],
		options: SpawnOptions = {},
		signal?: AbortSignal,
	): Promise<GuestProcess> {
		await this.#agentPresent(signal);
		return this.#agent.spawn({
			kind: SPAWN_COMMAND,
			mode: 0,
			cwd: options.cwd ?? "",
			words: typeof command === "string" ? ["sh", "-c", command] : command,
			environment: Object.entries(options.env ?? {}).map(
				([name, value]) => `${name}=${value}`,
			),
		});
	}

	/**
	 * Runs a command to its end. An exit status other than 0 is a result, not an
	 * error; rejects when the command cannot be started (`AgentError`), takes too
	 * long (`ExecTimeoutError`), is aborted (the signal's reason), or when the
	 * guest ends first (`GuestEndedError`). It never leaves the command running.
	 */
	async exec(
		command: string | readonly string[],
		options: ExecOptions = {},
	): Promise<ExecResult> {
		const process = await this.spawn(command, options, options.signal);
		return finish(process, options);
	}

	/** A file's contents. Rejects with `AgentError`, whose `code` is Linux's. */
	async readFile(
		path: string,
		options: { readonly signal?: AbortSignal } = {},
	): Promise<Uint8Array> {
		const process = await this.#file(SPAWN_READ_FILE, path, 0, options.signal);
		const { exitCode, stdout } = await finish(process, options);
		if (exitCode !== 0) throw fileError("read", path, exitCode);
		return stdout;
	}

	/** Makes or replaces a file. `mode`: its permissions if it is new, 0o644. */
	async writeFile(
		path: string,
		data: string | Uint8Array | ReadableStream<Uint8Array>,
		options: { readonly mode?: number; readonly signal?: AbortSignal } = {},
	): Promise<void> {
		const { mode = 0o644, signal } = options;
		const process = await this.#file(SPAWN_WRITE_FILE, path, mode, signal);
		const { exitCode } = await finish(process, { ...options, stdin: data });
		if (exitCode !== 0) throw fileError("written", path, exitCode);
	}

	async #file(
		kind: number,
		path: string,
		mode: number,
		signal: AbortSignal | undefined,
	): Promise<GuestProcess> {
		await this.#agentPresent(signal);
		const words = [path];
		return this.#agent.spawn({ kind, mode, cwd: "", words, environment: [] });
	}

	/** Resolves when there is somebody in the guest to talk to. */
	async #agentPresent(signal: AbortSignal | undefined): Promise<void> {
		signal?.throwIfAborted();
		if (this.#end !== undefined) throw this.#gone();
		if (!this.#hasAgent) {
			throw new AgentError("This guest has no agent to run commands.", {
				hint: "Launch it with agent: true if lguest's agent runs in it.",
			});
		}
		await within(AGENT_WITHIN_MS, this.#agent.present(), signal);
	}

	#post(message: ToGuest): void {
		if (this.#end === undefined) this.#channel.post(message);
	}

	/** An answer, or undefined if the guest ends without one. */
	#ask(message: (request: number) => ToGuest): Promise<FromGuest | undefined> {
		if (this.#end !== undefined) return Promise.resolve(undefined);
		const request = this.#requestCount++;
		return new Promise((resolve) => {
			this.#requests.set(request, resolve);
			this.#post(message(request));
		});
	}

	#receive(message: FromGuest): void {
		switch (message.kind) {
			case "pipe-bytes":
			case "pipe-credit":
			case "pipe-end": {
				const isAgent = message.pipe === PIPE_AGENT;
				(isAgent ? this.#agentEnd : this.#consoleEnd).receive(message);
				break;
			}
			case "created":
				this.#created();
				break;
			case "agent-open":
				this.#agent.opened(message.open);
				if (message.open) this.#emit("progress", READY);
				break;
			case "remote-call":
				void answerRemoteCall(message, this.#backends[message.remote]).then(
					(answer) => this.#post(answer),
				);
				break;
			case "ended":
				void this.#conclude(message.reason);
				break;
			case "failed":
				void this.#conclude({
					kind: "failed",
					error: fromPlain(message.error),
				});
				break;
			case "paused":
			case "balloon-state":
			case "balloon-hints":
			case "statistics":
				this.#requests.get(message.request)?.(message);
				this.#requests.delete(message.request);
				break;
			case "progress":
				this.#emit("progress", message);
				break;
			case "trouble":
				this.#emit("trouble", fromPlain(message.error));
				break;
			case "device":
				this.#emit("device", message.event);
				break;
		}
	}

	#emit<Name extends keyof GuestEvents>(
		name: Name,
		event: GuestEvents[Name],
	): void {
		for (const listener of this.#listeners.get(name) ?? []) {
			(listener as (event: GuestEvents[Name]) => void)(event);
		}
	}

	/** First end wins. Everybody who waits is told. */
	async #conclude(end: GuestEnd): Promise<void> {
		if (this.#end !== undefined) return;
		this.#end = end;
		this.#created(end.kind === "failed" ? end.error : undefined);
		for (const answer of this.#requests.values()) answer(undefined);
		this.#requests.clear();
		this.#consoleEnd.release();
		this.#agent.release(this.#gone());
		await this.#channel.terminate();
		this.#finish(end);
	}

	#gone(): GuestEndedError {
		const how = this.#end?.kind ?? "stopped";
		return new GuestEndedError(`The guest has ended (${how}).`);
	}
}

function failure(cause: unknown): GuestEnd {
	if (cause instanceof Error && "code" in cause) {
		if (cause.code === "ERR_WORKER_OUT_OF_MEMORY") {
			const hint = "Give the guest less memory, or run fewer guests.";
			const error = new LguestError("The guest's thread is out of memory.", {
				hint,
				cause,
			});
			return { kind: "failed", error };
		}
	}
	const error = cause instanceof Error ? cause : new Error(String(cause));
	return { kind: "failed", error };
}

/** The agent's exit code is Linux's error number. */
function fileError(done: string, path: string, errno: number): AgentError {
	const { name, text } = describeErrno(errno);
	return new AgentError(`${path} cannot be ${done}: ${text}.`, { code: name });
}

async function within(
	ms: number,
	wait: Promise<void>,
	signal: AbortSignal | undefined,
): Promise<void> {
	let timer: UniversalTimer | undefined;
	let abort = () => {};
	const late = new Promise<never>((_, reject) => {
		abort = () => reject(signal?.reason);
		signal?.addEventListener("abort", abort, { once: true });
		timer = setTimeout(() => {
			reject(
				new AgentError("The guest's agent did not answer.", {
					hint: "Does lguest's agent run in this guest?",
				}),
			);
		}, ms);
	});
	try {
		await Promise.race([wait, late]);
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", abort);
	}
}
