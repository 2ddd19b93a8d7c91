/**
 * The loaders on Debian's own kernel files, without running them: what they
 * say about themselves, where they end up, and what a cut file is told.
 * Relies on `scripts/debian.ts`, which says what it skips and why.
 */

import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import { identify, inspect } from "../../src/boot/kernel-image.ts";
import { buildMemoryMap } from "../../src/boot/memory-map.ts";
import { nodeDecompressors } from "../../src/node/decompress.ts";
import { dirtyMemory, MIB } from "../support/kernel-images.ts";
import { loadKernel } from "../support/load-kernel.ts";

const memoryMap = buildMemoryMap(128 * MIB);

for (const flavour of ["686", "686-pae"] as const) {
	const path = await debianAsset(`kernel-${flavour}`);
	describe.skipIf(path === undefined)(`Debian's ${flavour} kernel file`, () =>
		i386Kernel(flavour, path ?? ""),
	);
}

function i386Kernel(flavour: string, path: string): void {
	it("says what it is", async () => {
		const facts = await inspect(await readFile(path), nodeDecompressors);
		expect(facts).toMatchObject({
			kind: "bzImage",
			bits: 32,
			linuxBootProtocol: "2.15",
			compression: "xz",
			relocatable: true,
			lguestGuest: false,
		});
		const release = path.replace(/^.*vmlinuz-/, "");
		expect(facts.version.startsWith(`${release} `)).toBe(true);
		expect(release.endsWith(`-${flavour}`)).toBe(true);
	});

	it("is left to unpack itself unless asked otherwise", async () => {
		const bytes = await readFile(path);
		const memory = dirtyMemory(128);
		const loaded = await loadKernel(memory, bytes, { memoryMap });
		expect(loaded).toMatchObject({ entry: MIB, unpacked: false });
		const tail = bytes.subarray(bytes.length - 0x100000, -0x80000);
		const region = loaded.regions[0];
		const end = (region?.address ?? 0) + (region?.lengthBytes ?? 0);
		expect(tail.equals(memory.read(end - 0x100000, tail.length))).toBe(true);
	});

	it("unpacks to the address it prefers, whole", async () => {
		const bytes = await readFile(path);
		const memory = dirtyMemory(128);
		const loaded = await loadKernel(memory, bytes, {
			memoryMap,
			unpack: nodeDecompressors,
		});
		const { runAddress, runBytes } = identify(bytes);
		expect(loaded).toMatchObject({ unpacked: true, entry: runAddress });
		const kernel = Buffer.from(memory.read(runAddress, runBytes));
		const release = path.replace(/^.*vmlinuz-/, "");
		expect(kernel.includes(`Linux version ${release} (`)).toBe(true);
		const bssEnd = kernel.subarray(-0x1000);
		expect(bssEnd.every((byte) => byte === 0)).toBe(true);
	});

	it("is refused with the missing bytes when cut, wherever that is", async () => {
		const bytes = await readFile(path);
		for (const length of [0x300, 0x4000, 1_000_000, bytes.length - 5000]) {
			expect(() => identify(bytes.subarray(0, length))).toThrow(
				expect.objectContaining({
					message: expect.stringMatching(
						/truncated: its .* needs \d+ bytes|only \d+ bytes/,
					),
					exitStatus: 2,
				}),
			);
		}
	});

	it("is refused in 16 MiB, with a size that does", async () => {
		const small = buildMemoryMap(16 * MIB);
		const bytes = await readFile(path);
		await expect(
			loadKernel(dirtyMemory(16), bytes, { memoryMap: small }),
		).rejects.toMatchObject({
			message: expect.stringContaining("the guest has 16 MiB"),
			hint: expect.stringMatching(/--memory 64M/),
		});
	});
}

const amd64 = await debianAsset("kernel-amd64");

describe.skipIf(amd64 === undefined)("Debian's amd64 kernel file", () => {
	it("is known to be 64-bit, with and without its flag", async () => {
		const bytes = await readFile(amd64 ?? "");
		expect(identify(bytes).bits).toBe(64);
		bytes[0x236] = 0; // xloadflags, which kernels before 3.8 lack
		expect(identify(bytes).bits).toBe(64);
	});

	it("is refused in one sentence with a way out", async () => {
		const bytes = await readFile(amd64 ?? "");
		await expect(
			loadKernel(dirtyMemory(128), bytes, { memoryMap }),
		).rejects.toMatchObject({
			message: expect.stringContaining("64-bit only"),
			hint: expect.stringContaining("32-bit"),
			exitStatus: 2,
		});
	});
});

const installer = await debianAsset("installer-kernel-i386");
const installerInitrd = await debianAsset("installer-initrd-i386");

describe.skipIf(installer === undefined || installerInitrd === undefined)(
	"Debian's installer",
	() => {
		it("has its initrd refused where it does not fit, and told what would do", async () => {
			const kernel = await readFile(installer ?? "");
			const initrd = await readFile(installerInitrd ?? "");
			const load = (mib: number) =>
				loadKernel(dirtyMemory(mib), kernel, {
					memoryMap: buildMemoryMap(mib * MIB),
					initrd,
				});
			const failure = await load(48).catch((error: unknown) => error);
			expect(failure).toMatchObject({
				message: expect.stringContaining("initrd"),
				exitStatus: 2,
			});
			const advised = /--memory (\d+)M/.exec(
				(failure as { hint: string }).hint,
			);
			await expect(load(Number(advised?.[1]))).resolves.toMatchObject({
				bootProtocol: "linux",
			});
		});
	},
);
