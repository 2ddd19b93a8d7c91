import { describe, expect, it } from "vitest";
import { Random } from "../../../test/silicon/random.ts";
import { KernelModule } from "../engine/kernel-module.ts";
import { STATE_BASE } from "../memory-layout.ts";
import { MXCSR_INITIAL, SCRATCH_RAISED } from "../mxcsr.ts";
import { FLOAT_SCRATCH, MXCSR } from "../state.ts";
import { StateView } from "../state-view.ts";
import { KERNELS } from "./index.ts";
import { sseKernels } from "./sse-kernels.ts";

const memory = new WebAssembly.Memory({ initial: 2 });
const state = new StateView(memory.buffer, STATE_BASE);
const kernels = new KernelModule(memory, KERNELS).functions(
	sseKernels.map(({ name }) => name),
);

const PE = 0x20;
const UE = 0x10;
const OE = 0x08;
const [NEAREST, DOWN, UP, TRUNCATE] = [0, 1, 2, 3] as const;

const quad = new BigUint64Array(1);
const double = new Float64Array(quad.buffer);

function bitsOf(x: number): bigint {
	double[0] = x;
	return quad[0] as bigint;
}

function numberOf(bits: bigint): number {
	quad[0] = bits;
	return double[0] as number;
}

function singleBits(x: number): bigint {
	return BigInt(new Uint32Array(Float32Array.of(x).buffer)[0] as number);
}

/** Result and flags of a kernel under a rounding mode. */
function run(
	name: string,
	args: readonly (bigint | number)[],
	rounding: number = NEAREST,
	more = 0,
): { bits: bigint; flags: number } {
	state.set32(MXCSR, MXCSR_INITIAL | (rounding << 13) | more);
	state.set32(FLOAT_SCRATCH, 0, SCRATCH_RAISED);
	const kernel = kernels[name] as (...args: unknown[]) => bigint;
	const bits = BigInt.asUintN(64, kernel(...args));
	return { bits, flags: state.get32(FLOAT_SCRATCH, SCRATCH_RAISED) };
}

/** Any double that is no NaN, all exponents alike, and some close to each other. */
function anyDouble(r: Random): number {
	const exponent = r.chance(0.5) ? 1000 + r.below(60) : r.below(2047);
	const high = ((exponent << 20) | (r.bits32() >>> 12)) >>> 0;
	const low = r.chance(0.5) ? 0 : r.bits32();
	const x = numberOf((BigInt(high) << 32n) | BigInt(low));
	return r.chance(0.5) ? -x : x;
}

const REFERENCE: Readonly<Record<string, (a: number, b: number) => number>> = {
	add: (a, b) => a + b,
	sub: (a, b) => a - b,
	mul: (a, b) => a * b,
	div: (a, b) => a / b,
};

