/**
 * Checks the package as npm would publish it: small enough, its entry points
 * where package.json says (publint), its types resolving as its code does
 * (attw). Relies on the built package.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMain, projectRoot } from "./sources.ts";

/** With the default guest in it. */
const MOST_BYTES = 12 * 2 ** 20;

/** An npm package file in `folder`, and its size. */
export function pack(folder: string): { path: string; bytes: number } {
	const args = ["pack", "--json", "--ignore-scripts"];
	const { stdout, stderr } = spawnSync(
		"npm",
		[...args, "--pack-destination", folder],
		{ cwd: projectRoot, encoding: "utf8" },
	);
	const [packed] = parsed(stdout) ?? [];
	if (packed === undefined) throw new Error(`npm pack failed: ${stderr}`);
	return { path: join(folder, packed.filename), bytes: packed.size };
}

/** npm has printed a list, and a record by package name. */
function parsed(text: string) {
	const value: unknown = JSON.parse(text);
	const list = Array.isArray(value) ? value : Object.values(value as object);
	return list as { filename: string; size: number }[];
}

function passes(program: string, ...args: string[]): boolean {
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[join(projectRoot, "node_modules", program), ...args],
		{ cwd: projectRoot, encoding: "utf8" },
	);
	if (status !== 0) console.error(`${stdout}${stderr}`);
	return status === 0;
}

function main(): void {
	const folder = mkdtempSync(join(tmpdir(), "lguest-package-"));
	try {
		const { path, bytes } = pack(folder);
		const mib = (bytes / 2 ** 20).toFixed(2);
		console.log(`package: ${mib} MiB, of ${MOST_BYTES / 2 ** 20} allowed`);
		const checks = [
			bytes <= MOST_BYTES,
			passes("publint/src/cli.js", "--strict", path),
			// Everything here is an ES module.
			passes(
				"@arethetypeswrong/cli/dist/index.js",
				...[path, "--profile", "esm-only"],
			),
		];
		process.exitCode = checks.every(Boolean) ? 0 : 1;
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

if (isMain(import.meta.url)) main();
