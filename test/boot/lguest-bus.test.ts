/**
 * Debian's stock kernel on lguest's descriptor page: with our driver in the
 * initramfs it mounts its root from a disk there, and has its console, its
 * network and its randomness from there. Nothing else is on the machine: the
 * session below speaks through the virtio console from beginning to end.
 */

import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { debianAsset, debianModules } from "../../scripts/debian.ts";
import { lguestModule } from "../../scripts/guest-module.ts";
import { initramfs, moduleFiles, PROMPT } from "../../scripts/initramfs.ts";
import { GuestSession } from "./session.ts";

const TEN_MINUTES = 600_000;
const PROGRAM = fileURLToPath(new URL("virtio-guest.ts", import.meta.url));
/** Our driver stands where Debian has its transports. */
const BEFORE = ["virtio", "virtio_ring"];
const BEHIND = [
	...["virtio_console", "virtio_blk", "virtio_rng", "virtio_net"],
	...["ext4", "crc32c_generic"],
];

/** Loads the modules and moves into the disk. */
const SWITCH = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
sh /lib/modules/load
mount -t ext4 /dev/vda /root
exec switch_root /root /init
`;

const ROOT_INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='${PROMPT}'
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
while true; do
	setsid sh -c "exec sh -i </dev/hvc0 >/dev/hvc0 2>&1"
done
`;

const kernel = await debianAsset("kernel-686");
const busybox = await debianAsset("busybox-i386");
const ours = await lguestModule();
const before = await debianModules("kernel-686", BEFORE);
const behind = await debianModules("kernel-686", BEHIND);
const initrd = await makeInitramfs();

async function makeInitramfs(): Promise<string | undefined> {
	if (ours === undefined || !before || !behind) return undefined;
	const known = new Set(before.map(({ name }) => name));
	const rest = behind.filter(({ name }) => !known.has(name));
	const all = [...before, ours, ...rest];
	return await initramfs([
		...(await moduleFiles(all)),
		{ path: "switch", data: SWITCH, executable: true },
	]);
}

async function makeRoot(scratch: string): Promise<string> {
	const tree = join(scratch, "root");
	for (const name of ["bin", "dev", "proc", "sys"]) {
		await mkdir(join(tree, name), { recursive: true });
	}
	await cp(busybox ?? "", join(tree, "bin/busybox"));
	await writeFile(join(tree, "init"), ROOT_INIT, { mode: 0o755 });
	const image = join(scratch, "ext4");
	const args = ["-q", "-t", "ext4", "-d", tree, image, "16M"];
	execFileSync("/sbin/mke2fs", args);
	return image;
}

for (const transport of ["lguest", "lguest-legacy"]) {
	const title = `Debian's kernel on the descriptor page (${transport})`;
	describe.skipIf(initrd === undefined)(title, () => {
		it(
			"has its root, its console, its network and its randomness from there",
			async () => {
				const scratch = await mkdtemp(join(tmpdir(), "lguest-bus-"));
				const root = await makeRoot(scratch);
				const options = {
					...{ kernel, initrd, transport, packedRings: true },
					arguments: ["quiet", "rdinit=/switch"],
					disks: [{ path: root, mode: "rw" }],
					...{ console: "hvc0", network: "echo" },
				};
				const session = new GuestSession([
					...[process.execPath, PROGRAM, JSON.stringify(options)],
				]);
				try {
					// Silent until there is a console, which is late.
					await session.shell({ idleSeconds: 900 });
					const devices = await session.run(
						"cd /sys/devices/platform/lguest; for d in virtio*; do [ -e $d/driver ] && basename $(readlink $d/driver); done; cut -c 33 virtio0/features; cd /",
					);
					expect(devices.output.trim().split("\n")).toEqual([
						...["virtio_blk", "virtio_net", "virtio_console", "virtio_rng"],
						transport === "lguest" ? "1" : "0",
					]);
					const mounts = await session.run("mount | grep ' on / '; tty");
					expect(mounts.output).toMatch(/^\/dev\/(root|vda) on \/ type ext4/);
					expect(mounts.output).toContain("/dev/hvc0");
					const network = await session.run(
						"ifconfig eth0 10.0.0.1 up; ifconfig eth0",
					);
					expect(network.output).toContain("02:00:00:00:00:01");
					// The first may be lost to the question who has the address.
					const ping = await session.run(
						"ping -c 1 -W 9 10.0.0.9 >/dev/null; ping -c 3 -i 0.2 10.0.0.9",
					);
					expect(ping.output).toContain("3 packets received, 0% packet loss");
					const random = await session.run(
						"cat /sys/class/misc/hw_random/rng_current; for i in 1 2; do head -c 32 /dev/hwrng | sha256sum; done",
					);
					const [name, first, second] = random.output.split("\n");
					expect(name).toMatch(/^virtio_rng/);
					expect(first).not.toBe(second);
					const log = await session.run("echo kept > /kept; sync; dmesg");
					expect(log.output).not.toMatch(/Call Trace|BUG:|I\/O error/);
					session.send("poweroff -f\n");
					expect((await session.exit()).status).toBe(0);
					const cat = ["-R", "cat /kept", root];
					const kept = execFileSync("/sbin/debugfs", cat, { stdio: "pipe" });
					expect(kept.toString()).toBe("kept\n");
				} finally {
					await session.close();
					await rm(scratch, { recursive: true, force: true });
				}
			},
			TEN_MINUTES,
		);
	});
}
