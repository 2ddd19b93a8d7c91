/**
 * Vectors: one piece of machine code, the registers, flags and memory before
 * it, and what must be there afterwards. Relies on `bare-processor.ts`; the
 * tests of `cpu/semantics` rely on it.
 */

import { expect } from "vitest";
import type { SizeAttribute } from "../../src/cpu/decode/instruction.ts";
import { BareProcessor } from "./bare-processor.ts";

const NAMES = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"] as const;
type RegisterName = (typeof NAMES)[number];

/** EFLAGS bit of each letter. */
const FLAG_BITS: Readonly<Record<string, number>> = {
	C: 0x1,
	P: 0x4,
	A: 0x10,
	Z: 0x40,
	S: 0x80,
	D: 0x400,
	O: 0x800,
};

/** Registers by their 16-bit names, whatever the mode. */
export type State = Partial<Record<RegisterName, number | bigint>> & {
	/** Flags by letter: capital = set, small = clear, none = not looked at (clear before). */
	readonly flags?: string;
	/** Bytes from an address on. */
	readonly memory?: Readonly<Record<number, readonly number[]>>;
};

export interface Vector {
	/** 32 unless given. */
	readonly mode?: SizeAttribute;
	/** Hexadecimal; blanks are ignored. */
	readonly code: string;
	readonly before?: State;
	readonly after: State;
	/** Vector of the fault that must end it; none = runs to the end. */
	readonly fault?: number;
	/** Most iterations of one REP step. */
	readonly repLimit?: number;
}

const processors = new Map<SizeAttribute, BareProcessor>();

function processorFor(size: SizeAttribute): BareProcessor {
	let processor = processors.get(size);
	if (processor === undefined) {
		processor = new BareProcessor(size);
		processors.set(size, processor);
	}
	return processor;
}

/** Runs a vector and compares everything `after` names, and all other registers with `before`. */
export function check({
	mode = 32,
	code,
	before = {},
	after,
	fault,
	repLimit = 1 << 20,
}: Vector): void {
	const processor = processorFor(mode);
	load(processor, before);
	processor.repLimit = repLimit;
	const bytes = code.replace(/ /g, "").match(/../g) ?? [];
	const vector = processor.execute(bytes.map((byte) => parseInt(byte, 16)));
	expect(vector).toBe(fault);
	for (const [index, name] of NAMES.entries()) {
		const expected = after[name] ?? before[name] ?? 0;
		expect(hex(processor.gpr(index)), name).toBe(hex(BigInt(expected)));
	}
	expect(flagsText(processor.eflags, after.flags)).toBe(after.flags ?? "");
	for (const [at, expected] of Object.entries(after.memory ?? {})) {
		const start = Number(at);
		const found = processor.ram.slice(start, start + expected.length);
		expect([...found], hex(BigInt(start))).toEqual(expected);
	}
}

function load(processor: BareProcessor, state: State): void {
	processor.ram.fill(0);
	for (const [index, name] of NAMES.entries()) {
		processor.setGpr(index, BigInt(state[name] ?? 0));
	}
	let eflags = 2;
	for (const letter of state.flags ?? "") eflags |= FLAG_BITS[letter] ?? 0;
	processor.eflags = eflags;
	for (const [at, bytes] of Object.entries(state.memory ?? {})) {
		processor.ram.set(bytes, Number(at));
	}
}

/** The flags that `letters` names, as they are. */
function flagsText(eflags: number, letters = ""): string {
	return [...letters]
		.map((letter) => {
			const capital = letter.toUpperCase();
			const set = (eflags & (FLAG_BITS[capital] ?? 0)) !== 0;
			return set ? capital : capital.toLowerCase();
		})
		.join("");
}

function hex(value: bigint): string {
	return BigInt.asUintN(64, value).toString(16);
}
