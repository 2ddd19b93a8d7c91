import { describe, expect, it } from "vitest";
import { BareProcessor } from "../../../test/support/bare-processor.ts";
import { OPCODE_TABLE } from "../decode/opcode-table.ts";
import {
	CR0,
	EFLAGS,
	type Field,
	FPR,
	FPU_CONTROL,
	FPU_DATA,
	FPU_IP,
	FPU_IP_SELECTOR,
	FPU_OPCODE,
	FPU_STATUS,
	FPU_TAG,
	FPU_TOP,
	MXCSR,
	XMM,
} from "../state.ts";
import { semanticsOf } from "./index.ts";

const PE = 1 << 0;
const MP = 1 << 1;
const EM = 1 << 2;
const TS = 1 << 3;
const NE = 1 << 5;
const [UD, NM, GP, MF] = [6, 7, 13, 16];
/** ES and an unmasked IE. */
const PENDING = 0x8081;
const DATA = 0x3000;
/** [disp32] operands at DATA, and 16 bytes on. */
const AT = [0x05, 0x00, 0x30, 0, 0];

function processor(cr0 = PE | MP | NE): BareProcessor {
	const made = new BareProcessor(32);
	made.state.set32(CR0, cr0);
	made.state.set32(FPU_CONTROL, 0x37f);
	made.state.set32(MXCSR, 0x1f80);
	return made;
}

function words(p: BareProcessor, count: number, bytes: 2 | 4): number[] {
	const view = new DataView(p.ram.buffer, p.ram.byteOffset + DATA);
	return Array.from({ length: count }, (_, i) =>
		bytes === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true),
	);
}

const FADD = [0xd8, 0xc1];
const FNINIT = [0xdb, 0xe3];
const FNSTSW = [0xdf, 0xe0];
const FWAIT = [0x9b];
const PADDB = [0x0f, 0xfc, 0xc1];
const EMMS = [0x0f, 0x77];
const FXSAVE = [0x0f, 0xae, 0x05, 0x00, 0x30, 0, 0];
const FXRSTOR = [0x0f, 0xae, 0x0d, 0x00, 0x30, 0, 0];

describe("x87 rows", () => {
	it("all have a meaning, and so have MMX and FXSAVE", () => {
		const missing = OPCODE_TABLE.filter(
			({ feature, mnemonic }) =>
				/^(x87|mmx|fxsr)$/.test(feature) && semanticsOf(mnemonic) === undefined,
		);
		expect(missing).toEqual([]);
	});
});

describe("who may use the coprocessor", () => {
	it.each([
		["FADD", FADD],
		["FNINIT", FNINIT],
		["FNSTSW AX", FNSTSW],
		["FXSAVE", FXSAVE],
	])("%s raises #NM under CR0.EM or CR0.TS", (_, code) => {
		expect(processor(PE | EM).execute(code)).toBe(NM);
		expect(processor(PE | TS).execute(code)).toBe(NM);
		expect(processor(PE).execute(code)).toBeUndefined();
	});

	it("lets FWAIT trap only when CR0.MP and CR0.TS are both set", () => {
		expect(processor(PE | TS).execute(FWAIT)).toBeUndefined();
		expect(processor(PE | EM).execute(FWAIT)).toBeUndefined();
		expect(processor(PE | MP | TS).execute(FWAIT)).toBe(NM);
	});

	it("raises #UD for MMX under CR0.EM, #NM under CR0.TS", () => {
		for (const code of [PADDB, EMMS]) {
			expect(processor(PE | EM | TS).execute(code)).toBe(UD);
			expect(processor(PE | TS).execute(code)).toBe(NM);
		}
	});
});

describe("a pending exception", () => {
	const pending = (cr0?: number) => {
		const p = processor(cr0);
		p.state.set32(FPU_CONTROL, 0x37e);
		p.state.set32(FPU_STATUS, PENDING);
		return p;
	};

	it("stops the next waiting instruction with #MF", () => {
		for (const code of [FADD, FWAIT, PADDB, EMMS]) {
			expect(pending().execute(code)).toBe(MF);
		}
	});

	it("does not stop the instructions that deal with it", () => {
		const stops = (code: number[]) => pending().execute(code);
		expect(stops(FNSTSW)).toBeUndefined();
		expect(stops([0xdb, 0xe2])).toBeUndefined();
		expect(stops(FNINIT)).toBeUndefined();
		expect(stops([0xdd, 0x35, ...AT.slice(1)])).toBeUndefined();
		expect(stops(FXSAVE)).toBeUndefined();
	});

	it("goes unreported without CR0.NE", () => {
		expect(pending(PE).execute(FADD)).toBeUndefined();
	});

	it("comes up when FLDCW takes the mask away, and goes with FNCLEX", () => {
		const p = processor();
		p.state.set32(FPU_STATUS, 1);
		p.ram.set([0x7e, 0x03], DATA);
		expect(p.execute([0xd9, 0x2d, ...AT.slice(1), ...FADD])).toBe(MF);
		expect(p.state.get32(FPU_STATUS)).toBe(PENDING);
		expect(p.execute([0xdb, 0xe2, ...FADD])).toBeUndefined();
	});
});

