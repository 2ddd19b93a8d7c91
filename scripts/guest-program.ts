/**
 * Programs for guests: a C file under `guests/` becomes a static i386 binary,
 * built once for each version of its text and kept in the cache. Boot tests
 * rely on it; it relies on gcc with its i386 libraries.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { moveIntoPlace } from "../src/node/into-place.ts";
import { CACHE } from "./debian.ts";
import { projectRoot } from "./sources.ts";

const run = promisify(execFile);
const FLAGS = ["-m32", "-static", "-s", "-Wall", "-Werror"];
/** For a program without a C library, which starts at `_start`. */
export const FREESTANDING = [
	...["-march=i686", "-Os", "-Wextra", "-ffreestanding", "-nostdlib"],
	...["-fno-pie", "-no-pie", "-fno-stack-protector"],
	...["-fno-asynchronous-unwind-tables", "-Wl,--build-id=none"],
	"-Wl,-z,noseparate-code",
];

/**
 * The binary's path for a source like `vsock/vsock.c`; `undefined`, with the
 * reason on stderr, where there is no compiler for it. Under `CI` that is an
 * error.
 */
export async function guestProgram(
	source: string,
	flags: readonly string[] = ["-O2"],
): Promise<string | undefined> {
	const path = join(projectRoot, "guests", source);
	const digest = await digestOf(path, [...FLAGS, ...flags]);
	const name = `${basename(source, ".c")}-${digest.slice(0, 16)}`;
	const binary = join(CACHE, "guests", name);
	if (existsSync(binary)) return binary;
	await mkdir(join(CACHE, "guests"), { recursive: true });
	const fresh = `${binary}.${process.pid}`;
	try {
		await run("gcc", [...FLAGS, ...flags, "-o", fresh, path]);
	} catch (error) {
		if (process.env.CI) throw error;
		const reason = error instanceof Error ? error.message : String(error);
		process.stderr.write(`skipping guests/${source}: ${reason}\n`);
		return undefined;
	}
	await moveIntoPlace(fresh, binary);
	return binary;
}

/** Changes when the source, a header beside it or a flag does. */
async function digestOf(
	path: string,
	flags: readonly string[],
): Promise<string> {
	const hash = createHash("sha256").update(flags.join(" "));
	const beside = await readdir(dirname(path));
	const headers = beside.filter((name) => name.endsWith(".h")).sort();
	for (const name of [...headers, basename(path)]) {
		hash.update(await readFile(join(dirname(path), name)));
	}
	return hash.digest("hex");
}
