/**
 * The API reference: typedoc's pages of everything the package exports, into
 * `.cache/api`. It is made when asked for and not committed, from declarations
 * that are compiled first. typedoc wants a TypeScript with a JavaScript
 * interface, older than ours, so both are fetched into a folder of their own.
 *
 *     npm run api [-- --out FOLDER]
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectRoot } from "./sources.ts";

const TOOLS = { typedoc: "0.28.20", typescript: "6.0.3" };
const folder = join(projectRoot, ".cache/typedoc");
const typedoc = join(folder, "node_modules/typedoc/bin/typedoc");

if (!existsSync(typedoc)) {
	mkdirSync(folder, { recursive: true });
	const manifest = { private: true, dependencies: TOOLS };
	writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
	execFileSync("npm", ["install"], { cwd: folder, stdio: "inherit" });
}

execFileSync("tsc", ["-b"], { cwd: projectRoot, stdio: "inherit" });

/** The declarations behind each of the package's exports. */
const { exports } = JSON.parse(
	readFileSync(join(projectRoot, "package.json"), "utf8"),
);
const entryPoints = Object.values<{ types?: string }>(exports).flatMap(
	({ types }) => (types === undefined ? [] : [join(projectRoot, types)]),
);
// None of the project's own has Node and a page's document at once.
const tsconfig = join(folder, "tsconfig.json");
writeFileSync(
	tsconfig,
	JSON.stringify({
		compilerOptions: {
			...{ module: "nodenext", lib: ["ES2024", "DOM", "DOM.Iterable"] },
			typeRoots: [join(projectRoot, "node_modules/@types")],
			types: ["node"],
		},
		files: entryPoints,
	}),
);

const at = process.argv.indexOf("--out");
const out = resolve(
	at < 0 ? join(projectRoot, ".cache/api") : (process.argv[at + 1] ?? ""),
);
execFileSync(
	process.execPath,
	[
		typedoc,
		...["--entryPoints", ...entryPoints],
		...["--tsconfig", tsconfig, "--skipErrorChecking"],
		...["--readme", "README.md", "--name", "lguest", "--out", out],
		"--excludePrivate",
	],
	{ cwd: projectRoot, stdio: "inherit" },
);
console.log(`The reference is in ${out}/index.html`);
