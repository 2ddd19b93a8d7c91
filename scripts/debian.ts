/**
 * Fetches the unmodified Debian kernels, busybox and installer that the boot
 * tests and benchmarks run, by way of the machine's own apt, and keeps them in
 * a cache (`.cache/debian`, or `$LGUEST_CACHE`). Tests and benchmarks rely on
 * `debianAsset`; people run `npm run debian`. A machine without apt gets a
 * sentence that says what is skipped and why; with `CI` set nothing may be
 * skipped, so the same situation is an error.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { moveIntoPlace } from "../src/node/into-place.ts";
import { Apt, extractMembers, hasApt, type PackageName } from "./debian/apt.ts";
import { withLock } from "./debian/lock.ts";
import { type KernelModule, unpackModules } from "./debian/modules.ts";

interface AssetSource {
	/** The package, or the metapackage whose first dependency it is. */
	readonly package: string;
	readonly meta?: boolean;
	readonly architecture: "i386" | "amd64" | "all";
	/** What to unpack; one package's assets are unpacked together. */
	readonly member: string;
	readonly about: string;
}

const INSTALLER_IMAGES =
	"./usr/lib/debian-installer/images/12/i386/text/debian-installer/i386";

const SOURCES = {
	"kernel-686": {
		package: "linux-image-686",
		meta: true,
		architecture: "i386",
		member: "./boot/vmlinuz-*",
		about: "Debian's i386 kernel, two-level paging",
	},
	"config-686": {
		package: "linux-image-686",
		meta: true,
		architecture: "i386",
		member: "./boot/config-*",
		about: "its configuration",
	},
	"kernel-686-pae": {
		package: "linux-image-686-pae",
		meta: true,
		architecture: "i386",
		member: "./boot/vmlinuz-*",
		about: "Debian's i386 kernel, PAE paging",
	},
	"kernel-amd64": {
		package: "linux-image-amd64",
		meta: true,
		architecture: "amd64",
		member: "./boot/vmlinuz-*",
		about: "Debian's amd64 kernel",
	},
	"busybox-i386": {
		package: "busybox-static",
		architecture: "i386",
		member: "./bin/busybox",
		about: "static i386 busybox: the test userland",
	},
	"installer-kernel-i386": {
		package: "debian-installer-12-netboot-i386",
		architecture: "all",
		member: `${INSTALLER_IMAGES}/linux`,
		about: "the netboot installer's kernel",
	},
	"installer-initrd-i386": {
		package: "debian-installer-12-netboot-i386",
		architecture: "all",
		member: `${INSTALLER_IMAGES}/initrd.gz`,
		about: "the netboot installer's initrd",
	},
	seabios: {
		package: "seabios",
		architecture: "all",
		member: "./usr/share/seabios/bios.bin",
		about: "PC firmware, which v86 needs and we do not (bench)",
	},
	"seabios-vga": {
		package: "seabios",
		architecture: "all",
		member: "./usr/share/seabios/vgabios-stdvga.bin",
		about: "its display part (bench)",
	},
} as const satisfies Record<string, AssetSource>;

/** A file that `debianAsset` can deliver. */
export type DebianAsset = keyof typeof SOURCES;

/** Every asset's name, in the order they are fetched. */
export const DEBIAN_ASSETS = Object.keys(SOURCES) as DebianAsset[];

/** What tests call: the package and a file that proves it installed. */
const TEST_TOOLS: Readonly<Record<string, string>> = {
	gcc: "/usr/bin/gcc",
	"gcc-multilib": "/usr/lib/gcc/x86_64-linux-gnu/*/32/libgcc.a",
	"libc6-dev": "/usr/include/stdio.h",
	binutils: "/usr/bin/objdump",
	"acpica-tools": "/usr/bin/iasl",
	e2fsprogs: "/sbin/mke2fs",
	"qemu-utils": "/usr/bin/qemu-img",
	"qemu-user": "/usr/bin/qemu-i386",
	bsdutils: "/usr/bin/script",
	tmux: "/usr/bin/tmux",
	cpio: "/usr/bin/cpio",
	make: "/usr/bin/make",
	chromium: "/usr/bin/chromium",
	"firefox-esr": "/usr/bin/firefox-esr",
};

/** What benchmarks call besides. */
const BENCH_TOOLS: Readonly<Record<string, string>> = {
	"qemu-system-x86": "/usr/bin/qemu-system-i386",
	"xz-utils": "/usr/bin/xz",
	bzip2: "/usr/bin/bzip2",
};

const run = promisify(execFile);
const PROJECT = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Where packages and their unpacked files are kept. */
export const CACHE = resolve(
	process.env.LGUEST_CACHE ?? join(PROJECT, ".cache/debian"),
);

function say(line: string): void {
	process.stderr.write(`debian: ${line}\n`);
}

/**
 * The asset's path, fetching it on first use. `undefined` (with the reason on
 * stderr) where this machine cannot provide it; under `CI` that is an error,
 * because there a skipped test would pass for a green one.
 */
