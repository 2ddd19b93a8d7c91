/**
 * `lguest run` on a real terminal: while the guest has it, it is raw; on every
 * way out it is as it was before. `script` provides the terminal, `stty` looks
 * at it from outside, and the guest is three instructions that do nothing for
 * ever, so no second is spent on a boot. Relies on the built command line
 * program and on Debian's bsdutils.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI } from "./engines.ts";
import {
	debugExitCode,
	greeterCode,
	multibootImage,
	tripleFaultCode,
} from "./multiboot-image.ts";
import { GuestSession } from "./session.ts";

const available = spawnSync("script", ["--version"]).error === undefined;
if (!available && process.env.CI) {
	throw new Error("script(1) is missing (Debian: bsdutils)");
}

const MINUTE = 60_000;
const GREETING = "@@guest runs";

let directory: string;

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "lguest-terminal-"));
});

afterAll(() => {
	rmSync(directory, { recursive: true, force: true });
});

function quoted(words: readonly string[]): string {
	return words.map((word) => `'${word}'`).join(" ");
}

/** A shell on a new terminal that runs `lguest` and tells what it left behind. */
class Terminal {
	readonly #session: GuestSession;
	/** The device's path, for a look from outside. */
	#path = "";

	constructor(code: readonly number[], options: readonly string[] = []) {
		const image = join(directory, "guest");
		writeFileSync(image, multibootImage(code));
		const lguest = quoted([
			...[process.execPath, CLI, "run", "--memory", "16M"],
			...[...options, image],
		]);
		// `sh` must outlive signals to its process group, or nobody could tell.
		const shell = `tty; echo before=$(stty -g); ${lguest} & pid=$!; echo pid=$pid; fg >/dev/null; echo status=$?; echo after=$(stty -g)`;
		this.#session = new GuestSession(
			[
				"script",
				"-qfc",
				`sh -mc '${shell.replaceAll("'", "'\\''")}'`,
				"/dev/null",
			],
			{ env: { ...process.env, SHELL: "/bin/sh", TERM: "vt100" } },
		);
	}

	/** Waits until the guest speaks; the value is lguest's process id. */
	async started(): Promise<number> {
		const tty = await this.#session.waitFor(/\/dev\/\S+/);
		this.#path = /\/dev\/\S+/.exec(tty)?.[0] ?? "";
		const text = await this.#session.waitFor(GREETING);
		return Number(/pid=(\d+)/.exec(text)?.[1]);
	}

	type(text: string): void {
		this.#session.send(text);
	}

	/** The terminal's modes as `stty -a` names them, an off one with a minus. */
	modes(): string[] {
		const text = execFileSync("stty", ["-F", this.#path, "-a"], {
			encoding: "utf8",
		});
		return text.split(/[\s;]+/);
	}

	/** The status `lguest` ended with, and whether the terminal is as it was. */
	async end(): Promise<{ status: number; restored: boolean }> {
		const text = await this.#session
			.waitFor(/after=\S+/)
			.then(() => this.#session.transcript);
		const field = (name: string) =>
			new RegExp(`${name}=([0-9a-f:]+)`).exec(text)?.[1];
		await this.close();
		expect(field("before")).toMatch(/:/);
		return {
			status: Number(field("status")),
			restored: field("after") === field("before"),
		};
	}

	close(): Promise<void> {
		return this.#session.close();
	}
}

describe.skipIf(!available)("lguest run on a terminal", () => {
	async function withGreeter(
		use: (terminal: Terminal, pid: number) => Promise<void>,
	): Promise<void> {
		const terminal = new Terminal(greeterCode(GREETING));
		try {
			await use(terminal, await terminal.started());
		} finally {
			await terminal.close();
		}
	}

	it(
		"takes every key for the guest, and gives the terminal back after three Ctrl-C",
		() =>
			withGreeter(async (terminal) => {
				const modes = terminal.modes();
				for (const mode of ["-icanon", "-echo", "-isig", "-ixon"]) {
					expect(modes).toContain(mode);
				}
				terminal.type("\u0003\u0003\u0003");
				expect(await terminal.end()).toEqual({ status: 130, restored: true });
			}),
		MINUTE,
	);

	it.each([
		["SIGTERM", 143],
		["SIGINT", 130],
		["SIGHUP", 129],
	] as const)(
		"gives the terminal back on %s, status %i",
		(signal, status) =>
			withGreeter(async (terminal, pid) => {
				process.kill(pid, signal);
				expect(await terminal.end()).toEqual({ status, restored: true });
			}),
		MINUTE,
	);

	it(
		"gives the terminal back when the guest ends well",
		async () => {
			const code = debugExitCode(0xf4, 42);
			const terminal = new Terminal(code, ["--debug-exit", "0xf4"]);
			try {
				expect(await terminal.end()).toEqual({ status: 42, restored: true });
			} finally {
				await terminal.close();
			}
		},
		MINUTE,
	);

	it(
		"gives the terminal back when the guest crashes",
		async () => {
			const terminal = new Terminal(tripleFaultCode().code);
			try {
				expect(await terminal.end()).toEqual({ status: 3, restored: true });
			} finally {
				await terminal.close();
			}
		},
		MINUTE,
	);
});
