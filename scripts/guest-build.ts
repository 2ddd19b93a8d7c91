/**
 * `npm run guest:build`: makes the files of the default guest again, from
 * Debian's packages and what is in `guests/`, and writes down in a manifest
 * what they were made of. The kernel is built when something it is made from
 * has changed, or with `--kernel`. With `--check` both are made and nothing is
 * written: the files must be, byte for byte, what comes out.
 *
 * People run it after a change under `guests/default` or `guests/linux`; the
 * test beside it tells when that was forgotten, as far as minutes allow.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { debianPackageFiles } from "./debian.ts";
import { buildKernel, KERNEL_INPUTS, KERNEL_PACKAGE } from "./guest/kernel.ts";
import {
	buildUserland,
	rootfsFiles,
	USERLAND_PACKAGES,
} from "./guest/userland.ts";
import { isMain, projectRoot } from "./sources.ts";

const run = promisify(execFile);

/** Where the files are. */
export const DEFAULT_GUEST = join(projectRoot, "guests/default");
/** All files together are no larger. */
export const MOST_BYTES = 8 << 20;

/** Of one file. */
interface Made {
	readonly file: string;
	readonly bytes: number;
	readonly sha256: string;
	/** Debian's packages, by their files' names. */
	readonly packages: readonly string[];
	/** Files of the project, with their digests. */
	readonly inputs: Readonly<Record<string, string>>;
}

/** What the default guest's files were made of. */
export interface Manifest {
	readonly kernel: Made & { readonly compiler: string };
	/** `contentsSha256`: before compression, which depends on zlib's version. */
	readonly userland: Made & { readonly contentsSha256: string };
}

export const sha256 = (bytes: Uint8Array): string =>
	createHash("sha256").update(bytes).digest("hex");

/** The digests of project files, as they are now. */
async function digests(
	paths: readonly string[],
): Promise<Record<string, string>> {
	const entries = paths.map(async (path) => [
		path,
		sha256(await readFile(join(projectRoot, path))),
	]);
	return Object.fromEntries(await Promise.all(entries));
}

/** What the kernel would be made from now. */
export const kernelInputs = (): Promise<Record<string, string>> =>
	digests(KERNEL_INPUTS);

/** What the userland would be made from now. */
export async function userlandInputs(): Promise<Record<string, string>> {
	const rootfs = await rootfsFiles();
	return digests([
		...["agent.c", "init.c", "system.h"].map(
			(name) => `guests/default/${name}`,
		),
		...rootfs.map((path) => `guests/default/rootfs/${path}`),
	]);
}

export async function readManifest(): Promise<Manifest> {
	const path = join(DEFAULT_GUEST, "manifest.json");
	return JSON.parse(await readFile(path, "utf8"));
}

/** A file that was made and what is to be said of it. */
interface Fresh<Entry extends Made> {
	readonly content: Uint8Array;
	readonly entry: Entry;
}

async function makeKernel(): Promise<Fresh<Manifest["kernel"]>> {
	const content = await buildKernel();
	const { stdout } = await run("gcc", ["--version"]);
	const entry = {
		file: "vmlinuz",
		...{ bytes: content.length, sha256: sha256(content) },
		packages: await debianPackageFiles([KERNEL_PACKAGE]),
		compiler: stdout.split("\n")[0] ?? "",
		inputs: await kernelInputs(),
	};
	return { content, entry };
}

async function makeUserland(): Promise<Fresh<Manifest["userland"]>> {
	const archive = await buildUserland();
	if (archive === undefined) throw new Error("no packages, or no compiler");
	const content = gzipSync(archive, { level: 9 });
	const entry = {
		file: "initramfs.cpio.gz",
		...{ bytes: content.length, sha256: sha256(content) },
		contentsSha256: sha256(archive),
		packages: await debianPackageFiles(USERLAND_PACKAGES),
		inputs: await userlandInputs(),
	};
	return { content, entry };
}

async function write<Entry extends Made>(fresh: Fresh<Entry>): Promise<Entry> {
	await writeFile(join(DEFAULT_GUEST, fresh.entry.file), fresh.content);
	return fresh.entry;
}

async function makeAgain(wantsKernel: boolean): Promise<void> {
	const path = join(DEFAULT_GUEST, "manifest.json");
	const old = existsSync(path) ? await readManifest() : undefined;
	const same =
		JSON.stringify(old?.kernel.inputs) === JSON.stringify(await kernelInputs());
	const kernel =
		old !== undefined && same && !wantsKernel
			? old.kernel
			: await write(await makeKernel());
	const userland = await write(await makeUserland());
	const manifest: Manifest = { kernel, userland };
	await writeFile(path, `${JSON.stringify(manifest, undefined, "\t")}\n`);
	for (const { file, bytes } of Object.values(manifest)) {
		console.log(`${file}\t${(bytes / 2 ** 20).toFixed(2)} MiB`);
	}
}

/**
 * What differs between what is committed and what was made now, a line each.
 * Where it was made of other things, its bytes say nothing.
 */
export function differences(committed: Made, fresh: Made): string[] {
	const compare = (keys: readonly string[]) =>
		keys.flatMap((key) => {
			const [was, is] = [committed, fresh].map((made) =>
				JSON.stringify(new Map(Object.entries(made)).get(key)),
			);
			const line = `${committed.file}: ${key} was ${was}, is ${is}`;
			return was === is ? [] : [line];
		});
	const origins = compare(["packages", "compiler", "inputs"]);
	if (origins.length > 0) return origins;
	return compare(
		"contentsSha256" in committed ? ["contentsSha256"] : ["bytes", "sha256"],
	);
}

/** The value is the exit status. */
async function check(): Promise<number> {
	const { kernel, userland } = await readManifest();
	let found = 0;
	const report = (lines: readonly string[]) => {
		for (const line of lines) console.log(line);
		found += lines.length;
	};
	for (const { file, sha256: digest } of [kernel, userland]) {
		const content = await readFile(join(DEFAULT_GUEST, file));
		if (sha256(content) !== digest) report([`${file}: not the manifest's`]);
	}
	report(differences(userland, (await makeUserland()).entry));
	report(differences(kernel, (await makeKernel()).entry));
	if (found === 0) console.log("what is committed is what comes out");
	return found === 0 ? 0 : 1;
}

async function main(args: readonly string[]): Promise<void> {
	const unknown = args.find((arg) => !["--kernel", "--check"].includes(arg));
	if (unknown !== undefined) {
		process.stderr.write(
			"usage: npm run guest:build [-- --kernel | --check]\n",
		);
		process.exitCode = 2;
	} else if (args.includes("--check")) {
		process.exitCode = await check();
	} else {
		await makeAgain(args.includes("--kernel"));
	}
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
