/**
 * Builds and runs the native program that executes SSE instructions on this
 * machine's processor (`oracle.c`).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { arch, platform } from "node:os";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("oracle.c", import.meta.url));
/** Ignored by git. */
const CACHE = fileURLToPath(new URL("../../.cache/sse/", import.meta.url));
const PROGRAM = `${CACHE}oracle`;

const HEADER_BYTES = 32;
/** Where things are in a case and in its result (`struct state`). */
export const STATE_BYTES = 80;
export const STATE_MXCSR = 0;
/** Exception that the instruction raised, or 0. */
export const STATE_VECTOR = 4;
export const STATE_RAX = 8;
export const STATE_RCX = 16;
export const STATE_RDX = 24;
export const STATE_FLAGS = 32;
export const STATE_MM0 = 40;
export const STATE_XMM = 48;

/** Why this machine cannot be asked, or undefined if it can. */
export function nativeUnavailable(): string | undefined {
	if (platform() !== "linux" || arch() !== "x64")
		return "needs an x86-64 Linux machine";
	if (spawnSync("gcc", ["--version"]).error !== undefined)
		return "needs gcc (Debian: gcc, libc6-dev)";
	return undefined;
}

function build(): void {
	if (
		existsSync(PROGRAM) &&
		statSync(PROGRAM).mtimeMs > statSync(SOURCE).mtimeMs
	)
		return;
	mkdirSync(CACHE, { recursive: true });
	// Under its own name first: test workers may build at the same time.
	const fresh = `${PROGRAM}.${process.pid}`;
	execFileSync("gcc", ["-O2", "-mno-red-zone", "-o", fresh, SOURCE]);
	renameSync(fresh, PROGRAM);
}

/** An instruction and the states to execute it in. */
export interface Job {
	readonly code: Uint8Array;
	readonly states: Uint8Array;
}

/** Executes each job's code once for each of its states, all in one process; answers the states afterwards, in the same layout. */
export function runNatively(jobs: readonly Job[]): Uint8Array[] {
	build();
	const parts = jobs.flatMap(({ code, states }) => {
		const header = new Uint8Array(HEADER_BYTES);
		const view = new DataView(header.buffer);
		view.setUint32(0, code.length, true);
		view.setUint32(4, states.length / STATE_BYTES, true);
		header.set(code, 8);
		return [header, states];
	});
	const total = jobs.reduce((sum, { states }) => sum + states.length, 0);
	const { stdout, status, signal } = spawnSync(PROGRAM, [], {
		input: Buffer.concat(parts),
		maxBuffer: total + 1,
	});
	if (status !== 0 || stdout.length !== total)
		throw new Error(`the oracle stopped (status ${status}, ${signal})`);
	let from = 0;
	return jobs.map(({ states }) => {
		const until = from + states.length;
		const part = stdout.subarray(from, until);
		from = until;
		return part;
	});
}
