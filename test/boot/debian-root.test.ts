/**
 * A whole Debian 12 under systemd, installed by debootstrap: it boots to a
 * login prompt, somebody logs in and works, and it shuts down cleanly. It needs
 * the image that `npm run debian-root` builds, which takes minutes: where that
 * has not been run, nothing is tested here.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { builtDebianRoot } from "../../scripts/debian-root.ts";
import { PROMPT } from "../../scripts/initramfs.ts";
import { CLI } from "./engines.ts";
import { GuestSession } from "./session.ts";

const TWENTY_MINUTES = 1_200_000;
/** In two parts, so that the terminal's echo is not taken for the prompt. */
const QUOTED_PROMPT = `'${PROMPT.slice(0, 6)}''${PROMPT.slice(6)}'`;

const root = await builtDebianRoot();
if (root === undefined) {
	process.stderr.write(
		"skipping Debian under systemd: there is no image; npm run debian-root builds it\n",
	);
}

/** A copy of the image that the guest may write to. */
function copyOf(disk: string, format: string, folder: string): string {
	const copy = join(folder, `disk.${format}`);
	execFileSync("qemu-img", [
		...["convert", "-f", "raw", "-O", format, disk, copy],
	]);
	return copy;
}

/** Throws if the file system on the image is not as a clean shutdown leaves it. */
function checkFileSystem(image: string, format: string): void {
	const raw = format === "raw" ? image : `${image}.raw`;
	if (raw !== image) {
		execFileSync("qemu-img", ["check", "-q", image]);
		execFileSync("qemu-img", ["convert", "-O", "raw", image, raw]);
	}
	const state = execFileSync("/sbin/dumpe2fs", ["-h", raw], {
		encoding: "utf8",
		stdio: "pipe",
	});
	expect(state).toMatch(/^Filesystem state: +clean$/m);
	expect(state).not.toContain("needs_recovery");
	execFileSync("/sbin/e2fsck", ["-f", "-n", raw], { stdio: "pipe" });
}

describe.skipIf(root === undefined)("Debian 12 under systemd", () => {
	for (const format of ["raw", "qcow2"]) {
		it(
			`lets somebody log in and work, and shuts down, on a ${format} disk`,
			async () => {
				const folder = await mkdtemp(join(tmpdir(), "lguest-debian-"));
				const { disk = "", kernel = "", initrd = "" } = root ?? {};
				const image = copyOf(disk, format, folder);
				const session = new GuestSession([
					...[process.execPath, CLI, "run", "--memory", "256M", "--rng"],
					...["--disk", image, "--initrd", initrd, kernel],
				]);
				try {
					await session.waitFor("lguest login: ");
					session.send("root\n");
					await session.waitFor("root@lguest:~# ");
					session.send(`exec env PS1=${QUOTED_PROMPT} sh\n`);
					await session.shell();
					const { output } = await session.run(
						"ps -o comm= 1 2>/dev/null || cat /proc/1/comm; apt-get --version | head -n 1; python3 -c 'print(sum(range(1000)), 2.0 ** 0.5)'; echo written > /root/note",
					);
					expect(output.split("\n")).toEqual([
						"systemd",
						expect.stringMatching(/^apt 2\.6\.\d+ \(i386\)$/),
						"499500 1.4142135623730951",
						"",
					]);
					const failed = await session.run("systemctl --failed --no-legend");
					expect(failed.output).toBe("");
					session.send("systemctl poweroff\n");
					expect((await session.exit()).status).toBe(0);
					checkFileSystem(image, format);
				} finally {
					await session.close();
					await rm(folder, { recursive: true, force: true });
				}
			},
			TWENTY_MINUTES,
		);
	}
});
