/**
 * `npm run soak`: an hour of mixed work in one guest, with the process's
 * memory and its speed looked at after each round: shell loops, forks,
 * compression, hashing, files, and a kernel that patches its own code (the
 * switch for scheduler statistics is a jump label). Ends with status 1 when
 * memory grows or speed falls by more than a tenth from the first third of the
 * rounds to the last.
 *
 * Pages that the guest has touched are the guest's, up to what it was given: a
 * kernel goes on to fresh ones for hours. They are left out of what may not grow.
 *
 * Speed is instructions by the process's own CPU time, so that other work on
 * the machine disturbs it little.
 *
 * Relies on `machine-session.ts`; test/boot/soak.test.ts runs a short one.
 *
 * @journey M:814 An hour at sea
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ENGINE_KINDS, type EngineKind } from "../src/index.ts";
import type { GuestMemory } from "../src/memory/guest-memory.ts";
import { MachineSession } from "./machine-session.ts";

/** One round's work; it prints `ok` at its end. */
const ROUND = [
	"i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done",
	"i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); done",
	"cd /tmp; for f in a b c; do seq 200 | sort -r > $f; done",
	"cat a b c | gzip -c | gunzip -c | sha256sum | cut -c1-8",
	"awk 'BEGIN { for (i = 1; i < 3000; i++) s += i / 7; print s }'",
	"mount -t proc proc /proc 2>/dev/null",
	"for v in 1 0 1 0; do echo $v > /proc/sys/kernel/sched_schedstats; done",
	"dd if=/dev/zero of=big bs=64k count=64 2>/dev/null; rm -f big a b c; echo ok",
];

/** Memory and speed after a round. */
export interface Sample {
	/** The process, without its guest's pages. */
	readonly ownMiB: number;
	/** Pages that the guest has ever touched. */
	readonly guestMiB: number;
	/** Millions of instructions by second of CPU time. */
	readonly speed: number;
}

/** Medians of the first and the last third. */
export interface SoakVerdict {
	readonly memoryGrowth: number;
	readonly speedRatio: number;
}

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;

/** Rounds until `isOver` says so; undefined where there is no guest to be had. */
export async function soak(
	engine: EngineKind,
	isOver: (rounds: number) => boolean,
	onSample: (sample: Sample) => void = () => {},
): Promise<Sample[] | undefined> {
	const session = await MachineSession.boot({ engine });
	if (session === undefined) return undefined;
	const { cpu } = session.machine;
	const samples: Sample[] = [];
	try {
		while (!isOver(samples.length)) {
			const instructions = cpu.retiredCount();
			const before = process.cpuUsage();
			let output = "";
			for (const line of ROUND) output = await session.run(line);
			if (!output.trimEnd().endsWith("ok")) throw new Error(output);
			const { user, system } = process.cpuUsage(before);
			const speed = (cpu.retiredCount() - instructions) / (user + system);
			const guestMiB = touchedBytes(cpu.memory) / MIB;
			const ownMiB = process.memoryUsage.rss() / MIB - guestMiB;
			const sample = { ownMiB, guestMiB, speed };
			samples.push(sample);
			onSample(sample);
		}
	} finally {
		await session.close();
	}
	return samples;
}

function touchedBytes({ touched = new Uint8Array() }: GuestMemory): number {
	return touched.reduce((sum, page) => sum + page, 0) * PAGE_BYTES;
}

/** How the last third compares with the first, without the first round, which warms up. */
export function judge(samples: readonly Sample[]): SoakVerdict {
	const warm = samples.slice(1);
	const third = Math.max(1, Math.floor(warm.length / 3));
	const of = (part: readonly Sample[], key: keyof Sample) => {
		const sorted = part.map((sample) => sample[key]).sort((a, b) => a - b);
		return sorted[sorted.length >> 1] ?? Number.NaN;
	};
	const first = warm.slice(0, third);
	const last = warm.slice(-third);
	return {
		memoryGrowth: of(last, "ownMiB") / of(first, "ownMiB"),
		speedRatio: of(last, "speed") / of(first, "speed"),
	};
}

const USAGE = `npm run soak -- [options]
  --minutes N       how long (60)
  --engine NAME     ${ENGINE_KINDS.join(", ")} (auto)
`;

/** Undefined where the usage is to be printed, to be read or for what is wrong. */
function parseOptions(): { minutes: number; engine: EngineKind } | undefined {
	const { values } = parseArgs({
		options: {
			minutes: { type: "string", default: "60" },
			engine: { type: "string", default: "auto" },
			help: { type: "boolean", default: false },
		},
	});
	const minutes = Number(values.minutes);
	const engine = ENGINE_KINDS.find((kind) => kind === values.engine);
	const isWrong = !(minutes > 0) || engine === undefined;
	if (values.help || isWrong) return undefined;
	return { minutes, engine };
}

async function main(): Promise<number> {
	const options = parseOptions();
	if (options === undefined) {
		process.stdout.write(USAGE);
		return process.argv.includes("--help") ? 0 : 2;
	}
	const end = performance.now() + options.minutes * 60_000;
	let round = 0;
	const samples = await soak(
		options.engine,
		(rounds) => rounds >= 4 && performance.now() > end,
		({ ownMiB, guestMiB, speed }) =>
			console.log(
				`round ${++round}: ${ownMiB.toFixed(0)} MiB, and ${guestMiB.toFixed(0)} the guest's; ${speed.toFixed(1)} M instructions/s`,
			),
	);
	if (samples === undefined) return 2;
	const { memoryGrowth, speedRatio } = judge(samples);
	console.log(
		`last third against the first: memory × ${memoryGrowth.toFixed(3)}, speed × ${speedRatio.toFixed(3)}`,
	);
	return memoryGrowth < 1.1 && speedRatio > 0.9 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
	process.exitCode = await main();
