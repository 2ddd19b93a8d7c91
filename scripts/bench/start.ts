/**
 * `npm run bench -- --start`: how long somebody waits who types `npm start`,
 * from there to the default guest's prompt, beside v86 and QEMU's TCG with the
 * same kernel and initramfs; and what the guest costs when nobody types
 * anything. Relies on Linux's /proc and the session driver of the boot tests;
 * `scripts/bench.ts` relies on it.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { commandFor } from "../../test/boot/engines.ts";
import { GuestSession, SessionError } from "../../test/boot/session.ts";
import { projectRoot } from "../sources.ts";
import { type BenchEngine, driverName, type Sample } from "./measure.ts";
import { NO_SCRIPT } from "./workloads.ts";

/** What the table calls it. */
export const START = {
	name: "start",
	about: "from the command to the default guest's prompt",
	...NO_SCRIPT,
} as const;

/** The default guest's files, and how its shell prompts. */
export const GUEST = join(projectRoot, "guests/default");
export const GUEST_PROMPT = "root@lguest:~# ";
const PATIENCE = { idleSeconds: 60, totalSeconds: 300 };
/** The guest's kernel has a few things left to do after its prompt. */
const SETTLE_MS = 2_000;
const IDLE_MS = 10_000;
/** Linux, `sysconf(_SC_CLK_TCK)`, the unit of /proc/PID/stat; the same on every x86. */
const TICKS_PER_SECOND = 100;
const KIB_PER_MIB = 1024;

/** One start, and what the process was like at the prompt. */
export interface Start {
	readonly sample: Sample;
	readonly idle?: Idle;
}

/** A guest at its prompt that nobody talks to. */
export interface Idle {
	/** Processor time, as a share of one core. */
	readonly coreShare: number;
	/** Resident memory of the process beyond what its guest has in use. */
	readonly extraMiB: number;
}

/** Starts `engine`, waits for the prompt, then watches it do nothing. */
export async function measureStart(
	engine: BenchEngine,
	memoryMiB: number,
): Promise<Start> {
	const about = { engine, workload: START.name };
	try {
		return await withStarted(engine, memoryMiB, async (session, value) => {
			const idle = await measureIdle(session, memoryMiB);
			return { sample: { ...about, value, output: "" }, idle };
		});
	} catch (error) {
		if (!(error instanceof SessionError)) throw error;
		return { sample: { ...about, failure: error.message } };
	}
}

/** Starts `engine` and gives the session at its prompt, and the seconds until there. */
export async function withStarted<Result>(
	engine: BenchEngine,
	memoryMiB: number,
	act: (session: GuestSession, seconds: number) => Promise<Result>,
): Promise<Result> {
	const began = performance.now();
	const session = new GuestSession(startCommand(engine, memoryMiB), {
		cwd: projectRoot,
	});
	try {
		await session.waitFor(GUEST_PROMPT, PATIENCE);
		return await act(session, (performance.now() - began) / 1000);
	} finally {
		// npm does not hand a SIGKILL on, and v86 cannot be powered off.
		const engineProcess = await processOf(session.pid ?? 0);
		if (engineProcess !== session.pid) process.kill(engineProcess, "SIGKILL");
		await session.close();
	}
}

/** v86 has no virtio console, and the others' serial port is no slower than it. */
function startCommand(engine: BenchEngine, memoryMiB: number): string[] {
	if (engine === "ours") {
		const memory = ["--", "run", "--memory", `${memoryMiB}M`];
		return ["npm", "start", "--silent", ...memory];
	}
	return commandFor(driverName(engine), {
		kernel: join(GUEST, "vmlinuz"),
		initrd: join(GUEST, "initramfs.cpio.gz"),
		arguments: ["quiet", "no_timer_check"],
		memoryMiB,
	});
}

async function measureIdle(
	session: GuestSession,
	memoryMiB: number,
): Promise<Idle> {
	session.send("grep MemFree /proc/meminfo\n");
	const answer = await session.waitFor(/MemFree: +\d+ kB/, PATIENCE);
	const freeKib = Number(
		/\d+/.exec(answer.slice(answer.lastIndexOf(":")))?.[0],
	);
	await session.waitFor(GUEST_PROMPT, PATIENCE);
	await sleep(SETTLE_MS);
	const pid = await processOf(session.pid ?? 0);
	const before = await processorSeconds(pid);
	const began = performance.now();
	await sleep(IDLE_MS);
	const used = (await processorSeconds(pid)) - before;
	const seconds = (performance.now() - began) / 1000;
	const guestMiB = memoryMiB - freeKib / KIB_PER_MIB;
	const extraMiB = (await residentMiB(pid)) - guestMiB;
	return { coreShare: used / seconds, extraMiB };
}

/** The engine's own process, below npm and its shell. */
async function processOf(pid: number): Promise<number> {
	const path = `/proc/${pid}/task/${pid}/children`;
	const children = (await readFile(path, "utf8").catch(() => "")).trim();
	return children === "" ? pid : processOf(Number(children.split(" ")[0]));
}

/** User and system time of all threads: proc(5), /proc/pid/stat, fields 14 and 15. */
async function processorSeconds(pid: number): Promise<number> {
	const stat = await readFile(`/proc/${pid}/stat`, "utf8");
	const [user, system] = stat
		.slice(stat.lastIndexOf(")") + 2)
		.split(" ")
		.slice(11, 13)
		.map(Number);
	return ((user ?? 0) + (system ?? 0)) / TICKS_PER_SECOND;
}

async function residentMiB(pid: number): Promise<number> {
	const status = await readFile(`/proc/${pid}/status`, "utf8");
	const kib = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
	return Number(kib) / KIB_PER_MIB;
}

/** A line for each engine, of the worst of its rounds. */
export function formatIdle(starts: readonly Start[]): string[] {
	const engines = new Set(starts.map(({ sample }) => sample.engine));
	return [...engines].flatMap((engine) => {
		const idles = starts
			.filter(({ sample }) => sample.engine === engine)
			.flatMap(({ idle }) => idle ?? []);
		if (idles.length === 0) return [];
		const share = Math.max(...idles.map(({ coreShare }) => coreShare));
		const extra = Math.max(...idles.map(({ extraMiB }) => extraMiB));
		return [
			`${engine} at the prompt: ${(share * 100).toFixed(1)} % of a core, ${Math.round(extra)} MiB beyond what the guest has in use`,
		];
	});
}
