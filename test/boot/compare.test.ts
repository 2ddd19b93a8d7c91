/**
 * Debian's kernel to its shell with everything that compiled code does done
 * once more by the interpreter: a difference would end the process with its
 * description. `LGUEST_LONG=1` also runs the scripted session that way.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import { initramfs } from "../../scripts/initramfs.ts";
import { GuestSession } from "./session.ts";
import { USERLAND_CASES } from "./userland-script.ts";

const HALF_AN_HOUR = 1_800_000;
const LONG = process.env.LGUEST_LONG === "1";
/** Of the stays in regions that a boot has; so many are not skipped by mistake. */
const STAYS = 1_000_000;

const initrd = await initramfs();

for (const name of LONG
	? (["kernel-686", "kernel-686-pae"] as const)
	: (["kernel-686"] as const)) {
	const kernel = await debianAsset(name);
	describe.skipIf(kernel === undefined || initrd === undefined)(
		`the engines, compared after every region, boot Debian's ${name}`,
		() => {
			it("to a shell and off again without a difference", {
				timeout: HALF_AN_HOUR,
			}, async () => {
				const scratch = await mkdtemp(join(tmpdir(), "lguest-compare-"));
				const statsFile = join(scratch, "stats.json");
				const session = GuestSession.boot("lguest", {
					...{ kernel: kernel ?? "", initrd: initrd ?? "", statsFile },
					arguments: ["MOUNT=dev"],
					options: ["--engine", "compare"],
				});
				await session.shell();
				expect((await session.run("echo here")).output).toBe("here\n");
				for (const { script } of LONG ? USERLAND_CASES : []) {
					await session.run(`cd /tmp; ${script}`);
				}
				session.send("poweroff -f\n");
				expect(await session.exit()).toEqual({ status: 0, stderr: "" });
				const stats = JSON.parse(await readFile(statsFile, "utf8"));
				expect(stats.regionsCompared).toBe(stats.regionEntries);
				expect(stats.regionsCompared).toBeGreaterThan(STAYS);
				await rm(scratch, { recursive: true, force: true });
			});
		},
	);
}
