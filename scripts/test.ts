/**
 * `npm test`: every check there is, in the order in which a failure is
 * cheapest to learn of, all of them even when one fails. The last line is the
 * total, `N passed, N failed, N skipped`; each check that is not a test file
 * (lint, types, layers, …) counts as one. What failed is named before it.
 *
 * The tests run on the newest Node (the development dependency `node`), those
 * beside the sources, in test/oldest and of the command line also on the
 * oldest we support, which is the machine's own.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { projectRoot } from "./sources.ts";
import {
	addTally,
	failuresOfReport,
	type Tally,
	tallyOfReport,
} from "./test/tally.ts";

const PASSED: Tally = { passed: 1, failed: 0, skipped: 0 };
const FAILED: Tally = { passed: 0, failed: 1, skipped: 0 };
const SKIPPED: Tally = { passed: 0, failed: 0, skipped: 1 };

/** What the oldest Node could do differently: all of the core, and the program as a whole. */
const OLDEST_FILES = [
	"src/",
	"test/oldest/",
	"test/boot/command-line",
	"test/boot/terminal",
	"test/launch/guest",
	"test/launch/package",
];

/** What failed, to be said again at the end, where it is seen. */
const failures: string[] = [];

const bin = (name: string) => join(projectRoot, "node_modules", name);

/** Runs a Node program with our output; its exit status decides. */
function runNode(
	args: readonly string[],
	node: string = process.execPath,
): boolean {
	const { status, error } = spawnSync(node, args, {
		cwd: projectRoot,
		stdio: ["ignore", "inherit", "inherit"],
	});
	if (error) console.error(String(error));
	return status === 0;
}

function check(name: string, args: readonly string[]): Tally {
	const start = performance.now();
	const passed = runNode(args);
	const seconds = ((performance.now() - start) / 1000).toFixed(1);
	console.log(`${passed ? "ok" : "FAILED"}: ${name} (${seconds} s)`);
	if (!passed) failures.push(name);
	return passed ? PASSED : FAILED;
}

/** What the boots and benchmarks need from Debian; only CI insists on it. */
function fetchDebianPackages(): Tally {
	const tally = check("Debian packages", ["scripts/debian.ts"]);
	if (tally.failed === 0 || process.env.CI) return tally;
	failures.pop();
	console.log("skipped: Debian packages, and the tests that need them");
	return SKIPPED;
}

/** Runs vitest under `node`; the counts are those of its own report. */
function vitest(node: string, args: readonly string[]): Tally {
	const folder = mkdtempSync(join(tmpdir(), "lguest-test-"));
	const report = join(folder, "report.json");
	try {
		const passed = runNode(
			[
				bin("vitest/vitest.mjs"),
				"run",
				"--reporter=default",
				"--reporter=json",
				`--outputFile.json=${report}`,
				...args,
			],
			node,
		);
		const text = existsSync(report) ? readFileSync(report, "utf8") : undefined;
		failures.push(...(passed ? [] : failuresOfReport(text)));
		return tallyOfReport(text, passed);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

interface NodeBinary {
	readonly path: string;
	readonly version: string;
}

/**
 * The oldest Node at hand that is not the one we run on: `LGUEST_OLDEST_NODE`,
 * the one npm itself runs on, or one on the PATH outside node_modules.
 */
function findOldestNode(): NodeBinary | undefined {
	const onPath = (process.env.PATH ?? "")
		.split(delimiter)
		.filter((folder) => folder !== "" && !folder.includes("node_modules"))
		.map((folder) => join(folder, "node"));
	return [
		process.env.LGUEST_OLDEST_NODE ?? "",
		process.env.npm_node_execpath ?? "",
		...onPath,
	]
		.filter((path) => path !== "" && existsSync(path))
		.map((path) => ({
			path,
			version: spawnSync(path, ["--version"], { encoding: "utf8" }).stdout,
		}))
		.map(({ path, version }) => ({ path, version: (version ?? "").trim() }))
		.filter(({ version }) => majorOf(version) < majorOf(process.version))
		.sort((a, b) => majorOf(a.version) - majorOf(b.version))[0];
}

/** 20 of `v20.20.2`; infinite for what is no version. */
function majorOf(version: string): number {
	return Number(/^v(\d+)\./.exec(version)?.[1] ?? Number.POSITIVE_INFINITY);
}

function vitestOnOldest(): Tally {
	const oldest = findOldestNode();
	if (oldest === undefined) {
		console.log(
			`skipped: tests on the oldest Node: ${process.version} is the only one here (set LGUEST_OLDEST_NODE)`,
		);
		return SKIPPED;
	}
	console.log(`\nOn the oldest Node, ${oldest.version}:`);
	return vitest(oldest.path, OLDEST_FILES);
}

function main(): void {
	const tallies = [
		check("lint", [
			bin("@biomejs/biome/bin/biome"),
			"check",
			"--error-on-warnings",
			".",
		]),
		check("build and types", [bin("typescript/bin/tsc"), "-b"]),
		check("command line", ["scripts/bundle.ts"]),
		check("page and element", ["scripts/web.ts", "--build"]),
		check("the core knows no embedder", ["scripts/negative.ts"]),
		check("layers", ["scripts/layers.ts"]),
		check("journey", ["scripts/journey.ts"]),
		check("docs/cli.md", ["scripts/cli-reference.ts"]),
		check("package", ["scripts/package.ts"]),
		fetchDebianPackages(),
	];
	console.log(`\nOn the newest Node, ${process.version}:`);
	tallies.push(vitest(process.execPath, ["--exclude=test/oldest/**"]));
	tallies.push(vitestOnOldest());
	const total = tallies.reduce(addTally);
	for (const failure of failures) console.log(`failed: ${failure}`);
	console.log(
		`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`,
	);
	process.exitCode = total.failed === 0 ? 0 : 1;
}

main();
