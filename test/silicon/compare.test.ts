import { describe, expect, it } from "vitest";
import { parseCase, type SiliconCase, type SiliconResult } from "./case.ts";
import { compareResults } from "./compare.ts";
import { runSilicon } from "./harness.ts";
import { NativeSubject } from "./native-subject.ts";
import { oracleUnavailable, runOnSilicon } from "./oracle.ts";
import { shrinkCase } from "./shrink.ts";

const unavailable = oracleUnavailable() !== undefined;

/** INC EAX, then a store: something of everything changes. 64-bit, because every machine that can be asked at all runs that. */
const PLAIN =
	"64 code=2048/FF/0~INC:ffc0,C7/0~MOV:c704250000002078563412 r0=7fffffff seg=2b,2b,0,0";

function flipBit(bytes: Uint8Array, offset: number): Uint8Array {
	const copy = bytes.slice();
	copy[offset] = (copy[offset] as number) ^ 1;
	return copy;
}

/** One artificial defect per kind of state, with the field it must be seen in. */
const DEFECTS: readonly [string, (r: SiliconResult) => SiliconResult][] = [
	["rax", (r) => ({ ...r, gpr: r.gpr.map((v, i) => (i === 0 ? v ^ 1n : v)) })],
	["flags", (r) => ({ ...r, flags: r.flags ^ 0x800 })],
	["vector", (r) => ({ ...r, vector: 6 })],
	["error code", (r) => ({ ...r, errorCode: r.errorCode ^ 2 })],
	["cr2", (r) => ({ ...r, faultAddress: r.faultAddress + 1n })],
	["rip", (r) => ({ ...r, rip: r.rip - 1n })],
	[
		"ds",
		(r) => ({ ...r, segments: r.segments.map((s, i) => (i === 3 ? 0 : s)) }),
	],
	["fcw", (r) => ({ ...r, fx: flipBit(r.fx, 0) })],
	["fsw", (r) => ({ ...r, fx: flipBit(r.fx, 2) })],
	["ftw", (r) => ({ ...r, fx: flipBit(r.fx, 4) })],
	["st0", (r) => ({ ...r, fx: flipBit(r.fx, 32) })],
	["mxcsr", (r) => ({ ...r, fx: flipBit(r.fx, 24) })],
	["xmm7", (r) => ({ ...r, fx: flipBit(r.fx, 160 + 16 * 7 + 15) })],
	["data+0x0", (r) => ({ ...r, changes: [] })],
	[
		"data+0x8",
		(r) => ({ ...r, changes: [...r.changes, { offset: 8, value: 1n }] }),
	],
	["ended", (r) => ({ ...r, ended: false })],
];

describe.skipIf(unavailable)("the comparer", () => {
	it("finds nothing where silicon is compared with itself", () => {
		const test = parseCase(PLAIN);
		const [a, b] = runOnSilicon([test, test]) as [SiliconResult, SiliconResult];
		expect(a.gpr[0]).toBe(0x80000000n);
		expect(a.changes).toEqual([{ offset: 0, value: 0x12345678n }]);
		expect(compareResults(test, a, b)).toEqual([]);
	});

	it.each(DEFECTS)("finds a defect in %s, and nothing else", (field, spoil) => {
		const test = parseCase(PLAIN);
		const [result] = runOnSilicon([test]) as [SiliconResult];
		const found = compareResults(test, result, spoil(result));
		expect(found.map((d) => d.field)).toEqual([field]);
	});

	it("does not look at flags that the manual leaves undefined", () => {
		const test = parseCase(
			"64 code=2048/F6/4~MUL:f6e1 r0=7 r1=9 seg=2b,2b,0,0",
		);
		const [result] = runOnSilicon([test]) as [SiliconResult];
		const differ = (bit: number) =>
			compareResults(test, result, { ...result, flags: result.flags ^ bit });
		expect(differ(0x80)).toEqual([]);
		expect(differ(0x1)).toHaveLength(1);
	});

	it("allows 1 ulp on either side for transcendentals only", () => {
		const near = (line: string, step: number) => {
			const test = parseCase(line);
			const [result] = runOnSilicon([test]) as [SiliconResult];
			const fx = result.fx.slice();
			fx[32] = (fx[32] as number) + step;
			return compareResults(test, result, { ...result, fx });
		};
		const state = "seg=2b,2b,0,0 fx=0:7f03,4:80,3:38,32:35c26821a2da0fc9fd3f";
		const sine = `64 code=2048/D9/7/reg/rm6~FSIN:d9fe ${state}`;
		const root = `64 code=2048/D9/7/reg/rm2~FSQRT:d9fa ${state}`;
		expect(near(sine, 2)).toEqual([]);
		expect(near(sine, 4)).toHaveLength(1);
		expect(near(root, 1)).toHaveLength(1);
	});
});

describe.skipIf(unavailable)("the shrinker", () => {
	it("reduces a failure to the one instruction and the one bit that matter", () => {
		// A processor whose ADC forgets the carry, amid other things.
		const spoils = (test: SiliconCase, result: SiliconResult) => {
			const adc = test.instructions.some(
				(i) => test.code[i.offset] === 0x11 && test.code[i.offset + 1] === 0xc8,
			);
			const carry = (test.flags & 1) !== 0;
			if (!adc || !carry) return result;
			const gpr = result.gpr.slice();
			gpr[0] = (gpr[0] as bigint) - 1n;
			return { ...result, gpr };
		};
		const subject = new NativeSubject(spoils);
		const fails = (list: readonly SiliconCase[]) => {
			subject.prepare(list);
			return runOnSilicon(list).map(
				(result, i) =>
					compareResults(
						list[i] as SiliconCase,
						result,
						subject.run(list[i] as SiliconCase),
					).length > 0,
			);
		};
		const small = shrinkCase(
			parseCase(
				"64 code=3000/FC~CLD:fc,11~ADC:11c8,88~MOV:88042500000020 r0=5 r1=6 r3=77 flags=8c5 seg=0,2b,0,0 pattern=9 data=64:0102 fx=32:0102030405060708",
			),
			fails,
		);
		expect(small.instructions).toHaveLength(1);
		expect([...small.code]).toEqual([0x11, 0xc8]);
		expect(small.flags).toBe(1);
		expect(small.patches).toEqual([]);
		expect(small.pattern).toBe(0);
		expect([...small.gpr].every((value) => value === 0n)).toBe(true);
	});
});

describe.skipIf(unavailable)("a run", () => {
	it("reports an injected defect once, shrunk, and repeatable by its line", () => {
		// Every byte stored by STOS is off by one.
		const subject = new NativeSubject((test, result) => {
			const stos = test.instructions.some(
				(i) => i.length === 1 && test.code[i.offset] === 0xaa,
			);
			if (!stos || result.changes.length === 0) return result;
			const [first, ...rest] = result.changes as [
				SiliconResult["changes"][number],
			];
			return {
				...result,
				changes: [{ ...first, value: first.value ^ 1n }, ...rest],
			};
		});
		const summary = runSilicon(subject, {
			mode: 64,
			seed: 2,
			instances: 20_000,
			rows: "STOS,CLD,NOP",
			maxFailures: 1,
		});
		expect(summary.failures).toHaveLength(1);
		const line = summary.failures[0]?.line ?? "";
		const test = parseCase(line);
		expect(test.instructions).toHaveLength(1);
		const [result] = runOnSilicon([test]) as [SiliconResult];
		expect(compareResults(test, result, subject.run(test))).toHaveLength(1);
	}, 600_000);
});
