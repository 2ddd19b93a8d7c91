/**
 * Talks to a guest the way a person at a serial terminal does: waits for text,
 * types a command, reads what it prints. The guest runs in a child process (see
 * `engines.ts`). Time is judged by progress: a wait fails when the guest has
 * printed nothing for a while, and the error carries the end of the transcript.
 * Boot tests and the benchmark rely on it.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { PROMPT } from "../../scripts/initramfs.ts";
import { commandFor, type EngineName, type GuestImage } from "./engines.ts";

/** How a wait may fail. */
export interface Patience {
	/** Silence after which the guest counts as stuck. */
	readonly idleSeconds?: number;
	/** Limit for the whole wait, whatever the guest prints. */
	readonly totalSeconds?: number;
}

/** What a command printed, byte for byte, and its exit status. */
export interface CommandResult {
	readonly output: string;
	readonly status: number;
}

/** The end of the guest's process, as a shell would report it. */
export interface ProcessEnd {
	/** Exit status, or 128 plus the signal's number. */
	readonly status: number;
	readonly stderr: string;
}

const DEFAULT_IDLE_SECONDS = 300;
const DEFAULT_TOTAL_SECONDS = 1200;
const TRANSCRIPT_LINES = 40;
const SIGNALS: Readonly<Record<string, number>> = {
	SIGHUP: 1,
	SIGINT: 2,
	SIGABRT: 6,
	SIGKILL: 9,
	SIGSEGV: 11,
	SIGTERM: 15,
};

/** A slow machine can stretch every limit by `LGUEST_TEST_PATIENCE`. */
const PATIENCE_FACTOR = Number(process.env.LGUEST_TEST_PATIENCE ?? 1);

/** A wait that ended badly; the message holds all there is to know. */
export class SessionError extends Error {
	override readonly name = "SessionError";
}

/** One running guest and the dialogue with it. */
export class GuestSession {
	readonly command: readonly string[];
	readonly #child: ChildProcess;
	readonly #ended: Promise<ProcessEnd>;
	#end: ProcessEnd | undefined;
	#serial = "";
	#read = 0;
	#commands = 0;
	#began = 0;
	#stderr = "";
	#lastOutput = Date.now();
	#wake: () => void = () => {};

	/** Starts the guest; nothing has been awaited yet. */
	static boot(engine: EngineName, image: GuestImage): GuestSession {
		return new GuestSession(commandFor(engine, image));
	}

