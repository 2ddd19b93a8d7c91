/**
 * Builds the lguest bus driver (`guests/linux/`) as a module for Debian's own
 * i386 kernel, against the headers that Debian ships for it. Nothing is
 * installed: the header packages are unpacked in the cache. Boot tests rely
 * on it; people run `node scripts/guest-module.ts`.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import type { KernelModule } from "./debian/modules.ts";
import {
	CACHE,
	debianAsset,
	debianAssetOrigin,
	debianPackageTree,
	moveTreeIntoPlace,
} from "./debian.ts";
import { isMain, projectRoot } from "./sources.ts";

const run = promisify(execFile);
const SOURCES = join(projectRoot, "guests/linux");
const NAME = "virtio_lguest";

/** The kernels it is built for. */
type Kernel = "kernel-686" | "kernel-686-pae";

/** The module, built once per source and kernel; `undefined` where Debian is not to be had. */
export async function lguestModule(
	kernel: Kernel = "kernel-686",
): Promise<KernelModule | undefined> {
	if ((await debianAsset(kernel)) === undefined) return undefined;
	const origin = (await debianAssetOrigin(kernel)) ?? "";
	const release = /^linux-image-([^_]+)_/.exec(origin)?.[1];
	if (release === undefined) throw new Error(`whose headers? ${origin}`);
	const digest = createHash("sha256").update(origin);
	for (const file of (await readdir(SOURCES)).sort()) {
		digest.update(await readFile(join(SOURCES, file)));
	}
	const directory = `${release}-${digest.digest("hex").slice(0, 16)}`;
	const into = join(CACHE, "lguest-module", directory);
	const path = join(into, `${NAME}.ko`);
	if (!existsSync(path)) await build(release, into);
	return { name: NAME, path };
}

async function build(release: string, into: string): Promise<void> {
	const trees = await headerTrees(release);
	if (trees === undefined) {
		throw new Error(`the headers of ${release} are unavailable`);
	}
	const scratch = `${into}.${process.pid}`;
	await rm(scratch, { recursive: true, force: true });
	await mkdir(scratch, { recursive: true });
	for (const file of ["Kbuild", `${NAME}.c`]) {
		await cp(join(SOURCES, file), join(scratch, file));
	}
	// Debian's own Makefile there names /usr/src; this one is in the cache.
	await run("make", [
		...["-C", trees.flavour, "-f", join(trees.common, "Makefile")],
		...["ARCH=i386", `M=${scratch}`, "modules"],
	]);
	await run("strip", ["--strip-debug", join(scratch, `${NAME}.ko`)]);
	await rm(into, { recursive: true, force: true });
	await moveTreeIntoPlace(scratch, into);
}

/** Headers of the flavour and of all flavours, with the tools for this machine beside them. */
async function headerTrees(
	release: string,
): Promise<{ flavour: string; common: string } | undefined> {
	const version = release.replace(/-686(-pae)?$/, "");
	const series = release.replace(/^(\d+\.\d+)\..*/, "$1");
	const host = process.arch === "ia32" ? "i386" : "amd64";
	const root = await debianPackageTree(`headers-${release}`, [
		{ name: `linux-headers-${release}`, architecture: "i386" },
		{ name: `linux-headers-${version}-common`, architecture: "all" },
		{ name: `linux-kbuild-${series}`, architecture: host },
	]);
	if (root === undefined) return undefined;
	const at = (name: string) => join(root, "usr/src", name);
	return {
		flavour: at(`linux-headers-${release}`),
		common: at(`linux-headers-${version}-common`),
	};
}

if (isMain(import.meta.url)) {
	const built = await lguestModule();
	if (built === undefined) process.exitCode = 1;
	else console.log(`${basename(built.path)}\t${built.path}`);
}
