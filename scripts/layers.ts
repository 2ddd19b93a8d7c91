/**
 * Who may import whom, as data, and the check that nobody else does.
 *
 * The rows are read top to bottom and the first whose `of` matches a file
 * speaks for it; a source that no row speaks for is an error, so that a new
 * folder must say where it stands. Every file may import its own folder (the
 * row's `of`) and `errors.ts`. Tests are exempt: they may look anywhere.
 *
 * Besides, wall time and randomness have one door, `machine/clock.ts`: a run
 * in virtual time must be the same run every time.
 *
 * @journey P:040 Who may import whom
 */
import { readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { isMain, programSources, projectRoot } from "./sources.ts";

/**
 * One row: a folder (`cpu/mmu/`), a file (`cpu/index.ts`) or the files directly
 * in a folder (`cpu/*`), under `src/`.
 */
export interface Layer {
	readonly of: string;
	/** What its files may import, in the same notation. */
	readonly mayImport: readonly string[];
	/** What they may `import type`, besides: names that vanish on build. */
	readonly mayImportTypes?: readonly string[];
	/** Packages and `node:` modules, as prefixes. The core has none. */
	readonly mayImportPackages?: readonly string[];
}

const cpuVocabulary = ["cpu/*", "memory/"];

/** What an embedder implements, or picks from, besides the public API. */
const embedderInterfaces = [
	"virtio/backends.ts",
	"virtio/mac-address.ts",
	"boot/compression.ts",
	"boot/decompress/",
];

/** The table of docs/architecture.md, "Layers". */
export const layers: readonly Layer[] = [
	{ of: "errors.ts", mayImport: [] },
	{ of: "memory/", mayImport: [] },
	{ of: "wasm/", mayImport: [] },
	{
		of: "cpu/index.ts",
		mayImport: ["cpu/", "memory/", "wasm/", "chipset/bus.ts"],
	},
	// Where the CPU's parts are put together.
	{ of: "cpu/cpu.ts", mayImport: ["cpu/", "memory/"] },
	{ of: "cpu/cpu-options.ts", mayImport: ["cpu/"] },
	{ of: "cpu/engines.ts", mayImport: ["cpu/", "memory/"] },
	{ of: "cpu/border.ts", mayImport: ["cpu/"] },
	{ of: "cpu/decoded-features.ts", mayImport: ["cpu/decode/", "cpu/system/"] },
	{ of: "cpu/instruction-fetch.ts", mayImport: ["cpu/", "memory/"] },
	// What it does beside running: watching for a debugger inside the guest.
	{
		of: "cpu/debug-watch.ts",
		mayImport: ["cpu/*", "cpu/semantics/system-operations.ts", "cpu/system/"],
	},
	{
		of: "cpu/breakpoints.ts",
		mayImport: ["cpu/*", "cpu/system/control-bits.ts"],
	},
	{
		of: "cpu/*",
		mayImport: [],
		mayImportTypes: ["cpu/decode/", "cpu/semantics/"],
	},
	{
		of: "cpu/decode/",
		mayImport: ["cpu/*"],
		mayImportTypes: ["cpu/semantics/"],
	},
	{
		of: "cpu/semantics/",
		mayImport: ["cpu/*"],
		mayImportTypes: ["cpu/decode/"],
	},
	{
		of: "cpu/float/",
		mayImport: ["cpu/*", "wasm/"],
		mayImportTypes: ["cpu/semantics/"],
	},
	{
		of: "cpu/mmu/",
		mayImport: [
			...cpuVocabulary,
			"cpu/decode/",
			"cpu/semantics/",
			"cpu/float/",
		],
	},
	{
		of: "cpu/system/",
		mayImport: [
			"cpu/*",
			"cpu/mmu/tlb.ts",
			"cpu/mmu/linear-address.ts",
			"cpu/mmu/page-memos.ts",
			"cpu/engine/status.ts",
		],
		mayImportTypes: ["cpu/semantics/"],
	},
	{ of: "cpu/engine/", mayImport: ["cpu/", "wasm/", "memory/"] },
	{
		of: "virtio/devices/",
		mayImport: ["virtio/*"],
	},
	{
		of: "virtio/transports/",
		mayImport: [
			"virtio/*",
			"memory/",
			"chipset/bus.ts",
			"chipset/pci-function.ts",
			"chipset/pci-msix.ts",
			"lguest/abi.ts",
		],
	},
	{ of: "virtio/*", mayImport: ["memory/"] },
	// For authors of devices; nothing that runs relies on it.
	{ of: "testing/", mayImport: ["memory/", "virtio/*"] },
	// Disk images: block backends, so far from devices and guests.
	{ of: "storage/", mayImport: ["virtio/backends.ts"] },
	{ of: "chipset/", mayImport: ["memory/"] },
	{ of: "boot/", mayImport: ["memory/", "chipset/bus.ts"] },
	{ of: "lguest/abi.ts", mayImport: [] },
	{
		of: "lguest/host/",
		mayImport: ["lguest/abi.ts", "memory/", "cpu/index.ts"],
	},
	{
		of: "lguest/launcher/",
		mayImport: [
			"lguest/abi.ts",
			"lguest/host/",
			"cpu/index.ts",
			"machine/",
			"boot/",
			"virtio/",
			"memory/",
		],
	},
	{
		of: "machine/",
		mayImport: [
			...["memory/", "cpu/index.ts", "virtio/", "chipset/", "boot/"],
			"lguest/abi.ts",
		],
	},
	{
		of: "launch/",
		mayImport: ["machine/", "boot/", "virtio/"],
		mayImportTypes: ["cpu/index.ts"],
	},
	{
		of: "index.ts",
		mayImport: [
			"memory/",
			"cpu/index.ts",
			"virtio/",
			"storage/",
			"chipset/",
			"boot/",
			"machine/",
			"lguest/",
			"launch/",
		],
	},
	{
		of: "node/decompress.ts",
		mayImport: ["boot/compression.ts", "boot/decompress/"],
		mayImportPackages: ["node:", "fzstd"],
	},
	{
		of: "node/",
		mayImport: ["index.ts", ...embedderInterfaces],
		mayImportPackages: ["node:", "fzstd", "commander"],
	},
	// The element, which is a bundle of its own.
	{
		of: "browser/terminal/",
		mayImport: ["index.ts", "browser/"],
		mayImportPackages: ["@xterm/"],
	},
	{
		of: "browser/",
		mayImport: ["index.ts", ...embedderInterfaces],
		mayImportPackages: ["fzstd"],
	},
	{ of: "web/", mayImport: ["browser/"] },
];

/** One import as written: `from` is the specifier. */
export interface Import {
	readonly from: string;
	readonly typeOnly: boolean;
	readonly line: number;
}

const IMPORT_FORMS = [
	/^(?:import|export)\s+(?<type>type\s)?[^;"']*?\bfrom\s*"(?<from>[^"]+)"/gm,
	/^import\s*"(?<from>[^"]+)"/gm,
	/\bimport\(\s*"(?<from>[^"]+)"/g,
];

/**
 * The imports of a source text. Matching text is enough because the formatter
 * starts each import on a line of its own and writes double quotes.
 */
export function importsOf(text: string): Import[] {
	return IMPORT_FORMS.flatMap((form) =>
		[...text.matchAll(form)].map((match) => ({
			from: match.groups?.from ?? "",
			typeOnly: match.groups?.type !== undefined,
			line: text.slice(0, match.index).split("\n").length,
		})),
	);
}

function covers(pattern: string, path: string): boolean {
	if (pattern.endsWith("/*"))
		return dirname(path) === pattern.slice(0, -"/*".length);
	return pattern.endsWith("/") ? path.startsWith(pattern) : path === pattern;
}

function mayImport(layer: Layer, target: string, typeOnly: boolean): boolean {
	const allowed = [layer.of, "errors.ts", ...layer.mayImport];
	if (typeOnly) allowed.push(...(layer.mayImportTypes ?? []));
	return allowed.some((pattern) => covers(pattern, target));
}

function checkImport(path: string, layer: Layer, one: Import): string[] {
	const where = `src/${path}:${one.line}`;
	if (!one.from.startsWith(".")) {
		const allowed = layer.mayImportPackages ?? [];
		return allowed.some((prefix) => one.from.startsWith(prefix))
			? []
			: [`${where}: ${layer.of} may not import the package "${one.from}"`];
	}
	const target = posix.join(posix.dirname(path), one.from);
	return mayImport(layer, target, one.typeOnly)
		? []
		: [`${where}: ${layer.of} may not import ${target}`];
}

/** Cycles among value imports, each once, as `a → b → a`. */
export function findCycles(
	graph: ReadonlyMap<string, readonly string[]>,
): string[] {
	const cycles: string[] = [];
	const done = new Set<string>();
	const path: string[] = [];
	const visit = (node: string): void => {
		const start = path.indexOf(node);
		if (start >= 0) {
			cycles.push([...path.slice(start), node].join(" → "));
			return;
		}
		if (done.has(node)) return;
		path.push(node);
		for (const next of graph.get(node) ?? []) visit(next);
		path.pop();
		done.add(node);
	};
	for (const node of graph.keys()) visit(node);
	return cycles;
}

/** Where a run would stop being reproducible, and the one place that may. */
const UNREPEATABLE =
	/\b(?:Date\.now|new Date\(\)|performance\.now|Math\.random|getRandomValues)/;
const mayMeasure = ["machine/clock.ts", "node/", "browser/", "web/"];

/** Wall time and randomness outside the places that inject them. */
function findWallTime(path: string, text: string): string[] {
	if (mayMeasure.some((pattern) => covers(pattern, path))) return [];
	return text.split("\n").flatMap((line, index) => {
		const found = UNREPEATABLE.exec(line.replace(/^\s*(\*|\/\/|\/\*).*/, ""));
		return found === null
			? []
			: [`src/${path}:${index + 1}: ${found[0]} belongs in machine/clock.ts`];
	});
}

/** All complaints about `sources` (path under `src/` → text); empty is good. */
export function checkLayers(sources: ReadonlyMap<string, string>): string[] {
	const complaints: string[] = [];
	const graph = new Map<string, string[]>();
	for (const [path, text] of sources) {
		const layer = layers.find((row) => covers(row.of, path));
		const imports = importsOf(text);
		if (layer === undefined)
			complaints.push(`src/${path}: no row of scripts/layers.ts covers it`);
		else
			complaints.push(
				...imports.flatMap((one) => checkImport(path, layer, one)),
			);
		complaints.push(...findWallTime(path, text));
		graph.set(
			path,
			imports
				.filter((one) => !one.typeOnly && one.from.startsWith("."))
				.map((one) => posix.join(posix.dirname(path), one.from)),
		);
	}
	return [
		...complaints,
		...findCycles(graph).map((cycle) => `cycle: ${cycle}`),
	];
}

function readSources(): Map<string, string> {
	return new Map(
		programSources().map((path) => [
			path.slice("src/".length),
			readFileSync(join(projectRoot, path), "utf8"),
		]),
	);
}

if (isMain(import.meta.url)) {
	const sources = readSources();
	const complaints = checkLayers(sources);
	for (const complaint of complaints) console.error(complaint);
	console.log(`layers: ${sources.size} files, ${complaints.length} complaints`);
	process.exitCode = complaints.length === 0 ? 0 : 1;
}
