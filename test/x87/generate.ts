/**
 * Random x87 states with a taste for corners: every class of number, exponents
 * that nearly meet, significands that nearly carry, all rounding modes and
 * precisions, masks open and closed.
 *
 * @journey M:750 Asking nastily
 */

import { type Batch, CASE_BYTES, IMAGE_BYTES } from "./case.ts";
import type { Question } from "./instructions.ts";

/** A small fast generator of 32 random bits (xorshift with a multiplication). */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = (seed ^ 0x9e37_79b9) | 0 || 1;
		for (let i = 0; i < 8; i++) this.next();
	}

	/** Unsigned 32 bits. */
	next(): number {
		let x = this.#state;
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		this.#state = x;
		return Math.imul(x, 0x2c1b_3c6d) >>> 0;
	}

	/** 0..count-1. */
	below(count: number): number {
		return Math.floor((this.next() / 0x1_0000_0000) * count);
	}

	/** True once in `n`. */
	once(n: number): boolean {
		return this.below(n) === 0;
	}

	big(): bigint {
		return (BigInt(this.next()) << 32n) | BigInt(this.next());
	}
}

const TOP = 1n << 63n;
const ALL = (1n << 64n) - 1n;

/** A significand's low 63 bits. */
function fraction(random: Random): bigint {
	const shift = BigInt(random.below(64));
	switch (random.below(8)) {
		case 0:
			return 0n;
		case 1:
			return ALL >> 1n;
		case 2:
			return (ALL << shift) & (ALL >> 1n);
		case 3:
			return (1n << shift) & (ALL >> 1n);
		case 4:
			return (ALL >> shift) & (ALL >> 1n);
		case 5:
			return (random.big() << shift) & (ALL >> 1n);
		default:
			return random.big() >> 1n;
	}
}

interface Number80 {
	readonly m: bigint;
	readonly se: number;
}

/** An exponent field of a normal number. */
function normalExponent(random: Random): number {
	switch (random.below(8)) {
		case 0:
			return 1 + random.below(70);
		case 1:
			return 0x7ffe - random.below(70);
		case 2:
			return 1 + random.below(0x7ffe);
		case 3:
			return 16383 - 1023 - 60 + random.below(130);
		case 4:
			return 16383 + 900 + random.below(140);
		case 5:
			return 16383 - 127 - 30 + random.below(60);
		default:
			return 16383 - 70 + random.below(140);
	}
}

/** Any 80 bits, ordinary numbers more often. */
export function number80(random: Random, ordinary = 12): Number80 {
	const sign = random.once(2) ? 0x8000 : 0;
	const digits = fraction(random);
	switch (random.below(8 + ordinary)) {
		case 0:
			return { m: 0n, se: sign };
		case 1:
			return { m: digits, se: sign };
		case 2:
			return { m: digits | TOP, se: sign };
		case 3:
			return { m: TOP, se: sign | 0x7fff };
		case 4:
			return { m: digits | TOP | (1n << 62n), se: sign | 0x7fff };
		case 5:
			return { m: (digits & ~(1n << 62n)) | TOP, se: sign | 0x7fff };
		case 6:
			return { m: digits, se: sign | normalExponent(random) };
		case 7:
			return { m: digits, se: sign | 0x7fff };
		default:
			return { m: digits | TOP, se: sign | normalExponent(random) };
	}
}

/** One that differs little from `other`, so that sums cancel and comparisons tie. */
function neighbour(random: Random, other: Number80): Number80 {
	const apart = random.below(5) - 2;
	const field = (other.se & 0x7fff) + (random.once(2) ? 0 : apart);
	const inRange = Math.min(Math.max(field, 0), 0x7fff);
	const sign = random.once(2) ? 0x8000 : 0;
	const near = BigInt(random.below(5) - 2);
	const m = random.once(2)
		? other.m
		: BigInt.asUintN(64, other.m + near) | (inRange === 0 ? 0n : TOP);
	return { m, se: sign | inRange };
}

const PRECISIONS = [0, 2, 3, 3, 3];

function controlWord(random: Random): number {
	const masks = random.below(10) < 6 ? 0x3f : random.below(64);
	const precision = PRECISIONS[random.below(PRECISIONS.length)] as number;
	return 0x40 | masks | (precision << 8) | (random.below(4) << 10);
}

/** Flags that are pending only now and then: they make most instructions fault. */
function statusWord(random: Random, control: number): number {
	const conditions = random.next() & 0x4700;
	const flags = random.once(2) ? random.next() & 0x7f : 0;
	const quiet = random.once(40) ? flags : flags & (control | 0x40);
	const pending = (quiet & ~control & 0x3f) !== 0 ? 0x8080 : 0;
	return conditions | quiet | pending | (random.below(8) << 11);
}

