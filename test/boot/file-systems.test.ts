/**
 * Disks as they are lived with: Debian's kernel and its own virtio driver make
 * an ext4 file system, fill it, check it, and find it again after a reboot, over
 * every transport; and a file of a gigabyte is the same outside. The tools are
 * Debian's, out of the default guest. Relies on `virtio-guest.ts`.
 */

import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { debianAsset, debianModules } from "../../scripts/debian.ts";
import { readCpioFiles } from "../../scripts/initramfs/cpio.ts";
import { initramfs, moduleFiles } from "../../scripts/initramfs.ts";
import { projectRoot } from "../../scripts/sources.ts";
import { GuestSession } from "./session.ts";

const TEN_MINUTES = 600_000;
const PROGRAM = fileURLToPath(new URL("virtio-guest.ts", import.meta.url));
const MODULES = [
	...["virtio_pci", "virtio_mmio", "virtio_blk"],
	...["ext4", "crc32c_generic"],
];
const MIB = 2 ** 20;
const NOISE_BYTES = 3 * MIB;
const BIG_BYTES = 1024 * MIB;

const kernel = await debianAsset("kernel-686");
const modules = await debianModules("kernel-686", MODULES);
const initrd = await initramfs([
	...(await moduleFiles(modules ?? [])),
	...(await fileSystemTools()),
]);
const available =
	kernel !== undefined && modules !== undefined && initrd !== undefined;

/** mke2fs and e2fsck with their libraries. */
async function fileSystemTools() {
	const archive = join(projectRoot, "guests/default/initramfs.cpio.gz");
	const files = readCpioFiles(gunzipSync(await readFile(archive)));
	return [...files]
		.filter(([path]) => /^(lib\/[^/]+|sbin\/(mke2fs|e2fsck))$/.test(path))
		.map(([path, data]) => ({ path, data, executable: true }));
}

const sha256 = (bytes: Uint8Array) =>
	createHash("sha256").update(bytes).digest("hex");

/** A guest with a disk of noise, /dev/vda, and an empty one, /dev/vdb. */
interface DiskGuest {
	readonly session: GuestSession;
	readonly noise: Uint8Array;
	/** Path of the second one's file. */
	readonly disk: string;
	close(): Promise<void>;
}

async function startGuest(
	transport: string,
	diskBytes: number,
): Promise<DiskGuest> {
	const folder = await mkdtemp(join(tmpdir(), "lguest-file-systems-"));
	const noise = randomBytes(NOISE_BYTES);
	const disk = join(folder, "disk");
	await writeFile(join(folder, "noise"), noise);
	await writeFile(disk, "");
	await truncate(disk, diskBytes);
	const options = {
		...{ kernel, initrd, transport, packedRings: false },
		arguments: ["quiet"],
		disks: [
			{ path: join(folder, "noise"), mode: "ro" },
			{ path: disk, mode: "rw" },
		],
	};
	const command = [process.execPath, PROGRAM, JSON.stringify(options)];
	const session = new GuestSession(command);
	const close = async () => {
		await session.close();
		await rm(folder, { recursive: true, force: true });
	};
	return { session, noise, disk, close };
}

/** The shell, and the modules behind it. */
async function enter(session: GuestSession): Promise<void> {
	await session.shell();
	const loaded = await session.run("sh /lib/modules/load 2>&1; mkdir -p /m");
	expect(loaded).toEqual({ output: "", status: 0 });
}

async function leave(session: GuestSession): Promise<void> {
	session.send("poweroff -f\n");
	expect((await session.exit()).status).toBe(0);
}

const MAKE = "/sbin/mke2fs -q -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /m";
const FILL = `cat /dev/vda > /m/noise &&
	for i in $(seq 40); do mkdir /m/d$i; echo $i > /m/d$i/f; done; rm -r /m/d7`;
const CHECK = "umount /m && /sbin/e2fsck -f -n /dev/vdb";
const LOOK = `mount -t ext4 /dev/vdb /m && sha256sum < /m/noise &&
	ls /m | wc -l && cat /m/d40/f && rm /m/d1/f && umount /m`;

const TRANSPORTS = ["pci", "pci-legacy", "mmio", "mmio-legacy"];

describe.skipIf(!available)("ext4 on a virtio disk", () => {
	it.each(TRANSPORTS)(
		"is made, filled, checked, and there after a reboot, over %s",
		async (transport) => {
			const { session, noise, disk, close } = await startGuest(
				...([transport, 64 * MIB] as const),
			);
			try {
				await enter(session);
				const script = [MAKE, FILL, CHECK].join(" && ");
				const made = await session.run(`{ ${script}; } 2>&1`);
				expect(made.status, made.output).toBe(0);
				session.send("reboot -f\n");
				await enter(session);
				// lost+found, the noise, and 39 folders.
				expect(await session.run(LOOK)).toEqual({
					output: `${sha256(noise)}  -\n41\n40\n`,
					status: 0,
				});
				const checked = await session.run("/sbin/e2fsck -f -n /dev/vdb 2>&1");
				expect(checked.status, checked.output).toBe(0);
				await leave(session);
				// Throws when it finds anything.
				execFileSync("/sbin/e2fsck", ["-f", "-n", disk]);
			} finally {
				await close();
			}
		},
		TEN_MINUTES,
	);

	it(
		"holds a file of a gigabyte that outside is the same",
		async () => {
			const { session, noise, disk, close } = await startGuest(
				...(["pci", BIG_BYTES + 512 * MIB] as const),
			);
			try {
				await enter(session);
				const copies = Math.ceil(BIG_BYTES / NOISE_BYTES);
				const write = `cat /dev/vda > /tmp/noise &&
					for i in $(seq ${copies}); do cat /tmp/noise >> /m/big; done &&
					truncate -s ${BIG_BYTES} /m/big && sync && umount /m`;
				const written = await session.run(`${MAKE} && ${write}`);
				expect(written).toEqual({ output: "", status: 0 });
				expect(await digestOnImage(disk, "/big")).toBe(digestOfCopies(noise));
				await leave(session);
			} finally {
				await close();
			}
		},
		TEN_MINUTES,
	);
});

/** Of a file in an ext4 image, as e2fsprogs read it. */
async function digestOnImage(image: string, path: string): Promise<string> {
	const reader = spawn("/sbin/debugfs", ["-R", `cat ${path}`, image], {
		stdio: ["ignore", "pipe", "ignore"],
	});
	const hash = createHash("sha256");
	for await (const chunk of reader.stdout) hash.update(chunk);
	return hash.digest("hex");
}

/** Of the noise, again and again, up to the size of the file. */
function digestOfCopies(noise: Uint8Array): string {
	const hash = createHash("sha256");
	for (let left = BIG_BYTES; left > 0; left -= noise.length) {
		hash.update(noise.subarray(0, left));
	}
	return hash.digest("hex");
}
