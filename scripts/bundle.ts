/**
 * Puts the command line into few files, `dist/program/`: Node takes as long to
 * find and read hundreds of modules as the guest's kernel takes to boot. What
 * embedders import stays as it is. Also `dist/start.js`, behind `npm start`,
 * for the same reason: that Node need not strip its types first.
 *
 * `npm ci` runs it (as `prepare`), and so does whoever finds its result older
 * than the sources.
 */
import { join } from "node:path";
import { build, type Plugin } from "rolldown";
import { preparedCodePlugin } from "./prepared-code.ts";
import { isMain, PROGRAM, projectRoot } from "./sources.ts";

/** The program and those of its threads, which are started by their file names. */
const ENTRIES = ["cli", "guest-worker", "region-worker"];

const common = {
	cwd: projectRoot,
	platform: "node",
	logLevel: "warn",
	external: /^node:/,
} as const;

/** Names are left alone, for stack traces. */
const minify = {
	compress: true,
	mangle: false,
	codegen: { removeWhitespace: true },
} as const;

/** V8 keeps text with a single wider character at twice the size. */
const asciiOnly: Plugin = {
	name: "ascii-only",
	generateBundle(_, chunks) {
		for (const chunk of Object.values(chunks)) {
			if (chunk.type !== "chunk") continue;
			chunk.code = chunk.code.replace(/[^\0-\x7f]/g, (unit) => {
				const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
				return `\\u${hex}`;
			});
		}
	},
};

/** Makes both. */
export async function bundle(): Promise<void> {
	await build({
		...common,
		input: "scripts/start.ts",
		output: { file: join(projectRoot, "dist/start.js") },
	});
	await build({
		...common,
		input: ENTRIES.map((name) => `src/node/${name}.ts`),
		plugins: [asciiOnly, preparedCodePlugin],
		output: {
			dir: PROGRAM,
			cleanDir: true,
			minify,
			chunkFileNames: "[name].js",
		},
	});
}

if (isMain(import.meta.url)) await bundle();
