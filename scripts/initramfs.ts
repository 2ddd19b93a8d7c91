/**
 * Builds the initial root file system that tests and benchmarks boot: Debian's
 * static i386 busybox, an init script and whatever files the caller adds. Relies
 * on `scripts/initramfs/cpio.ts` and `scripts/debian.ts`; boot tests, benchmarks
 * and people (`node scripts/initramfs.ts OUT`) rely on it.
 *
 * What init does is chosen on the kernel's command line, where `NAME=value`
 * reaches init as its environment:
 *
 * | Word          | Effect                                                     |
 * | ------------- | ---------------------------------------------------------- |
 * | (none)        | mounts /proc, /sys and /dev; a shell on the console, again |
 * |               | and again                                                  |
 * | `MOUNT=dev`   | mounts /dev only                                           |
 * | `SCRIPT=path` | runs `sh path`, prints `@@exit STATUS`, powers off         |
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { moveIntoPlace } from "../src/node/into-place.ts";
import type { KernelModule } from "./debian/modules.ts";
import { CACHE, debianAsset } from "./debian.ts";
import { buildCpio, type CpioEntry } from "./initramfs/cpio.ts";

/** The first thing init prints: user space has been reached. */
export const INIT_MARKER = "@@init";

/** Init prints this and the status when its `SCRIPT` has ended. */
export const EXIT_MARKER = "@@exit";

/** The prompt of the console's shell, chosen to occur nowhere else. */
export const PROMPT = "lguest-guest# ";

/** Names under which the image's busybox can be called. */
export const APPLETS = `[ ash awk base64 basename bunzip2 bzcat cat chmod
	chroot clear cmp cp crc32 cut date dc dd df diff dirname dmesg
	du echo ed egrep env expand expr factor false fgrep find fold free getty
	grep gunzip gzip halt head hexdump hostname id init insmod kill less ln ls
	lsmod lzcat md5sum mkdir mkfifo mknod mktemp modprobe more mount mv nc
	nproc od paste patch ping poweroff printf ps pwd readlink realpath reboot
	reset rev rm rmdir sed seq setsid sh sha1sum sha256sum sha512sum shuf sleep
	sort stat strings stty swapoff sync tac tail tar tee telnetd test time
	timeout top touch tr true truncate tty umount uname uniq unlink unlzma unxz
	uptime usleep vi watch wc which who xargs xxd xz xzcat yes zcat`.split(/\s+/);

const INIT = `#!/bin/sh
echo ${INIT_MARKER}
export PATH=/bin HOME=/root TERM=\${TERM:-vt100} PS1='${PROMPT}'
mount -t devtmpfs dev /dev
if [ "$MOUNT" != dev ]; then
	mount -t proc proc /proc
	mount -t sysfs sys /sys
fi
if [ -n "$SCRIPT" ]; then
	sh "$SCRIPT"
	echo ${EXIT_MARKER} $?
	poweroff -f
fi
# A shell has job control only on a terminal that it controls; /dev/console
# cannot be one, so the session is started on the terminal behind it.
tty=/dev/ttyS0
for word in $(cat /proc/cmdline 2>/dev/null); do
	case $word in console=*) tty=/dev/\${word#console=}; tty=\${tty%%,*} ;; esac
done
while true; do
	setsid sh -c "exec sh -i <$tty >$tty 2>&1"
done
`;

/** A file the caller adds; parent directories are made as needed. */
export interface ExtraFile {
	readonly path: string;
	readonly data: Uint8Array | string;
	readonly executable?: boolean;
}

/**
 * Kernel modules, dependencies first, as `debianModules` gives them, and
 * `/lib/modules/load`, a script that loads them in that order and stops at the
 * first that will not.
 */
export async function moduleFiles(
	modules: readonly KernelModule[],
): Promise<ExtraFile[]> {
	const files = modules.map(async ({ name, path }) => ({
		path: `lib/modules/${name}.ko`,
		data: await readFile(path),
	}));
	const load = modules.map(({ name }) => `insmod /lib/modules/${name}.ko\n`);
	return [
		...(await Promise.all(files)),
		{ path: "lib/modules/load", data: `set -e\n${load.join("")}` },
	];
}

/** The archive's bytes for a given busybox; pure, hence reproducible. */
export function buildInitramfs(
	busybox: Uint8Array,
	files: readonly ExtraFile[] = [],
	init: string = INIT,
): Uint8Array {
	const extra = [
		{ path: "init", data: init, executable: true },
		{ path: "bin/busybox", data: busybox, executable: true },
		...files,
	].sort((a, b) => (a.path < b.path ? -1 : 1));
	return buildCpio([
		...directoriesFor(extra.map((file) => file.path)),
		consoleDevice(),
		...APPLETS.map(applet),
		...extra.map(fileEntry),
	]);
}

/** The kernel opens /dev/console for init before anything can be mounted. */
function consoleDevice(): CpioEntry {
	return {
		kind: "character device",
		path: "dev/console",
		mode: 0o600,
		major: 5,
		minor: 1,
	};
}

function applet(name: string): CpioEntry {
	return { kind: "link", path: `bin/${name}`, target: "busybox" };
}

function fileEntry(file: ExtraFile): CpioEntry {
	const data =
		typeof file.data === "string"
			? new TextEncoder().encode(file.data)
			: file.data;
	const mode = file.executable ? 0o755 : 0o644;
	return { kind: "file", path: file.path, mode, data };
}

function directoriesFor(paths: readonly string[]): CpioEntry[] {
	const all = new Set(["bin", "dev", "etc", "proc", "root", "sys", "tmp"]);
	for (const path of paths) {
		let parent = posix.dirname(path);
		while (parent !== ".") {
			all.add(parent);
			parent = posix.dirname(parent);
		}
	}
	return [...all].sort().map((path) => {
		return { kind: "directory", path, mode: 0o755 } as const;
	});
}

/**
 * The path of an image with Debian's busybox, `files` and an `init` (the one
 * above unless given), built once per content. `undefined` where `debianAsset` cannot provide busybox.
 */
export async function initramfs(
	files: readonly ExtraFile[] = [],
	init: string = INIT,
): Promise<string | undefined> {
	const busybox = await debianAsset("busybox-i386");
	if (busybox === undefined) return undefined;
	const image = buildInitramfs(await readFile(busybox), files, init);
	const digest = createHash("sha256").update(image).digest("hex").slice(0, 16);
	const path = join(CACHE, "initramfs", `${digest}.cpio`);
	if (existsSync(path)) return path;
	await mkdir(dirname(path), { recursive: true });
	await writeFile(`${path}.${process.pid}`, image);
	await moveIntoPlace(`${path}.${process.pid}`, path);
	return path;
}

async function main(args: readonly string[]): Promise<number> {
	const [out] = args;
	const busybox = await debianAsset("busybox-i386");
	if (out === undefined || busybox === undefined) {
		process.stderr.write("usage: node scripts/initramfs.ts OUTPUT.cpio\n");
		return 2;
	}
	await writeFile(out, buildInitramfs(await readFile(busybox)));
	return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	process.exitCode = await main(process.argv.slice(2));
}
