/**
 * `lguest` on a real terminal: raw while the guest runs, and as it was before
 * whichever way the guest ends. The terminal is a pseudo-terminal made
 * by `script`, which every Debian has; the guests are a few bytes of code, and
 * for the classic command line `guests/paravirt`.
 * Relies on the built command line program.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
	existsSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { paravirtKernel } from "../support/paravirt-guest.ts";
import { CLI } from "./engines.ts";
import {
	debugExitCode,
	multibootImage,
	tripleFaultCode,
} from "./multiboot-image.ts";

const hasScript = spawnSync("script", ["--version"]).status === 0;
const CTRL_C = "\u0003";
const MINUTE = 60_000;

/** mov edx, COM1; mov al, '#'; out dx, al: the guest says that it runs. */
const SAY_HELLO = [0xba, 0xf8, 0x03, 0, 0, 0xb0, 0x23, 0xee];
const SPIN = [0xeb, 0xfe];
/** Reads a key by polling LSR and sends it back, for ever. */
const ECHO = [
	...[0xba, 0xf9, 0x03, 0, 0, 0xb0, 0x01, 0xee], // IER: listen
	...[0xba, 0xfd, 0x03, 0, 0], // wait: LSR
	...[0xfb, 0xec, 0xa8, 0x01, 0x74, 0xf6], // sti; in; test 1; jz wait
	...[0xba, 0xf8, 0x03, 0, 0, 0xec, 0xee], // in, out
	...[0xeb, 0xec],
];

let directory: string;
let session: TerminalSession | undefined;

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "lguest-terminal-"));
});

afterEach(() => session?.close());

afterAll(() => {
	rmSync(directory, { recursive: true, force: true });
});

/** A shell on a pseudo-terminal that runs lguest once and notes what it left behind. */
class TerminalSession {
	output = "";
	readonly #child: ChildProcess;
	readonly #ended: Promise<unknown>;

	/** The command line is that of `lguest`. */
	constructor(args: readonly string[]) {
		for (const name of ["before", "after", "status", "pid"]) {
			rmSync(join(directory, name), { force: true });
		}
		const command = [process.execPath, CLI, ...args];
		const quoted = command.map((word) => `'${word}'`);
		const shell = [
			"stty -g > before",
			`sh -c 'echo $$ > pid; exec "$0" "$@"' ${quoted.join(" ")}`,
			"echo $? > status",
			"stty -g > after",
		];
		this.#child = spawn("script", ["-qc", shell.join("; "), "/dev/null"], {
			cwd: directory,
			stdio: ["pipe", "pipe", "inherit"],
		});
		this.#child.stdout?.on("data", (bytes: Buffer) => {
			this.output += bytes.toString("latin1");
		});
		this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
	}

	type(keys: string): void {
		this.#child.stdin?.write(keys);
	}

	async shows(text: string): Promise<void> {
		await expect.poll(() => this.output, { timeout: MINUTE }).toContain(text);
	}

	/** Of the lguest process itself. */
	signal(name: NodeJS.Signals): void {
		process.kill(Number(this.#noted("pid")), name);
	}

	get running(): boolean {
		return !existsSync(join(directory, "status"));
	}

	/** The exit status, after checking that the terminal is as it was. */
	async end(): Promise<number> {
		await expect
			.poll(() => existsSync(join(directory, "after")), { timeout: MINUTE })
			.toBe(true);
		this.#child.stdin?.end();
		await this.#ended;
		expect(this.#noted("before")).toMatch(/^[0-9a-f:]{20,}$/);
		expect(this.#noted("after")).toBe(this.#noted("before"));
		return Number(this.#noted("status"));
	}

	async close(): Promise<void> {
		this.#child.kill("SIGKILL");
		await this.#ended;
	}

	#noted(name: string): string {
		return readFileSync(join(directory, name), "latin1").trim();
	}
}

function start(
	code: readonly number[],
	options: readonly string[] = [],
): TerminalSession {
	const image = join(directory, "guest");
	writeFileSync(image, multibootImage(code));
	return startWith(["run", "--memory", "8M", ...options, image]);
}

function startWith(args: readonly string[]): TerminalSession {
	session = new TerminalSession(args);
	return session;
}

describe.skipIf(!hasScript)("lguest run gives the terminal back", () => {
	it("when the guest ends by itself", { timeout: MINUTE }, async () => {
		const code = debugExitCode(0xf4, 5);
		expect(await start(code, ["--debug-exit", "0xf4"]).end()).toBe(5);
	});

	it("when the guest crashes", { timeout: MINUTE }, async () => {
		const session = start(tripleFaultCode().code);
		expect(await session.end()).toBe(3);
		expect(session.output).toMatch(/triple fault/);
	});

	it.each([
		["SIGTERM", 143],
		["SIGHUP", 129],
		["SIGINT", 130],
	] as const)("on %s", { timeout: MINUTE }, async (name, status) => {
		const session = start([...SAY_HELLO, ...SPIN]);
		await session.shows("#");
		session.signal(name);
		expect(await session.end()).toBe(status);
	});

	it("after three Ctrl-C in a row, and not after one", {
		timeout: MINUTE,
	}, async () => {
		const session = start([...SAY_HELLO, ...SPIN]);
		await session.shows("#");
		session.type(CTRL_C);
		await new Promise((resolve) => setTimeout(resolve, 1500));
		expect(session.running).toBe(true);
		session.type(CTRL_C.repeat(3));
		expect(await session.end()).toBe(130);
	});

	it("having passed every key on unchanged, Ctrl-C and Ctrl-Z too", {
		timeout: MINUTE,
	}, async () => {
		const session = start([...SAY_HELLO, ...ECHO]);
		await session.shows("#");
		session.type(`${CTRL_C}\u001a\u0011\rä~`);
		const bytes = Buffer.from(`${CTRL_C}\u001a\u0011\rä~`).toString("latin1");
		await session.shows(`#${bytes}`);
		session.signal("SIGTERM");
		expect(await session.end()).toBe(143);
	});
});

describe.skipIf(!hasScript)("lguest MIB KERNEL gives the terminal back", () => {
	/** It waits for a key once all else is done. */
	async function startClassic(): Promise<TerminalSession> {
		const kernel = join(directory, "vmlinux");
		const disk = join(directory, "disk");
		writeFileSync(kernel, await paravirtKernel("H"));
		writeFileSync(disk, new Uint8Array(64 * 512));
		const session = startWith([`--block=${disk}`, "--rng", "8", kernel]);
		await session.shows("ready for input");
		return session;
	}

	it("after three Ctrl-C in a row, with the status it always had", {
		timeout: 2 * MINUTE,
	}, async () => {
		const session = await startClassic();
		session.type(CTRL_C.repeat(3));
		expect(await session.end()).toBe(2);
		expect(session.output).not.toContain("CRASH");
	});

	it("when the Guest powers down, having passed on what was typed", {
		timeout: 2 * MINUTE,
	}, async () => {
		const session = await startClassic();
		session.type("hello");
		expect(await session.end()).toBe(1);
		expect(session.output).toContain("ok console: what was typed arrives");
		expect(session.output).toContain("lguest: CRASH: Power down");
	});
});
