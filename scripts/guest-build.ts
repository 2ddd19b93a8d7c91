/**
 * `npm run guest:build`: makes the files of the default guest again, from
 * Debian's packages and what is in `guests/`, and writes down in a manifest
 * what they were made of. The kernel is built when something it is made from
 * has changed, or with `--kernel`.
 *
 * People run it after a change under `guests/default` or `guests/linux`; the
 * test beside it tells when that was forgotten.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
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

async function makeKernel(): Promise<Manifest["kernel"]> {
	const image = await buildKernel();
	const file = "vmlinuz";
	await writeFile(join(DEFAULT_GUEST, file), image);
	const { stdout } = await run("gcc", ["--version"]);
	return {
		...{ file, bytes: image.length, sha256: sha256(image) },
		packages: await debianPackageFiles([KERNEL_PACKAGE]),
		compiler: stdout.split("\n")[0] ?? "",
		inputs: await kernelInputs(),
	};
}

async function makeUserland(): Promise<Manifest["userland"]> {
	const archive = await buildUserland();
	if (archive === undefined) throw new Error("no packages, or no compiler");
	const file = "initramfs.cpio.gz";
	const packed = gzipSync(archive, { level: 9 });
	await writeFile(join(DEFAULT_GUEST, file), packed);
	return {
		...{ file, bytes: packed.length, sha256: sha256(packed) },
		contentsSha256: sha256(gunzipSync(packed)),
		packages: await debianPackageFiles(USERLAND_PACKAGES),
		inputs: await userlandInputs(),
	};
}

async function main(args: readonly string[]): Promise<void> {
	const path = join(DEFAULT_GUEST, "manifest.json");
	const old = existsSync(path) ? await readManifest() : undefined;
	const same =
		JSON.stringify(old?.kernel.inputs) === JSON.stringify(await kernelInputs());
	const kernel =
		old !== undefined && same && !args.includes("--kernel")
			? old.kernel
			: await makeKernel();
	const manifest: Manifest = { kernel, userland: await makeUserland() };
	await writeFile(path, `${JSON.stringify(manifest, undefined, "\t")}\n`);
	for (const { file, bytes } of Object.values(manifest)) {
		console.log(`${file}\t${(bytes / 2 ** 20).toFixed(2)} MiB`);
	}
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
