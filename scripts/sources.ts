/**
 * Finds the project's source files, for the checks that read them as text.
 * Paths are relative to the project's root and use forward slashes.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, wherever the script was started from. */
export const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where `scripts/bundle.ts` puts the command line. */
export const PROGRAM = join(projectRoot, "dist/program");

/** Is the command line as new as everything that it is made of? */
export function programIsFresh(): boolean {
	const program = join(PROGRAM, "cli.js");
	if (!existsSync(program)) return false;
	const made = statSync(program).mtimeMs;
	const parts = ["package.json", "scripts/bundle.ts", ...programSources()];
	return parts.every(
		(path) => statSync(join(projectRoot, path)).mtimeMs <= made,
	);
}

/** All files under `folder` whose name matches, in a stable order. */
export function filesUnder(folder: string, pattern: RegExp): string[] {
	return readdirSync(join(projectRoot, folder), {
		recursive: true,
		withFileTypes: true,
	})
		.filter((entry) => entry.isFile() && pattern.test(entry.name))
		.map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
		.map((path) => path.split(sep).join("/"))
		.sort();
}

/** The program itself: no tests, no ambient declarations. */
export function programSources(): string[] {
	return filesUnder("src", /\.ts$/).filter(
		(path) => !/\.test\.ts$|\.d\.ts$/.test(path),
	);
}

/** Was this module started as a program, rather than imported? */
export function isMain(moduleUrl: string): boolean {
	return process.argv[1] === fileURLToPath(moduleUrl);
}
