/**
 * The contract of `exec`, `spawn` and files, in a guest that runs Debian's
 * kernel: exit statuses, bytes, many commands at a time, and every way in which
 * a command may be ended early. Relies on the built package.
 */

import { createHash, randomBytes } from "node:crypto";
import {
	AgentError,
	ExecTimeoutError,
	type Guest,
	GuestEndedError,
} from "lguest";
import { launch } from "lguest/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { greeterCode, multibootImage } from "../boot/multiboot-image.ts";
import { agentGuest } from "./agent-guest.ts";

const MINUTES = 60_000;
const options = await agentGuest();
const sha256 = (bytes: Uint8Array) =>
	createHash("sha256").update(bytes).digest("hex");

describe.skipIf(options === undefined)("exec", { timeout: 5 * MINUTES }, () => {
	let guest: Guest;

	beforeAll(async () => {
		if (options !== undefined) guest = await launch(options);
		await guest.exec(["true"]);
	}, 5 * MINUTES);

	afterAll(async () => {
		await guest?.stop();
	});

	/** Whether a command with this word in it runs in the guest. */
	async function runs(word: string): Promise<boolean> {
		const { stdoutText } = await guest.exec(["ps", "-o", "args"]);
		return stdoutText.includes(word);
	}

	it("tells exit codes, and signals as a shell does", async () => {
		expect(await guest.exec("exit 0")).toMatchObject({ exitCode: 0 });
		expect(await guest.exec("exit 200")).toMatchObject({ exitCode: 200 });
		expect(await guest.exec("kill -TERM $$")).toMatchObject({
			exitCode: 143,
			signal: "SIGTERM",
		});
	});

	it("keeps standard output and standard error apart", async () => {
		const result = await guest.exec("echo out; echo err >&2");
		expect(result).toMatchObject({ stdoutText: "out\n", stderrText: "err\n" });
	});

	it("passes words, directory and environment on as they are", async () => {
		const odd = ["a b", "", "$HOME", "ä\n'\"\\"];
		const words = await guest.exec(["printf", "<%s>", ...odd]);
		expect(words.stdoutText).toBe(odd.map((word) => `<${word}>`).join(""));
		const shell = await guest.exec("pwd; echo $WHO; echo $HOME", {
			cwd: "/proc/sys",
			env: { WHO: "me = you", HOME: "/nowhere" },
		});
		expect(shell.stdoutText).toBe("/proc/sys\nme = you\n/nowhere\n");
	});

	it("carries 10 MiB through stdin and stdout, every byte as it was", async () => {
		const data = randomBytes(10 << 20);
		const { stdout, exitCode } = await guest.exec(["cat"], { stdin: data });
		expect(exitCode).toBe(0);
		expect(sha256(stdout)).toBe(sha256(data));
	});

	it("takes standard input from a stream", async () => {
		const stdin = new Blob(["one\n", "two\n"]).stream();
		const { stdoutText } = await guest.exec(["wc", "-l"], { stdin });
		expect(stdoutText.trim()).toBe("2");
	});

	it("does not wait for a command to read all of its input", async () => {
		const stdin = randomBytes(1 << 20);
		const result = await guest.exec(["head", "-c", "3"], { stdin });
		expect(result.stdout).toEqual(new Uint8Array(stdin.subarray(0, 3)));
	});

	it("runs 100 commands in a row", async () => {
		for (let i = 0; i < 100; i++) {
			const { exitCode } = await guest.exec(`exit ${i}`);
			expect(exitCode).toBe(i);
		}
	});

	it("runs 8 commands at a time, none waiting for another", async () => {
		// Each waits until all eight are there.
		const meet =
			"mkdir -p /tmp/meet; : > /tmp/meet/$ME; while [ $(ls /tmp/meet | wc -l) -lt 8 ]; do sleep 0.1; done; cat";
		const stdin = randomBytes(100_000);
		const results = await Promise.all(
			Array.from({ length: 8 }, (_, me) =>
				guest.exec(meet, { env: { ME: `${me}` }, stdin }),
			),
		);
		for (const { exitCode, stdout } of results) {
			expect(exitCode).toBe(0);
			expect(sha256(stdout)).toBe(sha256(stdin));
		}
	});

	it("holds a command back whose output nobody reads, and no other", async () => {
		const noisy = await guest.spawn(["yes"]);
		const reader = noisy.stdout.getReader();
		expect((await reader.read()).done).toBe(false);
		expect(await guest.exec(["echo", "free"])).toMatchObject({
			stdoutText: "free\n",
		});
		noisy.kill("SIGKILL");
		expect(await noisy.exited).toEqual({ exitCode: 137, signal: "SIGKILL" });
		noisy.close();
	});

	it("kills what takes longer than its timeout, children too", async () => {
		const command = "sleep 4321 & sleep 4322";
		const running = guest.exec(command, { timeoutMs: 500 });
		await expect(running).rejects.toBeInstanceOf(ExecTimeoutError);
		await expect
			.poll(() => runs("sleep 432"), { timeout: MINUTES })
			.toBe(false);
	});

	it("kills what is aborted, and rejects with the reason", async () => {
		const controller = new AbortController();
		const running = guest.exec("sleep 5432", { signal: controller.signal });
		await expect
			.poll(() => runs("sleep 5432"), { timeout: MINUTES })
			.toBe(true);
		controller.abort(new Error("enough"));
		await expect(running).rejects.toThrow("enough");
		await expect
			.poll(() => runs("sleep 5432"), { timeout: MINUTES })
			.toBe(false);
		const late = guest.exec("true", { signal: AbortSignal.abort("late") });
		await expect(late).rejects.toBe("late");
	});

	it("rejects what cannot start, with Linux's name for the reason", async () => {
		await expect(guest.exec(["no-such-command"])).rejects.toMatchObject({
			name: "AgentError",
			code: "ENOENT",
		});
		await expect(guest.exec(["/etc"])).rejects.toMatchObject({
			code: "EACCES",
		});
		await expect(
			guest.exec(["true"], { cwd: "/no/such/directory" }),
		).rejects.toMatchObject({ code: "ENOENT" });
		await expect(guest.exec(["echo", "a\0b"])).rejects.toThrow("NUL");
	});

	it("stops a command that prints more than it may", async () => {
		const running = guest.exec(["yes"], { maxOutputBytes: 100_000 });
		await expect(running).rejects.toThrow("more than 100000 bytes");
		await expect.poll(() => runs("yes"), { timeout: MINUTES }).toBe(false);
	});

	it("writes files and reads them, with their permissions", async () => {
		const data = randomBytes(300_000);
		await guest.writeFile("/tmp/a file", data, { mode: 0o750 });
		const read = await guest.readFile("/tmp/a file");
		expect(sha256(read)).toBe(sha256(data));
		await guest.writeFile("/tmp/a file", "shorter");
		const { stdoutText } = await guest.exec("stat -c '%a %s' '/tmp/a file'");
		expect(stdoutText).toBe("750 7\n");
		await expect(guest.readFile("/no/such")).rejects.toMatchObject({
			code: "ENOENT",
		});
		await expect(guest.readFile("/tmp")).rejects.toMatchObject({
			code: "EISDIR",
		});
		await expect(guest.writeFile("/no/such", "x")).rejects.toThrow(
			"/no/such cannot be written: no such file or directory.",
		);
	});

	it("rejects when the guest dies meanwhile, and from then on", async () => {
		const running = guest.exec("sleep 1000");
		await guest.exec(["poweroff", "-f"]).catch(() => {});
		await expect(running).rejects.toBeInstanceOf(GuestEndedError);
		expect(await guest.exited).toEqual({ kind: "poweroff" });
		await expect(guest.exec("true")).rejects.toBeInstanceOf(GuestEndedError);
	});
});

describe("A guest without an agent", () => {
	it("rejects exec at once, and says what to do", async () => {
		await using guest = await launch({
			kernel: multibootImage(greeterCode("!")),
			memoryBytes: 8 << 20,
		});
		const error = await guest.exec("true").catch((error) => error);
		expect(error).toBeInstanceOf(AgentError);
		expect(error.hint).toContain("agent: true");
	});
});
