/**
 * Runs a guest on v86 with the same command line shape as `lguest run`: serial
 * port on standard input and output, counters into a file at the end. It exists
 * so that the benchmark and the session driver can treat v86 as one more
 * process. Relies on the npm package `v86` and, because v86 boots through
 * firmware, on Debian's SeaBIOS.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { V86 } from "v86";
import { debianAsset } from "../debian.ts";

const SAMPLE_MS = 50;
const MIB = 1024 * 1024;

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		"disable-jit": { type: "boolean", default: false },
		memory: { type: "string", default: "256M" },
		initrd: { type: "string" },
		/** A copy of it in memory is the first IDE disk. */
		disk: { type: "string" },
		stats: { type: "string" },
		/** Ends the run when the console has shown this text. */
		"stop-at": { type: "string" },
	},
});
const [kernel, ...kernelArguments] = positionals;
const bios = await debianAsset("seabios");
const vgaBios = await debianAsset("seabios-vga");
if (kernel === undefined || bios === undefined || vgaBios === undefined) {
	throw new Error("usage: v86-guest.ts [options] KERNEL [-- arguments]");
}

const build = dirname(createRequire(import.meta.url).resolve("v86"));
const emulator = new V86({
	wasm_path: join(build, "v86.wasm"),
	memory_size: Number.parseInt(values.memory, 10) * MIB,
	vga_memory_size: 2 * MIB,
	bios: { buffer: bytesOf(bios) },
	vga_bios: { buffer: bytesOf(vgaBios) },
	bzimage: { buffer: bytesOf(kernel) },
	...(values.initrd && { initrd: { buffer: bytesOf(values.initrd) } }),
	...(values.disk && { hda: { buffer: bytesOf(values.disk) } }),
	cmdline: kernelArguments.join(" "),
	disable_jit: values["disable-jit"],
	disable_keyboard: true,
	disable_mouse: true,
	disable_speaker: true,
	acpi: false,
	autostart: true,
});

function bytesOf(path: string): ArrayBuffer {
	const data = readFileSync(path);
	return data.buffer.slice(
		data.byteOffset,
		data.byteOffset + data.length,
	) as ArrayBuffer;
}

/** v86 counts in 32 bits, which wraps within seconds: sampled and summed. */
let retired = 0;
let lastCount = 0;
function sample(): void {
	const count = emulator.get_instruction_counter() >>> 0;
	retired += (count - lastCount) >>> 0;
	lastCount = count;
}

const started = performance.now();
emulator.add_listener("emulator-loaded", () => {
	setInterval(sample, SAMPLE_MS);
});

let pending: number[] = [];
let tail = "";
emulator.add_listener("serial0-output-byte", (byte: number) => {
	if (pending.length === 0) setImmediate(flush);
	pending.push(byte);
});

function flush(): void {
	const bytes = Buffer.from(pending);
	pending = [];
	process.stdout.write(bytes);
	const stop = values["stop-at"];
	if (stop === undefined) return;
	tail = (tail + bytes.toString("latin1")).slice(-1024);
	if (tail.includes(stop)) finish(0);
}

process.stdin.on("data", (data: Buffer) => {
	emulator.serial_send_bytes(0, data);
});
process.on("SIGTERM", () => finish(128 + 15));

function finish(status: number): void {
	sample();
	if (values.stats !== undefined) {
		const wallSeconds = (performance.now() - started) / 1000;
		const stats = { instructionsRetired: retired, wallSeconds };
		writeFileSync(values.stats, `${JSON.stringify(stats)}\n`);
	}
	process.exit(status);
}
