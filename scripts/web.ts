/**
 * `npm run web`: builds the page as static files in `dist/web` and the custom
 * element as one module in `dist/browser/terminal`, and serves the page on this
 * machine. Relies on Vite and on the default guest.
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, type InlineConfig, preview } from "vite";
import { preparedCodePlugin } from "./prepared-code.ts";
import { isMain, projectRoot } from "./sources.ts";

const USAGE = `usage: npm run web -- [options]
--build      only build
--element    only build the custom element
--port N     where to serve (8080, or the next that is free)
`;

const GUEST = join(projectRoot, "guests/default");
const GUEST_FILES = ["guest.json", "vmlinuz", "initramfs.cpio.gz"];
/** The built page. */
export const WEB = join(projectRoot, "dist/web");

/** The sources call the worker by the name that it has in the package. */
const workerSource = {
	name: "lguest-worker-source",
	enforce: "pre",
	resolveId: (id: string) =>
		/[/\\]src[/\\]browser[/\\]guest-worker\.js$/.test(id)
			? id.replace(/js$/, "ts")
			: undefined,
} as const;

/** Nothing in the library happens by being imported; so what is not used can go. */
const treeshake = {
	moduleSideEffects: (id: string) =>
		!/[/\\]src[/\\](?!web|browser[/\\](guest-worker|terminal[/\\]index))/.test(
			id,
		),
};

const common: InlineConfig = {
	configFile: false,
	logLevel: "warn",
	worker: {
		format: "es",
		plugins: () => [workerSource, preparedCodePlugin],
		rollupOptions: { treeshake },
	},
};

/** The page and the default guest beside it. */
export async function buildPage(folder = WEB): Promise<void> {
	await build({
		...common,
		root: join(projectRoot, "src/web"),
		base: "./",
		build: {
			outDir: folder,
			emptyOutDir: true,
			target: "es2022",
			rollupOptions: { treeshake },
		},
	});
	mkdirSync(join(folder, "guest"));
	for (const name of GUEST_FILES) {
		copyFileSync(join(GUEST, name), join(folder, "guest", name));
	}
}

/** Where the custom element goes, beside its declarations. */
const ELEMENT = join(projectRoot, "dist/browser/terminal");

/** One module. */
export async function buildElement(folder = ELEMENT): Promise<void> {
	const output = { codeSplitting: false };
	await build({
		...common,
		worker: { ...common.worker, rollupOptions: { treeshake, output } },
		root: projectRoot,
		build: {
			outDir: folder,
			emptyOutDir: false,
			target: "es2022",
			lib: {
				entry: join(projectRoot, "src/browser/terminal/index.ts"),
				formats: ["es"],
				fileName: () => "index.js",
			},
			rollupOptions: { treeshake, output },
		},
	});
}

/** Serves the built page; the value is its address and how to end it. */
export async function servePage(
	port: number,
): Promise<{ readonly url: string; close(): Promise<void> }> {
	const server = await preview({
		...common,
		root: join(projectRoot, "src/web"),
		build: { outDir: WEB },
		preview: { host: "127.0.0.1", port },
	});
	const url = server.resolvedUrls?.local[0] ?? "";
	return { url, close: () => server.close() };
}

async function main(args: readonly string[]): Promise<void> {
	const { values } = parseArgs({
		args: [...args],
		options: {
			build: { type: "boolean", default: false },
			element: { type: "boolean", default: false },
			port: { type: "string", default: "8080" },
			help: { type: "boolean", default: false },
		},
	});
	if (values.help) {
		process.stdout.write(USAGE);
		return;
	}
	await buildElement();
	if (values.element) return;
	await buildPage();
	if (values.build) return;
	const { url } = await servePage(Number(values.port));
	process.stdout.write(`The page is at ${url}\n`);
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
