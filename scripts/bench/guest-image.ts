/**
 * Builds what the workloads need: the C programs in `guests/bench` as one static
 * i386 binary, and a text of made-up words that compresses about as well as
 * prose does. The same files go into the guest's initial root file system and
 * into a directory for the native run. Relies on gcc for i386, xz and bzip2.
 */

import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CACHE } from "../debian.ts";
import { type ExtraFile, initramfs } from "../initramfs.ts";

const run = promisify(execFile);
const SOURCES = fileURLToPath(new URL("../../guests/bench/", import.meta.url));
const CORPUS_BYTES = 1_000_000;

/** Where the workloads run: in the guest, and natively. */
export interface BenchImage {
	readonly initrd: string;
	readonly nativeDirectory: string;
}

/** The directory inside the guest. */
export const GUEST_DIRECTORY = "/bench";

/** Builds everything; undefined where Debian's busybox is not to be had. */
export async function buildBenchImage(): Promise<BenchImage | undefined> {
	const directory = join(CACHE, "bench");
	await mkdir(directory, { recursive: true });
	await compilePrograms(directory);
	await compressCorpus(directory);
	const files: ExtraFile[] = [];
	for (const name of ["bench", "corpus.xz", "corpus.bz2"]) {
		const data = await readFile(join(directory, name));
		files.push({ path: `bench/${name}`, data, executable: name === "bench" });
	}
	const initrd = await initramfs(files);
	if (initrd === undefined) return undefined;
	return { initrd, nativeDirectory: directory };
}

/** One file is compiled for SSE2, the others for the plain i686 and its x87. */
async function compilePrograms(directory: string): Promise<void> {
	const names = (await readdir(SOURCES)).filter((n) => n.endsWith(".c")).sort();
	const objects: string[] = [];
	for (const name of names) {
		const object = join(directory, name.replace(/\.c$/, ".o"));
		const unit = name.includes("sse2") ? ["-msse2"] : ["-mfpmath=387"];
		const flags = ["-m32", "-O2", "-march=i686", "-fno-pie", ...unit];
		await run("gcc", [...flags, "-c", join(SOURCES, name), "-o", object]);
		objects.push(object);
	}
	const binary = join(directory, "bench");
	await run("gcc", ["-m32", "-static", "-s", "-o", binary, ...objects, "-lm"]);
	await chmod(binary, 0o755);
}

async function compressCorpus(directory: string): Promise<void> {
	const plain = join(directory, "corpus");
	await writeFile(plain, makeCorpus(CORPUS_BYTES));
	// Options that busybox can undo: CRC-32 and a dictionary that fits.
	await run("xz", ["-k", "-f", "-6", "--check=crc32", plain]);
	await run("bzip2", ["-k", "-f", plain]);
}

/**
 * Lines of words drawn with a skewed frequency from a vocabulary of syllables;
 * the generator is seeded, so the text is the same everywhere.
 */
export function makeCorpus(bytes: number): string {
	let state = 2463534242;
	const random = (below: number): number => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
	const syllables =
		"an be co do el fa gi ho in ja ke lo mu no ou pra qui re ste tha un vo wi xy za".split(
			" ",
		);
	const vocabulary = Array.from({ length: 4000 }, () =>
		Array.from(
			{ length: 1 + random(4) },
			() => syllables[random(syllables.length)],
		).join(""),
	);
	const lines: string[] = [];
	let length = 0;
	while (length < bytes) {
		const words = Array.from(
			{ length: 6 + random(8) },
			() => vocabulary[random(random(vocabulary.length) + 1)],
		);
		const line = `${words.join(" ")}\n`;
		lines.push(line);
		length += line.length;
	}
	return lines
		.join("")
		.slice(0, bytes - 1)
		.concat("\n");
}
