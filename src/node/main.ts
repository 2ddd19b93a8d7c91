/**
 * The program `lguest`. It dispatches on the command and owns the way out: one
 * status for each kind of end, one line for each kind of error, and a stack
 * trace only for those who ask for it with LGUEST_DEBUG=1.
 *
 * Relies on the files beside it; nothing relies on it but users.
 *
 * @journey L:106 The front door
 */

import { readFileSync } from "node:fs";
import { LguestError } from "../index.ts";
import { parseCommandLine, type RunOptions } from "./arguments.ts";
import { isClassic, parseClassic } from "./classic-arguments.ts";
import { classicCommand } from "./classic-command.ts";
import { diskCommand } from "./disk-command.ts";
import { heedBranchHints, optimiseEarly } from "./early-optimising.ts";
import { execCommand } from "./exec-command.ts";
import { keepHeapSmall } from "./heap.ts";
import { infoCommand } from "./info-command.ts";
import { runCommand } from "./run-command.ts";
import { isCommand } from "./run-options.ts";
import { topCommand } from "./top-command.ts";

async function main(args: readonly string[]): Promise<number> {
	keepHeapSmall();
	heedBranchHints();
	optimiseEarly();
	if (isClassic(args)) return classicCommand(parseClassic(args));
	const command = parseCommandLine(args);
	switch (command.kind) {
		case "help":
			process.stdout.write(command.text);
			return 0;
		case "version":
			process.stdout.write(`lguest ${packageVersion()}\n`);
			return 0;
		case "info":
			return infoCommand(command.paths);
		case "disk":
			return diskCommand(command.action, command.images);
		case "run":
			return run(command.options);
	}
}

function run(options: RunOptions): Promise<number> {
	if (options.top) return topCommand(options);
	return isCommand(options) ? execCommand(options) : runCommand(options);
}

function packageVersion(): string {
	const file = new URL("../../package.json", import.meta.url);
	const { version } = JSON.parse(readFileSync(file, "utf8"));
	return String(version);
}

/** Says what is wrong and what to do about it; the value is the exit status. */
function report(error: unknown): number {
	const wantsStack = process.env.LGUEST_DEBUG === "1";
	if (wantsStack) console.error(error);
	if (error instanceof LguestError) {
		const hint = error.hint === undefined ? "" : `${error.hint}\n`;
		if (!wantsStack) process.stderr.write(`lguest: ${error.message}\n${hint}`);
		return error.exitStatus;
	}
	if (!wantsStack) {
		const message = error instanceof Error ? error.message : String(error);
		process.stderr.write(
			`lguest: internal error: ${message}\nThis is a defect of lguest. LGUEST_DEBUG=1 shows where.\n`,
		);
	}
	return 1;
}

/**
 * Leaves when everything printed has left us. Open handles (a terminal being
 * read) must not keep the process, and `exit` handlers restore the terminal.
 */
function leave(status: number): void {
	process.exitCode = status;
	const exit = () => process.exit(status);
	if (process.stdout.writableLength === 0) exit();
	else process.stdout.write("", exit);
}

// Whatever escapes everybody still must give the terminal back first.
process.on("uncaughtException", (error) => {
	process.exit(report(error));
});

main(process.argv.slice(2)).then(leave, (error: unknown) => {
	leave(report(error));
});
