/**
 * The silicon oracle: builds the native runner when needed and has it execute
 * cases on this machine's CPU.
 *
 * Relies on protocol.ts and on gcc; the harness and its tests rely on it.
 *
 * @journey M:614 The oracle
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { arch, platform } from "node:os";
import { fileURLToPath } from "node:url";
import type { SiliconCase, SiliconResult } from "./case.ts";
import { decodeResults, encodeCases } from "./protocol.ts";

const SOURCE = fileURLToPath(
	new URL("../../guests/silicon/runner.c", import.meta.url),
);
/** Ignored by git; holds the runner and reports. */
export const CACHE = fileURLToPath(
	new URL("../../.cache/silicon/", import.meta.url),
);
const RUNNER = `${CACHE}runner`;

/** Freestanding, position as linked: far above the 4 GiB that cases may touch. */
const GCC_OPTIONS = [
	"-O2",
	"-Wall",
	"-Wextra",
	"-ffreestanding",
	"-fpie",
	"-fno-stack-protector",
	"-fcf-protection=none",
	"-mno-red-zone",
	"-nostdlib",
	"-static",
	"-no-pie",
	"-Wl,-Ttext-segment=0x7d0000000000",
	"-Wl,-z,norelro",
	"-Wl,--build-id=none",
];

/** Results of one process stay below this: 4096 cases that change everything. */
const MAX_OUTPUT_BYTES = 1 << 27;

/** Why this machine cannot be the oracle, or undefined if it can. */
export function oracleUnavailable(): string | undefined {
	if (platform() !== "linux" || arch() !== "x64")
		return "the silicon oracle needs an x86-64 Linux machine";
	if (spawnSync("gcc", ["--version"]).error !== undefined)
		return "the silicon oracle needs gcc (Debian: gcc, libc6-dev)";
	return undefined;
}

function buildRunner(): void {
	if (existsSync(RUNNER) && statSync(RUNNER).mtimeMs > statSync(SOURCE).mtimeMs)
		return;
	mkdirSync(CACHE, { recursive: true });
	// Under its own name first: test workers may build at the same time.
	const fresh = `${RUNNER}.${process.pid}`;
	execFileSync("gcc", [...GCC_OPTIONS, "-o", fresh, SOURCE]);
	renameSync(fresh, RUNNER);
}

/** Executes the cases on the CPU, in one process. */
export function runOnSilicon(cases: readonly SiliconCase[]): SiliconResult[] {
	if (cases.length === 0) return [];
	buildRunner();
	const run = spawnSync(RUNNER, [], {
		input: encodeCases(cases),
		maxBuffer: MAX_OUTPUT_BYTES,
	});
	const results = decodeResults(run.stdout ?? new Uint8Array());
	if (run.status !== 0 || results.length !== cases.length)
		throw new Error(
			`the native runner stopped after ${results.length} of ${cases.length} cases ` +
				`(status ${run.status}, signal ${run.signal}): ${run.stderr}`,
		);
	return results;
}