describe("the environment in memory", () => {
	/** FNSTENV after FIP 0x12345 in segment 0x1000 and FDP 0x54321. */
	const stored = (cr0: number, vm: boolean, prefix: number[]) => {
		const p = processor(cr0);
		p.state.set32(EFLAGS, p.state.get32(EFLAGS) | (vm ? 1 << 17 : 0));
		const pointers: readonly (readonly [Field, number])[] = [
			[FPU_IP, 0x2345],
			[FPU_IP_SELECTOR, 0x1000],
			[FPU_DATA, 0x5_4321],
			[FPU_OPCODE, 0x7d9],
		];
		for (const [field, value] of pointers) p.state.set32(field, value);
		p.execute([...prefix, 0xd9, 0x35, ...AT.slice(1)]);
		return words(p, 7, prefix.length > 0 ? 2 : 4).map((w) => w.toString(16));
	};

	it("has offsets and selectors in protected mode", () => {
		expect(stored(PE, false, []).slice(3)).toEqual([
			"2345",
			"7d91000",
			"54321",
			"ffff0000",
		]);
		expect(stored(PE, false, [0x66]).slice(3)).toEqual([
			"2345",
			"1000",
			"4321",
			"0",
		]);
	});

	it("has 20 bits of linear address in real and virtual-8086 mode", () => {
		for (const [cr0, vm] of [
			[0, false],
			[PE, true],
		] as const) {
			expect(stored(cr0, vm, [0x66]).slice(3)).toEqual([
				"2345",
				"17d9",
				"4321",
				"5000",
			]);
			expect(stored(cr0, vm, []).slice(3)).toEqual([
				"ffff2345",
				"17d9",
				"ffff4321",
				"5000",
			]);
		}
	});
});

describe("FXSAVE and FXRSTOR", () => {
	it("want 16-byte alignment", () => {
		const misaligned = [...FXSAVE];
		misaligned[3] = 8;
		expect(processor().execute(misaligned)).toBe(GP);
	});

	it("refuse reserved bits of MXCSR before anything is loaded", () => {
		const p = processor();
		p.execute(FXSAVE);
		p.ram.set([0x40, 0x00], DATA);
		p.ram.set([0, 0, 1, 0], DATA + 24);
		expect(p.execute(FXRSTOR)).toBe(GP);
		expect(p.state.get32(FPU_CONTROL)).toBe(0x37f);
	});

	it("bring back what was saved, eight XMM registers in 32-bit code", () => {
		const p = processor();
		const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
		p.state.setBytes(XMM, bytes, 7);
		p.state.setBig(FPR, 0xc000_0000_0000_0001n, 5);
		p.state.set32(FPU_TOP, 5);
		p.state.set32(FPU_TAG, 0x20);
		p.state.set32(FPU_STATUS, 0x4100);
		expect(p.execute(FXSAVE)).toBeUndefined();
		expect([...p.ram.subarray(DATA, DATA + 6)]).toEqual([
			0x7f, 3, 0, 0x69, 0x20, 0,
		]);
		p.execute([...FNINIT, 0x0f, 0x57, 0xff]);
		expect(p.execute(FXRSTOR)).toBeUndefined();
		expect([...p.state.getBytes(XMM, 7)]).toEqual([...bytes]);
		expect(p.state.getBig(FPR, 5)).toBe(0xc000_0000_0000_0001n);
		expect(p.state.get32(FPU_TOP)).toBe(5);
		expect(p.state.get32(FPU_TAG)).toBe(0x20);
		expect(p.state.get32(FPU_STATUS)).toBe(0x4100);
	});
});

describe("faults of x87 stores", () => {
	it("come before the stack moves or a flag is set", () => {
		const p = processor();
		p.state.set32(FPU_TAG, 0xff);
		p.state.setBig(FPR, 0xc000_0000_0000_0001n);
		const readOnly = [0x00, 0xe0, 0, 0];
		for (const code of [
			[0xd9, 0x1d, ...readOnly],
			[0xdb, 0x3d, ...readOnly],
			[0xdf, 0x35, ...readOnly],
			[0xdd, 0x35, ...readOnly],
		]) {
			expect(p.execute(code)).toBe(14);
			expect(p.state.get32(FPU_TOP)).toBe(0);
			expect(p.state.get32(FPU_TAG)).toBe(0xff);
			expect(p.state.get32(FPU_STATUS)).toBe(0);
		}
	});

	it("write nothing when the end of a long store is out of reach", () => {
		const p = processor();
		p.state.set32(FPU_TAG, 0xff);
		p.state.setBig(FPR, -1n & 0xffff_ffff_ffff_ffffn);
		const straddling = [0xf8, 0xdf, 0, 0];
		expect(p.execute([0xdb, 0x3d, ...straddling])).toBe(14);
		expect([...p.ram.subarray(0xdff8, 0xe000)]).toEqual(new Array(8).fill(0));
	});
});
