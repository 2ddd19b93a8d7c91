/**
 * Every virtio device with its real driver: Debian's kernel and its own modules
 * bind them, over each kind of registers and rings, and what the guest did is
 * compared with what is found outside.
 */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
	mkdir,
	mkdtemp,
	readdir,
	readFile,
	readlink,
	rm,
	symlink,
	writeFile,
} from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { GuestSession } from "./session.ts";
import { PROGRAM, sha256, TEN_MINUTES, virtioBoot } from "./virtio-boot.ts";

/** What such a guest has free when nothing is wrong, and less. */
const LEAST_FREE_KB = 32 * 1024;

const boot = await virtioBoot();

/** Connects to a port in the guest, says all of it, and gives what came back. */
async function exchange(path: string, port: number, said: Uint8Array) {
	const socket = connect({ path, allowHalfOpen: true });
	socket.write(`CONNECT ${port}\n`);
	socket.end(said);
	const chunks: Buffer[] = [];
	for await (const chunk of socket) chunks.push(chunk);
	const all = Buffer.concat(chunks);
	expect(all.toString("latin1", 0, 3)).toBe("OK ");
	return all.subarray(all.indexOf("\n") + 1);
}

/** A day's work in a directory that is ours as well. */
function shareScript(cache: string): string {
	return `mkdir -p /rw && mount -t 9p -o trans=virtio,version=9p2000.L,cache=${cache} rw /rw && cd /rw
		cat noise | sha256sum; cp noise copy && cat copy | sha256sum
		mkdir d many && for i in $(seq 60); do echo $i > many/file$i; done; ls many | wc -l
		echo one > d/a; truncate -s 3 d/a; printf ' two\\n' >> d/a; mv d/a d/b; ln d/b hard; cat hard
		chmod 600 hard; stat -c '%A %h' d/b; ln -s target link; readlink link; rm hard; mv d/b d/file
		printf '#!/bin/sh\\necho run\\n' > program; chmod 755 program; ./program
		rm -r many; rmdir d 2>/dev/null; sync; cd /; umount /rw`;
}

/** MemTotal and MemFree before, within and after; and what the balloon says. */
const BALLOON_SCRIPT = `m() { awk '/MemTotal|MemFree/ { printf "%d ", $2 } END { print "" }' /proc/meminfo; }
	m; printf 32 | vsock connect 5002; m; printf 0 | vsock connect 5002; m`;

/** `interrupts` is how the guest lists those of its disks. */
const VARIANTS = [
	{
		title: "PCI, with packed rings and a message for each queue",
		...{ transport: "pci", packedRings: true, kernelArguments: [] },
		cache: "loose",
		interrupts: /PCI-MSI +\d+-edge +virtio0-req\.0/,
	},
	{
		title: "PCI as before virtio 1.0, with wires",
		...{ transport: "pci-legacy", packedRings: false },
		kernelArguments: ["pci=nomsi"],
		cache: "mmap",
		interrupts: /IO-APIC +\d+-fasteoi +virtio0\b/,
	},
	{
		title: "pages of registers, with split rings",
		...{ transport: "mmio", packedRings: false, kernelArguments: [] },
		cache: "none",
		interrupts: /IO-APIC +\d+-fasteoi +virtio0\b/,
	},
	{
		title: "pages of registers as before virtio 1.0",
		...{ transport: "mmio-legacy", packedRings: false },
		kernelArguments: ["noapic"],
		cache: "mmap",
		interrupts: /XT-PIC +virtio0\b/,
	},
] as const;

