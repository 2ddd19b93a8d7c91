import { beforeEach, describe, expect, it } from "vitest";
import { KernelModule } from "../engine/kernel-module.ts";
import { STATE_BASE } from "../memory-layout.ts";
import {
	FLOAT_SCRATCH,
	FPR,
	FPR_EXPONENT,
	FPU_CONTROL,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
} from "../state.ts";
import { StateView } from "../state-view.ts";
import {
	FPU_C1,
	FPU_C2,
	FPU_DE,
	FPU_ES,
	FPU_IE,
	FPU_OE,
	FPU_PE,
	FPU_SF,
	FPU_UE,
	FPU_ZE,
} from "../x87-bits.ts";
import { KERNELS, x87Kernels } from "./index.ts";

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
const kernels = new KernelModule(memory, KERNELS).functions(
	x87Kernels.map(({ name }) => name),
) as Record<string, (...args: (number | bigint)[]) => number | bigint>;
const state = new StateView(memory.buffer, STATE_BASE);

const call = (name: string, ...args: (number | bigint)[]) =>
	(kernels[name] as (typeof kernels)[string])(...args);

/** "3fff:8000000000000000" for 1. */
function put(register: number, text: string): void {
	const [se, m] = text.split(":") as [string, string];
	const at = STATE_BASE + FPR.offset + 16 * register;
	state.view.setBigUint64(at, BigInt(`0x${m}`), true);
	state.view.setInt32(at + FPR_EXPONENT, Number.parseInt(se, 16), true);
}

function get(register: number): string {
	const at = STATE_BASE + FPR.offset + 16 * register;
	const m = state.view.getBigUint64(at, true).toString(16).padStart(16, "0");
	const se = state.view.getInt32(at + FPR_EXPONENT, true);
	return `${se.toString(16).padStart(4, "0")}:${m}`;
}

const ONE = "3fff:8000000000000000";
const THREE = "4000:c000000000000000";
const ZERO = "0000:0000000000000000";
const INFINITY = "7fff:8000000000000000";
const INDEFINITE = "ffff:c000000000000000";
const LARGEST = "7ffe:ffffffffffffffff";
const SMALLEST = "0001:8000000000000000";
/** Everything masked, 64 bits, to nearest; the others differ by a bit or two. */
const NEAREST = 0x37f;
const DOUBLE = 0x27f;
const SINGLE = 0x07f;
const UP = NEAREST | (2 << 10);

beforeEach(() => {
	state.set32(FPU_CONTROL, NEAREST);
	state.set32(FPU_STATUS, 0);
	state.set32(FPU_TOP, 0);
	state.set32(FPU_TAG, 0xff);
});

/** Register 0 after `name` of registers 1 and 2, and the flags. */
function compute(name: string, a: string, b: string): [string, number] {
	put(1, a);
	put(2, b);
	state.set32(FPU_STATUS, 0);
	put(0, "dead:beef");
	call(`x87_${name}`, 0, 1, 2);
	return [get(0), state.get32(FPU_STATUS)];
}

describe("x87 arithmetic", () => {
	it("rounds to the precision in the control word", () => {
		const third = () => compute("div", ONE, THREE);
		expect(third()).toEqual(["3ffd:aaaaaaaaaaaaaaab", FPU_PE | FPU_C1]);
		state.set32(FPU_CONTROL, DOUBLE);
		expect(third()).toEqual(["3ffd:aaaaaaaaaaaaa800", FPU_PE]);
		state.set32(FPU_CONTROL, SINGLE);
		expect(third()).toEqual(["3ffd:aaaaab0000000000", FPU_PE | FPU_C1]);
	});

	it("gives cancelled sums the sign of the rounding mode", () => {
		expect(compute("sub", ONE, ONE)).toEqual([ZERO, 0]);
		state.set32(FPU_CONTROL, NEAREST | (1 << 10));
		expect(compute("sub", ONE, ONE)[0]).toBe("8000:0000000000000000");
	});

	it("overflows to infinity or, rounding toward 0, to the largest number", () => {
		const flags = FPU_OE | FPU_PE;
		const [result, status] = compute("add", LARGEST, LARGEST);
		expect([result, status]).toEqual([INFINITY, flags | FPU_C1]);
		state.set32(FPU_CONTROL, NEAREST | (3 << 10));
		expect(compute("add", LARGEST, LARGEST)).toEqual([LARGEST, flags]);
	});

	it("brings an unmasked overflow back by 24576", () => {
		state.set32(FPU_CONTROL, NEAREST & ~FPU_OE);
		const [result, status] = compute("add", LARGEST, LARGEST);
		expect(result).toBe("1fff:ffffffffffffffff");
		expect(status & (FPU_OE | FPU_ES)).toBe(FPU_OE | FPU_ES);
	});

	it("underflows silently while exact, and tells when not", () => {
		const half = "3ffe:8000000000000000";
		expect(compute("mul", SMALLEST, half)).toEqual([
			"0000:4000000000000000",
			0,
		]);
		const third = "3ffd:aaaaaaaaaaaaaaab";
		const [, status] = compute("mul", SMALLEST, third);
		expect(status & (FPU_UE | FPU_PE)).toBe(FPU_UE | FPU_PE);
	});

	it("leaves the destination alone after an unmasked early exception", () => {
		state.set32(FPU_CONTROL, NEAREST & ~(FPU_ZE | FPU_DE | FPU_IE));
		for (const [name, a, b, flag] of [
			["div", ONE, ZERO, FPU_ZE],
			["sub", INFINITY, INFINITY, FPU_IE],
			["mul", ONE, "0000:0000000000000001", FPU_DE],
		] as const) {
			const [result, status] = compute(name, a, b);
			expect(result).toBe("dead:000000000000beef");
			expect(status & 0xff).toBe(flag | FPU_ES);
		}
	});

	it("refuses unnormals, and quietens the NaN with the larger significand", () => {
		expect(compute("add", "4000:7fffffffffffffff", ONE)).toEqual([
			INDEFINITE,
			FPU_IE,
		]);
		const small = "7fff:8000000000000001";
		const large = "ffff:8000000000000002";
		expect(compute("add", small, large)).toEqual([
			"ffff:c000000000000002",
			FPU_IE,
		]);
	});

	it("reports an empty register as a stack fault", () => {
		state.set32(FPU_TAG, 0xff & ~(1 << 2));
		expect(compute("add", ONE, ONE)).toEqual([INDEFINITE, FPU_IE | FPU_SF]);
	});
});