export async function debianAsset(
	name: DebianAsset,
): Promise<string | undefined> {
	const ready = await cachedAsset(name);
	return ready ?? (await unlessUnavailable(name, () => fetchAsset(name)));
}

/** Fetches with nobody else at it, or says why it cannot be. */
async function unlessUnavailable(
	name: string,
	fetch: () => Promise<string>,
): Promise<string | undefined> {
	try {
		if (!(await hasApt())) {
			throw new Error("this system has no apt-get, apt-cache and dpkg-deb");
		}
		await mkdir(CACHE, { recursive: true });
		return await withLock(join(CACHE, "lock"), fetch);
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		if (process.env.CI) throw new Error(`${name} is unavailable: ${reason}`);
		say(`skipping ${name}: ${reason.split("\n")[0]}`);
		return undefined;
	}
}

async function fetchAsset(name: DebianAsset): Promise<string> {
	const meanwhile = await cachedAsset(name);
	if (meanwhile !== undefined) return meanwhile;
	const source: AssetSource = SOURCES[name];
	const deb = await fetchPackage(source);
	await unpackAssets(source, deb);
	const path = await cachedAsset(name);
	if (path === undefined) {
		throw new Error(`${basename(deb)} holds no ${source.member}`);
	}
	return path;
}

/** The package's file, downloaded unless it is there. */
async function fetchPackage(source: AssetSource): Promise<string> {
	const apt = new Apt(join(CACHE, "apt"), say);
	const named: PackageName = {
		name: source.package,
		architecture: source.architecture,
	};
	const target = source.meta ? await apt.firstDependency(named) : named;
	return await apt.download(target, join(CACHE, "packages"));
}

/**
 * Modules of a kernel that `debianAsset` delivers, with all they depend on, in
 * the order for `insmod`; `undefined` where the kernel is not to be had.
 */
export async function debianModules(
	kernel: "kernel-686" | "kernel-686-pae",
	wanted: readonly string[],
): Promise<KernelModule[] | undefined> {
	if ((await debianAsset(kernel)) === undefined) return undefined;
	const source: AssetSource = SOURCES[kernel];
	return await withLock(join(CACHE, "lock"), async () =>
		unpackModules(
			await fetchPackage(source),
			wanted,
			join(packageDirectory(source), "modules"),
		),
	);
}

/**
 * Packages unpacked together into a directory of the cache named `name`, which
 * is the value; `undefined`, like `debianAsset`, where they are not to be had.
 */
export async function debianPackageTree(
	name: string,
	packages: readonly PackageName[],
): Promise<string | undefined> {
	const root = join(CACHE, "trees", name);
	if (existsSync(root)) return root;
	return await unlessUnavailable(name, async () => {
		if (existsSync(root)) return root;
		const staging = `${root}.new`;
		await rm(staging, { recursive: true, force: true });
		for (const one of packages) {
			const apt = new Apt(join(CACHE, "apt"), say);
			const deb = await apt.download(one, join(CACHE, "packages"));
			say(`unpacking ${basename(deb)}`);
			await mkdir(staging, { recursive: true });
			await run("dpkg-deb", ["-x", deb, staging]);
		}
		await moveTreeIntoPlace(staging, root);
		return root;
	});
}

/** The files that `debianPackageTree` unpacked for these packages, by name. */
export async function debianPackageFiles(
	packages: readonly PackageName[],
): Promise<string[]> {
	const files = await readdir(join(CACHE, "packages"));
	return packages.map(({ name }) => {
		const file = files.find((one) => one.startsWith(`${name}_`));
		if (file === undefined) throw new Error(`no package file of ${name}`);
		return file;
	});
}

/** Unpacks every asset of the package at once: decompression is the cost. */
async function unpackAssets(source: AssetSource, deb: string): Promise<void> {
	const siblings = Object.values<AssetSource>(SOURCES).filter(
		(other) => other.package === source.package,
	);
	say(`unpacking ${basename(deb)}`);
	const into = packageDirectory(source);
	await extractMembers(
		deb,
		siblings.map((other) => other.member),
		into,
	);
	const mark = join(into, ".from");
	await writeFile(`${mark}.new`, `${basename(deb)}\n`);
	await flushTree(into);
	await moveIntoPlace(`${mark}.new`, mark);
}

/** A whole folder; its name lasts only if all that is in it does. */
export async function moveTreeIntoPlace(
	fresh: string,
	path: string,
): Promise<void> {
	await flushTree(fresh);
	await moveIntoPlace(fresh, path);
}

/** One by one, the thousands of files of some packages take too long. */
async function flushTree(folder: string): Promise<void> {
	await run("sync", ["--file-system", folder]);
}

function packageDirectory(source: AssetSource): string {
	return join(CACHE, source.package);
}

