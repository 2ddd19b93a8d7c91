/**
 * The default guest, as `lguest run` boots it: on every transport, with what a
 * person at its prompt expects, and silent when nobody is there.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROMPT } from "../../scripts/initramfs.ts";
import { CLI } from "./engines.ts";
import { GuestSession } from "./session.ts";

const FIVE_MINUTES = 300_000;
const FIRST_PROMPT = "root@lguest:~# ";

function boot(...args: string[]): GuestSession {
	return new GuestSession([process.execPath, CLI, "run", ...args]);
}

/** Waits for the login and makes it fit for a program. */
async function logIn(session: GuestSession): Promise<void> {
	await session.waitFor(FIRST_PROMPT);
	session.send(`PS1='${PROMPT.slice(0, 6)}''${PROMPT.slice(6)}'\n`);
	await session.shell();
}

describe(
	"the default guest",
	() => {
		let scratch: string;
		let session: GuestSession;
		const stats = () => join(scratch, "stats");

		beforeAll(async () => {
			scratch = await mkdtemp(join(tmpdir(), "lguest-default-"));
			const disk = join(scratch, "disk");
			await writeFile(disk, new Uint8Array(16 << 20));
			session = boot("--rng", "--disk", disk, "--stats", stats());
			await logIn(session);
		}, FIVE_MINUTES);

		afterAll(async () => {
			await session?.close();
			await rm(scratch, { recursive: true, force: true });
		});

		it("welcomes on the virtio console", async () => {
			expect(session.transcript).toMatch(/^Welcome to Linux on lguest/);
			const { output } = await session.run(
				"tty; hostname; id -un; echo $SHELL",
			);
			expect(output).toBe("/dev/hvc0\nlguest\nroot\n/bin/bash\n");
		});

		it("has its devices on the descriptor page, and no driver is missing", async () => {
			const { output } = await session.run(
				"cd /sys/devices/platform/lguest; for d in virtio*; do basename $(readlink $d/driver); done; cd",
			);
			expect(output.trim().split("\n")).toEqual([
				...["virtio_blk", "virtio_console", "virtio_rng"],
			]);
		});

		it("mounts what programs expect", async () => {
			const { output } = await session.run("cut -d ' ' -f 2,3 /proc/mounts");
			for (const mount of [
				...["/dev devtmpfs", "/proc proc", "/sys sysfs", "/dev/pts devpts"],
				...["/dev/shm tmpfs", "/tmp tmpfs", "/run tmpfs"],
			]) {
				expect(output.split("\n")).toContain(mount);
			}
		});

		it("counts characters and not bytes", async () => {
			const { output } = await session.run(
				`word=$(printf "\\303\\244\\342\\235\\244"); echo \${#word}`,
			);
			expect(output).toBe("2\n");
		});

		it("has job control and a clock", async () => {
			const { output } = await session.run(
				"set -m; sleep 100 & jobs; kill %1; wait; [ $(date +%Y) -ge 2024 ] && sleep 0.01 && echo slept",
			);
			expect(output).toContain("Running");
			expect(output).toContain("slept");
		});

		it("makes and fills an ext4 file system that outside has no flaw", async () => {
			const { output, status } = await session.run(
				"mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && cp /bin/bash /mnt && sha256sum </mnt/bash && sha256sum </bin/bash && umount /mnt",
			);
			expect(status).toBe(0);
			const [there, here] = output.trim().split("\n");
			expect(there).toBe(here);
			execFileSync("/sbin/e2fsck", ["-f", "-n", join(scratch, "disk")], {
				stdio: "ignore",
			});
		});

		it("unmounts, powers off and has slept in between", async () => {
			await session.run("mount /dev/vda /mnt && echo last >/mnt/last");
			session.send("poweroff\n");
			expect((await session.exit()).status).toBe(0);
			const disk = join(scratch, "disk");
			const cat = ["-R", "cat /last", disk];
			const last = execFileSync("/sbin/debugfs", cat, { stdio: "pipe" });
			expect(last.toString()).toBe("last\n");
			const { exits } = JSON.parse(await readFile(stats(), "utf8"));
			expect(exits.halt).toBeGreaterThan(0);
		});
	},
	FIVE_MINUTES,
);

describe("the default guest's kernel", () => {
	for (const transport of [
		...["lguest-legacy", "pci", "pci-legacy", "mmio", "mmio-legacy"],
	]) {
		it(
			`has its console over ${transport}, restarts, and ends with its shell`,
			async () => {
				const session = boot("--transport", transport);
				try {
					await session.waitFor(FIRST_PROMPT);
					session.send("reboot\n");
					await session.waitFor("Welcome");
					await session.waitFor(FIRST_PROMPT);
					session.send("exit\n");
					expect((await session.exit()).status).toBe(0);
				} finally {
					await session.close();
				}
			},
			FIVE_MINUTES,
		);
	}
});