describe("x87 conversions", () => {
	it("round-trips doubles, and marks denormal ones", () => {
		const roundTrip = (bits: bigint) => {
			const m = call("f80_from_f64", bits) as bigint;
			const se = state.get32(FLOAT_SCRATCH);
			const at = BigInt.asUintN(64, m).toString(16);
			put(1, `${(se & 0xffff).toString(16)}:${at}`);
			const back = BigInt.asUintN(64, call("x87_to_f64", 1) as bigint);
			return [back, se >> 16] as const;
		};
		expect(roundTrip(0x3ff8_0000_0000_0001n)).toEqual([
			0x3ff8_0000_0000_0001n,
			0,
		]);
		expect(roundTrip(0x8000_0000_0000_0001n)).toEqual([
			0x8000_0000_0000_0001n,
			1,
		]);
	});

	it("gives the integer indefinite for what does not fit", () => {
		put(1, "400e:8000000000000000");
		expect(call("x87_to_integer", 1, 16, 0)).toBe(-0x8000n);
		expect(state.get32(FPU_STATUS)).toBe(FPU_IE);
		put(1, "c00e:8000000000000000");
		state.set32(FPU_STATUS, 0);
		expect(call("x87_to_integer", 1, 16, 0)).toBe(-0x8000n);
		expect(state.get32(FPU_STATUS)).toBe(0);
	});

	it("packs eighteen decimal digits", () => {
		// -123456789012345678
		put(1, "c037:db4da5d31879a700");
		const packed = call("x87_to_decimal", 1) as bigint;
		const digits = BigInt.asUintN(64, packed).toString(16);
		const high = state.get32(FLOAT_SCRATCH);
		put(2, ZERO);
		const m = call("f80_from_decimal", packed, high) as bigint;
		const se = state.get32(FLOAT_SCRATCH);
		expect(high).toBe(0x8012);
		expect(digits).toBe("3456789012345678");
		expect(BigInt.asUintN(64, m)).toBe(0xdb4d_a5d3_1879_a700n);
		expect(se).toBe(0xc037);
	});
});

describe("x87 functions", () => {
	const apply = (name: string, st0: string, st1 = ONE) => {
		put(0, st0);
		put(1, st1);
		state.set32(FPU_TAG, 0x03);
		state.set32(FPU_TOP, 0);
		state.set32(FPU_STATUS, 0);
		call(`x87_${name}`);
		return get(state.get32(FPU_TOP));
	};

	it("takes square roots to the last bit", () => {
		expect(apply("sqrt", "4000:8000000000000000")).toBe(
			"3fff:b504f333f9de6484",
		);
		state.set32(FPU_CONTROL, UP);
		expect(apply("sqrt", "4000:8000000000000000")).toBe(
			"3fff:b504f333f9de6485",
		);
	});

	it("reduces by a pi of 66 bits, as processors do", () => {
		const pi = "4000:c90fdaa22168c235";
		expect(apply("sine", pi)).toBe("bfbf:8000000000000000");
	});

	it("leaves angles of 2^63 and more to the program", () => {
		const far = "403e:8000000000000000";
		expect(apply("sine", far)).toBe(far);
		expect(state.get32(FPU_STATUS)).toBe(FPU_C2);
	});

	it("knows its logarithms", () => {
		expect(apply("logarithm", "4002:8000000000000000", THREE)).toBe(
			"4002:9000000000000000",
		);
		expect(apply("exponential", "3ffe:8000000000000000")).toBe(
			"3ffd:d413cccfe7799211",
		);
		expect(apply("arctangent", ONE)).toBe("3ffe:c90fdaa22168c235");
	});
});
