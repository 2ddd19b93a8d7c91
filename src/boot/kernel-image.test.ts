import { describe, expect, it } from "vitest";
import {
	ascii,
	concat,
	dirtyMemory,
	fakeBzImage,
	fakeElf,
	MIB,
	multibootHeader,
	pvhNote,
} from "../../test/support/kernel-images.ts";
import { loadKernel } from "../../test/support/load-kernel.ts";
import { identify, inspect } from "./kernel-image.ts";
import { buildMemoryMap } from "./memory-map.ts";

const memoryMap = buildMemoryMap(64 * MIB);
const banner = ascii(
	"\0Linux version %s\n\0Linux version 3.2.0 (me@here) #1\n\0",
);

function vmlinux(
	extra: Uint8Array = new Uint8Array(0),
	is64Bit = false,
): Uint8Array {
	return fakeElf({
		is64Bit,
		entry: MIB,
		segments: [{ physicalAddress: MIB, data: concat(banner, extra) }],
		notes: [pvhNote(MIB + 4)],
	});
}

describe("identifying a kernel", () => {
	it("tells a bzImage's version, protocol, compression and width", () => {
		const payload = concat(ascii("\xfd7zXZ\0").subarray(1), new Uint8Array(10));
		payload.set([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]);
		expect(identify(fakeBzImage({ payload }))).toMatchObject({
			kind: "bzImage",
			bootProtocols: ["linux"],
			bits: 32,
			version: "9.9.9 fake",
			linuxBootProtocol: "2.15",
			compression: "xz",
		});
		expect(identify(fakeBzImage({ xloadflags: 1 })).bits).toBe(64);
	});

	it("tells a vmlinux's version from its banner, not from the banner's format", () => {
		expect(identify(vmlinux())).toMatchObject({
			kind: "vmlinux",
			bootProtocols: ["linux", "pvh"],
			version: "3.2.0 (me@here) #1",
			lguestGuest: false,
		});
	});

	it("knows a kernel built to be an lguest Guest", () => {
		expect(identify(vmlinux(ascii("\0lguest\0"))).lguestGuest).toBe(true);
	});

	it("offers a 64-bit vmlinux by PVH only", () => {
		const facts = identify(vmlinux(undefined, true));
		expect(facts).toMatchObject({ bits: 64, bootProtocols: ["pvh"] });
	});

	it("looks inside the payload when it can", async () => {
		const payload = Uint8Array.of(0x1f, 0x8b, 1, 2, 3, 4, 5, 6);
		const facts = await inspect(fakeBzImage({ payload }), {
			gzip: async () => vmlinux(ascii("\0lguest\0")),
		});
		expect(facts).toMatchObject({ kind: "bzImage", lguestGuest: true });
	});
});

describe("a file that is no kernel", () => {
	const padded = (start: Uint8Array, length = 4096): Uint8Array =>
		concat(start, new Uint8Array(length));
	const bootSector = padded(new Uint8Array(510), 3000);
	bootSector.set([0x55, 0xaa], 510);

	it.each([
		["an empty file", new Uint8Array(0), /is empty/],
		["three bytes", ascii("abc"), /only 3 bytes/],
		["a stump of a kernel", fakeBzImage().subarray(0, 400), /only 400 bytes/],
		["an initrd", padded(ascii("070701")), /initrd/],
		["a packed initrd", padded(Uint8Array.of(0x1f, 0x8b)), /packed with gzip/],
		["a package", padded(ascii("!<arch>\ndebian-binary")), /package/],
		["an EFI program", padded(ascii("MZ")), /EFI/],
		["a script", ascii("#!/bin/sh\n"), /script/],
		["a disk image", bootSector, /disk image/],
		["zeros", new Uint8Array(10000), /no header we know/],
		["a program", fakeElf({ interpreter: true }), /ordinary program/],
		["a library", fakeElf({ type: 3 }), /ordinary program/],
		["an ARM ELF", fakeElf({ machine: 183 }), /another kind of CPU/],
		["some ELF", fakeElf(), /not a kernel we can enter/],
	])("is named for what it is: %s", (_name, bytes, message) => {
		expect(() => identify(bytes)).toThrow(
			expect.objectContaining({
				message: expect.stringMatching(message),
				hint: expect.any(String),
				exitStatus: 2,
			}),
		);
	});
});

describe("loading a kernel", () => {
	it("picks the protocol that the file calls for", async () => {
		const load = (bytes: Uint8Array) =>
			loadKernel(dirtyMemory(64), bytes, { memoryMap });
		expect((await load(fakeBzImage())).bootProtocol).toBe("linux");
		expect((await load(vmlinux())).bootProtocol).toBe("linux");
		const flat = multibootHeader(0x10000, [MIB, MIB, 0, 0, MIB]);
		expect((await load(flat)).bootProtocol).toBe("multiboot");
		const multibootElf = fakeElf({
			entry: MIB,
			segments: [{ physicalAddress: MIB, data: multibootHeader(0) }],
		});
		expect((await load(multibootElf)).bootProtocol).toBe("multiboot");
	});

	it("lets the caller choose among what the kernel offers", async () => {
		const load = (bootProtocol: "pvh" | "multiboot") =>
			loadKernel(dirtyMemory(64), vmlinux(), { memoryMap, bootProtocol });
		expect((await load("pvh")).entry).toBe(MIB + 4);
		await expect(load("multiboot")).rejects.toMatchObject({
			hint: "It offers: linux, pvh.",
		});
	});

	it("unpacks a packed vmlinux first", async () => {
		const packed = concat(Uint8Array.of(0x1f, 0x8b), new Uint8Array(50));
		const loaded = await loadKernel(dirtyMemory(64), packed, {
			memoryMap,
			unpack: { gzip: async () => vmlinux() },
		});
		expect(loaded.entry).toBe(MIB);
	});

	it("refuses a 64-bit vmlinux without long mode", async () => {
		const bytes = vmlinux(undefined, true);
		await expect(
			loadKernel(dirtyMemory(64), bytes, { memoryMap }),
		).rejects.toThrow(/64-bit only/);
	});

	it("answers random damage with a usage error or a loaded kernel, never anything else", async () => {
		const originals = [fakeBzImage(), vmlinux(), multibootElfWithModules()];
		let seed = 12345;
		const random = (limit: number): number => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return (seed >>> 8) % limit;
		};
		const memory = dirtyMemory(64);
		for (let round = 0; round < 600; round++) {
			const bytes = (originals[round % 3] as Uint8Array).slice();
			for (let i = 0; i < 3; i++) {
				bytes[random(Math.min(bytes.length, 1024))] = random(256);
			}
			const options = { memoryMap, initrd: ascii("x") };
			const error = await loadKernel(memory, bytes, options).then(
				() => undefined,
				(caught: unknown) => caught,
			);
			if (error !== undefined) expect(error).toHaveProperty("exitStatus", 2);
		}
	});
});

function multibootElfWithModules(): Uint8Array {
	const header = multibootHeader(0x10003, [MIB, MIB, 0, MIB + 4096, MIB]);
	return fakeElf({
		entry: MIB,
		segments: [{ physicalAddress: MIB, data: concat(header, banner) }],
	});
}
