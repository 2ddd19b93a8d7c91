import { describe, expect, it } from "vitest";
import {
	ascii,
	concat,
	dirtyMemory,
	fakeBzImage,
	fakeElf,
	guestText,
	MIB,
} from "../../test/support/kernel-images.ts";
import { loadLinux } from "../../test/support/load-kernel.ts";
import { BOOT_PARAMS } from "./boot-params.ts";
import { buildMemoryMap } from "./memory-map.ts";

const ZERO_PAGE = 0x90000;
const memoryMap = buildMemoryMap(64 * MIB);

describe("a bzImage that unpacks itself", () => {
	it("lies at 1 MiB and is entered there with ESI at the zero page", async () => {
		const memory = dirtyMemory(64);
		const code = ascii("protected-mode code");
		const kernel = await loadLinux(memory, fakeBzImage({ code }), {
			memoryMap,
		});
		expect(memory.read(MIB, code.length)).toEqual(code);
		expect(kernel).toMatchObject({ entry: MIB, unpacked: false });
		expect(kernel.cpuState.eip).toBe(MIB);
		expect(kernel.cpuState.registers).toMatchObject({
			esi: ZERO_PAGE,
			ebx: 0,
			ebp: 0,
			edi: 0,
		});
	});

	it("starts flat, with interrupts and paging off (boot.rst, 32-bit Boot Protocol)", async () => {
		const memory = dirtyMemory(64);
		const { cpuState } = await loadLinux(memory, fakeBzImage(), { memoryMap });
		expect(cpuState).toMatchObject({
			mode: "protected32",
			eflags: 2,
			cr0: 0x11,
			cs: { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc09b },
			data: { selector: 0x18, base: 0, limit: 0xffffffff, attributes: 0xc093 },
		});
		const gdt = cpuState.gdtr.address;
		expect(memory.readU64(gdt)).toBe(0n);
		expect(memory.readU64(gdt + 0x10)).toBe(0x00cf9b000000ffffn);
		expect(memory.readU64(gdt + 0x18)).toBe(0x00cf93000000ffffn);
	});

	it("goes to 4 KiB if it is a zImage", async () => {
		const memory = dirtyMemory(64);
		const zImage = fakeBzImage({ protocol: 0x200, loadflags: 0 });
		const kernel = await loadLinux(memory, zImage, { memoryMap });
		expect(kernel.entry).toBe(0x1000);
	});

	it("is refused if it is 64-bit only", async () => {
		const image = fakeBzImage({ xloadflags: 1 });
		const memory = dirtyMemory(64);
		await expect(loadLinux(memory, image, { memoryMap })).rejects.toMatchObject(
			{ message: expect.stringContaining("64-bit only"), exitStatus: 2 },
		);
		const options = { memoryMap, longMode: true };
		await expect(loadLinux(memory, image, options)).resolves.toBeDefined();
	});

	it("is refused if its run address and init_size exceed RAM, with the size that would do", async () => {
		const image = fakeBzImage({
			prefAddress: 0x1000000,
			kernelAlignment: 0x1000000,
			initSize: 20 * MIB,
		});
		const small = buildMemoryMap(32 * MIB);
		await expect(
			loadLinux(dirtyMemory(32), image, { memoryMap: small }),
		).rejects.toMatchObject({
			message: expect.stringContaining("from 16 MiB to 36 MiB"),
			hint: expect.stringContaining("--memory 64M"),
		});
	});
});

