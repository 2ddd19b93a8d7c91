/**
 * Runs shell text on this machine's own CPU with the very binaries the guest
 * has: Debian's static i386 busybox. What it prints is what the guest must
 * print. Where the kernel runs no i386 programs, QEMU's user mode runs them: its
 * outputs are as good, its times are nobody's. Boot tests and the benchmark
 * rely on it.
 */

import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { debianAsset, installTools } from "../../scripts/debian.ts";
import { APPLETS } from "../../scripts/initramfs.ts";
import { type CommandResult, GuestSession } from "./session.ts";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const EMULATOR = "/usr/bin/qemu-i386";

/** Who runs i386 programs. */
export type UserlandOracle = "kernel" | "emulator";

/** A directory of applets beside busybox, to be the only PATH. */
async function appletDirectory(
	busybox: string,
	oracle: UserlandOracle,
): Promise<string> {
	const directory = join(dirname(busybox), `applets-${oracle}`);
	if (existsSync(directory)) return directory;
	const staging = `${directory}.${process.pid}`;
	await rm(staging, { recursive: true, force: true });
	await mkdir(staging);
	for (const name of APPLETS) {
		const file = join(staging, name);
		if (oracle === "kernel") await symlink(busybox, file);
		else await writeWrapper(file, busybox);
	}
	// Whoever comes second loses the race and finds the directory complete.
	await rename(staging, directory).catch(() =>
		rm(staging, { recursive: true, force: true }),
	);
	return directory;
}

/** An interpreter line gives the emulator busybox to run and busybox the applet's path. */
async function writeWrapper(file: string, busybox: string): Promise<void> {
	await writeFile(file, `#!${EMULATOR} ${busybox}\n`);
	await chmod(file, 0o755);
}

/** Shell text run without the guest, with the guest's PATH and in directory `cwd`. */
export async function runNatively(
	script: string,
	cwd: string,
	oracle: UserlandOracle,
): Promise<CommandResult> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) throw new Error("busybox is not available");
	const path = await appletDirectory(busybox, oracle);
	const options = {
		cwd,
		env: { PATH: path, HOME: "/root" },
		encoding: "latin1",
		maxBuffer: MAX_OUTPUT_BYTES,
	} as const;
	try {
		const shell = join(path, "sh");
		const { stdout } = await run(shell, ["-c", script], options);
		return { output: stdout, status: 0 };
	} catch (error) {
		const { stdout, code } = error as { stdout?: string; code?: unknown };
		if (typeof code !== "number") throw error;
		return { output: stdout ?? "", status: code };
	}
}

/** A shell of its own, to be talked to like a guest's; for times, so without an emulator. */
export async function nativeSession(cwd: string): Promise<GuestSession> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) throw new Error("busybox is not available");
	const path = await appletDirectory(busybox, "kernel");
	return new GuestSession([busybox, "sh"], { cwd, env: { PATH: path } });
}

/** Whether this machine's kernel runs i386 programs. */
export async function runsI386(): Promise<boolean> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) return false;
	try {
		execFileSync(busybox, ["true"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}

/**
 * Who can say what i386 programs print. Under `CI` somebody must, or the
 * comparisons would be skipped unnoticed.
 */
export async function userlandOracle(): Promise<UserlandOracle | undefined> {
	if (await runsI386()) return "kernel";
	if (!existsSync(EMULATOR)) await installTools("test");
	if (existsSync(EMULATOR)) return "emulator";
	if (process.env.CI) throw new Error("nothing here runs i386 programs");
	return undefined;
}
