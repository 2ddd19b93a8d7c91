/**
 * How the program takes wrong input: one line that begins with its name, perhaps
 * a second that says what to do, status 2, and nothing on standard output.
 */

import { spawnSync } from "node:child_process";
import { expect } from "vitest";
import { CLI } from "../boot/engines.ts";

const STATUS_BAD_INPUT = 2;
const MINUTE_MS = 60_000;

/** Root may read every file, unless it gives that right away first. */
const unprivileged =
	process.getuid?.() === 0
		? ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
		: [];

/** Runs the program to its end, by way of `around` if given (`prlimit …`). */
export function lguest(
	args: readonly string[],
	around: readonly string[] = [],
) {
	const command = [...around, ...unprivileged, process.execPath, CLI, ...args];
	const [program = "", ...rest] = command;
	const { status, signal, stdout, stderr } = spawnSync(program, rest, {
		encoding: "latin1",
		timeout: MINUTE_MS,
		input: "",
	});
	return { status, signal, stdout, stderr };
}

/** The contract for wrong input; `what` is what the line must speak of. */
export function expectRefusal(
	args: readonly string[],
	what: RegExp,
	around: readonly string[] = [],
): void {
	const { status, stdout, stderr } = lguest(args, around);
	const lines = stderr.trimEnd().split("\n");
	expect(stderr).toMatch(what);
	expect(lines[0]).toMatch(/^lguest: ./);
	// The second line, if there is one, says what to do.
	expect(lines.length, stderr).toBeLessThanOrEqual(2);
	expect(stderr).not.toMatch(/^\s+at |node:internal|Error:/m);
	expect(stdout).toBe("");
	expect(status).toBe(STATUS_BAD_INPUT);
}
