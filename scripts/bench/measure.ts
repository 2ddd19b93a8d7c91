/**
 * Takes one engine through one round: boots a fresh guest, times the boot, runs
 * every workload in that session and compares each result. One engine runs at a
 * time, so no idle guest disturbs another's measurement. Relies on the session
 * driver of the boot tests; `scripts/bench.ts` relies on it.
 */

import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineName } from "../../test/boot/engines.ts";
import { nativeSession } from "../../test/boot/native-userland.ts";
import {
	GuestSession,
	type Patience,
	SessionError,
} from "../../test/boot/session.ts";
import { EXIT_MARKER, INIT_MARKER } from "../initramfs.ts";
import { type BenchImage, GUEST_DIRECTORY } from "./guest-image.ts";
import {
	BOOT,
	RATE,
	type Scale,
	scriptAt,
	type Workload,
} from "./workloads.ts";

/** What can be compared; `native` is the machine itself. */
export const ENGINES = [
	"ours",
	"ours-cold",
	"ours-overlay",
	"ours-web",
	"v86",
	"v86-interpreter",
	"qemu",
	"native",
] as const;

/** One of `ENGINES`. */
export type BenchEngine = (typeof ENGINES)[number];

const DRIVER_NAME: Readonly<Record<string, EngineName>> = {
	ours: "lguest",
	"ours-cold": "lguest-cold",
	"ours-overlay": "lguest",
	"ours-web": "lguest-web",
	v86: "v86",
	"v86-interpreter": "v86-interpreter",
	qemu: "qemu",
};

/** What every session of a run has in common. */
export interface Plan {
	readonly kernel: string;
	readonly image: Pick<BenchImage, "initrd"> & Partial<BenchImage>;
	/** An image that each session gets a copy of, and its modules are loaded. */
	readonly disk?: string;
	readonly workloads: readonly Workload[];
	readonly scale: Scale;
	readonly boot: boolean;
	readonly rate: boolean;
	readonly memoryMiB: number;
}

/** A number for one workload in one round, or why there is none. */
export interface Sample {
	readonly engine: BenchEngine;
	readonly workload: string;
	/** Seconds, except for `boot-rate`: instructions per second. */
	readonly value?: number;
	readonly output?: string;
	readonly failure?: string;
}

/** One engine's round. */
export interface Round {
	readonly samples: Sample[];
	/** Peak resident memory of the engine's process; guest memory included. */
	readonly peakMiB?: number;
}

const PATIENCE: Patience = { idleSeconds: 400, totalSeconds: 1200 };

/** Boots and measures; a failed workload costs a new boot, not the round. */
export async function measureRound(
	engine: BenchEngine,
	plan: Plan,
): Promise<Round> {
	const samples: Sample[] = [];
	let peakMiB: number | undefined;
	let remaining = [...plan.workloads];
	let bootWanted = plan.boot && engine !== "native";
	while (remaining.length > 0 || bootWanted) {
		const session = await measureSession(engine, plan, remaining, bootWanted);
		samples.push(...session.samples);
		peakMiB = Math.max(peakMiB ?? 0, session.peakMiB ?? 0);
		remaining = session.remaining;
		bootWanted = false;
		if (session.unusable) break;
	}
	if (plan.rate && engine !== "native" && engine !== "qemu") {
		samples.push(await measureRate(engine, plan));
	}
	return peakMiB ? { samples, peakMiB } : { samples };
}

interface SessionOutcome extends Round {
	readonly remaining: Workload[];
	/** The guest did not even reach its shell: no use in trying again. */
	readonly unusable: boolean;
}

