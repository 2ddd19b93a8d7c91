/**
 * How each engine is started on the same guest: `lguest` itself, in Node and in a
 * browser, QEMU's TCG and v86, all as child processes with the guest's first serial port on standard
 * input and output. `session.ts` drives any of them; running a boot test on
 * QEMU (`LGUEST_TEST_ENGINE=qemu`) tells a wrong test from a wrong guest.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PROGRAM } from "../../scripts/sources.ts";

/** An engine that can run a guest; `lguest` is the one under test. */
export type EngineName =
	| "lguest"
	| "lguest-cold"
	| "lguest-web"
	| "qemu"
	| "v86"
	| "v86-interpreter";

/** The guest, in terms that every engine understands. */
export interface GuestImage {
	readonly kernel: string;
	readonly initrd?: string;
	readonly memoryMiB?: number;
	/** Kernel arguments after `console=ttyS0`. */
	readonly arguments?: readonly string[];
	/** A raw image: a virtio disk, or v86's IDE disk, which forgets what is written. */
	readonly disk?: string;
	/** Where the engine writes counters when it ends; lguest and v86 only. */
	readonly statsFile?: string;
	/** Console text at which to end; for v86, which cannot be powered off. */
	readonly stopAt?: string;
	/** More command line options, for lguest only. */
	readonly options?: readonly string[];
}

const ROOT = new URL("../../", import.meta.url);

/** The command line program as users get it; the tests' set-up has it made. */
export const CLI = join(PROGRAM, "cli.js");

const V86_GUEST = fileURLToPath(new URL("scripts/bench/v86-guest.ts", ROOT));
const WEB_GUEST = fileURLToPath(new URL("scripts/bench/web-guest.ts", ROOT));

const DEFAULT_MEMORY_MIB = 256;

/** Program and arguments that boot `image` on `engine`. */
export function commandFor(engine: EngineName, image: GuestImage): string[] {
	switch (engine) {
		case "lguest":
			return lguest(image, []);
		case "lguest-cold":
			return lguest(image, ["--engine", "cold"]);
		case "lguest-web":
			return program(WEB_GUEST, image, []);
		case "qemu":
			return qemu(image);
		case "v86":
			return program(V86_GUEST, image, []);
		case "v86-interpreter":
			return program(V86_GUEST, image, ["--disable-jit"]);
	}
}

function kernelArguments(image: GuestImage): string[] {
	return ["console=ttyS0", ...(image.arguments ?? [])];
}

/** The command line program, started as its first line asks for it. */
export const PROGRAM_COMMAND = [process.execPath, "--v8-pool-size=1", CLI];

function lguest(image: GuestImage, options: readonly string[]): string[] {
	return [
		...PROGRAM_COMMAND,
		"run",
		...options,
		...commonOptions(image),
		...(image.options ?? []),
		image.kernel,
		"--",
		...kernelArguments(image),
	];
}

/** One that is called as `lguest run` is. */
function program(
	path: string,
	image: GuestImage,
	options: readonly string[],
): string[] {
	return [
		process.execPath,
		path,
		...options,
		...commonOptions(image),
		...(image.stopAt === undefined ? [] : ["--stop-at", image.stopAt]),
		image.kernel,
		"--",
		...kernelArguments(image),
	];
}

function commonOptions(image: GuestImage): string[] {
	return [
		"--memory",
		`${image.memoryMiB ?? DEFAULT_MEMORY_MIB}M`,
		...(image.initrd === undefined ? [] : ["--initrd", image.initrd]),
		...(image.disk === undefined ? [] : ["--disk", image.disk]),
		...(image.statsFile === undefined ? [] : ["--stats", image.statsFile]),
	];
}

/** No default devices: what QEMU emulates beside a serial port costs time. */
function qemu(image: GuestImage): string[] {
	return [
		"qemu-system-i386",
		...["-accel", "tcg", "-nodefaults", "-display", "none"],
		...["-serial", "stdio", "-m", `${image.memoryMiB ?? DEFAULT_MEMORY_MIB}M`],
		...["-kernel", image.kernel],
		...(image.initrd === undefined ? [] : ["-initrd", image.initrd]),
		...(image.disk === undefined ? [] : qemuDisk(image.disk)),
		...["-append", kernelArguments(image).join(" ")],
	];
}

function qemuDisk(path: string): string[] {
	return [
		...["-drive", `file=${path},format=raw,if=none,id=disk`],
		...["-device", "virtio-blk-pci,drive=disk"],
	];
}
