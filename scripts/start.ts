/**
 * `npm start`: runs the command line from the checkout, bundled anew if
 * something has changed. Without arguments it boots the default guest; with
 * some it is `lguest` itself: `npm start -- run --memory 64M KERNEL`.
 *
 * The command line is imported, not spawned, so that it owns the terminal and
 * every signal alone.
 *
 * @journey P:012 The first minute
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PROGRAM, programIsFresh, projectRoot } from "./sources.ts";

function bundle(): boolean {
	const script = join(projectRoot, "scripts/bundle.ts");
	const { status } = spawnSync(process.execPath, [script], {
		cwd: projectRoot,
		stdio: "inherit",
	});
	return status === 0;
}

if (programIsFresh() || bundle()) {
	const cli = join(PROGRAM, "cli.js");
	process.argv = [process.execPath, cli, ...process.argv.slice(2)];
	await import(pathToFileURL(cli).href);
} else {
	process.exitCode = 1;
}
