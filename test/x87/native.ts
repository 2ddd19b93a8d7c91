/**
 * Builds native.c and runs batches through it. Needs a C compiler and an
 * x86-64 processor; `nativeAvailable` tells.
 *
 * @journey M:744 Building the oracle
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Batch, batchHeader, RESULT_BYTES } from "./case.ts";

let program: string | undefined;

function build(): string {
	if (program === undefined) {
		const folder = mkdtempSync(join(tmpdir(), "x87-"));
		program = join(folder, "native");
		const source = new URL("native.c", import.meta.url).pathname;
		execFileSync("gcc", ["-O1", "-o", program, source]);
	}
	return program;
}

/** Whether this machine can be asked. */
export function nativeAvailable(): boolean {
	if (process.arch !== "x64") return false;
	return spawnSync("gcc", ["--version"]).status === 0;
}

/** The results of all cases of the batch, RESULT_BYTES + memoryBytes each. */
export function runNative(batch: Batch): Uint8Array {
	const input = Buffer.concat([batchHeader(batch), batch.cases]);
	const bytes = batch.count * (RESULT_BYTES + batch.memoryBytes);
	const result = spawnSync(build(), { input, maxBuffer: bytes + 1024 });
	if (result.stdout === null || result.stdout.length !== bytes) {
		throw new Error(`the native runner ended early (${result.status})`);
	}
	return result.stdout;
}
