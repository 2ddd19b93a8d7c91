/**
 * `lguest run` with disks, a network and a source of entropy: what Debian's
 * drivers find there, over a reboot, and what is left of it afterwards.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CLI } from "./engines.ts";
import { GuestSession } from "./session.ts";
import { sha256, TEN_MINUTES, virtioBoot } from "./virtio-boot.ts";

const boot = await virtioBoot();

describe.skipIf(boot === undefined)("lguest run --disk --net --rng", () => {
	it(
		"keeps what disks hold over a reboot, and an overlay can be committed",
		async () => {
			const scratch = await mkdtemp(join(tmpdir(), "lguest-virtio-"));
			const base = join(scratch, "base");
			const changes = join(scratch, "changes");
			const mine = join(scratch, "mine");
			execFileSync("/sbin/mke2fs", ["-q", "-t", "ext4", base, "16M"]);
			execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", mine, "1M"]);
			const before = sha256(await readFile(base));
			const session = new GuestSession([
				...[process.execPath, CLI, "run", "--memory", "128M", "--rng"],
				...["--disk", `${base},overlay=${changes}`],
				...["--disk", `${mine},format=qcow2,serial=mine`],
				...["--net", `switch:test-${process.pid},mac=02:00:00:00:00:07`],
				...["--initrd", boot?.initrd ?? "", boot?.kernel ?? "", "--", "quiet"],
			]);
			try {
				const sums: string[] = [];
				for (const round of ["first", "second"]) {
					await session.shell();
					await session.run("sh /lib/modules/load");
					const { output } = await session.run(
						"cat /sys/class/net/eth0/address /sys/block/vdb/serial; head -c 4 /dev/vdb | tr -d '\\0'; head -c 1 /dev/hwrng | wc -c",
					);
					const kept = round === "first" ? "" : "kept";
					expect(output).toMatch(
						new RegExp(`^02:00:00:00:00:07\\nmine\\n?${kept}1\\n$`),
					);
					await session.run("printf kept | dd of=/dev/vdb conv=fsync");
					await session.run("mkdir -p /m && mount -t ext4 /dev/vda /m");
					if (round === "first") {
						await session.run("head -c 3000000 /dev/urandom > /m/file; sync");
					}
					const sum = await session.run("sha256sum < /m/file");
					sums.push(sum.output.slice(0, 64));
					// Mounted as it is: the journal has to bring it back.
					if (round === "first") session.send("reboot -f\n");
				}
				expect(sums[0]).toMatch(/^[0-9a-f]{64}$/);
				expect(sums[1]).toBe(sums[0]);
				await session.run("umount /m");
				session.send("poweroff -f\n");
				expect((await session.exit()).status).toBe(0);
				expect(sha256(await readFile(base))).toBe(before);
				const commit = ["disk", "commit", `${changes},format=qcow2`];
				execFileSync(process.execPath, [CLI, ...commit]);
				execFileSync("/sbin/e2fsck", ["-f", "-n", base], { stdio: "pipe" });
				const file = execFileSync("/sbin/debugfs", ["-R", "cat /file", base], {
					stdio: "pipe",
					maxBuffer: 1 << 24,
				});
				expect(sha256(file)).toBe(sums[0]);
			} finally {
				await session.close();
				await rm(scratch, { recursive: true, force: true });
			}
		},
		TEN_MINUTES,
	);
});
