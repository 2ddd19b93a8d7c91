import { describe, expect, it } from "vitest";
import { x87Semantics } from "../../src/cpu/semantics/x87.ts";
import { CASE_BYTES, IMAGE_BYTES, RESULT_BYTES } from "./case.ts";
import { makeBatch } from "./generate.ts";
import { TRANSCENDENTAL } from "./instructions.ts";
import { nativeAvailable, runNative } from "./native.ts";
import {
	angle,
	type Exact,
	exactOf,
	logarithm2,
	powerLessOne,
	scaled,
	sineAndCosine,
} from "./reference.ts";
import { Subject } from "./subject.ts";

const LONG = process.env.LGUEST_LONG === "1";
const CASES = LONG ? 20_000 : 300;
/** Bits behind the point when a result is near 1; tiny results need more. */
const BITS = 260;

interface Results {
	readonly st0: Exact;
	readonly st1: Exact;
}

function registers(view: DataView): Results {
	const register = (i: number) =>
		exactOf(
			view.getBigUint64(32 + 16 * i, true),
			view.getUint16(40 + 16 * i, true),
		);
	return { st0: register(0), st1: register(1) };
}

function isOrdinary({ m, exponent }: Exact): boolean {
	const size = m < 0n ? -m : m;
	const finite = exponent < 0x7fff - 16383 - 63;
	return size >> 63n === 1n && finite;
}

/** What ST(0) and ST(1) hold if the operands are good for a comparison. */
type Truth = (
	x: Exact,
	y: Exact,
) => readonly { readonly value: bigint; readonly bits: number }[] | undefined;

const magnitude = ({ exponent }: Exact) => exponent + 63;

const trigonometric =
	(...results: readonly ("sine" | "cosine" | "tangent" | "one")[]): Truth =>
	(x) => {
		const size = magnitude(x);
		if (size >= 63 || size < -200) return undefined;
		const bits = BITS + Math.max(-size, 0);
		const { sine, cosine } = sineAndCosine(scaled(x, bits), bits);
		const one = 1n << BigInt(bits);
		const tangent = (sine << BigInt(bits)) / cosine;
		const values = { sine, cosine, tangent, one };
		return results.map((name) => ({ value: values[name], bits }));
	};

const TRUTHS: Readonly<Record<string, Truth>> = {
	fsin: trigonometric("sine"),
	fcos: trigonometric("cosine"),
	fsincos: trigonometric("cosine", "sine"),
	fptan: trigonometric("one", "tangent"),
	f2xm1: (x) => {
		const size = magnitude(x);
		if (size >= 0 || size < -200) return undefined;
		const bits = BITS - size;
		return [{ value: powerLessOne(scaled(x, bits), bits), bits }];
	},
	fyl2x: (x, y) => {
		if (x.m < 0n || Math.abs(magnitude(x)) > 300) return undefined;
		if (Math.abs(magnitude(y)) > 300) return undefined;
		const bits = 900;
		const log = logarithm2(scaled(x, bits), bits);
		if (log === 0n) return undefined;
		return [{ value: (log * scaled(y, bits)) >> BigInt(bits), bits }];
	},
	fyl2xp1: (x, y) => {
		const size = magnitude(x);
		if (size >= 0 || size < -200) return undefined;
		if (Math.abs(magnitude(y)) > 300) return undefined;
		const bits = 900;
		const log = logarithm2((1n << 900n) + scaled(x, bits), bits);
		return [{ value: (log * scaled(y, bits)) >> BigInt(bits), bits }];
	},
	fpatan: (x, y) => {
		const size = magnitude(y) - magnitude(x);
		if (Math.abs(size) > 200) return undefined;
		const bits = BITS + 200;
		const down = (v: Exact) => ({
			m: v.m,
			exponent: v.exponent - magnitude(x),
		});
		return [
			{
				value: angle(scaled(down(x), bits), scaled(down(y), bits), bits),
				bits,
			},
		];
	},
};

/** Distance from the truth in units of the result's last place. */
function ulps(result: Exact, value: bigint, bits: number): number {
	const unit = scaled({ m: 1n, exponent: result.exponent }, bits + 20);
	const error = scaled(result, bits + 20) - (value << 20n);
	return Number((error * 1000n) / unit) / 1000;
}

const subject = new Subject(x87Semantics);

describe.each(TRANSCENDENTAL)("$name", (question) => {
	const batch = makeBatch(question, CASES, 20);
	const ours = subject.run(batch);
	const result = (i: number) =>
		new DataView(ours.buffer, i * RESULT_BYTES, RESULT_BYTES);

	it("is within one unit in the last place of the truth", () => {
		const truth = TRUTHS[question.name] as Truth;
		let judged = 0;
		for (let i = 0; i < batch.count; i++) {
			const given = new DataView(batch.cases.buffer, i * CASE_BYTES);
			const { st0, st1 } = registers(given);
			if (!isOrdinary(st0) || !isOrdinary(st1)) continue;
			// All registers in use: results that are pushed have no room.
			if (given.getUint8(4) === 0xff && /sincos|ptan/.test(question.name)) {
				continue;
			}
			const view = result(i);
			const failed = view.getUint16(2, true) & 0x41 & ~given.getUint16(2, true);
			const expected = truth(st0, st1);
			if (expected === undefined || failed !== 0) continue;
			if (view.getUint8(IMAGE_BYTES + 16) !== 0) continue;
			if ((view.getUint16(0, true) & 0x3f) !== 0x3f) continue;
			if ((given.getUint16(2, true) & 0x41) !== 0) continue;
			const after = registers(view);
			for (const [r, { value, bits }] of expected.entries()) {
				const got = r === 0 ? after.st0 : after.st1;
				expect(Math.abs(ulps(got, value, bits))).toBeLessThanOrEqual(1);
				judged++;
			}
		}
		expect(judged).toBeGreaterThan(CASES / 50);
	});

	it.runIf(nativeAvailable())(
		"agrees with the processor about flags, and within one unit about results",
		() => {
			const theirs = runNative(batch);
			for (let i = 0; i < batch.count; i++) {
				const a = result(i);
				const at = theirs.byteOffset + i * RESULT_BYTES;
				const b = new DataView(theirs.buffer, at, RESULT_BYTES);
				expect(summary(a)).toEqual(summary(b));
				for (const r of [0, 1]) {
					const distance = place(a, r) - place(b, r);
					expect(distance >= -1n && distance <= 1n).toBe(true);
				}
			}
		},
	);
});

/** Everything but the results and C1, which tells how they were rounded. */
function summary(view: DataView): readonly number[] {
	const signal = view.getUint8(IMAGE_BYTES + 16);
	if (signal !== 0) return [signal];
	const signs = [0, 1].map((i) => view.getUint16(40 + 16 * i, true) >> 15);
	return [view.getUint16(2, true) & ~0x200, view.getUint8(4), ...signs];
}

/** Neighbouring magnitudes of the format get neighbouring numbers. */
function place(view: DataView, register: number): bigint {
	if (view.getUint8(IMAGE_BYTES + 16) !== 0) return 0n;
	const field = view.getUint16(40 + 16 * register, true) & 0x7fff;
	const m = view.getBigUint64(32 + 16 * register, true);
	return (BigInt(field) << 63n) + (m & ((1n << 63n) - 1n));
}
