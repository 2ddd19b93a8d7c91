import { describe, expect, it } from "vitest";
import {
	ascii,
	dirtyMemory,
	fakeElf,
	pvhNote,
} from "../../test/support/kernel-images.ts";
import {
	isElf,
	parseElf,
	physicalExtent,
	placeSegments,
	pvhEntry,
} from "./elf.ts";

describe.each([false, true])("an ELF file (64-bit: %s)", (is64Bit) => {
	const file = fakeElf({
		is64Bit,
		entry: 0x100010,
		segments: [
			{
				physicalAddress: 0x100000,
				virtualAddress: 0xc0100000,
				data: ascii("text"),
				memoryBytes: 64,
			},
			{ physicalAddress: 0x200000, data: ascii("data") },
		],
		notes: [
			{ owner: "GNU", type: 3, payload: ascii("build") },
			pvhNote(0x100020),
		],
	});

	it("gives entry, segments and notes", () => {
		const image = parseElf(file);
		expect(image.entry).toBe(0x100010);
		expect(image.is64Bit).toBe(is64Bit);
		expect(image.segments.map((s) => s.virtualAddress)).toEqual([
			0xc0100000, 0x200000,
		]);
		expect(image.notes.map((n) => [n.owner, n.type])).toEqual([
			["GNU", 3],
			["Xen", 18],
		]);
		expect(pvhEntry(image)).toBe(0x100020);
		expect(physicalExtent(image)).toEqual({ start: 0x100000, end: 0x200004 });
	});

	it("is placed by physical address, with what the file lacks cleared", () => {
		const memory = dirtyMemory(4);
		placeSegments(memory, parseElf(file));
		expect(memory.read(0x100000, 5)).toEqual(ascii("text\0"));
		expect(memory.readU8(0x10003f)).toBe(0);
		expect(memory.readU8(0x100040)).toBe(0xa5);
	});

	it("is refused with a plain sentence however short it is cut", () => {
		for (let length = 4; length < file.length; length++) {
			const cut = file.subarray(0, length);
			expect(isElf(cut)).toBe(true);
			expect(() => parseElf(cut)).toThrow(/truncated/);
		}
	});

	it("survives any one damaged header byte", () => {
		for (let at = 4; at < 200; at++) {
			const damaged = file.slice();
			damaged[at] = 0xff;
			let error: unknown;
			try {
				parseElf(damaged);
			} catch (caught) {
				error = caught;
			}
			if (error !== undefined) expect(error).toHaveProperty("exitStatus", 2);
		}
	});
});

describe("an odd ELF file", () => {
	it("is refused if big-endian", () => {
		const file = fakeElf();
		file[5] = 2;
		expect(() => parseElf(file)).toThrow(/big-endian/);
	});

	it("has no PVH entry when the note is short or another's", () => {
		const short = { owner: "Xen", type: 18, payload: new Uint8Array(2) };
		const other = { ...pvhNote(5), owner: "Zen" };
		expect(pvhEntry(parseElf(fakeElf({ notes: [short] })))).toBeUndefined();
		expect(pvhEntry(parseElf(fakeElf({ notes: [other] })))).toBeUndefined();
	});

	it("ends its list of notes at a malformed one", () => {
		const file = fakeElf({ notes: [pvhNote(1), pvhNote(2)] });
		const second = file.length - 20;
		new DataView(file.buffer).setUint32(second + 4, 0x7fffffff, true);
		expect(parseElf(file).notes).toHaveLength(1);
	});
});