describe("the zero page", () => {
	it("holds the file's header, our fields, and zero elsewhere", async () => {
		const memory = dirtyMemory(64);
		await loadLinux(memory, fakeBzImage({ xloadflags: 0x0e }), {
			memoryMap,
			acpiRsdp: 0xf0010,
		});
		const u32 = (offset: number) => memory.readU32(ZERO_PAGE + offset);
		expect(u32(0x202)).toBe(0x53726448); // "HdrS"
		expect(memory.readU16(ZERO_PAGE + 0x206)).toBe(0x20f);
		expect(memory.readU8(ZERO_PAGE + 0x210)).toBe(0xff);
		expect(memory.readU8(ZERO_PAGE + 0x211)).toBe(1);
		expect(memory.readU16(ZERO_PAGE + 0x236)).toBe(0x0e);
		expect(memory.readU8(ZERO_PAGE + 0x1ef)).toBe(0); // sentinel
		expect(u32(0x214)).toBe(MIB);
		expect(u32(BOOT_PARAMS.acpi_rsdp_addr)).toBe(0xf0010);
		expect(u32(BOOT_PARAMS.ramdisk_size)).toBe(0);
		expect(memory.readU64(ZERO_PAGE + 0x06)).toBe(0n); // screen_info: no VGA
		expect(u32(0xffc)).toBe(0);
	});

	it("carries the memory map in all three forms", async () => {
		const memory = dirtyMemory(64);
		await loadLinux(memory, fakeBzImage(), { memoryMap });
		expect(memory.readU8(ZERO_PAGE + 0x1e8)).toBe(4);
		const last = ZERO_PAGE + 0x2d0 + 3 * 20;
		expect(memory.readU64(last)).toBe(0x100000n);
		expect(memory.readU64(last + 8)).toBe(BigInt(63 * MIB));
		expect(memory.readU32(last + 16)).toBe(1);
		expect(memory.readU32(ZERO_PAGE + 0x1e0)).toBe(63 * 1024);
		expect(memory.readU16(ZERO_PAGE + 0x002)).toBe(63 * 1024);
	});

	it("points at the command line", async () => {
		const memory = dirtyMemory(64);
		const options = { memoryMap, commandLine: "console=ttyS0 quiet" };
		await loadLinux(memory, fakeBzImage(), options);
		const address = memory.readU32(ZERO_PAGE + 0x228);
		expect(guestText(memory, address)).toBe("console=ttyS0 quiet");
	});

	it("uses the old command-line fields before protocol 2.02", async () => {
		const memory = dirtyMemory(64);
		const image = fakeBzImage({ protocol: 0x201 });
		await loadLinux(memory, image, { memoryMap, commandLine: "root=/dev/hda" });
		expect(memory.readU16(0x90020)).toBe(0xa33f);
		const address = 0x90000 + memory.readU16(0x90022);
		expect(guestText(memory, address)).toBe("root=/dev/hda");
	});

	it("takes a command line of exactly the kernel's limit and no more", async () => {
		const memory = dirtyMemory(64);
		const image = fakeBzImage({ cmdlineSize: 100 });
		const load = (length: number) =>
			loadLinux(memory, image, { memoryMap, commandLine: "x".repeat(length) });
		await expect(load(100)).resolves.toBeDefined();
		await expect(load(101)).rejects.toMatchObject({
			message: expect.stringContaining("101 bytes"),
			exitStatus: 2,
		});
	});
});

describe("the initrd", () => {
	const initrd = ascii("initrd").slice();

	it("lies page-aligned at the top of RAM, below the kernel's limit", async () => {
		const memory = dirtyMemory(64);
		await loadLinux(memory, fakeBzImage(), { memoryMap, initrd });
		expect(memory.readU32(ZERO_PAGE + 0x218)).toBe(64 * MIB - 0x1000);
		expect(memory.readU32(ZERO_PAGE + 0x21c)).toBe(6);
		expect(memory.read(64 * MIB - 0x1000, 6)).toEqual(initrd);
		const limited = fakeBzImage({ initrdAddrMax: 32 * MIB - 1 });
		await loadLinux(memory, limited, { memoryMap, initrd });
		expect(memory.readU32(ZERO_PAGE + 0x218)).toBe(32 * MIB - 0x1000);
	});

	it("keeps clear of what the kernel needs to unpack itself", async () => {
		const kernel = fakeBzImage({ prefAddress: 32 * MIB, initSize: 30 * MIB });
		const load = (bytes: number) =>
			loadLinux(dirtyMemory(64), kernel, {
				memoryMap,
				initrd: new Uint8Array(bytes),
			});
		await expect(load(2 * MIB)).resolves.toBeDefined();
		await expect(load(2 * MIB + 1)).rejects.toMatchObject({
			message: expect.stringContaining(
				"initrd of 3 MiB does not fit: the kernel needs the memory up to 62 MiB",
			),
			hint: expect.stringMatching(/--memory \d+M/),
		});
	});

	it("is refused if no memory size would help", async () => {
		const kernel = fakeBzImage({ initrdAddrMax: 8 * MIB - 1 });
		await expect(
			loadLinux(dirtyMemory(64), kernel, {
				memoryMap,
				initrd: new Uint8Array(2 * MIB),
			}),
		).rejects.toMatchObject({
			message: expect.stringContaining("too large for this kernel"),
		});
	});
});

