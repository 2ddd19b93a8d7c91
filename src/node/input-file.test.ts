import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readInputFile } from "./input-file.ts";

let directory: string;

beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "lguest-input-"));
});

afterAll(() => {
	rmSync(directory, { recursive: true, force: true });
});

describe("An input file", () => {
	it("is read whole, however large", async () => {
		const path = join(directory, "large");
		const data = Uint8Array.from({ length: 9_000_001 }, (_, i) => i % 251);
		writeFileSync(path, data);
		const read = await readInputFile(path, "initrd", () => {});
		expect(Buffer.from(read).equals(data)).toBe(true);
	});

	it("may be empty", async () => {
		const path = join(directory, "empty");
		writeFileSync(path, "");
		expect(await readInputFile(path, "initrd", () => {})).toHaveLength(0);
	});

	it("may be something whose size the system does not know", async () => {
		const read = await readInputFile("/proc/self/status", "initrd", () => {});
		expect(read.length).toBeGreaterThan(100);
	});

	it("is refused by name if it does not exist or is a directory", async () => {
		const missing = join(directory, "missing");
		await expect(
			readInputFile(missing, "kernel", () => {}),
		).rejects.toMatchObject({
			message: `The kernel ${missing} does not exist.`,
			exitStatus: 2,
		});
		await expect(
			readInputFile(directory, "kernel", () => {}),
		).rejects.toMatchObject({
			message: `The kernel ${directory} is a directory.`,
			exitStatus: 2,
		});
	});

	it("is refused unread if this guest cannot hold it", async () => {
		const path = join(directory, "disk-image");
		writeFileSync(path, new Uint8Array(101));
		const activities: string[] = [];
		const read = (mostBytes: number) =>
			readInputFile(path, "initrd", (what) => activities.push(what), mostBytes);
		await expect(read(100)).rejects.toMatchObject({
			message: `${path}: the initrd is larger than the guest's memory.`,
			hint: expect.stringContaining("--memory"),
		});
		expect(activities).toEqual([]);
		expect(await read(101)).toHaveLength(101);
	});

	it("is refused unread if no guest could hold it", async () => {
		const path = join(directory, "huge");
		writeFileSync(path, "");
		truncateSync(path, 5 * 2 ** 30);
		await expect(readInputFile(path, "initrd", () => {})).rejects.toMatchObject(
			{
				message: expect.stringContaining("larger than any guest's memory"),
			},
		);
	});
});