/** Complete only when the `.from` mark, written last, is there. */
async function cachedAsset(name: DebianAsset): Promise<string | undefined> {
	const source: AssetSource = SOURCES[name];
	const root = packageDirectory(source);
	if (!existsSync(join(root, ".from"))) return undefined;
	return await findMember(root, source.member);
}

async function findMember(
	root: string,
	member: string,
): Promise<string | undefined> {
	const directory = join(root, dirname(member));
	const prefix = basename(member).replace(/\*$/, "");
	const exact = !member.endsWith("*");
	if (!existsSync(directory)) return undefined;
	const file = (await readdir(directory)).find((candidate) =>
		exact ? candidate === prefix : candidate.startsWith(prefix),
	);
	return file === undefined ? undefined : join(directory, file);
}

/** The package file an asset was unpacked from, for reports: name and version. */
export async function debianAssetOrigin(
	name: DebianAsset,
): Promise<string | undefined> {
	const mark = join(packageDirectory(SOURCES[name]), ".from");
	if (!existsSync(mark)) return undefined;
	return (await readFile(mark, "utf8")).trim();
}

/**
 * Installs missing tools with apt when we may, else says what is missing; true
 * when everything is there.
 */
export async function installTools(
	purpose: "test" | "bench",
): Promise<boolean> {
	const missing: string[] = [];
	const bench = purpose === "bench" ? BENCH_TOOLS : {};
	for (const [name, file] of Object.entries({ ...TEST_TOOLS, ...bench })) {
		if (!(await anyFile(file))) missing.push(name);
	}
	if (missing.length === 0) return true;
	const command = `apt-get install -y ${missing.join(" ")}`;
	if (!(await hasApt()) || process.getuid?.() !== 0) {
		say(`missing tools; as root run: ${command}`);
		if (process.env.CI) throw new Error(`missing tools: ${missing.join(" ")}`);
		return false;
	}
	say(command);
	await aptInstall(missing);
	return true;
}

async function aptInstall(packages: readonly string[]): Promise<void> {
	const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
	const install = [
		...["-q", "-y", "-o", "DPkg::Lock::Timeout=120"],
		...["install", "--no-install-recommends", ...packages],
	];
	try {
		await run("apt-get", install, { env, maxBuffer: 1 << 26 });
	} catch {
		await run("apt-get", ["-q", "update"], { env }).catch(() => {
			say("apt-get update was incomplete; going on with the lists we have");
		});
		await run("apt-get", install, { env, maxBuffer: 1 << 26 });
	}
}

/** Whether a path exists, where one `*` may stand for one directory. */
async function anyFile(pattern: string): Promise<boolean> {
	const [before, after] = pattern.split("*");
	if (before === undefined || after === undefined) return existsSync(pattern);
	if (!existsSync(before)) return false;
	const names = await readdir(before);
	return names.some((name) => existsSync(`${before}${name}${after}`));
}

const USAGE = `usage: node scripts/debian.ts [--list] [--tools] [--bench] [ASSET...]
Fetches the Debian files that tests use and installs the tools that tests call.
--bench   what benchmarks need as well
--tools   the tools only
--list    names the files
`;

/** Files that only benchmarks use. */
const BENCH_ASSETS: readonly DebianAsset[] = ["seabios", "seabios-vga"];

function wantedAssets(args: readonly string[]): readonly DebianAsset[] {
	const named = args.filter((arg) => !arg.startsWith("--"));
	if (named.length > 0) return named as DebianAsset[];
	if (args.includes("--tools")) return [];
	if (args.includes("--bench")) return DEBIAN_ASSETS;
	return DEBIAN_ASSETS.filter((name) => !BENCH_ASSETS.includes(name));
}

function isKnownArgument(arg: string): boolean {
	const options = ["--list", "--tools", "--bench", "--help"];
	return [...options, ...DEBIAN_ASSETS].includes(arg);
}

async function main(args: readonly string[]): Promise<number> {
	const unknown = args.find((arg) => !isKnownArgument(arg));
	if (unknown !== undefined || args.includes("--help")) {
		if (unknown !== undefined) say(`unknown argument "${unknown}"`);
		process.stderr.write(USAGE);
		return unknown === undefined ? 0 : 2;
	}
	if (args.includes("--list")) {
		for (const name of DEBIAN_ASSETS) {
			process.stdout.write(`${name.padEnd(24)}${SOURCES[name].about}\n`);
		}
		return 0;
	}
	return (await provide(args)) ? 0 : 1;
}

async function provide(args: readonly string[]): Promise<boolean> {
	let complete = true;
	if (args.every((arg) => arg.startsWith("--"))) {
		complete = await installTools(args.includes("--bench") ? "bench" : "test");
	}
	for (const name of wantedAssets(args)) {
		const path = await debianAsset(name);
		if (path === undefined) complete = false;
		else process.stdout.write(`${name}\t${relative(process.cwd(), path)}\n`);
	}
	return complete;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	process.exitCode = await main(process.argv.slice(2));
}
