import { readvSync, writevSync } from "node:fs";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RawDisk } from "../index.ts";
import type { InPlaceCalls } from "./at-hand.ts";
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

const TRAITS = { sizeBytes: 4096, readOnly: false };

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
		const disk = new RawDisk(new FileStore(reluctant(file, 100), TRAITS));
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
		const disk = new RawDisk(new FileStore(full, TRAITS));
		await expect(disk.write(0, filled(512, 1))).rejects.toThrow("ENOSPC");
		await disk.close();
	});

	describe("whose bytes are at hand", () => {
		/** Calls in place that move at most 100 bytes at a time. */
		const reluctantly = (fd: number): InPlaceCalls => ({
			read: (into, offset) => readvSync(fd, hundred(into), offset),
			write: (from, offset) => writevSync(fd, hundred(from), offset),
		});
		const hundred = (parts: readonly Uint8Array[]) => {
			let left = 100;
			return parts.map((part) => {
				const some = part.subarray(0, left);
				left -= some.length;
				return some;
			});
		};
		/** A pool that nobody may ask. */
		const noPool = {
			read: () => Promise.reject(new Error("read by the pool")),
			write: () => Promise.reject(new Error("written by the pool")),
		} as unknown as StoreFile;

		it("moves them in place, all of them, and zeroes behind the end", async () => {
			await writeFile(path, filled(700, 3));
			const file = await open(path, "r+");
			const inPlace = reluctantly(file.fd);
			// One for each call: on a busy machine the first may count as slow.
			const store = () => new FileStore(noPool, { ...TRAITS, inPlace });
			const sources = [filled(30, 4), filled(0, 0), filled(482, 5)];
			expect(store().writeNow(256, sources)).toBe(true);
			const targets = [filled(250, 9), filled(500, 9), filled(274, 9)];
			expect(store().readNow(0, targets)).toBe(true);
			await file.close();
			const bytes = Buffer.concat(targets);
			expect([255, 256, 285, 286, 767].map((at) => bytes[at])).toEqual([
				3, 4, 4, 5, 5,
			]);
			expect(bytes.subarray(768)).toEqual(Buffer.alloc(256));
			expect(await readFile(path)).toHaveLength(768);
		});

		it("is asked in place where it lies in this computer, by whoever waits, too", async () => {
			await writeFile(path, filled(4096, 1));
			const { store } = await openFileStore(path, false);
			const bytes = new Uint8Array(512);
			const isLocal = store.readNow(0, [bytes]);
			expect(bytes[0]).toBe(isLocal ? 1 : 0);
			await store.read(512, bytes);
			expect(bytes[511]).toBe(1);
			await store.close();
		});

		it("goes to the pool after a call that waited for something", async () => {
			await writeFile(path, filled(4096, 1));
			const file = await open(path, "r+");
			const { read, write } = reluctantly(file.fd);
			const slowly = (...where: Parameters<typeof read>) => {
				Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
				return read(...where);
			};
			const inPlace = { read: slowly, write };
			const store = new FileStore(file, { ...TRAITS, inPlace });
			const bytes = new Uint8Array(100);
			expect(store.readNow(0, [bytes])).toBe(true);
			expect(store.readNow(0, [bytes])).toBe(false);
			expect(store.writeNow(0, [bytes])).toBe(false);
			for (let i = 0; i < 4; i++) await store.read(0, bytes);
			expect(store.readNow(0, [bytes])).toBe(true);
			await file.close();
		});

		it("tells of what the system refuses", async () => {
			const full = await open("/dev/full", "r+");
			const inPlace = reluctantly(full.fd);
			const store = () => new FileStore(noPool, { ...TRAITS, inPlace });
			const bytes = filled(512, 1);
			expect(() => store().writeNow(0, [bytes])).toThrow("ENOSPC");
			await expect(store().write(0, bytes)).rejects.toThrow("ENOSPC");
			await full.close();
		});
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
