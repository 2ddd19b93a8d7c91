/**
 * `npm start`: runs the command line from the checkout. Without arguments it
 * boots what a first-time visitor wants to see: Debian's own kernel with a
 * busybox shell, fetched through the machine's apt and kept in `.cache`. With
 * arguments it is `lguest` itself: `npm start -- run --memory 64M KERNEL`.
 *
 * The command line is imported, not spawned, so that it owns the terminal and
 * every signal alone.
 *
 * @journey P:012 The first minute
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { debianAsset } from "./debian.ts";
import { initramfs } from "./initramfs.ts";
import { projectRoot } from "./sources.ts";

/** Arguments that boot Debian's kernel to a shell, or nothing without apt. */
async function firstGuest(): Promise<string[] | undefined> {
	const kernel = await debianAsset("kernel-686");
	const initrd = await initramfs();
	if (kernel === undefined || initrd === undefined) return undefined;
	return [
		...["run", "--memory", "256M", "--initrd", initrd, kernel],
		...["--", "console=ttyS0"],
	];
}

const given = process.argv.slice(2);
const args = given.length > 0 ? given : await firstGuest();
if (args === undefined) {
	console.error(
		"There is no apt here to fetch a kernel with. Bring your own:\n    npm start -- run --initrd INITRD KERNEL -- console=ttyS0",
	);
	process.exitCode = 2;
} else {
	const cli = join(projectRoot, "dist/node/cli.js");
	process.argv = [process.execPath, cli, ...args];
	await import(pathToFileURL(cli).href);
}
