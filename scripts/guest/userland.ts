/**
 * The default guest's initial root file system: busybox, a shell, an editor
 * and the tools for ext4 from Debian's packages, two small programs of our own
 * (`guests/default/*.c`) and the files of `guests/default/rootfs/`. The same
 * inputs are the same archive, byte for byte.
 *
 * `scripts/guest-build.ts` relies on it.
 */

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import type { PackageName } from "../debian/apt.ts";
import { debianPackageTree } from "../debian.ts";
import { FREESTANDING, guestProgram } from "../guest-program.ts";
import { buildCpio, type CpioEntry } from "../initramfs/cpio.ts";
import { projectRoot } from "../sources.ts";

const ROOTFS = join(projectRoot, "guests/default/rootfs");
const LIBRARIES = "lib/i386-linux-gnu";

/** What is taken from each package: the file there, and its place in the guest. */
const PACKAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
	"busybox-static": { "bin/busybox": "bin/busybox" },
	bash: { "bin/bash": "bin/bash" },
	nano: { "bin/nano": "bin/nano" },
	libc6: {
		[`${LIBRARIES}/ld-linux.so.2`]: "lib/ld-linux.so.2",
		...library("libc.so.6"),
	},
	// UTF-8 is a locale like any other, and comes in files.
	"libc-bin": Object.fromEntries(
		[
			...["LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION"],
			...["LC_MEASUREMENT", "LC_MESSAGES/SYS_LC_MESSAGES", "LC_MONETARY"],
			...["LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"],
		].map((name) => [
			`usr/lib/locale/C.utf8/${name}`,
			`lib/locale/C.utf8/${name}`,
		]),
	),
	libtinfo6: library("libtinfo.so.6"),
	libncursesw6: library("libncursesw.so.6"),
	e2fsprogs: {
		"sbin/mke2fs": "sbin/mke2fs",
		"sbin/e2fsck": "sbin/e2fsck",
		"etc/mke2fs.conf": "etc/mke2fs.conf",
	},
	libext2fs2: { ...library("libext2fs.so.2"), ...library("libe2p.so.2") },
	"libcom-err2": library("libcom_err.so.2"),
	libblkid1: library("libblkid.so.1", `usr/${LIBRARIES}`),
	libuuid1: library("libuuid.so.1", `usr/${LIBRARIES}`),
	"ncurses-base": Object.fromEntries(
		[
			...["a/ansi", "d/dumb", "l/linux", "r/rxvt-unicode-256color"],
			...["s/screen", "s/screen-256color", "t/tmux", "t/tmux-256color"],
			...["v/vt100", "v/vt102", "v/vt220", "x/xterm", "x/xterm-256color"],
			...["x/xterm-color", "x/xterm-mono"],
		].map((name) => [`lib/terminfo/${name}`, `lib/terminfo/${name}`]),
	),
};

const LINKS: Readonly<Record<string, string>> = {
	"sbin/mkfs.ext4": "mke2fs",
	"sbin/fsck.ext4": "e2fsck",
	"usr/bin": "../bin",
	"usr/sbin": "../sbin",
	"usr/lib": "../lib",
	"var/run": "../run",
	"var/tmp": "../tmp",
	"etc/mtab": "../proc/self/mounts",
};

const DIRECTORIES = [
	...["dev", "home", "home/guest", "mnt", "proc", "root", "run", "sys", "tmp"],
	...["usr/local/bin", "usr/local/sbin", "var/log"],
];

function library(name: string, from = LIBRARIES): Record<string, string> {
	return { [`${from}/${name}`]: `lib/${name}` };
}

/** The packages it is made of, as apt knows them. */
export const USERLAND_PACKAGES: readonly PackageName[] = Object.keys(
	PACKAGES,
).map((name) => ({
	name,
	architecture: name === "ncurses-base" ? "all" : "i386",
}));