for (const variant of VARIANTS) {
	const { title, transport, packedRings, cache } = variant;
	describe.skipIf(boot === undefined)(
		`Debian's virtio drivers over ${title}`,
		() => {
			let scratch: string;
			let session: GuestSession;
			let noise: Buffer;
			let share: string;

			beforeAll(async () => {
				scratch = await mkdtemp(join(tmpdir(), "lguest-virtio-"));
				noise = randomBytes(3 << 20);
				await writeFile(join(scratch, "noise"), noise);
				await writeFile(join(scratch, "copy"), new Uint8Array(4 << 20));
				share = join(scratch, "share");
				await mkdir(share);
				await writeFile(join(share, "noise"), noise);
				await symlink("../copy", join(share, "leak"));
				const ext4 = join(scratch, "ext4");
				execFileSync("/sbin/mke2fs", ["-q", "-t", "ext4", ext4, "16M"]);
				const options = {
					...{ ...boot, transport, packedRings },
					arguments: ["quiet", ...variant.kernelArguments],
					vsockPath: join(scratch, "vsock"),
					shares: { rw: share, ro: share },
					disks: [
						{ path: join(scratch, "noise"), mode: "ro" },
						{ path: join(scratch, "copy"), mode: "rw" },
						{ path: ext4, mode: "rw" },
						{ path: join(scratch, "noise"), mode: "overlay" },
					],
				};
				const command = [process.execPath, PROGRAM, JSON.stringify(options)];
				session = new GuestSession(command);
				await session.shell();
				const loaded = await session.run("sh /lib/modules/load 2>&1");
				expect(loaded).toEqual({ output: "", status: 0 });
			}, TEN_MINUTES);

			afterAll(async () => {
				await session?.close();
				await rm(scratch, { recursive: true, force: true });
			});

			it("binds every device", async () => {
				const { output } = await session.run(
					"cd /sys/bus/virtio/devices; for i in $(seq 0 $(($(ls | wc -l) - 1))); do readlink virtio$i/driver | sed 's,.*/,,'; done; cd /",
				);
				expect(output.trim().split("\n")).toEqual([
					...["virtio_blk", "virtio_blk", "virtio_blk", "virtio_blk"],
					...["virtio_net", "virtio_console", "virtio_rng"],
					...["9pnet_virtio", "9pnet_virtio", "vmw_vsock_virtio_transport"],
					...["virtio_balloon"],
				]);
			});

			it("negotiates what the variant is about", async () => {
				const { output } = await session.run(
					"cat /sys/bus/virtio/devices/virtio0/features",
				);
				// The file is a string of bits, the lowest first.
				expect(output[32]).toBe(transport.endsWith("legacy") ? "0" : "1");
				expect(output[34]).toBe(packedRings ? "1" : "0");
				expect([output[28], output[29]]).toEqual(["1", "1"]);
				const listed = await session.run("cat /proc/interrupts");
				expect(listed.output).toMatch(variant.interrupts);
			});

			it(
				"reads a disk as it is outside, and knows its serial number",
				async () => {
					const { output } = await session.run(
						"sha256sum < /dev/vda; cat /sys/block/vda/serial /sys/block/vdb/serial",
					);
					expect(output).toMatch(new RegExp(`^${sha256(noise)} `));
					expect(output).toMatch(/\ndisk0\n?disk1\n?$/);
				},
				TEN_MINUTES,
			);

			it(
				"writes a disk that outside is the same after sync",
				async () => {
					const written = await session.run(
						"dd if=/dev/vda of=/dev/vdb bs=64k 2>/dev/null && sync",
					);
					expect(written.status).toBe(0);
					const copy = await readFile(join(scratch, "copy"));
					expect(sha256(copy.subarray(0, noise.length))).toBe(sha256(noise));
				},
				TEN_MINUTES,
			);

			it("does not write to a read-only disk", async () => {
				const { output } = await session.run(
					"cat /sys/block/vda/ro; dd if=/dev/zero of=/dev/vda count=1 2>/dev/null; echo $?",
				);
				expect(output).toBe("1\n1\n");
			});

			it("forgets what is written to an overlay", async () => {
				const { output } = await session.run(
					"dd if=/dev/zero of=/dev/vdd bs=1k count=9 conv=fsync 2>/dev/null; head -c 9216 /dev/vdd | tr -d '\\0' | wc -c",
				);
				expect(output.trim()).toBe("0");
				expect(sha256(await readFile(join(scratch, "noise")))).toBe(
					sha256(noise),
				);
			});

			it(
				"fills an ext4 file system that outside is found without a flaw",
				async () => {
					const script = [
						"mkdir -p /m && mount -t ext4 /dev/vdc /m",
						"dd if=/dev/vda of=/m/noise bs=1M 2>/dev/null",
						"for i in 1 2 3 4 5 6 7 8 9; do mkdir /m/d$i; echo $i > /m/d$i/f; done",
						"umount /m && mount -t ext4 -o ro /dev/vdc /m",
						"sha256sum < /m/noise; cat /m/d*/f | tr -d '\\n'; umount /m",
					].join(" && ");
					const { output, status } = await session.run(script);
					expect(status).toBe(0);
					expect(output).toContain(sha256(noise));
					expect(output).toContain("123456789");
					// Throws when it finds anything.
					execFileSync("/sbin/e2fsck", ["-f", "-n", join(scratch, "ext4")]);
				},
				TEN_MINUTES,
			);

			it("gives random bytes, never the same", async () => {
				const { output } = await session.run(
					"cat /sys/class/misc/hw_random/rng_current; for i in 1 2; do head -c 32 /dev/hwrng | sha256sum; done",
				);
				const [name, first, second] = output.split("\n");
				expect(name).toMatch(/^virtio_rng/);
				expect(first).not.toBe(second);
			});

			it("talks over a console port of its own", async () => {
				const { output } = await session.run(
					"p=/dev/$(basename /sys/class/virtio-ports/vport*p1); cat /sys/class/virtio-ports/vport*p1/name; exec 3<>$p; echo hello >&3; head -c 6 <&3; exec 3>&-",
				);
				expect(output).toBe("lguest.shout\nHELLO\n");
			});

			it(
				`works in a shared directory, with cache=${cache}`,
				async () => {
					const { output } = await session.run(shareScript(cache));
					expect(output.split("\n")).toEqual([
						...[`${sha256(noise)}  -`, `${sha256(noise)}  -`],
						...["60", "one two", "-rw------- 2", "target", "run", ""],
					]);
					const copy = await readFile(join(share, "copy"));
					expect(sha256(copy)).toBe(sha256(noise));
					expect((await readdir(share)).sort()).toEqual([
						...["copy", "d", "leak", "link", "noise", "program"],
					]);
					const file = await readFile(join(share, "d/file"), "utf8");
					expect(file).toBe("one two\n");
					expect(await readlink(join(share, "link"))).toBe("target");
				},
				TEN_MINUTES,
			);

			it("changes nothing on a read-only share, and finds no way out of either", async () => {
				const { output } = await session.run(
					"mkdir -p /ro && mount -t 9p -o trans=virtio,version=9p2000.L ro /ro && cd /ro; cat noise | sha256sum; (echo x > new) 2>&1; rm noise 2>&1; cat leak 2>&1; ls .. | grep -c '^init$'; cd /; umount /ro",
				);
				expect(output.split("\n")).toEqual([
					`${sha256(noise)}  -`,
					expect.stringContaining("Read-only file system"),
					expect.stringContaining("Read-only file system"),
					"cat: can't open 'leak': No such file or directory",
					...["1", ""],
				]);
				expect(sha256(await readFile(join(share, "noise")))).toBe(
					sha256(noise),
				);
			});

			it(
				"hears over vsock what it says to somebody outside",
				async () => {
					const { output } = await session.run(
						"vsock cid; cat /dev/vda /dev/vda /dev/vda /dev/vda | vsock connect 5000 | sha256sum; vsock connect 5001 </dev/null 2>&1",
					);
					const twelve = Buffer.concat([noise, noise, noise, noise]);
					expect(output).toBe(
						`42\n${sha256(twelve)}  -\nconnect: Connection reset by peer\n`,
					);
				},
				TEN_MINUTES,
			);

			it(
				"says over vsock what somebody outside has said",
				async () => {
					await session.run("vsock echo 6000 >/dev/null 2>&1 & sleep 1");
					const said = randomBytes(10 << 20);
					const heard = await exchange(join(scratch, "vsock"), 6000, said);
					expect(sha256(heard)).toBe(sha256(said));
				},
				TEN_MINUTES,
			);

			it(
				"does without memory when asked to, and gets it back",
				async () => {
					const { output } = await session.run(BALLOON_SCRIPT);
					const [before, blown, during, back, after] = output
						.trim()
						.split("\n")
						.map((line) => line.split(" ").map(Number));
					const [totalKb = 0, freeKb = 0] = before ?? [];
					const [returned, actual, total, free = 0] = blown ?? [];
					expect([returned, actual]).toEqual([32 << 20, 32 << 20]);
					expect(total).toBe((totalKb - 32 * 1024) * 1024);
					expect(during?.[0]).toBe(totalKb - 32 * 1024);
					// What is free changes from moment to moment, but not by much.
					expect(Math.abs(free / 1024 - (during?.[1] ?? 0))).toBeLessThan(4096);
					expect(freeKb - (during?.[1] ?? 0)).toBeGreaterThan(24 * 1024);
					expect(back?.slice(0, 3)).toEqual([0, 0, totalKb * 1024]);
					expect(after?.[0]).toBe(totalKb);
				},
				TEN_MINUTES,
			);

			it(
				"hints at what it has free, and has it afterwards",
				async () => {
					const free = "awk '/MemFree/ { print $2 }' /proc/meminfo";
					// The driver gives back what it hinted at when it is told that we are done;
					// before that it has nothing to hint at.
					const settled = `for i in $(seq 100); do [ $(${free}) -gt ${LEAST_FREE_KB} ] && break; sleep 0.1; done`;
					// Whole blocks of the largest order, whatever ran before.
					await session.run(
						"echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory",
					);
					const { output } = await session.run(
						`for i in 1 2; do vsock connect 5003 </dev/null; ${settled}; done; ${free}; cat /sys/bus/virtio/drivers/virtio_balloon/virtio*/features`,
					);
					const [first, second, freeKb, features] = output.trim().split("\n");
					// STATS_VQ, FREE_PAGE_HINT and PAGE_REPORTING.
					expect(features).toMatch(/^.1.1.1/);
					for (const line of [first, second]) {
						const [hinted = 0] = line?.split(" ").map(Number) ?? [];
						expect(hinted).toBeGreaterThan(0);
						// Blocks of the kernel's largest order.
						expect(hinted % (4 << 20)).toBe(0);
						expect(hinted).toBeLessThan(128 << 20);
					}
					expect(Number(freeKb)).toBeGreaterThan(LEAST_FREE_KB);
				},
				TEN_MINUTES,
			);

			it("prints on the virtio console", async () => {
				await session.run("echo seen on hvc0 > /dev/hvc0");
				// It comes by another pipe than the answer that the command is done.
				await vi.waitFor(() =>
					expect(session.stderr).toContain("seen on hvc0"),
				);
			});

			it("complains about nothing, and switches off", async () => {
				const { output } = await session.run("dmesg");
				expect(output).not.toMatch(/Call Trace|BUG:|I\/O error, dev vd[bcd]/);
				session.send("poweroff -f\n");
				const { status } = await session.exit();
				expect(status).toBe(0);
			});
		},
		TEN_MINUTES,
	);
}
