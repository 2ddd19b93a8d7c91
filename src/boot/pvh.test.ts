import { describe, expect, it } from "vitest";
import {
	ascii,
	dirtyMemory,
	fakeElf,
	guestText,
	MIB,
	pvhNote,
} from "../../test/support/kernel-images.ts";
import { buildMemoryMap } from "./memory-map.ts";
import { loadPvh } from "./pvh.ts";

const memoryMap = buildMemoryMap(16 * MIB);
const segments = [{ physicalAddress: MIB, data: ascii("kernel code here") }];
const kernel = fakeElf({ segments, notes: [pvhNote(MIB + 8)] });

describe("a PVH kernel", () => {
	it("is entered at its note's address with EBX at the start info", () => {
		const memory = dirtyMemory(16);
		const loaded = loadPvh(memory, kernel, {
			memoryMap,
			commandLine: "hello",
			acpiRsdp: 0xf0040,
		});
		expect(loaded.entry).toBe(MIB + 8);
		const info = loaded.cpuState.registers.ebx;
		expect(memory.readU32(info)).toBe(0x336ec578);
		expect(memory.readU32(info + 4)).toBe(1);
		expect(memory.readU32(info + 12)).toBe(0);
		expect(memory.readU64(info + 16)).toBe(0n);
		expect(guestText(memory, memory.readU32(info + 24))).toBe("hello");
		expect(memory.readU64(info + 32)).toBe(0xf0040n);
		expect(memory.readU32(info + 48)).toBe(memoryMap.length);
		const map = memory.readU32(info + 40);
		expect(memory.readU64(map + 3 * 24)).toBe(0x100000n);
		expect(memory.readU64(map + 3 * 24 + 8)).toBe(BigInt(15 * MIB));
		expect(memory.readU32(map + 3 * 24 + 16)).toBe(1);
	});

	it("has a loaded task register, as the protocol demands", () => {
		const { cpuState } = loadPvh(dirtyMemory(16), kernel, { memoryMap });
		expect(cpuState.tr).toMatchObject({ limit: 0x67, attributes: 0x8b });
		expect(cpuState.gdtr.limit).toBeGreaterThanOrEqual(
			cpuState.tr.selector + 7,
		);
	});

	it("finds initrd and modules in its module list", () => {
		const memory = dirtyMemory(16);
		const loaded = loadPvh(memory, kernel, {
			memoryMap,
			initrd: ascii("initrd"),
			modules: [{ bytes: ascii("second") }],
		});
		const info = loaded.cpuState.registers.ebx;
		expect(memory.readU32(info + 12)).toBe(2);
		const list = memory.readU32(info + 16);
		const first = memory.readU32(list);
		const second = memory.readU32(list + 32);
		expect(memory.read(first, 6)).toEqual(ascii("initrd"));
		expect(memory.read(second, 6)).toEqual(ascii("second"));
		expect(memory.readU64(list + 40)).toBe(6n);
	});

	it("is refused if 64-bit, unless the CPU has long mode", () => {
		const wide = fakeElf({ is64Bit: true, segments, notes: [pvhNote(MIB)] });
		expect(() => loadPvh(dirtyMemory(16), wide, { memoryMap })).toThrow(
			/64-bit only/,
		);
		const options = { memoryMap, longMode: true };
		expect(loadPvh(dirtyMemory(16), wide, options).entry).toBe(MIB);
	});
});
