/**
 * `lguest run -- COMMAND`: one command in the default guest, as if it ran here.
 * Standard input goes to it, its standard output and standard error come out
 * apart, its exit status is the program's.
 *
 * Relies on `launch` and the default guest; `main.ts` relies on it.
 *
 * @journey L:160 As if it ran here
 */

import { Readable } from "node:stream";
import { AgentError, type Guest, type GuestProcess } from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { launchGiven } from "./launch.ts";
import { Progress } from "./progress.ts";
import { descriptionOf } from "./run-options.ts";

/** As shells have it. */
const STATUS_NOT_FOUND = 127;
const STATUS_NOT_RUNNABLE = 126;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Runs the command to its end; the value is its exit status. */
export async function execCommand(options: RunOptions): Promise<number> {
	const progress = new Progress(process.stderr);
	progress.announce("starting the guest");
	const guest = await launchGiven(descriptionOf(options));
	try {
		const command = await guest.spawn(options.rest);
		progress.clear();
		return await conduct(guest, command);
	} catch (error) {
		progress.clear();
		return statusOf(error, options.rest[0] ?? "");
	} finally {
		await guest.stop();
	}
}

/** Joins the command's streams and signals with ours. */
async function conduct(guest: Guest, command: GuestProcess): Promise<number> {
	for (const name of Object.keys(SIGNALS)) {
		process.on(name, () => command.kill(name));
	}
	// Whoever closed our output wants no more of it.
	process.stdout.on("error", () => void guest.stop());
	void pump(Readable.toWeb(process.stdin), command.stdin);
	const [end] = await Promise.all([
		command.exited,
		print(command.stdout, process.stdout),
		print(command.stderr, process.stderr),
	]);
	return end.exitCode;
}

/** A command that reads no more ends this, and that is no error. */
async function pump(
	from: ReturnType<typeof Readable.toWeb>,
	to: WritableStream<Uint8Array>,
): Promise<void> {
	await from.pipeTo(to as WritableStream).catch(() => {});
	process.stdin.destroy();
}

async function print(
	from: ReadableStream<Uint8Array>,
	to: NodeJS.WriteStream,
): Promise<void> {
	const reader = from.getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		if (to.write(value)) continue;
		await new Promise<void>((resolve) => {
			to.once("drain", resolve).once("error", () => resolve());
		});
	}
}

function statusOf(error: unknown, name: string): number {
	if (!(error instanceof AgentError) || error.code === undefined) throw error;
	process.stderr.write(`lguest: ${name}: ${error.message}\n`);
	return error.code === "ENOENT" ? STATUS_NOT_FOUND : STATUS_NOT_RUNNABLE;
}
