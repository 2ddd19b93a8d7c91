import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RawDisk } from "../index.ts";
import { FileStore, openFileStore, type StoreFile } from "./file-store.ts";

let scratch: string;
let path: string;

beforeEach(async () => {
	scratch = await mkdtemp(join(tmpdir(), "lguest-disk-"));
	path = join(scratch, "disk.img");
});

afterEach(async () => {
	await rm(scratch, { recursive: true, force: true });
});

const filled = (length: number, value: number) =>
	new Uint8Array(length).fill(value);

/** A file that moves at most `most` bytes at a time. */
function reluctant(file: StoreFile, most: number): StoreFile {
	return {
		read: ((buffer: Uint8Array, at: number, length: number, offset: number) =>
			file.read(buffer, at, Math.min(length, most), offset)) as never,
		write: ((buffer: Uint8Array, at: number, length: number, offset: number) =>
			file.write(buffer, at, Math.min(length, most), offset)) as never,
		datasync: () => file.datasync(),
		close: () => file.close(),
	};
}

async function openRaw(file: string, readOnly: boolean): Promise<RawDisk> {
	return new RawDisk((await openFileStore(file, readOnly)).store);
}

describe("a disk in a file", () => {
	it("reads and writes where it is told", async () => {
		await writeFile(path, filled(4096, 1));
		const disk = await openRaw(path, false);
		expect(disk.sizeBytes).toBe(4096);
		await disk.write(512, filled(512, 2));
		await disk.writeZeroes(2048, 1024);
		await disk.flush();
		const bytes = new Uint8Array(4096);
		await disk.read(0, bytes);
		await disk.close();
		expect([0, 512, 1024, 2048, 3071, 3072].map((at) => bytes[at])).toEqual([
			1, 2, 1, 0, 0, 1,
		]);
		expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
	});

	it("goes on after short reads and short writes", async () => {
		await writeFile(path, filled(4096, 0));
		const file = await open(path, "r+");
		const disk = new RawDisk(new FileStore(reluctant(file, 100), 4096, false));
		const data = Uint8Array.from({ length: 2048 }, (_, i) => i % 251);
		await disk.write(1024, data);
		const bytes = new Uint8Array(2048);
		await disk.read(1024, bytes);
		await disk.close();
		expect(bytes).toEqual(data);
	});

	it("pads a file that ends within a sector", async () => {
		await writeFile(path, filled(700, 3));
		const disk = await openRaw(path, true);
		expect(disk.sizeBytes).toBe(1024);
		const bytes = filled(512, 9);
		await disk.read(512, bytes);
		await disk.close();
		expect([bytes[0], bytes[187], bytes[188], bytes[511]]).toEqual([
			3, 3, 0, 0,
		]);
	});

	it("fails a write that a full file system refuses, and lives", async () => {
		// Linux has a file that is always full.
		const full = await open("/dev/full", "r+");
		const disk = new RawDisk(new FileStore(full, 4096, false));
		await expect(disk.write(0, filled(512, 1))).rejects.toThrow("ENOSPC");
		await disk.close();
	});

	it("says what is wrong with a path, and what to do", async () => {
		await expect(openFileStore(path, false)).rejects.toThrow(
			`The disk ${path} does not exist.`,
		);
		await expect(openFileStore(scratch, false)).rejects.toThrow(
			`The disk ${scratch} is a directory.`,
		);
		await expect(openFileStore("/dev/null", false)).rejects.toThrow(
			"The disk /dev/null is no regular file and no block device.",
		);
	});
});
