/**
 * The paravirtual kernel of `guests/paravirt`, compiled for a dialect, and a
 * machine to run it on: a disk of 64 sectors, a network whose other end gives
 * every frame back, entropy and a console that types "hello".
 *
 * Relies on gcc with its i386 libraries; tests of lguest rely on it.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CACHE } from "../../scripts/debian.ts";
import { projectRoot } from "../../scripts/sources.ts";
import type { EngineKind } from "../../src/cpu/index.ts";
import {
	Block,
	Entropy,
	type LguestEnding,
	LguestMachine,
	MemoryDisk,
	Net,
} from "../../src/index.ts";
import type { NetBackend } from "../../src/virtio/backends.ts";

const run = promisify(execFile);
const SOURCES = join(projectRoot, "guests/paravirt");
const FLAGS = [
	...["-m32", "-O2", "-std=gnu11", "-Wall", "-Werror", "-ffreestanding"],
	...["-fno-pie", "-fno-stack-protector", "-fcf-protection=none"],
	...["-mno-sse", "-mno-mmx", "-mno-80387", "-fno-asynchronous-unwind-tables"],
	...["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"],
	...["-Wl,--no-warn-rwx-segments", "-T", join(SOURCES, "kernel.ld")],
];

/** The ABIs of 2.6.25, .26, .29, .30, .31, .34 and 3.1. */
export const PARAVIRT_DIALECTS = ["B", "C", "D", "E", "F", "G", "H"] as const;
export type ParavirtDialect = (typeof PARAVIRT_DIALECTS)[number];

/** The kernel's ELF file, compiled anew when its sources have changed. */
export async function paravirtKernel(
	dialect: ParavirtDialect,
): Promise<Uint8Array> {
	const names = (await readdir(SOURCES)).sort();
	const hash = createHash("sha256").update(FLAGS.join(" "));
	for (const name of names) hash.update(await readFile(join(SOURCES, name)));
	const folder = join(CACHE, "paravirt");
	const file = join(
		folder,
		`${dialect}-${hash.digest("hex").slice(0, 16)}.elf`,
	);
	try {
		return await readFile(file);
	} catch {
		await mkdir(folder, { recursive: true });
		const fresh = `${file}.${process.pid}`;
		const units = names.filter((name) => /\.[cS]$/.test(name));
		await run("gcc", [
			...FLAGS,
			`-DDIALECT='${dialect}'`,
			...["-o", fresh],
			...units.map((name) => join(SOURCES, name)),
		]);
		await rename(fresh, file);
		return readFile(file);
	}
}

/** Gives frames back with their addresses exchanged, soon. */
class Mirror implements NetBackend {
	onFrame: (frame: Uint8Array) => void = () => {};

	send(frame: Uint8Array): void {
		const answer = frame.slice();
		answer.set(frame.subarray(6, 12), 0);
		answer.set(frame.subarray(0, 6), 6);
		setTimeout(() => this.onFrame(answer), 1);
	}
}

/** What a Guest said, and how it ended. */
export interface ParavirtRun {
	readonly lines: string[];
	readonly ending: LguestEnding;
	/** Instructions retired in compiled regions. */
	readonly hotRetired: number;
}

/** Runs a kernel to its end. */
export async function runParavirt(
	kernel: Uint8Array,
	engine: EngineKind,
	commandLine = "",
): Promise<ParavirtRun> {
	let text = "";
	let typed = new Uint8Array(0);
	const console = {
		inputOpen: true,
		onInput: () => {},
		read: (maxBytes: number) => {
			const bytes = typed.subarray(0, maxBytes);
			typed = typed.slice(maxBytes);
			return bytes;
		},
		write: (bytes: Uint8Array) => {
			text += new TextDecoder("latin1").decode(bytes);
			if (text.endsWith("ready for input\n")) {
				setTimeout(() => {
					typed = new TextEncoder().encode("hello");
					console.onInput();
				}, 1);
			}
			return undefined;
		},
	};
	const disk = new MemoryDisk(64 * 512);
	const machine = await LguestMachine.create({
		memoryBytes: 8 * 2 ** 20,
		kernel,
		initrd: new TextEncoder().encode("inrd"),
		commandLine,
		engine,
		// A run is short, the shorter the faster the machine is.
		...(engine === "auto" && { hotArrivals: 256 }),
		console,
		breathe: () => new Promise((resolve) => setImmediate(resolve)),
		devices: ({ fillRandom }) => [
			new Block(disk, "disk"),
			new Net(new Mirror(), Uint8Array.of(2, 0, 0, 0, 0, 1)),
			new Entropy({ fill: fillRandom }),
		],
	});
	const ending = await machine.run();
	const lines = text.split("\n").filter((line) => line !== "");
	return { lines, ending, hotRetired: machine.cpu.statistics.hotRetired };
}
