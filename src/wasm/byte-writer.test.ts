/** Number encodings, compared with encoders written for clarity, in bigint. */
import { describe, expect, it } from "vitest";
import { ByteWriter } from "./byte-writer.ts";

/** Signed LEB128 as the specification's recursive definition has it. */
function signedLeb128(value: bigint): number[] {
	const low = Number(BigInt.asUintN(7, value));
	const isLast = BigInt.asIntN(7, value) === value;
	return isLast ? [low] : [low | 0x80, ...signedLeb128(value >> 7n)];
}

function unsignedLeb128(value: bigint): number[] {
	const low = Number(value & 0x7fn);
	return value < 0x80n ? [low] : [low | 0x80, ...unsignedLeb128(value >> 7n)];
}

function written(write: (writer: ByteWriter) => void): number[] {
	const writer = new ByteWriter(1);
	write(writer);
	return [...writer.toBytes()];
}

/** Both sides of every power of two, where encodings grow by a byte. */
const EDGES = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i)).flatMap(
	(power) => [power - 1n, power, power + 1n, -power, -power - 1n],
);

describe("ByteWriter", () => {
	it("encodes unsigned 32-bit integers in as few bytes as possible", () => {
		for (const edge of EDGES) {
			const value = Number(BigInt.asUintN(32, edge));
			const expected = unsignedLeb128(BigInt(value));
			expect(written((writer) => writer.u32(value))).toEqual(expected);
		}
	});

	it("encodes signed 32-bit integers", () => {
		for (const edge of EDGES) {
			const value = Number(BigInt.asIntN(32, edge));
			const expected = signedLeb128(BigInt(value));
			expect(written((writer) => writer.s32(value))).toEqual(expected);
		}
	});

	it("encodes signed 64-bit integers given in halves", () => {
		for (const edge of EDGES) {
			const value = BigInt.asIntN(64, edge);
			const low = Number(BigInt.asIntN(32, value));
			const high = Number(value >> 32n);
			const bytes = written((writer) => writer.s64(low, high));
			expect(bytes).toEqual(signedLeb128(value));
		}
	});

	it("writes floats little-endian", () => {
		expect(written((writer) => writer.f32(1))).toEqual([0, 0, 0x80, 0x3f]);
		const f64 = written((writer) => writer.f64(-2));
		expect(f64).toEqual([0, 0, 0, 0, 0, 0, 0, 0xc0]);
	});

	it("writes names in UTF-8 behind their length in bytes", () => {
		const name = "aß€🙂";
		const expected = [...new TextEncoder().encode(name)];
		const bytes = written((writer) => writer.name(name));
		expect(bytes).toEqual([expected.length, ...expected]);
	});

	it("replaces half a surrogate pair, which UTF-8 cannot hold", () => {
		const bytes = written((writer) => writer.name("\ud800"));
		expect(bytes).toEqual([3, 0xef, 0xbf, 0xbd]);
	});

	it("keeps all bytes while growing", () => {
		const writer = new ByteWriter(1);
		for (let i = 0; i < 1000; i++) writer.byte(i);
		expect(writer.length).toBe(1000);
		const expected = Array.from({ length: 1000 }, (_, i) => i & 0xff);
		expect([...writer.view()]).toEqual(expected);
	});
});