describe("SSE kernels", () => {
	it("round to nearest as JavaScript does, in both formats", () => {
		const r = new Random(5);
		for (let i = 0; i < 5000; i++) {
			const [x, y] = [anyDouble(r), anyDouble(r)];
			const [p, q] = [Math.fround(x), Math.fround(y)];
			for (const [name, compute] of Object.entries(REFERENCE)) {
				const text = `${name} ${x} ${y}`;
				const wide = run(`sse_${name}_f64`, [bitsOf(x), bitsOf(y)]);
				if (!Number.isNaN(compute(x, y))) {
					expect(wide.bits, text).toBe(bitsOf(compute(x, y)));
				}
				// One operation on singles, done in doubles, rounds alike twice.
				const single = compute(p, q);
				if (Number.isNaN(single)) continue;
				const narrow = run(`sse_${name}_f32`, [singleBits(p), singleBits(q)]);
				expect(narrow.bits, text).toBe(singleBits(single));
			}
			const root = run("sse_sqrt_f64", [bitsOf(Math.abs(x))]);
			expect(root.bits).toBe(bitsOf(Math.sqrt(Math.abs(x))));
		}
	});

	it("round down and up to neighbours, and say PE exactly if these differ", () => {
		const r = new Random(6);
		for (let i = 0; i < 3000; i++) {
			const args = [bitsOf(anyDouble(r)), bitsOf(anyDouble(r))];
			for (const name of Object.keys(REFERENCE)) {
				const kernel = `sse_${name}_f64`;
				const down = run(kernel, args, DOWN);
				const up = run(kernel, args, UP);
				const near = run(kernel, args, NEAREST);
				const zero = run(kernel, args, TRUNCATE);
				const [low, high] = [numberOf(down.bits), numberOf(up.bits)];
				const inexact = low !== high;
				for (const { flags } of [down, up, near, zero]) {
					expect((flags & PE) !== 0).toBe(inexact);
				}
				if (!inexact) continue;
				const step =
					down.bits > up.bits ? down.bits - up.bits : up.bits - down.bits;
				// -0 and the smallest denormal are neighbours across zero.
				if (low !== 0 && high !== 0) expect(step).toBe(1n);
				expect([down.bits, up.bits]).toContain(near.bits);
				expect(zero.bits).toBe(
					low < 0 || Object.is(low, -0) ? up.bits : down.bits,
				);
			}
		}
	});

	it("call a result tiny by what it would be with a wider exponent", () => {
		const least = 2 ** -1022;
		// Rounds up to the smallest normal number either way, but from below.
		const args = [bitsOf(least), bitsOf(1 - 2 ** -53)];
		const near = run("sse_mul_f64", args);
		expect(near.bits).toBe(bitsOf(least));
		expect(near.flags).toBe(UE | PE);
		const exact = run("sse_mul_f64", [bitsOf(least), bitsOf(0.5)]);
		expect(exact.flags).toBe(0);
	});

	it("report an unmasked underflow even when nothing is lost", () => {
		const args = [bitsOf(2 ** -1022), bitsOf(0.5)];
		state.set32(MXCSR, MXCSR_INITIAL & ~0x800);
		state.set32(FLOAT_SCRATCH, 0, SCRATCH_RAISED);
		(kernels.sse_mul_f64 as (...args: unknown[]) => bigint)(...args);
		expect(state.get32(FLOAT_SCRATCH, SCRATCH_RAISED)).toBe(UE);
	});

	it("overflow to infinity or to the largest number by rounding mode", () => {
		const args = [bitsOf(-1e308), bitsOf(10)];
		const largest = bitsOf(-Number.MAX_VALUE);
		const infinite = bitsOf(-Infinity);
		const answers = [NEAREST, DOWN, UP, TRUNCATE].map((mode) =>
			run("sse_mul_f64", args, mode),
		);
		expect(answers.map(({ bits }) => bits)).toEqual([
			infinite,
			infinite,
			largest,
			largest,
		]);
		for (const { flags } of answers) expect(flags).toBe(OE | PE);
	});

	it("give an exact difference the sign that the rounding mode wants", () => {
		const args = [bitsOf(1.5), bitsOf(1.5)];
		expect(run("sse_sub_f64", args).bits).toBe(0n);
		expect(run("sse_sub_f64", args, DOWN).bits).toBe(1n << 63n);
	});

	it("convert to the nearest integer below, above or beside", () => {
		const x = bitsOf(-1.5);
		const results = [NEAREST, DOWN, UP, TRUNCATE].map((mode) => {
			const { bits, flags } = run("sse_f64_to_i32", [x, mode]);
			expect(flags).toBe(PE);
			return BigInt.asIntN(32, bits);
		});
		expect(results).toEqual([-2n, -2n, -1n, -1n]);
	});

	it("approximate reciprocals within 1.5 * 2^-12", () => {
		const r = new Random(8);
		for (let i = 0; i < 2000; i++) {
			const x = Math.fround(
				2 ** (r.below(240) - 120) * (1 + r.bits32() / 2 ** 32),
			);
			for (const [name, exact] of [
				["rcp", 1 / x],
				["rsqrt", 1 / Math.sqrt(x)],
			] as const) {
				const { bits } = run(`sse_${name}_f32`, [singleBits(x)]);
				const found = new Float32Array(Uint32Array.of(Number(bits)).buffer)[0];
				const error = Math.abs((found as number) / exact - 1);
				expect(error, `${name} ${x}`).toBeLessThanOrEqual(1.5 / 4096);
			}
		}
	});
});
