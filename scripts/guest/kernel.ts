/**
 * The default guest's kernel: Debian's `linux-source-6.1`, our driver for the
 * lguest bus added to it, and `guests/default/kernel.config` for a
 * configuration. It takes minutes, so it is built only on demand, in the cache,
 * and every time from nothing: what an earlier build leaves may have been made
 * in another way.
 *
 * `scripts/guest-build.ts` relies on it.
 */

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PackageName } from "../debian/apt.ts";
import { CACHE, debianPackageTree } from "../debian.ts";
import { projectRoot } from "../sources.ts";

const run = promisify(execFile);
/** The package of the source. */
export const KERNEL_PACKAGE: PackageName = {
	name: "linux-source-6.1",
	architecture: "all",
};
const CONFIG = join(projectRoot, "guests/default/kernel.config");
const DRIVER = join(projectRoot, "guests/linux");
const TREE = join(CACHE, "default-guest-kernel");

/** Files of the project that the kernel is made from. */
export const KERNEL_INPUTS = [
	"guests/default/kernel.config",
	"guests/linux/Kconfig",
	"guests/linux/virtio_lguest.c",
];

/** The same each time, so that the same sources are the same kernel. */
export const BUILT_BY = {
	KBUILD_BUILD_USER: "guest",
	KBUILD_BUILD_HOST: "lguest",
	KBUILD_BUILD_TIMESTAMP: "2026-01-01 00:00:00 UTC",
	KBUILD_BUILD_VERSION: "1",
};

/** The bzImage; progress goes to standard error. */
export async function buildKernel(): Promise<Uint8Array> {
	const source = await unpackSource();
	await make(source, ["mrproper"]);
	await addDriver(source);
	await configure(source);
	await make(source, ["-j2", "bzImage"]);
	return await readFile(join(source, "arch/x86/boot/bzImage"));
}

async function unpackSource(): Promise<string> {
	const source = join(TREE, KERNEL_PACKAGE.name);
	if (existsSync(join(source, "Makefile"))) return source;
	const tree = await debianPackageTree(KERNEL_PACKAGE.name, [KERNEL_PACKAGE]);
	if (tree === undefined) throw new Error(`no package ${KERNEL_PACKAGE.name}`);
	await mkdir(TREE, { recursive: true });
	const archive = join(tree, "usr/src", `${KERNEL_PACKAGE.name}.tar.xz`);
	await run("tar", ["-xf", archive, "-C", TREE]);
	return source;
}

/** Puts our driver where the others are. */
async function addDriver(source: string): Promise<void> {
	const folder = join(source, "drivers/virtio");
	await cp(join(DRIVER, "virtio_lguest.c"), join(folder, "virtio_lguest.c"), {
		preserveTimestamps: true,
	});
	await cp(join(DRIVER, "Kconfig"), join(folder, "Kconfig.lguest"));
	await appendOnce(
		join(folder, "Makefile"),
		"obj-$(CONFIG_VIRTIO_LGUEST) += virtio_lguest.o",
	);
	await appendOnce(
		join(folder, "Kconfig"),
		'source "drivers/virtio/Kconfig.lguest"',
	);
}

async function appendOnce(path: string, line: string): Promise<void> {
	const text = await readFile(path, "utf8");
	if (!text.includes(line)) await writeFile(path, `${text}\n${line}\n`);
}

async function configure(source: string): Promise<void> {
	await make(source, ["allnoconfig"], { KCONFIG_ALLCONFIG: CONFIG });
	const config = await readFile(join(source, ".config"), "utf8");
	const lost = lostOptions(await readFile(CONFIG, "utf8"), config);
	if (lost.length > 0) {
		throw new Error(`kernel.config asks in vain for: ${lost.join(", ")}`);
	}
}

/** Lines of `wanted` that the resulting `config` does not have. */
export function lostOptions(wanted: string, config: string): string[] {
	const have = new Map(options(config));
	return options(wanted)
		.filter(([name, value]) => (have.get(name) ?? "n") !== value)
		.map(([name, value]) => `${name}=${value}`);
}

function options(text: string): [string, string][] {
	return [...text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)].map(
		([, name = "", value = ""]) => [name, value],
	);
}

/** Throws if it fails. */
async function make(
	source: string,
	args: readonly string[],
	environment: Readonly<Record<string, string>> = {},
): Promise<void> {
	const child = spawn("make", ["-s", "ARCH=i386", "-C", source, ...args], {
		stdio: ["ignore", 2, 2],
		env: { ...process.env, ...BUILT_BY, ...environment },
	});
	const status = await new Promise((resolve) => child.once("exit", resolve));
	if (status !== 0) throw new Error(`make ${args.join(" ")}: status ${status}`);
}
