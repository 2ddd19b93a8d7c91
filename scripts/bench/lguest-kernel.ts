/**
 * `npm run bench -- --lguest KERNEL`: a kernel that was made for lguest, from
 * the classic command line to its init, and 100,000 turns of a loop in its
 * shell. Beside it QEMU's TCG, by which the original lguest can be compared: it
 * ran in a kernel that QEMU ran. Such a kernel is the caller's own. Relies on
 * Debian's busybox and kernel, and on the session driver of the boot tests;
 * `scripts/bench.ts` relies on it.
 */

import { existsSync } from "node:fs";
import { commandFor, PROGRAM_COMMAND } from "../../test/boot/engines.ts";
import { GuestSession, SessionError } from "../../test/boot/session.ts";
import { debianAsset } from "../debian.ts";
import { INIT_MARKER, initramfs } from "../initramfs.ts";
import { type BenchEngine, driverName, type Sample } from "./measure.ts";
import { UsageError } from "./options.ts";
import { NO_SCRIPT, type Workload } from "./workloads.ts";

const TURNS = 100_000;
const SCRIPT = `i=0; while [ $i -lt ${TURNS} ]; do i=$((i+1)); done`;
const MEMORY_MIB = 64;
const PATIENCE = { idleSeconds: 120, totalSeconds: 300 };

const INIT = {
	name: "lguest-init",
	about: "from the command line to init",
	...NO_SCRIPT,
} as const;
const FIRST_TURNS = {
	name: "lguest-turns",
	about: `${TURNS} turns of a shell's loop, in a guest that has just started`,
	...NO_SCRIPT,
} as const;
const MORE_TURNS = {
	name: "lguest-more-turns",
	about: "the same once more",
	...NO_SCRIPT,
} as const;
export const LGUEST_WORKLOADS: readonly Workload[] = [
	...[INIT, FIRST_TURNS, MORE_TURNS],
];

/** One guest, from its start to its last turn; QEMU's kernel is another, so its start says nothing here. */
export async function measureLguest(
	engine: BenchEngine,
	kernel: string,
): Promise<Sample[]> {
	const samples: Sample[] = [];
	const add = ({ name }: Workload, value: number) =>
		samples.push({ engine, workload: name, value, output: "" });
	const began = performance.now();
	const session = new GuestSession(await commandOf(engine, kernel));
	try {
		await session.waitFor(INIT_MARKER, PATIENCE);
		if (engine === "ours") add(INIT, (performance.now() - began) / 1000);
		await session.shell(PATIENCE);
		for (const workload of [FIRST_TURNS, MORE_TURNS]) {
			add(workload, (await session.timed(SCRIPT, PATIENCE)).seconds);
		}
		return samples;
	} catch (error) {
		if (!(error instanceof SessionError)) throw error;
		return [{ engine, workload: INIT.name, failure: error.message }];
	} finally {
		await session.close();
	}
}

async function commandOf(
	engine: BenchEngine,
	kernel: string,
): Promise<string[]> {
	if (!existsSync(kernel)) {
		throw new UsageError(`there is no kernel ${kernel}`);
	}
	const initrd = await initramfs([]);
	const debian = await debianAsset("kernel-686");
	if (initrd === undefined || debian === undefined) {
		throw new UsageError("the benchmark needs Debian's kernel and busybox");
	}
	if (engine === "ours") {
		const options = [`--initrd=${initrd}`, String(MEMORY_MIB), kernel];
		// Init looks for its terminal on the kernel's command line.
		return [...PROGRAM_COMMAND, ...options, "console=hvc0"];
	}
	return commandFor(driverName(engine), {
		kernel: debian,
		initrd,
		arguments: [],
		memoryMiB: 4 * MEMORY_MIB,
	});
}