	/** Any program that reads shell text may stand in for a guest. */
	constructor(
		command: readonly string[],
		surroundings: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
	) {
		this.command = command;
		const [program, ...args] = command;
		this.#child = spawn(program ?? "", args, {
			...surroundings,
			stdio: "pipe",
		});
		// Serial bytes are not text until somebody says so: latin1 keeps each.
		this.#child.stdout?.setEncoding("latin1").on("data", (text: string) => {
			this.#serial += text;
			this.#progress();
		});
		this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
			this.#stderr += text;
			this.#progress();
		});
		// Typing at a guest that has just ended is no error of its own.
		this.#child.stdin?.on("error", () => {});
		this.#ended = this.#watchEnd();
	}

	/** Everything the guest has printed so far, in latin1. */
	get transcript(): string {
		return this.#serial;
	}

	get stderr(): string {
		return this.#stderr;
	}

	/** Process id of the engine, for measuring it. */
	get pid(): number | undefined {
		return this.#child.pid;
	}

	/** Types text; a newline is the caller's to add. */
	send(text: string): void {
		this.#child.stdin?.write(text, "latin1");
	}

	/** Sends a signal to the engine's process. */
	signal(name: "SIGTERM" | "SIGINT" | "SIGKILL"): void {
		this.#child.kill(name);
	}

	/**
	 * Consumes output up to and including `pattern` and gives it. Fails on
	 * silence, on the total limit, and when the process ends first.
	 */
	async waitFor(
		pattern: string | RegExp,
		patience: Patience = {},
	): Promise<string> {
		const started = Date.now();
		this.#lastOutput = started;
		for (;;) {
			const found = this.#consume(pattern);
			if (found !== undefined) return found;
			if (this.#end !== undefined) {
				throw this.#error(`the process ended before ${String(pattern)}`);
			}
			this.#checkPatience(String(pattern), started, patience);
			await this.#nextEvent();
		}
	}

	/**
	 * Waits for the console's shell and makes it fit for a program: no echo, no
	 * prompts, no output processing, no kernel messages in between.
	 */
	async shell(patience: Patience = {}, prompt = PROMPT): Promise<void> {
		await this.waitFor(prompt, patience);
		// The marker is assembled by printf so that the echo does not match.
		this.send(
			"stty -echo -opost; dmesg -n 1; PS1= PS2=; printf '@@%s' ready\n",
		);
		await this.waitFor("@@ready", patience);
	}

	/**
	 * Runs shell text, of one line or many, after `shell()`. Numbered marks
	 * around the output keep what an earlier, abandoned command prints late
	 * from being taken for this one's.
	 */
	async run(script: string, patience: Patience = {}): Promise<CommandResult> {
		this.#commands += 1;
		const id = this.#commands;
		this.send(
			`printf '@@%s ${id}@' begin; { ${script}\n}; printf '\\n@@%s ${id} %d@' done $?\n`,
		);
		await this.waitFor(`@@begin ${id}@`, patience);
		this.#began = performance.now();
		const all = await this.waitFor(
			new RegExp(`\n@@done ${id} \\d+@`),
			patience,
		);
		const mark = all.lastIndexOf("\n@@done ");
		const status = Number(all.slice(all.lastIndexOf(" ") + 1, -1));
		return { output: all.slice(0, mark), status };
	}

	/** As `run`, with the wall time between the marks around the output. */
	async timed(
		script: string,
		patience: Patience = {},
	): Promise<CommandResult & { readonly seconds: number }> {
		const result = await this.run(script, patience);
		return { ...result, seconds: (performance.now() - this.#began) / 1000 };
	}

	/** Waits for the process to end by itself. */
	async exit(patience: Patience = {}): Promise<ProcessEnd> {
		const started = Date.now();
		this.#lastOutput = started;
		while (this.#end === undefined) {
			this.#checkPatience("the end of the process", started, patience);
			await this.#nextEvent();
		}
		return this.#end;
	}

	/** Ends the process whatever it is doing; safe to call at any time. */
	async close(): Promise<void> {
		if (this.#end === undefined) this.#child.kill("SIGKILL");
		await this.#ended;
	}

	#consume(pattern: string | RegExp): string | undefined {
		const rest = this.#serial.slice(this.#read);
		const length = matchEnd(rest, pattern);
		if (length === undefined) return undefined;
		this.#read += length;
		return rest.slice(0, length);
	}

	#checkPatience(what: string, started: number, patience: Patience): void {
		const idle = (patience.idleSeconds ?? DEFAULT_IDLE_SECONDS) * 1000;
		const total = (patience.totalSeconds ?? DEFAULT_TOTAL_SECONDS) * 1000;
		const now = Date.now();
		if (now - this.#lastOutput > idle * PATIENCE_FACTOR) {
			throw this.#error(`no output for ${idle / 1000} s, waiting for ${what}`);
		}
		if (now - started > total * PATIENCE_FACTOR) {
			throw this.#error(`${total / 1000} s were not enough for ${what}`);
		}
	}

	/** Resolves on output or the end, and at least every second. */
	#nextEvent(): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(resolve, 1000);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}

	#progress(): void {
		this.#lastOutput = Date.now();
		this.#wake();
	}

	#watchEnd(): Promise<ProcessEnd> {
		return new Promise((resolve) => {
			const finish = (status: number): void => {
				this.#end = { status, stderr: this.#stderr };
				this.#wake();
				resolve(this.#end);
			};
			this.#child.once("error", (error) => {
				this.#stderr += `${error.message}\n`;
				finish(127);
			});
			// "close" comes after the last output, "exit" may come before it.
			this.#child.once("close", (code, signal) => {
				finish(code ?? 128 + (SIGNALS[signal ?? ""] ?? 0));
			});
		});
	}

	#error(what: string): SessionError {
		const lines = this.#serial.replaceAll("\r", "").split("\n");
		const shown = lines.slice(-TRANSCRIPT_LINES);
		return new SessionError(
			[
				what,
				`command: ${this.command.join(" ")}`,
				`process: ${this.#end === undefined ? "running" : `ended with ${this.#end.status}`}`,
				`stderr: ${this.#stderr.trim() || "(empty)"}`,
				`last ${shown.length} of ${lines.length} lines of the console:`,
				...shown.map((line) => `  | ${JSON.stringify(line).slice(1, -1)}`),
			].join("\n"),
		);
	}
}

/** Where the first match ends, or `undefined`. */
function matchEnd(text: string, pattern: string | RegExp): number | undefined {
	if (typeof pattern === "string") {
		const at = text.indexOf(pattern);
		return at < 0 ? undefined : at + pattern.length;
	}
	const match = pattern.exec(text);
	return match === null ? undefined : match.index + match[0].length;
}
