import { describe, expect, it } from "vitest";
import {
	ascii,
	concat,
	dirtyMemory,
	fakeElf,
	guestText,
	MIB,
	multibootHeader,
} from "../../test/support/kernel-images.ts";
import { buildMemoryMap } from "./memory-map.ts";
import { findMultibootHeader, loadMultiboot } from "./multiboot.ts";

const memoryMap = buildMemoryMap(16 * MIB);

function elfKernel(flags = 3): Uint8Array {
	const data = concat(multibootHeader(flags), ascii("code"));
	return fakeElf({
		entry: MIB + 12,
		segments: [{ physicalAddress: MIB, data, memoryBytes: 0x10000 }],
	});
}

describe("the multiboot header", () => {
	it("is found on any multiple of 4 in the first 8 KiB", () => {
		const at = (offset: number): Uint8Array =>
			concat(new Uint8Array(offset), multibootHeader(0), new Uint8Array(16));
		expect(findMultibootHeader(at(8180))).toEqual({ offset: 8180, flags: 0 });
		expect(findMultibootHeader(at(8184))).toBeUndefined();
		expect(findMultibootHeader(at(4098))).toBeUndefined();
	});

	it("counts only with a right checksum", () => {
		const header = multibootHeader(3);
		header[8] = (header[8] ?? 0) ^ 1;
		expect(findMultibootHeader(header)).toBeUndefined();
	});
});

describe("a multiboot ELF kernel", () => {
	it("is entered with the magic in EAX and the information in EBX", () => {
		const memory = dirtyMemory(16);
		const loaded = loadMultiboot(memory, elfKernel(), { memoryMap });
		expect(loaded.entry).toBe(MIB + 12);
		expect(loaded.cpuState.registers.eax).toBe(0x2badb002);
		expect(memory.read(MIB + 12, 4)).toEqual(ascii("code"));
		expect(memory.readU8(MIB + 0xffff)).toBe(0);
	});

	it("reads command line, loader name, memory sizes and map", () => {
		const memory = dirtyMemory(16);
		const loaded = loadMultiboot(memory, elfKernel(), {
			memoryMap,
			commandLine: "one two",
			kernelName: "test.elf",
		});
		const info = loaded.cpuState.registers.ebx;
		const u32 = (offset: number): number => memory.readU32(info + offset);
		expect(u32(0) & 0x24d).toBe(0x24d);
		expect(u32(0) & 0x806).toBe(0x004); // no boot device, no video
		expect(u32(4)).toBe(639);
		expect(u32(8)).toBe(15 * 1024);
		expect(guestText(memory, u32(16))).toBe("test.elf one two");
		expect(guestText(memory, u32(64))).toBe("lguest");
		expect(u32(44)).toBe(memoryMap.length * 24);
		const last = u32(48) + 3 * 24;
		expect(memory.readU32(last)).toBe(20);
		expect(memory.readU64(last + 4)).toBe(0x100000n);
		expect(memory.readU64(last + 12)).toBe(BigInt(15 * MIB));
		expect(memory.readU32(last + 20)).toBe(1);
	});

	it("gets its modules page-aligned behind itself, with their strings", () => {
		const memory = dirtyMemory(16);
		const loaded = loadMultiboot(memory, elfKernel(), {
			memoryMap,
			initrd: ascii("first"),
			modules: [{ bytes: ascii("second"), commandLine: "env x" }],
		});
		const info = loaded.cpuState.registers.ebx;
		expect(memory.readU32(info + 20)).toBe(2);
		const list = memory.readU32(info + 24);
		const start = memory.readU32(list + 16);
		expect(memory.readU32(list)).toBe(MIB + 0x10000);
		expect(start).toBe(MIB + 0x11000);
		expect(memory.readU32(list + 20)).toBe(start + 6);
		expect(memory.read(start, 6)).toEqual(ascii("second"));
		expect(guestText(memory, memory.readU32(list + 24))).toBe("env x");
	});

	it("may occupy low memory without meeting what the loader writes", () => {
		const data = concat(multibootHeader(0), new Uint8Array(0x90000));
		const low = fakeElf({
			entry: 0x4000,
			segments: [{ physicalAddress: 0x4000, data }],
		});
		const { regions } = loadMultiboot(dirtyMemory(16), low, { memoryMap });
		const sorted = [...regions].sort((a, b) => a.address - b.address);
		sorted.slice(1).forEach((region, index) => {
			const before = sorted[index] ?? region;
			expect(region.address).toBeGreaterThanOrEqual(
				before.address + before.lengthBytes,
			);
		});
	});

	it("is refused if 64-bit, naming the way out", () => {
		const wide = fakeElf({
			is64Bit: true,
			segments: [{ physicalAddress: MIB, data: multibootHeader(0) }],
		});
		expect(() => loadMultiboot(dirtyMemory(16), wide, { memoryMap })).toThrow(
			expect.objectContaining({
				message: expect.stringContaining("64-bit ELF"),
				hint: expect.stringContaining("objcopy"),
			}),
		);
	});

	it("is refused if it requires what the specification does not define", () => {
		expect(() =>
			loadMultiboot(dirtyMemory(16), elfKernel(0x8), { memoryMap }),
		).toThrow(/features 0x8/);
	});
});

describe("the a.out kludge", () => {
	const AOUT = 0x10000;

	it("loads by the header's addresses, clears the bss and enters where told", () => {
		const header = multibootHeader(AOUT, [
			MIB + 16, // header_addr
			MIB, // load_addr
			MIB + 64, // load_end_addr
			MIB + 256, // bss_end_addr
			MIB + 4, // entry_addr
		]);
		const file = concat(
			ascii("junk"), // in front of what is loaded
			ascii("0123456789abcdef"),
			header,
			new Uint8Array(100).fill(0x77),
		);
		const memory = dirtyMemory(16);
		const loaded = loadMultiboot(memory, file, { memoryMap });
		expect(loaded.entry).toBe(MIB + 4);
		expect(memory.read(MIB, 16)).toEqual(ascii("0123456789abcdef"));
		expect(memory.readU8(MIB + 63)).toBe(0x77);
		expect(memory.readU8(MIB + 64)).toBe(0);
		expect(memory.readU8(MIB + 255)).toBe(0);
		expect(memory.readU8(MIB + 256)).toBe(0xa5);
	});

	it("wins over a 64-bit ELF header", () => {
		const addresses = [MIB, MIB, 0, 0, MIB];
		const wide = fakeElf({
			is64Bit: true,
			segments: [
				{ physicalAddress: MIB, data: multibootHeader(AOUT, addresses) },
			],
		});
		const loaded = loadMultiboot(dirtyMemory(16), wide, { memoryMap });
		expect(loaded.entry).toBe(MIB);
	});

	it("is refused if its addresses contradict each other or the file is short", () => {
		const load = (addresses: number[]): unknown =>
			loadMultiboot(dirtyMemory(16), multibootHeader(AOUT, addresses), {
				memoryMap,
			});
		expect(() => load([2 * MIB, MIB, 0, 0, MIB])).toThrow(/contradict/);
		expect(() => load([MIB, MIB, MIB - 4, 0, MIB])).toThrow(/contradict/);
		expect(() => load([MIB, MIB, 2 * MIB, 0, MIB])).toThrow(/truncated/);
	});
});
