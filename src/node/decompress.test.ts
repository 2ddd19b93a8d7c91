import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
	LZ4,
	LZMA,
	SAMPLE_BYTES,
	sampleCode,
	XZ_X86,
	ZSTD,
} from "../../test/support/packed-sample.ts";
import { detectCompression } from "../boot/compression.ts";
import { nodeDecompressors } from "./decompress.ts";

const sample = sampleCode(SAMPLE_BYTES);

describe("Node's decompressors", () => {
	it.each([
		["gzip", new Uint8Array(gzipSync(sample))],
		["xz", XZ_X86],
		["zstd", ZSTD],
		["lz4", LZ4],
		["lzma", LZMA],
	] as const)("recognise and unpack %s", async (format, packed) => {
		expect(detectCompression(packed)).toBe(format);
		const unpacked = await nodeDecompressors[format]?.(packed, SAMPLE_BYTES);
		expect(new Uint8Array(unpacked ?? [])).toEqual(sample);
	});

	it.each([
		["gzip", new Uint8Array(gzipSync(sample))],
		["zstd", ZSTD],
	] as const)("reject damaged %s", async (format, packed) => {
		const cut = packed.subarray(0, packed.length / 2);
		await expect(nodeDecompressors[format]?.(cut)).rejects.toThrow();
	});
});
