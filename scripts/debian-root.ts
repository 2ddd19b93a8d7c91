/**
 * A whole Debian 12 for i386 on a disk: debootstrap unpacks it here, and
 * QEMU's user emulation finishes it, because this machine need not be able to
 * run i386 programs. So nothing of it is made by what we test. The emulation is
 * registered in a user namespace of its own and nowhere else: tests that ask
 * the machine's processor must not be answered by QEMU. Linux lets a user
 * namespace have a list of its own since 6.7. The image is kept in the cache;
 * the boot test and people (`npm run debian-root`) rely on it.
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { moveIntoPlace } from "../src/node/into-place.ts";
import { withLock } from "./debian/lock.ts";
import { CACHE, debianAsset, debianModules } from "./debian.ts";
import { initramfs, moduleFiles } from "./initramfs.ts";

const FOLDER = join(CACHE, "root");
const IMAGE = join(FOLDER, "debian-12-i386.img");
const IMAGE_SIZE = "1536M";
const RELEASE = "bookworm";
/** Besides what every Debian has. */
const PACKAGES = [
	...["systemd-sysv", "dbus", "udev", "kmod", "login", "passwd"],
	...["e2fsprogs", "iproute2", "python3-minimal"],
];
/** What it takes to reach the disk, whichever bus it is on. */
const MODULES = [
	...["virtio_pci", "virtio_mmio", "virtio_blk", "ext4", "crc32c_generic"],
];
/** What builds it: the package and its program. */
const TOOLS: Readonly<Record<string, string>> = {
	debootstrap: "/usr/sbin/debootstrap",
	"qemu-user-static": "/usr/bin/qemu-i386-static",
	e2fsprogs: "/sbin/mke2fs",
	"util-linux": "/usr/bin/unshare",
};

/**
 * An ELF file of 32 bits for a 386 (its machine is the 19th byte), whatever its
 * system; the program to run it is opened at once (F), outside the tree.
 */
const EMULATION = [
	...["", "i386", "M", ""],
	String.raw`\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00`,
	String.raw`\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`,
	...["/usr/bin/qemu-i386-static", "POCF"],
].join(":");

/**
 * In namespaces of its own, when its users have been mapped: debootstrap's
 * second half in the tree at $1. It is told that it is in a container, for
 * there it makes no device files, which it could not.
 */
const FINISH = `set -e
echo ready; read go
mount -t binfmt_misc binfmt /proc/sys/fs/binfmt_misc
printf '%s' "$2" > /proc/sys/fs/binfmt_misc/register
rm -rf "$1/proc"; mkdir "$1/proc"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
exec chroot "$1" /usr/bin/env -i container=lxc HOME=/root LANG=C.UTF-8 \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
	/debootstrap/debootstrap --second-stage
`;