describe("a kernel unpacked by the Launcher", () => {
	const vmlinux = fakeElf({
		entry: 0x400010,
		segments: [
			{ physicalAddress: 0x400000, data: ascii("vmlinux"), memoryBytes: MIB },
		],
	});
	/** Magic of gzip, so that the injected decompressor is chosen. */
	const payload = Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3, 4);

	it("is placed where it was linked, relocations ignored, and entered there", async () => {
		const memory = dirtyMemory(64);
		const kernel = await loadLinux(memory, fakeBzImage({ payload }), {
			memoryMap,
			unpack: { gzip: async () => concat(vmlinux, ascii("relocations")) },
		});
		expect(kernel).toMatchObject({ entry: 0x400010, unpacked: true });
		expect(memory.read(0x400000, 8)).toEqual(ascii("vmlinux\0"));
		expect(memory.readU8(0x4fffff)).toBe(0);
		expect(memory.readU32(ZERO_PAGE + 0x214)).toBe(0x400010);
	});

	it("gets the stream without the appended size, and the size as a hint", async () => {
		const xz = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 99];
		const calls: unknown[] = [];
		await loadLinux(
			dirtyMemory(64),
			fakeBzImage({ payload: Uint8Array.of(...xz, 0x78, 0x56, 0x34, 0x12) }),
			{
				memoryMap,
				unpack: {
					xz: async (bytes, size) => {
						calls.push([...bytes], size);
						return vmlinux;
					},
				},
			},
		);
		expect(calls).toEqual([xz, 0x12345678]);
	});

	it("still unpacks itself if nobody here knows its compression", async () => {
		const memory = dirtyMemory(64);
		const options = { memoryMap, unpack: {} };
		const kernel = await loadLinux(memory, fakeBzImage({ payload }), options);
		expect(kernel).toMatchObject({ entry: MIB, unpacked: false });
	});

	it("is refused as damaged if it does not unpack", async () => {
		const unpack = {
			gzip: async () => {
				throw new Error("bad block");
			},
		};
		const image = fakeBzImage({ payload });
		await expect(
			loadLinux(dirtyMemory(64), image, { memoryMap, unpack }),
		).rejects.toMatchObject({
			message: expect.stringContaining("gzip data cannot be unpacked"),
			exitStatus: 2,
		});
	});

	it("is refused as 64-bit if the payload turns out to be", async () => {
		const unpack = { gzip: async () => fakeElf({ is64Bit: true }) };
		const image = fakeBzImage({ protocol: 0x20a, payload });
		await expect(
			loadLinux(dirtyMemory(64), image, { memoryMap, unpack }),
		).rejects.toThrow(/64-bit only/);
	});
});

describe("a bare vmlinux", () => {
	it("is entered at the physical address of its entry", async () => {
		const vmlinux = fakeElf({
			entry: 0xc0100004,
			segments: [
				{
					physicalAddress: MIB,
					virtualAddress: 0xc0100000,
					data: ascii("startup_32"),
				},
			],
		});
		const memory = dirtyMemory(64);
		const kernel = await loadLinux(memory, vmlinux, {
			memoryMap,
			commandLine: "a b",
			initrd: ascii("ramdisk"),
		});
		expect(kernel.entry).toBe(MIB + 4);
		expect(kernel.cpuState.registers.esi).toBe(ZERO_PAGE);
		expect(memory.readU16(ZERO_PAGE + 0x206)).toBe(0x20f);
		expect(guestText(memory, memory.readU32(ZERO_PAGE + 0x228))).toBe("a b");
		expect(memory.readU32(ZERO_PAGE + 0x21c)).toBe(7);
	});

	it("is refused if it wants addresses that are not RAM", async () => {
		const low = fakeElf({
			entry: 0xa0000,
			segments: [{ physicalAddress: 0xa0000, data: ascii("x") }],
		});
		await expect(
			loadLinux(dirtyMemory(64), low, { memoryMap }),
		).rejects.toThrow(/not all of them are RAM/);
	});

	it("is refused if its entry lies outside it", async () => {
		const stray = fakeElf({
			entry: 5,
			segments: [{ physicalAddress: MIB, data: ascii("x") }],
		});
		await expect(
			loadLinux(dirtyMemory(64), stray, { memoryMap }),
		).rejects.toThrow(/lies in no segment/);
	});
});
