/**
 * `lguest info`: what a kernel file is, in words, and how it would be run.
 *
 * Relies on the boot loaders by way of the core's face; `main.ts` relies on it.
 *
 * @journey L:128 What have we here?
 */

import { inspect, type KernelFacts } from "../index.ts";
import { nodeDecompressors } from "./decompress.ts";
import { readInputFile } from "./input-file.ts";

const KINDS: Readonly<Record<KernelFacts["kind"], string>> = {
	bzImage: "Linux bzImage",
	vmlinux: "Linux vmlinux (ELF)",
	elf: "ELF image",
	multiboot: "multiboot image",
};

/** Prints a paragraph for each file; the value is the exit status. */
export async function infoCommand(paths: readonly string[]): Promise<number> {
	for (const path of paths) {
		const bytes = await readInputFile(path, "kernel", () => {});
		const facts = await inspect(bytes, nodeDecompressors);
		process.stdout.write(`${path}\n${describe(facts)}\n`);
	}
	return 0;
}

/** Label and value in two columns. */
function describe(facts: KernelFacts): string {
	const rows: [string, string][] = [
		["kind", KINDS[facts.kind]],
		["version", facts.version || "it does not say"],
		["processor", facts.bits === 64 ? "64-bit x86" : "32-bit x86"],
		["boot protocol", protocolOf(facts)],
		["packed with", facts.compression ?? "nothing"],
		["starts at", `0x${facts.runAddress.toString(16)}${needOf(facts)}`],
		["lguest Guest", guestOf(facts)],
		["would run", runOf(facts)],
	];
	return rows
		.map(([name, value]) => `  ${name.padEnd(14)} ${value}`)
		.join("\n");
}

function protocolOf({ bootProtocols, linuxBootProtocol }: KernelFacts): string {
	const names = bootProtocols.join(", ");
	return linuxBootProtocol === undefined
		? names
		: `${names} ${linuxBootProtocol}`;
}

function needOf({ runBytes, relocatable }: KernelFacts): string {
	const mib = (runBytes / 2 ** 20).toFixed(1);
	return `, needs ${mib} MiB${relocatable ? ", relocatable" : ""}`;
}

function guestOf({ lguestGuest }: KernelFacts): string {
	if (lguestGuest === undefined) return "cannot be told without unpacking it";
	return lguestGuest ? "yes: built with lguest support" : "no";
}

function runOf(facts: KernelFacts): string {
	if (facts.bits === 64) return "not yet: only 32-bit kernels do";
	const pc = "lguest run FILE: on a PC with virtio devices";
	return facts.lguestGuest ? `${pc}; lguest 64 FILE: on hypercalls` : pc;
}
