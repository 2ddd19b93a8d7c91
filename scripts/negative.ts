/**
 * Proves that the core's walls stand: compiles test/negative, which reaches
 * for Node and the DOM, with the core's settings, and wants exactly the errors
 * its lines announce as `// error: name, name`. A wall that nobody leans on
 * falls unnoticed.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesUnder, isMain, projectRoot } from "./sources.ts";

/** `path:line name` of every error that the files announce. */
function announced(): string[] {
	return filesUnder("test/negative", /\.ts$/).flatMap((path) =>
		readFileSync(join(projectRoot, path), "utf8")
			.split("\n")
			.flatMap((line, index) =>
				(/\/\/ error: (.+)$/.exec(line)?.[1] ?? "")
					.split(", ")
					.filter((name) => name !== "")
					.map((name) => `${path}:${index + 1} ${name}`),
			),
	);
}

/** `path:line name` of every unknown name; any other error in full. */
function reported(): string[] {
	const tsc = join(projectRoot, "node_modules/typescript/bin/tsc");
	const { stdout } = spawnSync(
		process.execPath,
		[tsc, "-p", "test/negative", "--pretty", "false"],
		{ cwd: projectRoot, encoding: "utf8" },
	);
	return stdout
		.split("\n")
		.filter((line) => line.includes("error TS"))
		.map((line) =>
			line.replace(
				/^(.+?)\((\d+),\d+\): error TS\d+: Cannot find name '(\w+)'.*$/,
				"$1:$2 $3",
			),
		);
}

/** What compiled that must not, and what failed that was not announced. */
export function checkNegative(): string[] {
	const wanted = new Set(announced());
	const got = new Set(reported());
	return [
		...[...wanted]
			.filter((one) => !got.has(one))
			.map((one) => `${one}: compiles in the core, and must not`),
		...[...got]
			.filter((one) => !wanted.has(one))
			.map((one) => `${one}: an error nobody announced`),
		...(wanted.size === 0 ? ["test/negative announces no error"] : []),
	];
}

if (isMain(import.meta.url)) {
	const complaints = checkNegative();
	for (const complaint of complaints) console.error(complaint);
	console.log(
		`negative: ${announced().length} announced errors, ${complaints.length} complaints`,
	);
	process.exitCode = complaints.length === 0 ? 0 : 1;
}
