/**
 * `npm run profile`: which guest code a workload spends its instructions in.
 * The CPU is stopped every few thousand instructions, at random distances, and
 * asked where it is; in virtual time that changes nothing for the guest.
 * Kernel addresses get the names that the kernel itself knows.
 *
 * Behind the addresses stands what among them can never be compiled, and why,
 * and the counters of the run: how much of it was compiled, and how often
 * compiled code was left.
 *
 * Relies on `machine-session.ts` and `profile/`.
 *
 * @journey M:812 Where the instructions go
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { modeCodeSize } from "../src/cpu/mode.ts";
import { CPL, MODE, RIP } from "../src/cpu/state.ts";
import type { EngineKind, Machine } from "../src/index.ts";
import { MachineSession } from "./machine-session.ts";
import { ColdReasons } from "./profile/cold-reasons.ts";
import { type Hit, Profile, parseSystemMap } from "./profile/symbols.ts";

const USAGE = `npm run profile -- [options] [SHELL TEXT]
  --boot           of the boot, instead of what comes after it
  --engine NAME    cold, auto (auto)
  --interval N     instructions between samples, on average (2000)
  --top N          lines (30)
  --map FILE       System.map of the kernel (default: what the kernel says)
Runs the text in a guest and tells where its instructions were retired.`;

const EXAMPLE =
	"i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; seq 2000 | sort -r | gzip -c | sha256sum";

/** In the guest: the kernel's own System.map. */
const SYMBOLS = "mount -t proc proc /proc; grep ' [tTwW] ' /proc/kallsyms";

/** Makes every stay in the CPU several short ones, and looks where each ended. */
function sample(machine: Machine, interval: number, onHit: (hit: Hit) => void) {
	const { cpu } = machine;
	const reasons = new ColdReasons(cpu);
	const run = cpu.run.bind(cpu);
	let seed = 1;
	cpu.run = (budget) => {
		for (let left = budget; ; ) {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
			const some = Math.min(left, 1 + Math.floor((seed / 2 ** 31) * interval));
			const before = cpu.retiredCount();
			const reason = run(some);
			left -= cpu.retiredCount() - before;
			if (reason !== "budget" || left <= 0) return reason;
			onHit({
				address: cpu.state.getU32(RIP),
				user: cpu.state.get32(CPL) === 3,
				codeSize: modeCodeSize(cpu.state.get32(MODE)),
				coldReason: reasons.here(),
			});
		}
	};
}

async function main(): Promise<number> {
	const { values, positionals } = parseArgs({
		allowPositionals: true,
		options: {
			boot: { type: "boolean", default: false },
			engine: { type: "string", default: "auto" },
			interval: { type: "string", default: "2000" },
			top: { type: "string", default: "30" },
			map: { type: "string" },
			help: { type: "boolean" },
		},
	});
	if (values.help) {
		console.log(USAGE);
		return 0;
	}
	let profile = values.boot ? new Profile() : undefined;
	const session = await MachineSession.boot({
		engine: values.engine as EngineKind,
		onMachine: (machine) =>
			sample(machine, Number(values.interval), (hit) => profile?.add(hit)),
	});
	if (session === undefined) return 2;
	const before = values.boot ? undefined : session.machine.statistics();
	if (!values.boot) {
		profile = new Profile();
		await session.run(positionals.join(" ") || EXAMPLE);
	}
	const after = session.machine.statistics();
	const found = profile ?? new Profile();
	profile = undefined;
	const symbols = values.map
		? await readFile(values.map, "latin1")
		: await session.run(SYMBOLS);
	await session.close();
	console.log(found.report(Number(values.top), parseSystemMap(symbols)));
	for (const [name, value] of Object.entries(after)) {
		const change =
			typeof value === "number"
				? value - Number(before?.[name as keyof typeof before] ?? 0)
				: 0;
		if (change !== 0) console.log(`${name} + ${Math.round(change)}`);
	}
	return 0;
}

process.exitCode = await main();