async function measureSession(
	engine: BenchEngine,
	plan: Plan,
	workloads: readonly Workload[],
	boot: boolean,
): Promise<SessionOutcome> {
	const samples: Sample[] = [];
	const remaining = [...workloads];
	const started = performance.now();
	const directory = await mkdtemp(join(tmpdir(), "lguest-bench-"));
	const session = await open(engine, plan, directory);
	let unusable = true;
	let current: Workload | undefined;
	let peakMiB: number | undefined;
	try {
		if (engine !== "native") {
			await session.waitFor(INIT_MARKER, PATIENCE);
			const value = (performance.now() - started) / 1000;
			if (boot) samples.push({ engine, workload: BOOT.name, value });
			if (remaining.length > 0) {
				await session.shell(PATIENCE);
				await session.run(`cd ${GUEST_DIRECTORY}`, PATIENCE);
				if (plan.disk !== undefined) {
					await session.run("sh /lib/modules/load", PATIENCE);
				}
			}
		}
		unusable = false;
		for (;;) {
			current = remaining.shift();
			if (current === undefined) break;
			samples.push(await measureWorkload(engine, session, current, plan));
		}
		peakMiB = await peakMemory(session.pid);
	} catch (error) {
		if (!(error instanceof SessionError)) throw error;
		const workload = current?.name ?? BOOT.name;
		samples.push({ engine, workload, failure: error.message });
	} finally {
		await session.close();
		await rm(directory, { recursive: true, force: true });
	}
	return { samples, remaining, unusable, ...(peakMiB && { peakMiB }) };
}

async function open(
	engine: BenchEngine,
	plan: Plan,
	directory: string,
): Promise<GuestSession> {
	if (engine === "native") {
		return nativeSession(plan.image.nativeDirectory ?? directory);
	}
	const disk = plan.disk && join(directory, "disk.img");
	if (plan.disk && disk) await copyFile(plan.disk, disk);
	return GuestSession.boot(driverName(engine), {
		kernel: plan.kernel,
		initrd: plan.image.initrd,
		memoryMiB: plan.memoryMiB,
		...(disk && {
			disk: engine === "ours-overlay" ? `${disk},overlay` : disk,
		}),
	});
}

/** What the boot tests call it; throws for the machine itself. */
export function driverName(engine: BenchEngine): EngineName {
	const name = DRIVER_NAME[engine];
	if (name === undefined) throw new Error(`${engine} boots no guest`);
	return name;
}

async function measureWorkload(
	engine: BenchEngine,
	session: GuestSession,
	workload: Workload,
	plan: Plan,
): Promise<Sample> {
	const about = { engine, workload: workload.name };
	if (workload.setup !== undefined) {
		await session.run(workload.setup, PATIENCE);
	}
	const script = scriptAt(workload, plan.scale);
	const { output, status, seconds } = await session.timed(script, PATIENCE);
	if (status !== 0) {
		return { ...about, failure: `ended with ${status}: ${output}` };
	}
	return { ...about, value: seconds, output };
}

/** Boot only, then the engine's own count of instructions. */
async function measureRate(engine: BenchEngine, plan: Plan): Promise<Sample> {
	const about = { engine, workload: RATE.name };
	const directory = await mkdtemp(join(tmpdir(), "lguest-bench-"));
	const statsFile = join(directory, "stats.json");
	const session = GuestSession.boot(driverName(engine), {
		kernel: plan.kernel,
		initrd: plan.image.initrd,
		memoryMiB: plan.memoryMiB,
		arguments: ["SCRIPT=/dev/null"],
		stopAt: EXIT_MARKER,
		statsFile,
	});
	try {
		await session.exit(PATIENCE);
		const stats: unknown = JSON.parse(await readFile(statsFile, "utf8"));
		return { ...about, value: rateOf(stats) };
	} catch (error) {
		return { ...about, failure: String(error) };
	} finally {
		await session.close();
		await rm(directory, { recursive: true, force: true });
	}
}

function rateOf(stats: unknown): number {
	const { instructionsRetired, wallSeconds } = stats as Record<string, unknown>;
	const rate = Number(instructionsRetired) / Number(wallSeconds);
	if (!Number.isFinite(rate)) throw new Error("no counters in the statistics");
	return rate;
}

/** Linux keeps the high-water mark; elsewhere there is no such number. */
async function peakMemory(
	pid: number | undefined,
): Promise<number | undefined> {
	const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
	const kib = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
	return kib === undefined ? undefined : Number(kib) / 1024;
}
