/**
 * The loops of `guests/wide` as flat images, one for each way in which they are
 * run, and as a program of the machine's own for the right results. Built once
 * for each version of their text and kept in the cache. `wide.ts` relies on it;
 * it relies on gcc, which needs no libraries for the images.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { moveIntoPlace } from "../../src/node/into-place.ts";
import { CACHE } from "../debian.ts";
import { projectRoot } from "../sources.ts";

const run = promisify(execFile);
const SOURCES = join(projectRoot, "guests/wide");
const FILES = ["start.c", "integer.c", "sse2.c"];
const COMMON = [
	...["-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding"],
	// Loops are to stay loops.
	...["-fno-tree-loop-distribute-patterns", "-fno-stack-protector"],
];
const BARE = [
	...["-nostdlib", "-static", "-no-pie", "-fno-asynchronous-unwind-tables"],
	...["-mno-red-zone", "-T", join(SOURCES, "wide.ld")],
	...["-Wl,--build-id=none", "-Wl,--oformat=binary"],
];

/** Where the number and the amount of a loop are left for it. */
export const ORDER_ADDRESS = 0x9000;

/** How the loops are run. */
export interface WideVariant {
	readonly name: string;
	readonly width: 32 | 64;
	/** Linear address of the image. */
	readonly base: bigint;
	readonly flags: readonly string[];
}

export const VARIANTS: readonly WideVariant[] = [
	{
		...{ name: "32-bit", width: 32, base: 0x20_0000n },
		flags: ["-m32", "-fno-pie", "-msse2", "-mfpmath=sse"],
	},
	{
		...{ name: "64-bit", width: 64, base: 0x20_0000n },
		flags: ["-m64", "-fno-pie"],
	},
	// Where Linux puts programs.
	{
		...{ name: "64-bit, above 4 GiB", width: 64, base: 0x5555_5540_0000n },
		flags: ["-m64", "-fpie"],
	},
];

/** The flat image of a variant. */
export async function wideImage({
	width,
	base,
	flags,
}: WideVariant): Promise<Uint8Array> {
	const path = await built(`wide-${width}`, [
		...[...COMMON, ...BARE, ...flags, `-DORDER=${ORDER_ADDRESS}`],
		`-Wl,--defsym=BASE=0x${base.toString(16)}`,
	]);
	return new Uint8Array(await readFile(path));
}

/** What the machine itself says a loop gives. */
export async function nativeResult(
	number: number,
	amount: number,
): Promise<bigint> {
	const path = await built("wide-native", [...COMMON, "-DNATIVE"]);
	const { stdout } = await run(path, [String(number), String(amount)]);
	return BigInt(stdout.trim());
}

async function built(name: string, flags: readonly string[]): Promise<string> {
	const hash = createHash("sha256").update(flags.join(" "));
	for (const file of (await readdir(SOURCES)).sort()) {
		hash.update(await readFile(join(SOURCES, file)));
	}
	const digest = hash.digest("hex").slice(0, 16);
	const path = join(CACHE, "guests", `${name}-${digest}`);
	if (existsSync(path)) return path;
	await mkdir(join(CACHE, "guests"), { recursive: true });
	const fresh = `${path}.${process.pid}`;
	const files = FILES.map((file) => join(SOURCES, file));
	await run("gcc", [...flags, "-o", fresh, ...files]);
	await moveIntoPlace(fresh, path);
	return path;
}
