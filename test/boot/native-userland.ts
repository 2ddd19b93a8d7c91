/**
 * Runs shell text on this machine's own CPU with the very binaries the guest
 * has: Debian's static i386 busybox. What it prints is what the guest must
 * print. Boot tests and the benchmark rely on it.
 */

import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { debianAsset } from "../../scripts/debian.ts";
import { APPLETS } from "../../scripts/initramfs.ts";
import { type CommandResult, GuestSession } from "./session.ts";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** A directory of applet links beside busybox, to be the only PATH. */
async function appletDirectory(busybox: string): Promise<string> {
	const directory = join(dirname(busybox), "applets");
	if (existsSync(directory)) return directory;
	const staging = `${directory}.${process.pid}`;
	await rm(staging, { recursive: true, force: true });
	await mkdir(staging);
	for (const name of APPLETS) await symlink(busybox, join(staging, name));
	// Whoever comes second loses the race and finds the directory complete.
	await rename(staging, directory).catch(() =>
		rm(staging, { recursive: true, force: true }),
	);
	return directory;
}

/** Shell text run natively, with the guest's PATH and in directory `cwd`. */
export async function runNatively(
	script: string,
	cwd = "/",
): Promise<CommandResult> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) throw new Error("busybox is not available");
	const path = await appletDirectory(busybox);
	const options = {
		cwd,
		env: { PATH: path, HOME: "/root" },
		encoding: "latin1",
		maxBuffer: MAX_OUTPUT_BYTES,
	} as const;
	try {
		const { stdout } = await run(busybox, ["sh", "-c", script], options);
		return { output: stdout, status: 0 };
	} catch (error) {
		const { stdout, code } = error as { stdout?: string; code?: unknown };
		if (typeof code !== "number") throw error;
		return { output: stdout ?? "", status: code };
	}
}

/** A shell of its own, to be talked to like a guest's. */
export async function nativeSession(cwd: string): Promise<GuestSession> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) throw new Error("busybox is not available");
	const path = await appletDirectory(busybox);
	return new GuestSession([busybox, "sh"], { cwd, env: { PATH: path } });
}

/**
 * Whether this machine's kernel runs i386 programs. Under `CI` it must, or the
 * comparisons with it would be skipped unnoticed.
 */
export async function runsI386(): Promise<boolean> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) return false;
	try {
		execFileSync(busybox, ["true"]);
		return true;
	} catch (error) {
		if (process.env.CI) throw error;
		return false;
	}
}
