import { describe, expect, it } from "vitest";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { MemoryDisk, OverlayDisk } from "./memory-disk.ts";

const filled = (length: number, value: number) =>
	new Uint8Array(length).fill(value);

async function bytesAt(
	disk: MemoryDisk | OverlayDisk,
	offset: number,
	length: number,
): Promise<Uint8Array> {
	const bytes = new Uint8Array(length);
	await disk.read(offset, bytes);
	return bytes;
}

describe("a disk in memory", () => {
	it("is zero where nothing was written, and takes no memory there", async () => {
		const disk = new MemoryDisk(1 << 30);
		expect(await bytesAt(disk, 12345 * 512, 512)).toEqual(filled(512, 0));
		expect(disk.allocatedBytes).toBe(0);
	});

	it("keeps what is written across the borders of its blocks", async () => {
		const disk = new MemoryDisk(1 << 20);
		const data = Uint8Array.from({ length: 200 * 1024 }, (_, i) => i % 251);
		disk.write(33 * 512, data);
		expect(
			Buffer.compare(await bytesAt(disk, 33 * 512, data.length), data),
		).toBe(0);
	});

	it("gives memory back for zeroes", async () => {
		const disk = new MemoryDisk(1 << 20);
		disk.write(0, filled(1 << 20, 1));
		disk.writeZeroes(512, (1 << 20) - 512);
		expect(disk.allocatedBytes).toBe(65536);
		expect((await bytesAt(disk, 0, 513)).subarray(511)).toEqual(
			Uint8Array.of(1, 0),
		);
	});
});

describe("an overlay", () => {
	it("keeps writes from the disk below until they are committed", async () => {
		const below = new MemoryDisk(100_000 - (100_000 % 512));
		below.write(0, filled(below.sizeBytes, 1));
		const overlay = new OverlayDisk(below);
		overlay.write(512, filled(512, 2));
		overlay.writeZeroes(below.sizeBytes - 512, 512);
		expect(
			(await bytesAt(overlay, 0, 2048)).filter((b) => b === 2),
		).toHaveLength(512);
		expect(await bytesAt(below, 512, 512)).toEqual(filled(512, 1));
		await overlay.commit();
		expect(await bytesAt(below, 512, 512)).toEqual(filled(512, 2));
		expect(await bytesAt(below, below.sizeBytes - 512, 512)).toEqual(
			filled(512, 0),
		);
		expect(await bytesAt(below, 1024, 512)).toEqual(filled(512, 1));
	});

	it("forgets what is thrown away", async () => {
		const overlay = new OverlayDisk(MemoryDisk.from(filled(4096, 1)));
		overlay.write(0, filled(4096, 2));
		overlay.discardChanges();
		expect(await bytesAt(overlay, 0, 4096)).toEqual(filled(4096, 1));
	});

	it("applies writes to one block in order while the disk below is slow", async () => {
		const below = new FakeDisk(1 << 20);
		const overlay = new OverlayDisk(below);
		const first = overlay.write(0, filled(1024, 1));
		const second = overlay.write(512, filled(1024, 2));
		await below.succeedAll();
		await Promise.all([first, second]);
		expect(below.log).toEqual(["read 0+65536"]);
		const bytes = await bytesAt(overlay, 0, 1536);
		expect([bytes[0], bytes[511], bytes[512], bytes[1535]]).toEqual([
			1, 1, 2, 2,
		]);
	});

	it("keeps nothing of a write whose other half cannot be read", async () => {
		const below = new FakeDisk(1 << 20);
		below.contents.write(0, filled(1 << 20, 7));
		const overlay = new OverlayDisk(below);
		// Covers the first block wholly and the second in part.
		const write = overlay.write(0, filled(65536 + 512, 1));
		await Promise.all([
			expect(write).rejects.toThrow("on fire"),
			below.pending[0]?.fail(),
		]);
		const read = bytesAt(overlay, 0, 512);
		await below.succeedAll();
		expect(await read).toEqual(filled(512, 7));
	});
});
