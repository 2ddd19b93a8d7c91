/**
 * A whole Debian 12 for i386 on a disk: debootstrap unpacks it here, and a
 * guest finishes it, because this machine need not be able to run i386 programs.
 * That guest is QEMU's, so that what we test is not made by what we test. The
 * image is kept in the cache; the long boot test and people
 * (`npm run debian-root`) rely on it.
 */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { withLock } from "./debian/lock.ts";
import { CACHE, debianAsset, debianModules } from "./debian.ts";
import { EXIT_MARKER, type ExtraFile, initramfs } from "./initramfs.ts";

const FOLDER = join(CACHE, "root");
const IMAGE = join(FOLDER, "debian-12-i386.img");
const IMAGE_SIZE = "1536M";
const RELEASE = "bookworm";
/** Besides what every Debian has. */
const PACKAGES = [
	...["systemd-sysv", "dbus", "udev", "kmod", "login", "passwd"],
	...["e2fsprogs", "iproute2", "python3"],
];
/** What it takes to reach the disk, whichever bus it is on. */
const MODULES = [
	...["virtio_pci", "virtio_mmio", "virtio_blk", "ext4", "crc32c_generic"],
];

/** In QEMU: the second half of debootstrap, and what a fresh disk needs. */
const FINISH = `sh /lib/modules/load
mount -t ext4 /dev/vda /root || exit 1
for place in proc sys dev; do mount -o bind /$place /root/$place; done
cd /root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
busybox chroot /root /debootstrap/debootstrap --second-stage || exit 1
busybox chroot /root /usr/bin/passwd -d root || exit 1
echo lguest > etc/hostname
echo '/dev/vda / ext4 errors=remount-ro 0 1' > etc/fstab
cd /
export PATH=/bin
for place in proc sys dev; do umount /root/$place; done
umount /root && echo finished
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

/** Builds it on first use, which takes ten minutes; `undefined` where that cannot be done. */
export async function debianRoot(): Promise<DebianRoot | undefined> {
	const kernel = await debianAsset("kernel-686");
	const files = await moduleFiles();
	if (kernel === undefined || files === undefined) return undefined;
	const initrd = await initramfs(files, ENTER);
	if (initrd === undefined) return undefined;
	if (!existsSync(IMAGE)) {
		const missing = missingTools();
		if (missing.length > 0) {
			say(`needs ${missing.join(", ")}`);
			return undefined;
		}
		await mkdir(FOLDER, { recursive: true });
		await withLock(join(FOLDER, "lock"), () => build(kernel, files));
	}
	return { disk: IMAGE, kernel, initrd };
}

function missingTools(): string[] {
	const tools = ["/usr/sbin/debootstrap", "/usr/bin/qemu-system-i386"];
	return tools.filter((path) => !existsSync(path));
}

async function moduleFiles(): Promise<ExtraFile[] | undefined> {
	const modules = await debianModules("kernel-686", MODULES);
	if (modules === undefined) return undefined;
	const files = modules.map(async ({ name, path }) => ({
		path: `lib/modules/${name}.ko`,
		data: await readFile(path),
	}));
	const load = modules.map(({ name }) => `insmod /lib/modules/${name}.ko\n`);
	return [
		...(await Promise.all(files)),
		{ path: "lib/modules/load", data: load.join("") },
	];
}

async function build(
	kernel: string,
	files: readonly ExtraFile[],
): Promise<void> {
	if (existsSync(IMAGE)) return;
	const tree = join(FOLDER, `tree-${process.pid}`);
	const image = `${IMAGE}.new`;
	const packages = join(FOLDER, "packages");
	try {
		await mkdir(packages, { recursive: true });
		say("debootstrap, first half");
		await run("debootstrap", [
			...["--foreign", "--arch=i386", "--variant=minbase"],
			`--cache-dir=${packages}`,
			...[`--include=${PACKAGES.join(",")}`, RELEASE, tree, await mirror()],
		]);
		say("a file system");
		await rm(image, { force: true });
		await run("/sbin/mke2fs", [
			...["-q", "-t", "ext4", "-d", tree, image, IMAGE_SIZE],
		]);
		say("debootstrap, second half, in a guest; that takes minutes");
		const finish = await initramfs([
			...files,
			{ path: "finish", data: FINISH },
		]);
		await runFinish(kernel, finish ?? "", image);
		await run("/sbin/e2fsck", ["-f", "-n", image]);
		await rename(image, IMAGE);
	} finally {
		await rm(tree, { recursive: true, force: true });
	}
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

async function runFinish(
	kernel: string,
	initrd: string,
	image: string,
): Promise<void> {
	const output = await run(
		"qemu-system-i386",
		[
			...["-m", "512", "-nographic", "-no-reboot", "-nic", "none"],
			...["-kernel", kernel, "-initrd", initrd],
			...[
				"-append",
				"console=ttyS0 quiet no_timer_check panic=-1 SCRIPT=/finish",
			],
			...["-drive", `file=${image},if=virtio,format=raw,cache=unsafe`],
		],
		true,
	);
	if (!output.includes(`${EXIT_MARKER} 0`)) {
		throw new Error(`the guest did not finish:\n${output.slice(-2000)}`);
	}
}

/** What it printed, if it succeeded; all of it goes to us, line by line. */
function run(
	program: string,
	args: readonly string[],
	quiet = false,
): Promise<string> {
	return new Promise((resolve, reject) => {
		const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
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
			else reject(new Error(`${program}: ${output.slice(-2000)}`));
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