/** The archive, not compressed; `undefined` where Debian or a compiler is not to be had. */
export async function buildUserland(): Promise<Uint8Array | undefined> {
	const names = Object.keys(PACKAGES).join();
	const digest = createHash("sha256").update(names).digest("hex").slice(0, 8);
	const tree = await debianPackageTree(
		`default-guest-${digest}`,
		USERLAND_PACKAGES,
	);
	const init = await guestProgram("default/init.c", FREESTANDING);
	const agent = await guestProgram("default/agent.c", FREESTANDING);
	if (tree === undefined || init === undefined || agent === undefined) {
		return undefined;
	}
	const files = new Map<string, CpioEntry>();
	const add = async (from: string, path: string) => {
		files.set(path, await fileEntry(from, path));
	};
	for (const places of Object.values(PACKAGES)) {
		for (const [from, to] of Object.entries(places)) {
			await add(join(tree, from), to);
		}
	}
	for (const path of await rootfsFiles()) await add(join(ROOTFS, path), path);
	await add(init, "init");
	await add(agent, "sbin/agent");
	const busybox = await readFile(join(tree, "bin/busybox"));
	return buildCpio(arrange([...files.values()], applets(busybox)));
}

/** The archive's files that are Debian's, by their places in the guest. */
export const DEBIAN_FILES: readonly string[] = Object.values(PACKAGES).flatMap(
	(places) => Object.values(places),
);

/** Paths of the files that are not Debian's, relative to `rootfs/`. */
export async function rootfsFiles(): Promise<string[]> {
	const entries = await readdir(ROOTFS, { recursive: true });
	const paths: string[] = [];
	for (const path of entries.sort()) {
		if ((await stat(join(ROOTFS, path))).isFile()) paths.push(path);
	}
	return paths;
}

async function fileEntry(from: string, path: string): Promise<CpioEntry> {
	const data = await readFile(from);
	const isSecret = basename(path) === "shadow";
	return { kind: "file", path, mode: isSecret ? 0o600 : modeOf(data), data };
}

/** Programs, scripts and libraries are executable. */
function modeOf(data: Buffer): number {
	const start = data.subarray(0, 4).toString("latin1");
	const isProgram = start === "\x7fELF" || start.startsWith("#!");
	return isProgram ? 0o755 : 0o644;
}

/** Everything in an order that has directories before what is in them. */
function arrange(
	files: readonly CpioEntry[],
	appletNames: readonly string[],
): CpioEntry[] {
	const taken = new Set(files.map(({ path }) => path));
	const links = [
		...Object.entries(LINKS),
		...appletNames.map((name) => [`bin/${name}`, "busybox"] as const),
	]
		.filter(([path]) => !taken.has(path))
		.map(([path, target]) => ({ kind: "link", path, target }) as const);
	const paths = [...files, ...links].map(({ path }) => path);
	return [
		...directoriesFor(paths),
		{
			...({ kind: "character device", path: "dev/console" } as const),
			...{ mode: 0o600, major: 5, minor: 1 },
		},
		...files,
		...links,
	];
}

function directoriesFor(paths: readonly string[]): CpioEntry[] {
	const all = new Set(DIRECTORIES);
	for (const path of [...paths, ...DIRECTORIES]) {
		for (let at = posix.dirname(path); at !== "."; at = posix.dirname(at)) {
			all.add(at);
		}
	}
	return [...all].sort().map((path) => {
		const mode = path === "root" ? 0o700 : path === "tmp" ? 0o1777 : 0o755;
		return { kind: "directory", path, mode } as const;
	});
}

/** Busybox's own list of what it can be called, which it holds as one text. */
function applets(busybox: Buffer): string[] {
	const start = busybox.indexOf("[\0[[\0");
	const end = busybox.indexOf("\0\0", start);
	if (start < 0) throw new Error("busybox without a list of applets");
	return busybox.subarray(start, end).toString("latin1").split("\0");
}
