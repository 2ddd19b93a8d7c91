/**
 * Programs for guests: a C file under `guests/` becomes a static i386 binary,
 * built once for each version of its text and kept in the cache. Boot tests
 * rely on it; it relies on gcc with its i386 libraries.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { CACHE } from "./debian.ts";
import { projectRoot } from "./sources.ts";

const run = promisify(execFile);
const FLAGS = ["-m32", "-static", "-O2", "-s", "-Wall", "-Werror"];

/**
 * The binary's path for a source like `vsock/vsock.c`; `undefined`, with the
 * reason on stderr, where there is no compiler for it. Under `CI` that is an
 * error.
 */
export async function guestProgram(
	source: string,
): Promise<string | undefined> {
	const path = join(projectRoot, "guests", source);
	const digest = createHash("sha256")
		.update(await readFile(path))
		.update(FLAGS.join(" "))
		.digest("hex");
	const name = `${basename(source, ".c")}-${digest.slice(0, 16)}`;
	const binary = join(CACHE, "guests", name);
	if (existsSync(binary)) return binary;
	await mkdir(join(CACHE, "guests"), { recursive: true });
	const fresh = `${binary}.${process.pid}`;
	try {
		await run("gcc", [...FLAGS, "-o", fresh, path]);
	} catch (error) {
		if (process.env.CI) throw error;
		const reason = error instanceof Error ? error.message : String(error);
		process.stderr.write(`skipping guests/${source}: ${reason}\n`);
		return undefined;
	}
	await rename(fresh, binary);
	return binary;
}
