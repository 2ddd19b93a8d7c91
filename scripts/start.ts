/**
 * `npm start`: runs the command line from the checkout, built before if
 * something has changed. Without arguments it boots the default guest; with
 * some it is `lguest` itself: `npm start -- run --memory 64M KERNEL`.
 *
 * The command line is imported, not spawned, so that it owns the terminal and
 * every signal alone.
 *
 * @journey P:012 The first minute
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "./sources.ts";

const PROJECT = "tsconfig.node.json";
/** As old as the last build. */
const BUILT = join(projectRoot, "dist/.node.tsbuildinfo");

/** The compiler would see for itself, but only after half a second. */
function isFresh(): boolean {
	if (!existsSync(BUILT)) return false;
	const built = statSync(BUILT).mtimeMs;
	const configs = readdirSync(projectRoot)
		.filter((name) => name.startsWith("tsconfig") || name === "package.json")
		.map((name) => join(projectRoot, name));
	const source = join(projectRoot, "src");
	const entries = readdirSync(source, {
		recursive: true,
		encoding: "utf8",
	}).filter((path) => !path.endsWith(".test.ts"));
	return [
		...configs,
		source,
		...entries.map((path) => join(source, path)),
	].every((path) => statSync(path).mtimeMs <= built);
}

function build(): boolean {
	const tsc = join(projectRoot, "node_modules/.bin/tsc");
	const args = ["-b", PROJECT];
	const { status } = spawnSync(tsc, args, {
		cwd: projectRoot,
		stdio: "inherit",
	});
	if (status !== 0) return false;
	// A compiler that found nothing to do leaves no trace.
	utimesSync(BUILT, new Date(), new Date());
	return true;
}

if (isFresh() || build()) {
	const cli = join(projectRoot, "dist/node/cli.js");
	process.argv = [process.execPath, cli, ...process.argv.slice(2)];
	await import(pathToFileURL(cli).href);
} else {
	process.exitCode = 1;
}
