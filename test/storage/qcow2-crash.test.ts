/**
 * Images whose writer ends at any moment. Each sector says which write it is
 * from; afterwards QEMU's tools must find no contradiction (clusters that leak
 * are allowed), and every sector must be at least as new as the last flush.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MemoryStore, Qcow2Disk } from "../../src/index.ts";
import { type Random, randomFrom } from "../support/random.ts";
import { CrashStore } from "./crash-store.ts";
import { judge, scratchFolder, tool } from "./image-files.ts";

const SECTORS = 1024;
const ACTIONS = 160;
const MOMENTS = process.env.LGUEST_LONG === "1" ? 2000 : 40;
const TEN_MINUTES = 600_000;

/** A sector's contents: which sector, which version; version 0 is zeroes. */
function stamp(sector: number, version: number): Uint8Array {
	const bytes = new Uint8Array(512);
	if (version === 0) return bytes;
	const view = new DataView(bytes.buffer);
	for (let at = 0; at < 512; at += 8) {
		view.setUint32(at, sector);
		view.setUint32(at + 4, version);
	}
	return bytes;
}

/** Which version a sector is of; fails on a mixture, or another sector's. */
function versionOf(bytes: Uint8Array, sector: number): number {
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	const version = view.getUint32(4);
	if (Buffer.compare(bytes, stamp(sector, version)) !== 0) {
		throw new Error(`sector ${sector} is of no version`);
	}
	return version;
}

/** A point in the story from which on some versions are certain. */
interface Milestone {
	readonly moment: number;
	/** How many entries of each sector's history were complete. */
	readonly complete: readonly number[];
}

/** A guest that keeps a diary of what it wrote. */
class Diarist {
	/** Versions in order of being asked for; 0 = made zero. */
	readonly history: number[][] = Array.from({ length: SECTORS }, () => [0]);
	readonly milestones: Milestone[] = [];
	readonly #disk: Qcow2Disk;
	readonly #store: CrashStore;
	readonly #random: Random;
	readonly #complete: number[] = new Array(SECTORS).fill(1);
	/** Sectors that somebody is writing: nobody else may, or order is lost. */
	readonly #busy = new Set<number>();
	#version = 0;

	constructor(disk: Qcow2Disk, store: CrashStore, random: Random) {
		this.#disk = disk;
		this.#store = store;
		this.#random = random;
	}

	async act(): Promise<void> {
		const random = this.#random;
		if (random(6) === 0) return await this.#flush();
		const start = random(SECTORS);
		const count = Math.min(SECTORS - start, 1 + random(random(4) ? 24 : 400));
		const sectors = Array.from({ length: count }, (_, i) => start + i);
		if (sectors.some((sector) => this.#busy.has(sector))) return;
		for (const sector of sectors) this.#busy.add(sector);
		const zero = random(5) === 0;
		this.#version++;
		const version = zero ? 0 : this.#version;
		for (const sector of sectors) this.history[sector]?.push(version);
		if (zero) {
			await this.#disk.writeZeroes(start * 512, count * 512, true);
		} else {
			const parts = sectors.map((sector) => stamp(sector, version));
			await this.#disk.write(start * 512, Buffer.concat(parts));
		}
		for (const sector of sectors) {
			this.#busy.delete(sector);
			this.#complete[sector] = this.history[sector]?.length ?? 0;
		}
	}

	async #flush(): Promise<void> {
		const complete = this.#complete.slice();
		await this.#disk.flush();
		this.milestones.push({ moment: this.#store.moment, complete });
	}
}

/** Complains about sectors that are older than what was flushed. */
async function compare(
	image: Uint8Array,
	moment: number,
	diary: Diarist,
): Promise<void> {
	const disk = await Qcow2Disk.open(new MemoryStore(image, true));
	const bytes = new Uint8Array(SECTORS * 512);
	await disk.read(0, bytes);
	const flushed = diary.milestones.filter((one) => one.moment <= moment).at(-1);
	for (let sector = 0; sector < SECTORS; sector++) {
		const found = bytes.subarray(sector * 512, sector * 512 + 512);
		const version = versionOf(found, sector);
		const first = (flushed?.complete[sector] ?? 1) - 1;
		const possible = diary.history[sector]?.slice(first) ?? [];
		if (!possible.includes(version)) {
			throw new Error(
				`sector ${sector} is of version ${version}; possible: ${possible}`,
			);
		}
	}
}

describe.skipIf(!existsSync("/usr/bin/qemu-img"))(
	"an image whose writer ends at any moment",
	() => {
		for (const options of [
			"cluster_size=64k",
			"cluster_size=512,refcount_bits=64",
			"cluster_size=4k,compat=0.10",
		]) {
			it(
				`loses nothing that was flushed, and contradicts itself nowhere (${options})`,
				async () => {
					const folder = scratchFolder();
					const path = join(folder, "image.qcow2");
					tool(
						...(["qemu-img", "create", "-q", "-f", "qcow2"] as const),
						...["-o", options, path, String(SECTORS * 512)],
					);
					const store = new CrashStore(readFileSync(path));
					const disk = await Qcow2Disk.open(store);
					const random = randomFrom(options.length);
					const diary = new Diarist(disk, store, random);
					const workers = Array.from({ length: 4 }, async () => {
						for (let i = 0; i < ACTIONS / 4; i++) await diary.act();
					});
					await Promise.all(workers);
					expect(diary.milestones.length).toBeGreaterThan(10);
					for (let i = 0; i < MOMENTS; i++) {
						const moment = random(store.moment + 1);
						const image =
							i % 2 === 0
								? store.killedAt(moment)
								: store.powerLostAt(moment, random);
						await compare(image, moment, diary);
						writeFileSync(path, image);
						expect(judge(path).errors).toBe(0);
					}
				},
				TEN_MINUTES,
			);
		}
	},
);
