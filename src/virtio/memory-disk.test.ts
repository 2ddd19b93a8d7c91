import { describe, expect, it } from "vitest";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { randomFrom } from "../../test/support/random.ts";
import { MemoryDisk, OverlayDisk } from "./memory-disk.ts";

/** A disk keeps its contents in blocks of so many bytes. */
const BLOCK = 65_536;

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

	it("moves one part after the other at once", () => {
		const disk = new MemoryDisk(1 << 20);
		const data = Uint8Array.from({ length: 70_144 }, (_, i) => i % 251);
		const cut = (bytes: Uint8Array) => [
			bytes.subarray(0, 512),
			bytes.subarray(512, 69_632),
			bytes.subarray(69_632),
		];
		expect(disk.writeNow(512, cut(data))).toBe(true);
		const found = new Uint8Array(data.length);
		expect(disk.readNow(512, cut(found))).toBe(true);
		expect(Buffer.compare(found, data)).toBe(0);
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

	it("moves at once what lies all here, or all below and at hand there", () => {
		const overlay = new OverlayDisk(MemoryDisk.from(filled(4 * BLOCK, 1)));
		expect(overlay.writeNow(0, [filled(512, 2)])).toBe(false);
		expect(overlay.write(BLOCK, filled(2 * BLOCK, 2))).toBeUndefined();
		expect(overlay.writeNow(BLOCK + 512, [filled(512, 3)])).toBe(true);
		expect(overlay.writeNow(3 * BLOCK - 512, [filled(1024, 3)])).toBe(false);
		const [below, here] = [new Uint8Array(BLOCK), new Uint8Array(1024)];
		expect(overlay.readNow(0, [below])).toBe(true);
		expect(below).toEqual(filled(BLOCK, 1));
		expect(overlay.readNow(BLOCK, [here])).toBe(true);
		expect([here[0], here[511], here[512]]).toEqual([2, 2, 3]);
		expect(overlay.readNow(BLOCK - 512, [here])).toBe(false);
	});

	it("moves nothing at once where the disk below has nothing at hand", () => {
		const overlay = new OverlayDisk(new FakeDisk(1 << 20));
		expect(overlay.readNow(0, [new Uint8Array(512)])).toBe(false);
	});

	it("moves nothing at once before what waits for the disk below", async () => {
		const below = new FakeDisk(1 << 20);
		const overlay = new OverlayDisk(below);
		overlay.write(BLOCK, filled(BLOCK, 1));
		const waiting = overlay.write(0, filled(512, 2));
		expect(overlay.writeNow(BLOCK, [filled(512, 4)])).toBe(false);
		await below.succeedAll();
		await waiting;
		expect(overlay.writeNow(BLOCK, [filled(512, 4)])).toBe(true);
	});

	it("is the same disk whether it is asked at once or not", async () => {
		const expected = filled(64 * BLOCK, 9);
		const SECTORS = expected.length / 512;
		const overlay = new OverlayDisk(MemoryDisk.from(expected.slice()));
		const draw = randomFrom(5);
		const atOnce = { true: 0, false: 0 };
		for (let turn = 0; turn < 400; turn++) {
			const first = draw(SECTORS);
			const sectors = 1 + draw(Math.min(SECTORS - first, 200));
			const [offset, length] = [first * 512, sectors * 512];
			const cut = 512 * draw(sectors);
			const bytes = filled(length, turn % 251);
			const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
			const isWrite = turn % 8 === 0;
			const isDone = isWrite
				? overlay.writeNow(offset, parts)
				: overlay.readNow(offset, parts);
			atOnce[`${isDone}`]++;
			if (isWrite) {
				if (!isDone) await overlay.write(offset, bytes);
				expected.set(bytes, offset);
			} else {
				if (!isDone) await overlay.read(offset, bytes);
				const wanted = expected.subarray(offset, offset + length);
				expect(Buffer.compare(bytes, wanted)).toBe(0);
			}
		}
		expect(Math.min(atOnce.true, atOnce.false)).toBeGreaterThan(20);
	});
});
