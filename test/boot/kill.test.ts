/**
 * A guest whose process is killed while it writes. It says what it has synced,
 * on a raw disk and on a qcow2 one; all of that is there afterwards, both file
 * systems are in order once their journals are replayed, and QEMU's tools find
 * nothing wrong with the image but clusters that leaked.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { debianAsset, debianModules } from "../../scripts/debian.ts";
import { initramfs, moduleFiles } from "../../scripts/initramfs.ts";
import { judge, tool } from "../storage/image-files.ts";
import { CLI } from "./engines.ts";
import { GuestSession } from "./session.ts";

const MODULES = [
	...["virtio_pci", "virtio_mmio", "virtio_blk", "ext4", "crc32c_generic"],
];
const HALF_AN_HOUR = 1_800_000;
/** Rounds that the guest has synced when it is killed, at least. */
const ROUNDS = 8;

/** In each round a file on either disk, whose contents follow from the round. */
const WRITER = `mkdir -p /a /b
mount -t ext4 /dev/vda /a && mount -t ext4 /dev/vdb /b || exit 1
round=0
while true; do
	round=$((round + 1))
	for disk in a b; do seq $round $((round + 9000)) > /$disk/f$round; done
	sync
	echo @@synced $round
done
`;

const kernel = await debianAsset("kernel-686");
const modules = await debianModules("kernel-686", MODULES);

async function writerInitrd(): Promise<string | undefined> {
	return initramfs([
		...(await moduleFiles(modules ?? [])),
		{ path: "write", data: `sh /lib/modules/load\n${WRITER}` },
	]);
}

function contentsOfRound(round: number): string {
	const lines = Array.from({ length: 9001 }, (_, i) => `${round + i}\n`);
	return lines.join("");
}

/** Replays the journal; whatever else needs repair is a failure. */
function repair(image: string): void {
	try {
		execFileSync("/sbin/e2fsck", ["-p", image], { stdio: "pipe" });
	} catch (error) {
		// Status 1: something was corrected, and -p corrects only the harmless.
		if ((error as { status: number }).status !== 1) throw error;
	}
	execFileSync("/sbin/e2fsck", ["-f", "-n", image], { stdio: "pipe" });
}

describe.skipIf(kernel === undefined || modules === undefined)(
	"a guest that is killed while it writes",
	() => {
		it(
			"loses nothing that it has synced, on raw disks and on qcow2",
			async () => {
				const scratch = await mkdtemp(join(tmpdir(), "lguest-kill-"));
				const raw = join(scratch, "raw.img");
				const qcow2 = join(scratch, "image.qcow2");
				tool("/sbin/mke2fs", "-q", "-t", "ext4", raw, "48M");
				tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2);
				const session = new GuestSession([
					...[process.execPath, CLI, "run", "--memory", "128M"],
					...["--disk", raw, "--disk", qcow2],
					...["--initrd", (await writerInitrd()) ?? "", kernel ?? ""],
					...["--", "quiet", "SCRIPT=/write"],
				]);
				try {
					await session.waitFor(new RegExp(`@@synced ${ROUNDS}\\s`));
					session.signal("SIGKILL");
					await session.exit();
				} finally {
					await session.close();
				}
				const rounds = session.transcript.match(/@@synced \d+\s/g)?.length ?? 0;
				expect(rounds).toBeGreaterThanOrEqual(ROUNDS);
				expect(judge(qcow2).errors).toBe(0);
				const copy = join(scratch, "copy.img");
				tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, copy);
				for (const image of [raw, copy]) {
					repair(image);
					for (let round = 1; round <= rounds; round++) {
						const found = tool("debugfs", "-R", `cat /f${round}`, image);
						expect(found === contentsOfRound(round)).toBe(true);
					}
				}
				await rm(scratch, { recursive: true, force: true });
			},
			HALF_AN_HOUR,
		);
	},
);
