/**
 * `npm run bench -- --block`: the same disk behind each engine's best
 * controller, which is virtio but for v86, who has IDE. Each guest reads and
 * writes a disk of its own past its page cache. Relies on the guest program in
 * `guests/block`; `scripts/bench.ts` relies on it.
 */

import { randomFillSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { moveIntoPlace } from "../../src/node/into-place.ts";
import { CACHE, debianModules } from "../debian.ts";
import { guestProgram } from "../guest-program.ts";
import { initramfs, moduleFiles } from "../initramfs.ts";
import type { Workload } from "./workloads.ts";

const MODULES = ["virtio_pci", "virtio_blk", "ata_piix", "sd_mod"];
const DISK_BYTES = 64 << 20;

/** Each finds its disk under the one name it has. */
const SETUP =
	"until disk=$(ls /dev/[sv]da 2>/dev/null); do usleep 100000; done";

function workload(name: string, about: string, full: number): Workload {
	const small = Math.ceil(full / 8);
	const script = `./block ${name} $disk $N`;
	return { name: `block-${name}`, about, setup: SETUP, script, full, small };
}

/** In the order in which a session runs them: what is written is not read before. */
export const BLOCK_WORKLOADS: readonly Workload[] = [
	workload("random", "4 KiB from anywhere, one at a time", 32_000),
	workload("read", "requests of 1 MiB in order", 16_384),
	workload("write", "requests of 1 MiB in order, and a flush", 16_384),
];

/** What a guest boots for it, and the disk that each gets a copy of. */
export interface BlockImage {
	readonly initrd: string;
	readonly disk: string;
}

/** `undefined` where Debian's packages or a compiler are not to be had. */
export async function buildBlockImage(): Promise<BlockImage | undefined> {
	const modules = await debianModules("kernel-686", MODULES);
	const program = await guestProgram("block/block.c");
	if (modules === undefined || program === undefined) return undefined;
	const data = await readFile(program);
	const initrd = await initramfs([
		...(await moduleFiles(modules)),
		{ path: "bench/block", data, executable: true },
	]);
	return initrd === undefined ? undefined : { initrd, disk: await noise() };
}

/** The contents, the same for all runs. */
async function noise(): Promise<string> {
	const path = join(CACHE, "bench", "noise.img");
	if (existsSync(path)) return path;
	await mkdir(join(CACHE, "bench"), { recursive: true });
	await writeFile(`${path}.new`, randomFillSync(new Uint8Array(DISK_BYTES)));
	await moveIntoPlace(`${path}.new`, path);
	return path;
}