/** From the initial RAM disk to the system on the disk. */
const ENTER = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
sh /lib/modules/load
mount -t ext4 -o ro /dev/vda /root || exec sh
umount /proc /sys
exec busybox switch_root /root /sbin/init
`;

function say(line: string): void {
	process.stderr.write(`debian-root: ${line}\n`);
}

/** What a boot of the system needs: its disk is a raw image, not to be written to. */
export interface DebianRoot {
	readonly disk: string;
	readonly kernel: string;
	readonly initrd: string;
}

/** The system, if it has been built. */
export async function builtDebianRoot(): Promise<DebianRoot | undefined> {
	if (!existsSync(IMAGE)) return undefined;
	const kernel = await debianAsset("kernel-686");
	const modules = await debianModules("kernel-686", MODULES);
	if (kernel === undefined || modules === undefined) return undefined;
	const initrd = await initramfs(await moduleFiles(modules), ENTER);
	return initrd === undefined ? undefined : { disk: IMAGE, kernel, initrd };
}

/** Builds it on first use, which takes minutes; `undefined` where that cannot be done. */
async function debianRoot(): Promise<DebianRoot | undefined> {
	if (!existsSync(IMAGE)) {
		const missing = Object.keys(TOOLS).filter(
			(name) => !existsSync(TOOLS[name] ?? ""),
		);
		if (missing.length > 0) {
			say(`as root run: apt-get install -y ${missing.join(" ")}`);
			return undefined;
		}
		if (!hasOwnFormats(release())) {
			say(
				`user namespaces have binary formats of their own since Linux 6.7, and this is ${release()}`,
			);
			return undefined;
		}
		if (process.getuid?.() !== 0) {
			say("debootstrap makes device files, and must be run by root");
			return undefined;
		}
		await mkdir(FOLDER, { recursive: true });
		await withLock(join(FOLDER, "lock"), build);
	}
	return builtDebianRoot();
}

/** By its release, as `uname -r` says it: Linux 6.7 mounts binfmt_misc in any user namespace. */
export function hasOwnFormats(kernel: string): boolean {
	const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
	return major > 6 || (major === 6 && minor >= 7);
}

async function build(): Promise<void> {
	if (existsSync(IMAGE)) return;
	const tree = join(FOLDER, `tree-${process.pid}`);
	const image = `${IMAGE}.new`;
	try {
		say("debootstrap, first half");
		await run("debootstrap", [
			...["--foreign", "--arch=i386", "--variant=minbase"],
			...[`--include=${PACKAGES.join(",")}`, RELEASE, tree, await mirror()],
		]);
		say("debootstrap, second half, emulated; that takes minutes");
		await finish(tree);
		await furnish(tree);
		say("a file system");
		await rm(image, { force: true });
		await run("/sbin/mke2fs", [
			...["-q", "-t", "ext4", "-d", tree, image, IMAGE_SIZE],
		]);
		await run("/sbin/e2fsck", ["-f", "-n", image]);
		await moveIntoPlace(image, IMAGE);
	} finally {
		await rm(tree, { recursive: true, force: true });
	}
}

/** The second half, as root of namespaces in which all users are those out here. */
async function finish(tree: string): Promise<void> {
	const namespaces = ["--user", "--mount", "--pid", "--fork"];
	const child = spawn("unshare", [
		...namespaces,
		...["sh", "-c", FINISH, "sh", tree, EMULATION],
	]);
	const mapUsers = async () => {
		await once(child.stdout, "data");
		const map = "0 0 65536\n";
		await writeFile(`/proc/${child.pid}/uid_map`, map);
		await writeFile(`/proc/${child.pid}/gid_map`, map);
		child.stdin.end("go\n");
	};
	await Promise.all([listen(child, false), mapUsers()]);
}

/** What an installer would ask about: no password for root, a name, a disk. */
async function furnish(tree: string): Promise<void> {
	const shadow = join(tree, "etc/shadow");
	const accounts = await readFile(shadow, "utf8");
	await writeFile(shadow, accounts.replace(/^root:[^:]*:/m, "root::"));
	await writeFile(join(tree, "etc/hostname"), "lguest\n");
	await writeFile(
		join(tree, "etc/fstab"),
		"/dev/vda / ext4 errors=remount-ro 0 1\n",
	);
	await rm(join(tree, "var/cache/apt/archives"), {
		recursive: true,
		force: true,
	});
}

/** Where this machine's own apt gets its packages from. */
async function mirror(): Promise<string> {
	const format = ["--format", "$(RELEASE) $(REPO_URI)"];
	const lines = await run("apt-get", ["indextargets", ...format], true);
	const line = lines.split("\n").find((one) => one.startsWith(`${RELEASE} `));
	const address = line?.split(" ")[1];
	if (address === undefined) throw new Error(`apt knows no ${RELEASE}`);
	return address;
}

function run(
	program: string,
	args: readonly string[],
	quiet = false,
): Promise<string> {
	const child = spawn(program, args);
	child.stdin.end();
	return listen(child, quiet);
}

/** What it printed, if it succeeds; all of it goes to us, line by line. */
function listen(
	child: ChildProcessWithoutNullStreams,
	quiet: boolean,
): Promise<string> {
	return new Promise((resolve, reject) => {
		let output = "";
		for (const stream of [child.stdout, child.stderr]) {
			createInterface({ input: stream }).on("line", (line) => {
				output += `${line}\n`;
				if (!quiet || process.env.LGUEST_DEBUG === "1") say(line);
			});
		}
		child.once("error", reject);
		child.once("close", (status) => {
			if (status === 0) resolve(output);
			else {
				const command = child.spawnargs.slice(0, 2).join(" ");
				reject(new Error(`${command}: ${output.slice(-2000)}`));
			}
		});
	});
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const root = await debianRoot();
	if (root === undefined) process.exitCode = 1;
	else {
		const { disk, kernel, initrd } = root;
		process.stdout.write(
			`lguest run --memory 512M --initrd ${initrd} --disk ${disk},overlay ${kernel}\n`,
		);
	}
}
