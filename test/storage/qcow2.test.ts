/**
 * qcow2 images before their judges: QEMU's tools make them in every variety,
 * lguest reads and writes them, and QEMU's tools say what is in them afterwards
 * and whether their tables agree.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDisk } from "../../src/node/disk-files.ts";
import type { BlockBackend } from "../../src/virtio/backends.ts";
import { type Random, randomFrom } from "../support/random.ts";
import {
	contentsOf,
	judge,
	rawSample,
	sampleBytes,
	scratchFolder,
	tool,
} from "./image-files.ts";

const TEN_MINUTES = 600_000;
const SIZE = 6 << 20;
const STEPS = process.env.LGUEST_LONG === "1" ? 2000 : 150;
const available = existsSync("/usr/bin/qemu-img");

/** What the disk should hold, kept beside it. */
class Twin {
	readonly disk: BlockBackend;
	readonly bytes: Uint8Array;
	readonly #random: Random;

	constructor(disk: BlockBackend, bytes: Uint8Array, random: Random) {
		this.disk = disk;
		this.bytes = bytes;
		this.#random = random;
	}

	/** One thing that a guest could do, of any size up to `most` sectors. */
	async step(most: number): Promise<void> {
		const random = this.#random;
		const sectors = this.bytes.length / 512;
		const start = random(sectors);
		const count = 1 + random(Math.min(most, sectors - start));
		const [offset, length] = [start * 512, count * 512];
		switch (random(8)) {
			case 0:
				return await this.disk.flush();
			case 1: {
				const mayUnmap = random(2) === 1;
				this.bytes.fill(0, offset, offset + length);
				return await this.disk.writeZeroes(offset, length, mayUnmap);
			}
			case 2: {
				// What is there afterwards is the disk's choice; we take it over.
				await this.disk.discard?.(offset, length);
				const now = this.bytes.subarray(offset, offset + length);
				return await this.disk.read(offset, now);
			}
			case 3:
			case 4: {
				const found = new Uint8Array(length);
				await this.disk.read(offset, found);
				this.#compare(offset, found);
				return;
			}
			default: {
				const source = sampleBytes(length, random(1 << 30));
				this.bytes.set(source, offset);
				return await this.disk.write(offset, source);
			}
		}
	}

	/** Several writes at once, side by side, where they meet in one cluster. */
	async crowd(): Promise<void> {
		const random = this.#random;
		const start = random(this.bytes.length / 512 - 64) * 512;
		const writes = Array.from({ length: 16 }, (_, index) => {
			const source = sampleBytes(2048, random(1 << 30));
			this.bytes.set(source, start + index * 2048);
			return this.disk.write(start + index * 2048, source);
		});
		await Promise.all(writes);
	}

	#compare(offset: number, found: Uint8Array): void {
		const wrong = found.findIndex((b, i) => b !== this.bytes[offset + i]);
		if (wrong >= 0) throw new Error(`byte ${offset + wrong} is wrong`);
	}
}

/** How an image is made, and what it then holds. */
interface Variety {
	readonly title: string;
	make(folder: string, image: string): Uint8Array;
}

function plain(title: string, options: string): Variety {
	return {
		title,
		make: (_folder, image) => {
			tool(
				...(["qemu-img", "create", "-q", "-f", "qcow2"] as const),
				...["-o", options, image, String(SIZE)],
			);
			return new Uint8Array(SIZE);
		},
	};
}

function compressed(type: "zlib" | "zstd"): Variety {
	return {
		title: `compressed by ${type}`,
		make: (folder, image) => {
			const raw = join(folder, "raw");
			const bytes = rawSample(raw, SIZE, 7);
			tool(
				...(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2"] as const),
				...["-o", `compression_type=${type}`, raw, image],
			);
			return bytes;
		},
	};
}

function onTopOf(format: "raw" | "qcow2", options: string): Variety {
	return {
		title: `on top of ${format} (${options})`,
		make: (folder, image) => {
			// Shorter than what is on top of it.
			const below = join(folder, `below.${format}`);
			const bytes = rawSample(join(folder, "sample"), SIZE - 99 * 512, 8);
			const sample = join(folder, "sample");
			tool("qemu-img", "convert", "-f", "raw", "-O", format, sample, below);
			tool(
				...(["qemu-img", "create", "-q", "-f", "qcow2"] as const),
				...["-b", `below.${format}`, "-F", format, "-o", options],
				...[image, String(SIZE)],
			);
			const all = new Uint8Array(SIZE);
			all.set(bytes);
			return all;
		},
	};
}

/** A snapshot inside, whose clusters and tables are shared. */
const SNAPSHOT: Variety = {
	title: "with a snapshot inside",
	make: (folder, image) => {
		const raw = join(folder, "raw");
		const bytes = rawSample(raw, SIZE, 9);
		tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image);
		tool("qemu-img", "snapshot", "-c", "before", image);
		return bytes;
	},
};

