/**
 * Image files that QEMU's own tools made, and their verdict on what became of
 * them. The tools are Debian's qemu-utils (`scripts/debian.ts` installs them).
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { randomFrom } from "../support/random.ts";

/** Runs a tool; its complaints are the error's message. */
export function tool(name: string, ...args: string[]): string {
	return execFileSync(name, args, { encoding: "utf8", stdio: "pipe" });
}

/** A folder for a test's files, removed when the test ends. */
export function scratchFolder(): string {
	const folder = mkdtempSync(join(tmpdir(), "lguest-image-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** What `qemu-img check` found. */
export interface Verdict {
	/** References that contradict each other; must be none, always. */
	readonly errors: number;
	/** Clusters that nobody uses and that count as used. */
	readonly leaks: number;
}

/** Judges an image without repairing it. */
export function judge(path: string): Verdict {
	let report: string;
	try {
		report = tool("qemu-img", "check", "--output=json", path);
	} catch (error) {
		// Leaks and corruptions are exit statuses 3 and 2.
		const { stdout, stderr } = error as { stdout: string; stderr: string };
		if (!stdout.startsWith("{")) throw new Error(stderr);
		report = stdout;
	}
	const found = JSON.parse(report) as Record<string, number>;
	return {
		errors: (found.corruptions ?? 0) + (found["check-errors"] ?? 0),
		leaks: found.leaks ?? 0,
	};
}

/** What a guest of QEMU's would see in the image. */
export function contentsOf(path: string, format = "qcow2"): Uint8Array {
	const raw = `${path}.raw`;
	tool("qemu-img", "convert", "-f", format, "-O", "raw", path, raw);
	return readFileSync(raw);
}

/** Bytes that compress: noise, patterns and zeroes, by turns. */
export function sampleBytes(lengthBytes: number, seed: number): Uint8Array {
	const random = randomFrom(seed);
	const bytes = new Uint8Array(lengthBytes);
	for (let at = 0; at < lengthBytes; ) {
		const length = Math.min(lengthBytes - at, 512 * (1 + random(64)));
		const kind = random(3);
		if (kind === 1) bytes.fill(1 + random(255), at, at + length);
		for (let i = at; kind === 2 && i < at + length; i++) bytes[i] = random(256);
		at += length;
	}
	return bytes;
}

/** Writes sample bytes to a raw image. */
export function rawSample(path: string, lengthBytes: number, seed: number) {
	const bytes = sampleBytes(lengthBytes, seed);
	writeFileSync(path, bytes);
	return bytes;
}
