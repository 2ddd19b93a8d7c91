import { describe, expect, it } from "vitest";
import {
	LZ4,
	LZMA,
	LZMA_ROWS,
	SAMPLE_BYTES,
	sampleCode,
	sampleNoise,
	sampleRows,
	XZ_BLOCKS,
	XZ_STORED,
	XZ_X86,
} from "../../../test/support/packed-sample.ts";
import { crc32 } from "./crc32.ts";
import { unpackLz4 } from "./lz4.ts";
import { unpackLzma } from "./lzma.ts";
import { undoX86Filter } from "./x86-filter.ts";
import { unpackXz } from "./xz.ts";

const sample = sampleCode(SAMPLE_BYTES);

describe("xz", () => {
	it("unpacks what Linux's build makes, x86 filter included", () => {
		expect(unpackXz(XZ_X86)).toEqual(sample);
	});

	it("unpacks several blocks", () => {
		expect(unpackXz(XZ_BLOCKS)).toEqual(sample);
	});

	it("unpacks stored chunks", () => {
		expect(unpackXz(XZ_STORED)).toEqual(sampleNoise());
	});

	it("notices every damaged byte", () => {
		const unnoticed: number[] = [];
		for (let at = 6; at < XZ_X86.length; at++) {
			const damaged = XZ_X86.slice();
			damaged[at] = (damaged[at] as number) ^ 0x10;
			try {
				expect(unpackXz(damaged)).toEqual(sample);
				unnoticed.push(at);
			} catch (error) {
				expect((error as Error).name).toBe("Error");
			}
		}
		expect(unnoticed).toEqual([]);
	});

	it("notices every truncation", () => {
		for (let length = 0; length < XZ_X86.length; length++) {
			expect(() => unpackXz(XZ_X86.subarray(0, length))).toThrow();
		}
	});
});

describe("lzma", () => {
	it("unpacks a stream with an end marker, with and without a size to expect", () => {
		expect(unpackLzma(LZMA, SAMPLE_BYTES)).toEqual(sample);
		expect(unpackLzma(LZMA, SAMPLE_BYTES + 100)).toEqual(sample);
	});

	it("repeats what a match has only just written", () => {
		const rows = sampleRows();
		expect(unpackLzma(LZMA_ROWS, rows.length)).toEqual(rows);
		expect(unpackLzma(LZMA_ROWS, rows.length + 100)).toEqual(rows);
	});

	it("notices truncation", () => {
		const cut = LZMA.subarray(0, LZMA.length - 100);
		expect(() => unpackLzma(cut, SAMPLE_BYTES)).toThrow(/ends in the middle/);
	});
});

describe("legacy lz4", () => {
	it("unpacks what lz4 -l makes", () => {
		expect(unpackLz4(LZ4)).toEqual(sample);
	});

	it("unpacks two files one behind the other", () => {
		const twice = Uint8Array.from([...LZ4, ...LZ4]);
		expect(unpackLz4(twice)).toEqual(Uint8Array.from([...sample, ...sample]));
	});

	it("answers every damaged byte with an error or bytes, and ends", () => {
		for (let at = 8; at < LZ4.length; at += 5) {
			const damaged = LZ4.slice();
			damaged[at] = 0xff;
			try {
				unpackLz4(damaged);
			} catch (error) {
				expect((error as Error).message).toMatch(/outside|middle/);
			}
		}
	});

	it("notices truncation", () => {
		expect(() => unpackLz4(LZ4.subarray(0, 200))).toThrow(/middle/);
	});
});

describe("the x86 filter", () => {
	it("makes an absolute target relative to the next instruction", () => {
		const code = Uint8Array.of(0x90, 0xe8, 0x00, 0x10, 0, 0, 0x90, 0x90);
		undoX86Filter(code);
		expect([...code]).toEqual([0x90, 0xe8, 0xfa, 0x0f, 0, 0, 0x90, 0x90]);
	});

	it("leaves far operands and the last four bytes alone", () => {
		const code = Uint8Array.of(0xe8, 1, 2, 3, 0x7f, 0xe9, 1, 0, 0);
		const before = code.slice();
		undoX86Filter(code);
		expect(code).toEqual(before);
	});
});

describe("CRC-32", () => {
	it("gives the check value of its definition", () => {
		const digits = new TextEncoder().encode("123456789");
		expect(crc32(digits)).toBe(0xcbf43926);
		expect(crc32(new Uint8Array(0))).toBe(0);
	});
});
