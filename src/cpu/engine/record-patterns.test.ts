import { describe, expect, it } from "vitest";
import { type Random, randomFrom } from "../../testing/random.ts";
import { decode } from "../decode/decoder.ts";
import { makeMode, modeCodeSize } from "../mode.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import { PatternShape, RecordPatterns } from "./record-patterns.ts";

const MODES = [makeMode(32, 32, true), makeMode(64, 64, true)];
const MODE_16 = makeMode(16, 16, true);
const OFFSET = 0x123;

/** The record that the decoder and that a pattern make of the bytes, and what else they say. */
function twice(patterns: RecordPatterns, bytes: Uint8Array, mode: number) {
	const decoded = decode(bytes, 0, 15, { codeSize: modeCodeSize(mode) });
	const words = new Int32Array(RECORD_BYTES / 4);
	const shape = patterns.write(bytes, 0, mode, words, 0, OFFSET);
	const byDecoder = new Int32Array(RECORD_BYTES / 4);
	if (typeof decoded === "string") return { decoded, shape, words, byDecoder };
	const handler = 1 + decoded.row.id;
	writeRecord(byDecoder, 0, handler, OFFSET, decoded);
	if (shape === 0) patterns.learn(bytes, 0, mode, handler, decoded);
	return { decoded, shape, words, byDecoder };
}

/** Bytes as code has them: few opcodes and prefixes, everything else at random. */
function likeCode(random: Random): Uint8Array {
	const bytes = Uint8Array.from({ length: 16 }, () => random(256));
	const prefixes = [0x66, 0xf2, 0xf3, 0xf0, 0x64, 0x2e, 0x67, 0x48, 0x41];
	let at = 0;
	for (let chance = 4; random(chance) < 1; chance = 3) {
		bytes[at++] = prefixes[random(prefixes.length)] as number;
	}
	if (random(4) === 0) bytes[at] = 0x0f;
	return bytes;
}

describe("patterns of records", () => {
	it.each(MODES)("give what the decoder gives, in mode %i", (mode) => {
		const random = randomFrom(mode);
		const patterns = new RecordPatterns();
		let alike = 0;
		for (let i = 0; i < 200_000; i++) {
			const bytes = likeCode(random);
			const { decoded, shape, words, byDecoder } = twice(patterns, bytes, mode);
			if (shape === 0) continue;
			alike++;
			const told = Array.from(bytes, (byte) => byte.toString(16)).join(" ");
			if (typeof decoded === "string") throw new Error(`${told}: ${decoded}`);
			expect([...words], told).toEqual([...byDecoder]);
			const { endsBlock, operands } = decoded.row;
			const flag = (bit: number) => (shape & bit) !== 0;
			expect(flag(PatternShape.ENDS_BLOCK), told).toBe(endsBlock);
			const isRelative = operands[0]?.startsWith("J") ?? false;
			expect(flag(PatternShape.BRANCH), told).toBe(isRelative);
		}
		// Most of what is no pattern's here is no instruction, or a first of its kind.
		expect(alike).toBeGreaterThan(50_000);
	});

	it("are of one mode", () => {
		const patterns = new RecordPatterns();
		const [mode = 0, other = 0] = MODES;
		const movEaxEbp = Uint8Array.of(0x8b, 0x45, 0xf8, ...Array(13).fill(0));
		expect(twice(patterns, movEaxEbp, mode).shape).toBe(0);
		expect(twice(patterns, movEaxEbp, mode).shape).not.toBe(0);
		expect(twice(patterns, movEaxEbp, other).shape).toBe(0);
		expect(twice(patterns, movEaxEbp, MODE_16).shape).toBe(0);
	});

	it("are forgotten together", () => {
		const patterns = new RecordPatterns();
		const [mode = 0] = MODES;
		const nop = Uint8Array.of(0x90, ...Array(15).fill(0));
		twice(patterns, nop, mode);
		expect(twice(patterns, nop, mode).shape).not.toBe(0);
		patterns.clear();
		expect(twice(patterns, nop, mode).shape).toBe(0);
	});
});