const VARIETIES: readonly Variety[] = [
	plain("as they come", "cluster_size=64k"),
	plain("of version 2", "compat=0.10"),
	plain("with the smallest clusters", "cluster_size=512"),
	plain("with the largest clusters", "cluster_size=2M"),
	plain("with counts of one bit", "refcount_bits=1,cluster_size=4k"),
	plain("with counts of 64 bits", "refcount_bits=64,cluster_size=1k"),
	plain("with room set aside", "preallocation=metadata"),
	compressed("zlib"),
	compressed("zstd"),
	onTopOf("raw", "cluster_size=64k"),
	onTopOf("qcow2", "cluster_size=4k"),
	onTopOf("raw", "compat=0.10"),
	SNAPSHOT,
];

describe.skipIf(!available)("qcow2 images that QEMU made", () => {
	for (const { title, make } of VARIETIES) {
		it(
			`${title}: are read and written so that QEMU finds no fault`,
			async () => {
				const folder = scratchFolder();
				const image = join(folder, "image.qcow2");
				const bytes = make(folder, image);
				const disk = await openDisk({ path: image });
				expect(disk.sizeBytes).toBe(SIZE);
				const twin = new Twin(disk, bytes, randomFrom(11));
				for (let step = 0; step < STEPS; step++) {
					await twin.step(step % 8 === 0 ? 2048 : 40);
					if (step % 10 === 0) await twin.crowd();
				}
				await disk.close?.();
				expect(judge(image)).toEqual({ errors: 0, leaks: 0 });
				expect(Buffer.compare(contentsOf(image), bytes)).toBe(0);
			},
			TEN_MINUTES,
		);
	}

	it("leave a snapshot inside as it was", async () => {
		const folder = scratchFolder();
		const image = join(folder, "image.qcow2");
		const bytes = SNAPSHOT.make(folder, image).slice();
		const disk = await openDisk({ path: image });
		const twin = new Twin(disk, bytes.slice(), randomFrom(12));
		for (let step = 0; step < STEPS; step++) await twin.step(200);
		await disk.close?.();
		tool("qemu-img", "snapshot", "-a", "before", image);
		expect(judge(image)).toEqual({ errors: 0, leaks: 0 });
		expect(Buffer.compare(contentsOf(image), bytes)).toBe(0);
	});

	it("forget features that writers who do not know them must take back", async () => {
		const folder = scratchFolder();
		const image = join(folder, "image.qcow2");
		tool("qemu-img", "create", "-q", "-f", "qcow2", image, "1M");
		tool("qemu-img", "bitmap", "--add", image, "changes");
		const disk = await openDisk({ path: image });
		await disk.write(0, new Uint8Array(512).fill(1));
		await disk.close?.();
		const info = tool("qemu-img", "info", image);
		expect(info).not.toContain("changes");
		expect(judge(image).errors).toBe(0);
	});

	it("that grow past their refcount table get a longer one", async () => {
		const folder = scratchFolder();
		const image = join(folder, "image.qcow2");
		// A table of 64 entries, each for 64 clusters of 512 bytes: 2 MiB.
		tool(
			...(["qemu-img", "create", "-q", "-f", "qcow2"] as const),
			...["-o", "cluster_size=512,refcount_bits=64", image, "8M"],
		);
		const bytes = sampleBytes(8 << 20, 3);
		const disk = await openDisk({ path: image });
		for (let at = 0; at < bytes.length; at += 1 << 18) {
			await disk.write(at, bytes.subarray(at, at + (1 << 18)));
		}
		await disk.close?.();
		expect(judge(image)).toEqual({ errors: 0, leaks: 0 });
		expect(Buffer.compare(contentsOf(image), bytes)).toBe(0);
	}, 60_000);
});

