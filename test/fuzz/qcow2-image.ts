/**
 * qcow2 images with wrong numbers in them: headers, tables, counts. An image is
 * either refused in words, or it can be read and written, with errors where it
 * contradicts itself; it never makes us hold more than its tables may be, nor
 * write far beyond its end.
 */

import {
	createQcow2,
	MemoryStore,
	Qcow2Disk,
	readQcow2Header,
	UsageError,
} from "../../src/index.ts";
import { CorruptImage } from "../../src/storage/qcow2/entries.ts";
import { chance, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const DISK_BYTES = 256 * 1024;
/** A longer refcount table alone may be 8 MiB. */
const MOST_GROWTH_BYTES = 20 << 20;
const ACTIONS = 12;

/** Numbers that have a meaning somewhere, and some that have none. */
function number(random: Random, image: Uint8Array): number {
	switch (random(5)) {
		case 0:
			return random(256);
		case 1:
			return 2 ** random(32);
		case 2:
			return 512 * random(1 + image.length / 512);
		case 3:
			return 0xffff_ffff - random(4);
		default:
			return random(2 ** 32);
	}
}

async function imageFrom(random: Random): Promise<Uint8Array> {
	const store = new MemoryStore();
	const clusterBits = 9 + random(4);
	await createQcow2(store, { sizeBytes: DISK_BYTES, clusterBits });
	const disk = await Qcow2Disk.open(store);
	await disk.write(512 * random(200), new Uint8Array(40_000).fill(7));
	await disk.flush();
	const image = store.contents.slice();
	const view = new DataView(image.buffer);
	for (let count = 1 + random(6); count > 0; count--) {
		// Half of them in the header, the others in any word of the tables.
		const at = chance(random, 2) ? random(112) : 8 * random(image.length / 8);
		if (at + 4 <= image.length) view.setUint32(at, number(random, image));
	}
	return chance(random, 8) ? image.slice(0, random(image.length)) : image;
}

/** Errors that an image may cause. */
function isExpected(error: unknown): boolean {
	if (error instanceof UsageError || error instanceof CorruptImage) return true;
	const words = /cannot grow any more|nobody here unpacks/;
	return error instanceof Error && words.test(error.message);
}

async function run(random: Random): Promise<void> {
	const image = await imageFrom(random);
	const store = new GrowingStore(image);
	try {
		const header = await readQcow2Header(store);
		if (header.backingName !== undefined) return;
		const disk = await Qcow2Disk.open(store);
		for (let i = 0; i < ACTIONS; i++) await act(disk, random);
		await disk.close();
	} catch (error) {
		if (!isExpected(error)) throw error;
	}
}

async function act(disk: Qcow2Disk, random: Random): Promise<void> {
	const sectors = Math.min(disk.sizeBytes / 512, 2 ** 40);
	if (sectors < 1) return;
	const start = random(sectors);
	const count = Math.min(sectors - start, 1 + random(100));
	const [offset, length] = [start * 512, count * 512];
	try {
		switch (random(5)) {
			case 0:
				return await disk.write(offset, new Uint8Array(length));
			case 1:
				return await disk.discard(offset, length);
			case 2:
				return await disk.writeZeroes(offset, length, chance(random, 2));
			case 3:
				return await disk.flush();
			default:
				return await disk.read(offset, new Uint8Array(length));
		}
	} catch (error) {
		if (!isExpected(error)) throw error;
	}
}

/** A store that notices when somebody writes where nothing should be. */
class GrowingStore extends MemoryStore {
	readonly #limit: number;

	constructor(image: Uint8Array) {
		super(image);
		this.#limit = image.length + MOST_GROWTH_BYTES;
	}

	override async write(offset: number, source: Uint8Array): Promise<void> {
		if (offset + source.length > this.#limit) {
			throw new Error(`a write at ${offset}, far beyond the end`);
		}
		await super.write(offset, source);
	}
}

export const QCOW2_IMAGE_TARGET: FuzzTarget = {
	name: "qcow2-image",
	about: "headers, tables and reference counts of qcow2 images",
	run,
};
