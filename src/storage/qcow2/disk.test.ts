import { describe, expect, it } from "vitest";
import { MemoryStore } from "../byte-store.ts";
import { createQcow2 } from "./create.ts";
import { Qcow2Disk, readQcow2Header } from "./disk.ts";
import { HEADER_AT } from "./header.ts";

const CLUSTER = 65_536;

/** A store whose next write waits until the test lets it through. */
class GatedStore extends MemoryStore {
	#gate: Promise<void> | undefined;
	#open: () => void = () => {};

	holdNextWrite(): () => void {
		this.#gate = new Promise((resolve) => {
			this.#open = resolve;
		});
		return this.#open;
	}

	override async write(offset: number, source: Uint8Array): Promise<void> {
		const gate = this.#gate;
		this.#gate = undefined;
		await gate;
		await super.write(offset, source);
	}
}

/** A store that is full beyond `roomBytes`. */
class FullStore extends MemoryStore {
	roomBytes = Number.POSITIVE_INFINITY;

	override async write(offset: number, source: Uint8Array): Promise<void> {
		if (offset + source.length > this.roomBytes) throw new Error("ENOSPC");
		await super.write(offset, source);
	}
}

async function made<Store extends MemoryStore>(store: Store) {
	await createQcow2(store, { sizeBytes: 16 * CLUSTER });
	return { store, disk: await Qcow2Disk.open(store) };
}

const filled = (length: number, value: number) =>
	new Uint8Array(length).fill(value);

async function firstByte(disk: Qcow2Disk, cluster: number): Promise<number> {
	const bytes = new Uint8Array(512);
	await disk.read(cluster * CLUSTER, bytes);
	return bytes[0] ?? -1;
}

describe("a disk in a qcow2 image", () => {
	it("starts as zeroes and takes no room for them", async () => {
		const { store, disk } = await made(new MemoryStore());
		const before = store.sizeBytes;
		expect(await firstByte(disk, 3)).toBe(0);
		await disk.writeZeroes(0, 16 * CLUSTER, true);
		await disk.flush();
		expect(store.sizeBytes).toBe(before);
	});

	it("gives no cluster to another while somebody still writes to it", async () => {
		const { store, disk } = await made(new GatedStore());
		await disk.write(0, filled(CLUSTER, 1));
		const letThrough = store.holdNextWrite();
		const late = disk.write(0, filled(CLUSTER, 2));
		await disk.discard(0, CLUSTER);
		const flushed = disk.flush();
		for (let i = 0; i < 50; i++) await Promise.resolve();
		await disk.write(5 * CLUSTER, filled(CLUSTER, 5));
		letThrough();
		await Promise.all([late, flushed]);
		expect(await firstByte(disk, 5)).toBe(5);
		expect(await firstByte(disk, 0)).toBe(0);
	});

	it("uses what was given back before it grows", async () => {
		const { store, disk } = await made(new MemoryStore());
		await disk.write(0, filled(4 * CLUSTER, 1));
		await disk.flush();
		const { sizeBytes } = store;
		await disk.discard(0, 4 * CLUSTER);
		await disk.flush();
		await disk.write(8 * CLUSTER, filled(4 * CLUSTER, 2));
		await disk.flush();
		expect(store.sizeBytes).toBe(sizeBytes);
	});

	it("keeps room for a range that is made zero but not given back", async () => {
		const { store, disk } = await made(new MemoryStore());
		await disk.write(0, filled(2 * CLUSTER, 1));
		await disk.writeZeroes(0, 2 * CLUSTER, false);
		await disk.flush();
		expect(await firstByte(disk, 1)).toBe(0);
		const { sizeBytes } = store;
		await disk.write(4 * CLUSTER, filled(CLUSTER, 1));
		expect(store.sizeBytes).toBeGreaterThan(sizeBytes);
	});

	it("fails a write that finds no room, and loses nothing that was there", async () => {
		const { store, disk } = await made(new FullStore());
		await disk.write(0, filled(CLUSTER, 1));
		await disk.flush();
		store.roomBytes = store.sizeBytes;
		await expect(disk.write(4 * CLUSTER, filled(CLUSTER, 4))).rejects.toThrow(
			"ENOSPC",
		);
		await disk.write(0, filled(512, 7));
		expect(await firstByte(disk, 0)).toBe(7);
		expect(await firstByte(disk, 4)).toBe(0);
		store.roomBytes = Number.POSITIVE_INFINITY;
		await disk.write(4 * CLUSTER, filled(CLUSTER, 4));
		await disk.flush();
		const again = await Qcow2Disk.open(new MemoryStore(store.contents));
		expect(await firstByte(again, 4)).toBe(4);
	});

	it("tries again at the next flush what one could not write", async () => {
		const { store, disk } = await made(new FullStore());
		await disk.write(0, filled(CLUSTER, 1));
		store.roomBytes = 0;
		await expect(disk.flush()).rejects.toThrow("ENOSPC");
		store.roomBytes = Number.POSITIVE_INFINITY;
		await disk.flush();
		const again = await Qcow2Disk.open(new MemoryStore(store.contents));
		expect(await firstByte(again, 0)).toBe(1);
	});

	it("writes a disk's clusters to no place where a table is", async () => {
		const { store, disk } = await made(new MemoryStore());
		await disk.write(0, filled(CLUSTER, 1));
		await disk.flush();
		const image = store.contents.slice();
		const { l1Offset } = await readQcow2Header(store);
		const view = new DataView(image.buffer);
		const l2Offset = Number(view.getBigUint64(l1Offset) & ((1n << 56n) - 1n));
		// The disk's first cluster is said to be where the refcount table is.
		view.setBigUint64(l2Offset, (1n << 63n) | BigInt(CLUSTER));
		const bad = await Qcow2Disk.open(new MemoryStore(image));
		await expect(bad.write(0, filled(512, 1))).rejects.toThrow(
			"a cluster of the disk where a table is",
		);
	});

	it("does not look for ever for a free cluster in an image that has none", async () => {
		const store = new MemoryStore();
		await createQcow2(store, { sizeBytes: 16 * CLUSTER });
		const image = store.contents.slice();
		const view = new DataView(image.buffer);
		const table = Number(view.getBigUint64(HEADER_AT.refcountTableOffset));
		const block = view.getBigUint64(table);
		// Every entry of the table is one block, and in that all is in use.
		for (let at = 0; at < CLUSTER; at += 8)
			view.setBigUint64(table + at, block);
		image.fill(1, Number(block), Number(block) + CLUSTER);
		const bad = await Qcow2Disk.open(new MemoryStore(image));
		await expect(bad.write(0, filled(512, 1))).rejects.toThrow(
			"clusters beyond the end that count as used",
		);
	});
});