describe.skipIf(!available)("an overlay in a file", () => {
	it("keeps what is written, on top of a disk that stays as it was, over several runs", async () => {
		const folder = scratchFolder();
		const below = join(folder, "disk.img");
		const overlay = join(folder, "changes.qcow2");
		const bytes = rawSample(below, SIZE, 5);
		const twinBytes = bytes.slice();
		for (const seed of [1, 2]) {
			const disk = await openDisk({ path: below, overlay });
			const twin = new Twin(disk, twinBytes, randomFrom(seed));
			for (let step = 0; step < 60; step++) await twin.step(100);
			await disk.close?.();
		}
		expect(Buffer.compare(contentsOf(below, "raw"), bytes)).toBe(0);
		expect(judge(overlay)).toEqual({ errors: 0, leaks: 0 });
		expect(Buffer.compare(contentsOf(overlay), twinBytes)).toBe(0);
	});

	it("is refused on top of another disk", async () => {
		const folder = scratchFolder();
		const [one, two] = [join(folder, "one.img"), join(folder, "two.img")];
		rawSample(one, 1 << 20, 1);
		rawSample(two, 1 << 20, 2);
		const overlay = join(folder, "changes");
		await (await openDisk({ path: one, overlay })).close?.();
		await expect(openDisk({ path: two, overlay })).rejects.toThrow(
			`${overlay} is there already and is no overlay of ${two}.`,
		);
	});
});

describe.skipIf(!available)("images that cannot be opened", () => {
	const made = (name: string, ...options: string[]): string => {
		const path = join(scratchFolder(), name);
		tool("qemu-img", "create", "-q", "-f", "qcow2", ...options, path, "1M");
		return path;
	};

	it("say which feature they need", async () => {
		const path = made("subclusters.qcow2", "-o", "extended_l2=on");
		await expect(openDisk({ path })).rejects.toThrow(
			`The image ${path} has extended L2 entries (subclusters), which lguest cannot do.`,
		);
		const file = join(scratchFolder(), "data");
		const data = made("external.qcow2", "-o", `data_file=${file}`);
		await expect(openDisk({ path: data })).rejects.toThrow(
			"keeps its data in another file",
		);
	});

	it("are never guessed to be qcow2: a guest can write that into a raw disk", async () => {
		const path = made("raw.img");
		await expect(openDisk({ path })).rejects.toThrow("looks like qcow2");
		const raw = await openDisk({ path, format: "raw" });
		expect(raw.sizeBytes).toBeLessThan(1 << 20);
		await raw.close?.();
		const image = await openDisk({ path, format: "qcow2" });
		expect(image.sizeBytes).toBe(1 << 20);
		await image.close?.();
	});

	it("are refused when the format of what is below is not recorded", async () => {
		const below = join(scratchFolder(), "below.img");
		rawSample(below, 1 << 20, 1);
		const path = made("nameless.qcow2", "-b", below, "-F", "raw");
		const image = readFileSync(path);
		// The record becomes one of an unknown type, which is to be ignored.
		const record = image.indexOf(Buffer.from("e2792aca", "hex"));
		image.writeUInt32BE(0x7a7a7a7a, record);
		writeFileSync(path, image);
		await expect(openDisk({ path })).rejects.toThrow(
			`does not record the format of "${below}"`,
		);
	});

	it("are refused when they are on top of themselves", async () => {
		const path = made("loop.qcow2");
		tool("qemu-img", "rebase", "-u", "-b", path, "-F", "qcow2", path);
		await expect(openDisk({ path, readOnly: true })).rejects.toThrow(
			"is on top of itself",
		);
	});

	it("are read but not written when they were not closed properly", async () => {
		const path = made("dirty.qcow2", "-o", "lazy_refcounts=on");
		const dying = ["-c", "write 0 64k", "-c", "abort", path];
		const { signal } = spawnSync("qemu-io", dying);
		expect(signal).toBe("SIGABRT");
		await expect(openDisk({ path })).rejects.toThrow("not closed properly");
		const disk = await openDisk({ path, readOnly: true });
		const bytes = new Uint8Array(512);
		await disk.read(0, bytes);
		await disk.close?.();
		expect(bytes[0]).toBe(0xcd);
	});

	it("are refused while another program writes to them", async () => {
		const path = made("busy.qcow2");
		const first = await openDisk({ path });
		await expect(openDisk({ path })).rejects.toThrow("is in use");
		await expect(openDisk({ path, readOnly: true })).rejects.toThrow(
			"another lguest writes to it",
		);
		await first.close?.();
		const reader = await openDisk({ path, readOnly: true });
		const second = await openDisk({ path, readOnly: true });
		await expect(openDisk({ path })).rejects.toThrow("another lguest reads it");
		await reader.close?.();
		await second.close?.();
		await (await openDisk({ path })).close?.();
	});
});
