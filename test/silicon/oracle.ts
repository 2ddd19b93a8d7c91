/**
 * The silicon oracle: builds the native runner when needed and has it execute
 * cases on this machine's CPU.
 *
 * Relies on protocol.ts and on gcc; the harness and its tests rely on it.
 *
 * @journey M:614 The oracle
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { arch, platform } from "node:os";
import { fileURLToPath } from "node:url";
import type { Mode, SiliconCase, SiliconResult } from "./case.ts";
import { CS_32, GDT, LDT } from "./environment.ts";
import { decodeResults, encodeCases } from "./protocol.ts";

const SOURCE = fileURLToPath(
	new URL("../../guests/silicon/runner.c", import.meta.url),
);
/** Ignored by git; holds the runner and reports. */
export const CACHE = fileURLToPath(
	new URL("../../.cache/silicon/", import.meta.url),
);
/** Freestanding, position as linked: far above the 4 GiB that cases may touch. */
const GCC_OPTIONS = [
	"-O2",
	"-Wall",
	"-Wextra",
	"-ffreestanding",
	"-fpie",
	"-fno-stack-protector",
	"-fcf-protection=none",
	"-mno-red-zone",
	"-nostdlib",
	"-static",
	"-no-pie",
	"-Wl,-Ttext-segment=0x7d0000000000",
	"-Wl,-z,norelro",
	"-Wl,--build-id=none",
];

/** Results of one process stay below this: 4096 cases that change everything. */
const MAX_OUTPUT_BYTES = 1 << 27;

/** Why this machine cannot be the oracle, or undefined if it can. */
export function oracleUnavailable(): string | undefined {
	if (platform() !== "linux" || arch() !== "x64")
		return "the silicon oracle needs an x86-64 Linux machine";
	if (spawnSync("gcc", ["--version"]).error !== undefined)
		return "the silicon oracle needs gcc (Debian: gcc, libc6-dev)";
	return undefined;
}

/** What the kernel allows user mode; the runner finds out. */
export interface Abilities {
	/** RDFSBASE and its like. */
	readonly fsgsbase: boolean;
	/** 32-bit code. */
	readonly compatibility: boolean;
	/** Segments of its own. */
	readonly ldt: boolean;
}

let runner: string | undefined;
let found: Abilities | undefined;

/** The runner's file, named after its source: worktrees may share the cache. */
function builtRunner(): string {
	if (runner !== undefined) return runner;
	const source = readFileSync(SOURCE);
	const hash = createHash("sha256").update(source).update(`${GCC_OPTIONS}`);
	const file = `${CACHE}runner-${hash.digest("hex").slice(0, 12)}`;
	if (!existsSync(file)) {
		mkdirSync(CACHE, { recursive: true });
		// Under its own name first: test workers may build at the same time.
		const fresh = `${file}.${process.pid}`;
		execFileSync("gcc", [...GCC_OPTIONS, "-o", fresh, SOURCE]);
		renameSync(fresh, file);
	}
	runner = file;
	return file;
}

/** What this machine's kernel allows. Only where the oracle is available. */
export function abilities(): Abilities {
	if (found === undefined) {
		const text = execFileSync(builtRunner(), ["abilities"], {
			encoding: "latin1",
		});
		const words = text.split(/\s+/);
		found = {
			fsgsbase: words.includes("fsgsbase"),
			compatibility: words.includes("compatibility"),
			ldt: words.includes("ldt"),
		};
	}
	return found;
}

/** Why this machine cannot run cases of a mode, or undefined if it can. */
export function modeUnavailable(mode: Mode): string | undefined {
	const why = oracleUnavailable();
	if (why !== undefined || mode === 64) return why;
	if (!abilities().compatibility)
		return "this machine's kernel runs no 32-bit code";
	if (!abilities().ldt) return "this machine's kernel gives programs no LDT";
	return undefined;
}

/** The modes that this machine can be asked about. */
export function availableModes(): Mode[] {
	return ([32, 64] as const).filter(
		(mode) => modeUnavailable(mode) === undefined,
	);
}

/** The descriptors that a case can name on this machine. */
export function descriptorsHere(): { gdt: typeof GDT; ldt: typeof LDT } {
	const { compatibility, ldt } = abilities();
	return {
		gdt: GDT.filter(([selector]) => compatibility || selector !== (CS_32 & ~3)),
		ldt: ldt ? LDT : [],
	};
}

/** Executes the cases on the CPU, in one process. */
export function runOnSilicon(cases: readonly SiliconCase[]): SiliconResult[] {
	if (cases.length === 0) return [];
	for (const mode of new Set(cases.map((test) => test.mode))) {
		const why = modeUnavailable(mode);
		if (why !== undefined) throw new Error(why);
	}
	const run = spawnSync(builtRunner(), [], {
		input: encodeCases(cases, descriptorsHere().ldt),
		maxBuffer: MAX_OUTPUT_BYTES,
	});
	const results = decodeResults(run.stdout ?? new Uint8Array());
	if (run.status !== 0 || results.length !== cases.length)
		throw new Error(
			`the native runner stopped after ${results.length} of ${cases.length} cases ` +
				`(status ${run.status}, signal ${run.signal}): ${run.stderr}`,
		);
	return results;
}
