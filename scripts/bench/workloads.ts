/**
 * The benchmark's workloads, as data. Each is shell text for the guest's
 * busybox in the directory that `guest-image.ts` fills, scaled by `$N`; what it
 * prints depends on all the work, and is compared with what the same text
 * prints natively. `full` is sized to take about two seconds on v86, `small`
 * the same on an interpreter.
 */

/** One measured piece of guest work. */
export interface Workload {
	readonly name: string;
	/** What it stresses, for the reader of the table. */
	readonly about: string;
	/** Run before the clock starts. */
	readonly setup?: string;
	readonly script: string;
	readonly full: number;
	readonly small: number;
}

/** Of what is measured without running a text in a guest. */
export const NO_SCRIPT = { script: "", full: 1, small: 1 } as const;

/** Sizes for engines that translate and for engines that interpret. */
export type Scale = "full" | "small";

/** One of the C programs; see `guests/bench`. */
function program(name: string, about: string, full: number): Workload {
	const small = Math.max(1, Math.round(full / 10));
	return { name, about, script: `./bench ${name} $N`, full, small };
}

const UNPACK = "[ -f corpus ] || xz -dc corpus.xz > corpus";
const REPEAT = (body: string): string =>
	`i=0; while [ $i -lt $N ]; do ${body}; i=$((i+1)); done`;

/** In the order in which a session runs them. */
export const WORKLOADS: readonly Workload[] = [
	{
		name: "shell-loop",
		about: "busybox ash counting: an interpreter's inner loop",
		script: `${REPEAT(":")}; echo $i`,
		full: 30_000,
		small: 3_000,
	},
	{
		name: "fork-exec",
		about: "starting and reaping a static program",
		script: `${REPEAT("./bench nothing $i")} | md5sum; echo $i`,
		full: 150,
		small: 15,
	},
	{
		name: "small-writes",
		about: "dd with one-byte blocks: read, write, again",
		script: "dd if=/dev/zero bs=1 count=$N 2>/dev/null | md5sum",
		full: 100_000,
		small: 10_000,
	},
	{
		name: "gzip",
		about: "compression: hash chains and bit packing",
		setup: UNPACK,
		script: "head -c $N corpus | gzip -c | md5sum",
		full: 1_000_000,
		small: 100_000,
	},
	{
		name: "unxz",
		about: "LZMA: a range decoder's unpredictable branches",
		script: REPEAT("xz -dc corpus.xz | md5sum"),
		full: 4,
		small: 1,
	},
	{
		name: "bunzip2",
		about: "Burrows-Wheeler: scattered memory reads",
		script: REPEAT("bunzip2 -c corpus.bz2 | md5sum"),
		full: 4,
		small: 1,
	},
	{
		name: "sha256",
		about: "rotates, additions and exclusive ors",
		setup: UNPACK,
		script: REPEAT("sha256sum corpus"),
		full: 15,
		small: 2,
	},
	{
		name: "sort",
		about: "comparing strings through pointers",
		setup: UNPACK,
		script: "tr ' ' '\\n' < corpus | head -n $N | sort | md5sum",
		full: 30_000,
		small: 3_000,
	},
	{
		name: "awk",
		about: "associative arrays, regular expressions, floating point",
		setup: UNPACK,
		script:
			"head -c $N corpus | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /[aeiou]{2}|^t/) n[$i]++; x += length($0) / 7 }" +
			' END { for (w in n) { s += n[w] * length(w); c++ } printf "%d %d %.9f\\n", c, s, x }\'',
		full: 200_000,
		small: 20_000,
	},
	{
		name: "sed-grep",
		about: "regular expressions over text",
		setup: UNPACK,
		script:
			"head -c $N corpus | sed -e 's/\\([a-z]*\\) \\([a-z]*\\)/\\2 \\1/g' | grep -c 'an.*[xyz]o*'",
		full: 200_000,
		small: 20_000,
	},
	program("sieve", "integer loops over a byte array", 400),
	program("records", "structures, short strings, small calls", 2_000_000),
	program("crc", "table lookups with a serial dependency", 1_200),
	program("hash-table", "hashing, probing, unpredictable branches", 12_000_000),
	program("digits", "64-bit by 32-bit division", 4_000),
	program("bit-tricks", "shifts, scans, byte swaps, carries", 15_000_000),
	program("recursion", "calls and returns", 3_000),
	program("bytecode", "indirect jumps", 1_000),
	program("nbody", "x87 double precision", 60_000),
	program("floating-sum", "x87 extended precision and conversions", 2_500_000),
	program("matrix", "SSE2 packed double precision", 120),
	program("strings", "byte loops and the C library's string calls", 800),
	program("memory-copy", "block moves from 16 bytes to 1 MiB", 9_000),
	program("pointer-chase", "a new page at every step", 3_000_000),
	program("system-calls", "entering and leaving the kernel", 150_000),
	program("page-faults", "mapping, touching and unmapping memory", 250),
	program("context-switches", "two processes passing a byte", 8_000),
];

/** Reaching user space: measured in every session, named for `--only`. */
export const BOOT = {
	name: "boot",
	about: "Debian's 686 kernel from start to /init",
} as const;

/** Guest instructions per second while booting, for engines that count. */
export const RATE = {
	name: "boot-rate",
	about: "guest instructions per second of that boot, where counted",
} as const;

/** The shell text that does a workload at a scale. */
export function scriptAt(workload: Workload, scale: Scale): string {
	return `N=${workload[scale]}; ${workload.script}`;
}
