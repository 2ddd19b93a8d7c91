/**
 * `lguest disk` on images whose contents QEMU's tools tell: what an overlay
 * holds gets into the disk below it, or nowhere.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { commitOverlay, openDisk } from "../../src/node/disk-files.ts";
import type { Qcow2Disk } from "../../src/storage/qcow2/disk.ts";
import { CLI } from "../boot/engines.ts";
import {
	contentsOf,
	judge,
	sampleBytes,
	scratchFolder,
	tool,
} from "./image-files.ts";

const SIZE = (3 << 20) + 512;
const available = existsSync("/usr/bin/qemu-img");

function lguestDisk(...args: string[]) {
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[CLI, "disk", ...args],
		{ encoding: "utf8" },
	);
	return { status, stdout, stderr };
}

/** Writes, zeroes and discards here and there, on top of the disk; what it then holds. */
async function change(
	path: string,
	format: "raw" | "qcow2",
	overlay: string,
	before: Uint8Array,
): Promise<Uint8Array> {
	const disk = await openDisk({ path, format, overlay });
	const after = before.slice();
	for (const [offset, length] of [
		[1024, 512],
		[65_536 * 3 - 512, 70_000 - (70_000 % 512)],
		[SIZE - 512, 512],
	] as const) {
		const bytes = sampleBytes(length, offset);
		await disk.write(offset, bytes);
		after.set(bytes, offset);
	}
	await disk.writeZeroes(65_536 * 8, 65_536 * 2, true);
	after.fill(0, 65_536 * 8, 65_536 * 10);
	await disk.close?.();
	return after;
}

describe.skipIf(!available)("lguest disk", () => {
	let overlay: string;
	let below: string;
	let before: Uint8Array;

	beforeEach(() => {
		const folder = scratchFolder();
		below = join(folder, "disk");
		overlay = join(folder, "changes.qcow2");
		before = sampleBytes(SIZE, 3);
		writeFileSync(below, before);
	});

	for (const format of ["raw", "qcow2"] as const) {
		it(`commits an overlay into a ${format} disk, and the overlay is empty then`, async () => {
			if (format === "qcow2") {
				const raw = below;
				below = `${raw}.qcow2`;
				tool("qemu-img", "convert", "-c", "-O", format, raw, below);
			}
			const after = await change(below, format, overlay, before);
			const mode = statSync(overlay).mode;
			expect(lguestDisk("commit", overlay)).toEqual({
				...{ status: 0, stderr: "" },
				stdout: `${overlay}: 0.4 MiB written to the disk below\n`,
			});
			expect(Buffer.compare(contentsOf(below, format), after)).toBe(0);
			expect(Buffer.compare(contentsOf(overlay), after)).toBe(0);
			expect(judge(overlay)).toEqual({ errors: 0, leaks: 0 });
			if (format === "qcow2") expect(judge(below).errors).toBe(0);
			expect(statSync(overlay).mode).toBe(mode);
			expect(lguestDisk("info", overlay).stdout).toMatch(/changes +0\.0 MiB/);
		});
	}

	it("discards what an overlay holds, even when the disk below is gone", async () => {
		await change(below, "raw", overlay, before);
		expect(lguestDisk("discard", overlay).status).toBe(0);
		expect(Buffer.compare(contentsOf(overlay), before)).toBe(0);
		expect(readFileSync(below).equals(before)).toBe(true);
		const elsewhere = `${below}.moved`;
		tool("mv", below, elsewhere);
		expect(lguestDisk("discard", overlay).status).toBe(0);
		tool("mv", elsewhere, below);
		expect(Buffer.compare(contentsOf(overlay), before)).toBe(0);
	});

	it("says what images are", async () => {
		await change(below, "raw", overlay, before);
		const { stdout } = lguestDisk("info", below, overlay);
		const lines = stdout.split("\n").map((line) => line.trim());
		expect(lines.map((line) => line.replace(/ +/, " "))).toEqual([
			...[below, "format raw", "disk 3.0 MiB", "file 3.0 MiB"],
			...[overlay, "format qcow2", "disk 3.0 MiB"],
			expect.stringMatching(/^file \d\.\d MiB$/),
			...["changes 0.4 MiB", `on top of      ${below} (raw)`, ""],
		]);
	});

	it("commits no image that is on top of nothing, or that a guest made look so", async () => {
		const plain = join(scratchFolder(), "plain.qcow2");
		tool("qemu-img", "create", "-q", "-f", "qcow2", plain, "1M");
		for (const action of ["commit", "discard"]) {
			const raw = lguestDisk(action, below);
			expect([raw.status, raw.stderr]).toEqual([
				2,
				expect.stringContaining("is no overlay"),
			]);
			expect(lguestDisk(action, plain).status).toBe(2);
		}
		await change(below, "raw", overlay, before);
		const planted = `${below}.planted`;
		writeFileSync(planted, readFileSync(overlay));
		for (const action of ["info", "commit", "discard"]) {
			const { status, stderr } = lguestDisk(action, planted);
			expect([status, stderr]).toEqual([
				2,
				expect.stringContaining("looks like qcow2, but is not called so"),
			]);
		}
		expect(readFileSync(below).equals(before)).toBe(true);
	});

	it("lets nobody at an overlay between writing it down and emptying it", async () => {
		await change(below, "raw", overlay, before);
		const { dev, ino } = statSync(overlay);
		const isLocked = () =>
			readFileSync("/proc/net/unix", "utf8").includes(
				`@lguest-disk-${dev}-${ino}-writer`,
			);
		let isDone = false;
		const commit = commitOverlay({ path: overlay }).finally(() => {
			isDone = true;
		});
		while (!isLocked() && !isDone) await setImmediate();
		while (!isDone) {
			const refusal = await openDisk({ path: overlay }).then(
				async (disk) => {
					const ranges = (disk as Qcow2Disk).ownRanges();
					expect((await ranges.next()).done).toBe(true);
					await disk.close?.();
					return "is in use";
				},
				(error: Error) => error.message,
			);
			expect(refusal).toMatch(/is in use|has just been replaced/);
		}
		await commit;
	});

	it("touches no image that somebody uses", async () => {
		const after = await change(below, "raw", overlay, before);
		const disk = await openDisk({ path: below, overlay });
		try {
			for (const action of ["commit", "discard"]) {
				const { status, stderr } = lguestDisk(action, overlay);
				expect([status, stderr]).toEqual([
					2,
					expect.stringContaining("is in use"),
				]);
			}
		} finally {
			await disk.close?.();
		}
		expect(Buffer.compare(contentsOf(overlay), after)).toBe(0);
	});

	it("understands nothing else", () => {
		expect(lguestDisk("shrink", overlay).status).toBe(2);
		expect(lguestDisk("info", `${below},ro`).status).toBe(2);
		expect(lguestDisk("info").status).toBe(2);
	});
});
