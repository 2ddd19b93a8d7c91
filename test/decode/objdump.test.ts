/**
 * The decoder against binutils: lengths and mnemonics of some 240,000
 * encodings, most of them made after the table's rows, the rest random.
 *
 * Skipped, loudly, where there is no objdump; `LGUEST_SEED` picks other
 * instances than the usual ones.
 */

import { describe, expect, it } from "vitest";
import { decode } from "../../src/cpu/decode/decoder.ts";
import type { SizeAttribute } from "../../src/cpu/decode/instruction.ts";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import {
	type Comparison,
	KNOWN_DIFFERENCES,
	sameMnemonic,
} from "./differences.ts";
import {
	INSTANCE_BYTES,
	instanceOf,
	Random,
	randomInstance,
} from "./instances.ts";
import { hasObjdump, objdump } from "./objdump.ts";

const SEED = Number(process.env.LGUEST_SEED ?? 1);
const INSTANCES_PER_ROW = 60;
const RANDOM_INSTANCES = 25_000;
/** An instruction and NOPs enough that objdump is back in step at the next slot. */
const SLOT_BYTES = 32;
const NOP = 0x90;

function makeInstances(codeSize: SizeAttribute): Uint8Array[] {
	const random = new Random(SEED * 7919 + codeSize);
	const instances: Uint8Array[] = [];
	for (const row of OPCODE_TABLE) {
		for (let i = 0; i < INSTANCES_PER_ROW; i++) {
			instances.push(instanceOf(row, codeSize, random));
		}
	}
	for (let i = 0; i < RANDOM_INSTANCES; i++) {
		instances.push(randomInstance(codeSize, random));
	}
	return instances;
}

function compareAll(codeSize: SizeAttribute): Comparison[] {
	const instances = makeInstances(codeSize);
	const code = new Uint8Array(instances.length * SLOT_BYTES).fill(NOP);
	const decoded = instances.map((bytes, slot) => {
		const ours = decode(bytes, 0, INSTANCE_BYTES, { codeSize });
		const length = typeof ours === "string" ? 15 : ours.lengthBytes;
		code.set(bytes.subarray(0, length), slot * SLOT_BYTES);
		return ours;
	});
	const lines = objdump(code, codeSize);
	const comparisons: Comparison[] = [];
	for (let i = 0; i < lines.length; i++) {
		const theirs = lines[i];
		if (theirs.address % SLOT_BYTES !== 0) continue;
		const slot = theirs.address / SLOT_BYTES;
		comparisons.push({
			bytes: instances[slot],
			codeSize,
			ours: decoded[slot],
			theirs,
			theirLengthBytes: (lines[i + 1]?.address ?? code.length) - theirs.address,
		});
	}
	expect(comparisons.length).toBe(instances.length);
	return comparisons;
}

function agrees({ ours, theirs, theirLengthBytes }: Comparison): boolean {
	const theyRefuse = theirs.text.includes("(bad");
	if (typeof ours === "string") return theyRefuse;
	return (
		!theyRefuse &&
		ours.lengthBytes === theirLengthBytes &&
		sameMnemonic(ours.row.mnemonic, theirs.mnemonic)
	);
}

function describeDifference(it: Comparison): string {
	const bytes = Buffer.from(it.bytes).toString("hex");
	const ours =
		typeof it.ours === "string"
			? it.ours
			: `${it.ours.row.mnemonic}, ${it.ours.lengthBytes} bytes`;
	return `${bytes}: ours ${ours}; objdump ${it.theirs.text}, ${it.theirLengthBytes} bytes`;
}

const available = hasObjdump();
if (!available) console.warn("skipped: decoder against objdump (no binutils)");

describe.skipIf(!available)("the decoder against objdump", () => {
	for (const codeSize of [16, 32, 64] as const) {
		it(`agrees on lengths and mnemonics in ${codeSize}-bit code but for explained differences`, {
			timeout: 120_000,
		}, () => {
			const comparisons = compareAll(codeSize);
			const differing = comparisons.filter((one) => !agrees(one));
			const unexplained = differing.filter(
				(one) => !KNOWN_DIFFERENCES.some((rule) => rule.explains(one)),
			);
			expect(
				unexplained.slice(0, 20).map(describeDifference),
				`${unexplained.length} of ${comparisons.length}, seed ${SEED}`,
			).toEqual([]);
			// A rule must not grow into a blanket.
			expect(differing.length).toBeLessThan(comparisons.length / 10);
		});
	}
});
