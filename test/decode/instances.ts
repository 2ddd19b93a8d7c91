/**
 * Byte sequences for decoder tests, from a seed: either made after a row of
 * the opcode table with everything else at random, or plain random bytes
 * behind a few likely prefixes. Both are 16 bytes long, more than any
 * instruction needs.
 */

import type {
	OpcodeRow,
	SizeAttribute,
} from "../../src/cpu/decode/instruction.ts";
import { operandsOf } from "../../src/cpu/decode/operand-spec.ts";

/** Length of every sequence made here. */
export const INSTANCE_BYTES = 16;

/** Small, fast, seeded: xorshift32. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed | 1;
	}

	/** 0 to `limit` - 1. */
	below(limit: number): number {
		let x = this.#state;
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		this.#state = x;
		return (x >>> 0) % limit;
	}

	chance(percent: number): boolean {
		return this.below(100) < percent;
	}

	pick<T>(items: readonly T[]): T {
		return items[this.below(items.length)];
	}
}

const LEGACY_PREFIXES = [
	0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
];
const MAP_ESCAPES = {
	"1": [],
	"0f": [0x0f],
	"0f38": [0x0f, 0x38],
	"0f3a": [0x0f, 0x3a],
};

/** An encoding of `row`; with luck it is one, for the prefixes may turn it into another row or into nothing. */
export function instanceOf(
	row: OpcodeRow,
	codeSize: SizeAttribute,
	random: Random,
): Uint8Array {
	const bytes: number[] = [];
	if (row.prefix !== "np" && random.chance(25)) bytes.push(0x66);
	if (random.chance(10)) bytes.push(random.pick(LEGACY_PREFIXES));
	if (random.chance(15)) bytes.push(0x67);
	if (row.lockable && random.chance(15)) bytes.push(0xf0);
	if (row.prefix === "66") bytes.push(0x66);
	if (row.prefix === "f2") bytes.push(0xf2);
	if (row.prefix === "f3") bytes.push(0xf3);
	pushRex(bytes, row, codeSize, random);
	const registerBits =
		operandsOf(row).some(({ method }) => method === "Z") &&
		(row.opcode & 7) === 0
			? random.below(8)
			: 0;
	bytes.push(...MAP_ESCAPES[row.map], row.opcode | registerBits);
	if (row.hasModrm) bytes.push(modrmOf(row, random));
	return fill(bytes, random);
}

function pushRex(
	bytes: number[],
	row: OpcodeRow,
	codeSize: SizeAttribute,
	random: Random,
): void {
	if (codeSize !== 64) return;
	let rex = random.chance(40) ? 0x40 | random.below(16) : 0;
	if (row.rexW === true) rex |= 0x48;
	if (rex !== 0) bytes.push(rex);
}

function modrmOf(row: OpcodeRow, random: Random): number {
	const register =
		row.mod === undefined ? random.chance(40) : row.mod === "register";
	const mod = register ? 3 : random.below(3);
	const reg = row.extension ?? random.below(8);
	const rm = row.rm ?? random.below(8);
	return (mod << 6) | (reg << 3) | rm;
}

/** Any bytes at all, but with more prefixes and escapes than chance would give. */
export function randomInstance(
	codeSize: SizeAttribute,
	random: Random,
): Uint8Array {
	const bytes: number[] = [];
	while (random.chance(35)) bytes.push(random.pick(LEGACY_PREFIXES));
	if (codeSize === 64 && random.chance(30)) {
		bytes.push(0x40 | random.below(16));
	}
	if (random.chance(50)) bytes.push(...random.pick(Object.values(MAP_ESCAPES)));
	return fill(bytes, random);
}

/** Random bytes; small ones are made likely, because zero and one matter. */
function fill(bytes: readonly number[], random: Random): Uint8Array {
	const result = new Uint8Array(INSTANCE_BYTES);
	for (let i = 0; i < INSTANCE_BYTES; i++) {
		result[i] = bytes[i] ?? random.below(256);
	}
	return result;
}
