/**
 * One process at a time: test workers start together and would otherwise
 * download the same hundred megabytes side by side. The lock is a file that
 * holds its owner's process id, so that a crash leaves nothing to clean up by
 * hand. `scripts/debian.ts` and the guest image builders rely on it.
 */

import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 100;

/** Runs `work` while no other process holds the lock at `path`. */
export async function withLock<T>(
	path: string,
	work: () => Promise<T>,
): Promise<T> {
	while (!(await take(path))) await delay(POLL_MS);
	try {
		return await work();
	} finally {
		await rm(path, { force: true });
	}
}

async function take(path: string): Promise<boolean> {
	try {
		await writeFile(path, String(process.pid), { flag: "wx" });
		return true;
	} catch {
		const owner = Number(await readFile(path, "utf8").catch(() => ""));
		if (owner > 0 && !isRunning(owner)) await rm(path, { force: true });
		return false;
	}
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as { code?: string }).code === "EPERM";
	}
}
