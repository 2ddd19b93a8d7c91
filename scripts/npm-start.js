/**
 * What `npm start` runs, whatever Node there is and whatever npm was allowed to
 * do: the bundle that `npm ci` leaves in `dist/`; the script that makes it, by a
 * Node that reads TypeScript; or a word about what is missing. For
 * `npm ci --ignore-scripts` leaves neither the bundle nor the project's own Node.
 */
import { existsSync } from "node:fs";

const bundle = new URL("../dist/start.js", import.meta.url);
if (existsSync(bundle)) {
	await import(bundle.href);
} else if (process.features.typescript) {
	await import("./start.ts");
} else {
	process.stderr.write(
		"lguest: The program is not built: npm was not allowed to run scripts.\nTry: npm rebuild node && npm run prepare\n",
	);
	process.exitCode = 1;
}