function memoryOperand(
	random: Random,
	question: Question,
	to: DataView,
	st0: Number80,
): void {
	for (let i = 0; i < question.memoryBytes; i += 4) {
		to.setUint32(i, random.next(), true);
	}
	const sign = random.once(2) ? 1n : 0n;
	const value = random.once(3) ? neighbour(random, st0) : number80(random);
	const field = value.se & 0x7fff;
	const corner = random.once(6);
	switch (question.memory) {
		case "f32": {
			const rebased = Math.min(Math.max(field - 16256, 0), 255);
			const exponent = corner ? random.below(2) * 255 : rebased;
			const digits = Number((value.m >> 40n) & 0x7f_ffffn);
			const word = (exponent << 23) | digits;
			to.setUint32(0, (word | (Number(sign) << 31)) >>> 0, true);
			break;
		}
		case "f64": {
			const rebased = Math.min(Math.max(field - 15360, 0), 2047);
			const exponent = BigInt(corner ? random.below(2) * 2047 : rebased);
			const digits = (value.m >> 11n) & ((1n << 52n) - 1n);
			to.setBigUint64(0, (sign << 63n) | (exponent << 52n) | digits, true);
			break;
		}
		case "f80":
			to.setBigUint64(0, value.m, true);
			to.setUint16(8, value.se, true);
			break;
		case "integer":
			to.setBigInt64(
				0,
				BigInt.asIntN(64, random.big()) >> BigInt(random.below(64)),
				true,
			);
			break;
		case "decimal":
			if (random.once(8)) break;
			for (let i = 0; i < 9; i++) {
				const digits = (random.below(10) << 4) | random.below(10);
				to.setUint8(i, random.once(6) ? 0 : digits);
			}
			break;
	}
}

/** Environments whose unused bits are as a processor would have left them. */
function environmentImage(random: Random, code: string, to: DataView): void {
	if (!/^(fldenv|frstor)/.test(code)) return;
	const unit = code.endsWith("16") ? 2 : 4;
	const control = controlWord(random);
	to.setUint16(0, control, true);
	to.setUint16(unit, statusWord(random, control), true);
}

/** `count` cases for the question. */
export function makeBatch(
	question: Question,
	count: number,
	seed: number,
): Batch {
	const { memoryBytes, code } = question;
	const caseBytes = CASE_BYTES + memoryBytes;
	const cases = new Uint8Array(count * caseBytes);
	const random = new Random(seed);
	for (let i = 0; i < count; i++) {
		const view = new DataView(cases.buffer, i * caseBytes, caseBytes);
		fillCase(random, question, view);
	}
	return { code, memoryBytes, count, cases };
}

/** An operand in the range that a transcendental instruction is made for. */
function inDomain(random: Random, name: string, other: Number80): Number80 {
	const sign = random.once(2) ? 0x8000 : 0;
	const m = fraction(random) | TOP;
	if (random.once(8)) {
		const near = random.once(2) ? { m: TOP, se: sign | 16383 } : other;
		return random.once(2) ? near : neighbour(random, near);
	}
	switch (name) {
		case "f2xm1":
			return { m, se: sign | (16382 - random.below(80)) };
		case "fyl2xp1":
			return { m, se: sign | (16381 - random.below(80)) };
		case "fyl2x":
			return { m, se: 16383 - 3 + random.below(6) };
		case "fsin":
		case "fcos":
		case "fptan":
		case "fsincos":
			return { m, se: sign | (16383 - 8 + random.below(74)) };
		default:
			return other;
	}
}

function fillCase(random: Random, question: Question, view: DataView): void {
	const control = controlWord(random);
	view.setUint16(0, control, true);
	view.setUint16(2, statusWord(random, control), true);
	const tags = random.below(3);
	view.setUint8(4, tags === 0 ? random.next() & 0xff : 0xff);
	if (tags === 1 && /^f(b|i)?ld/.test(question.name)) view.setUint8(4, 0);
	let st0 = number80(random);
	let st1 = random.once(2) ? number80(random) : neighbour(random, st0);
	if (question.name === "fscale" && !random.once(4)) {
		const exponent = 16383 - 3 + random.below(22);
		st1 = { m: fraction(random) | TOP, se: (st1.se & 0x8000) | exponent };
	}
	if (!random.once(6)) st0 = inDomain(random, question.name, st0);
	for (let r = 0; r < 8; r++) {
		const value = r === 0 ? st0 : r <= 2 ? st1 : number80(random);
		view.setBigUint64(32 + 16 * r, value.m, true);
		view.setUint16(40 + 16 * r, value.se, true);
	}
	view.setUint32(24, 0x1f80, true);
	view.setBigUint64(IMAGE_BYTES, random.big(), true);
	view.setUint32(IMAGE_BYTES + 8, 0x202 | (random.next() & 0x8d5), true);
	if (question.memoryBytes === 0) return;
	const memory = new DataView(
		view.buffer,
		view.byteOffset + CASE_BYTES,
		question.memoryBytes,
	);
	memoryOperand(random, question, memory, st0);
	environmentImage(random, question.name, memory);
}
