import { describe, expect, it } from "vitest";
import { BareProcessor } from "../../../test/support/bare-processor.ts";
import { OPCODE_TABLE } from "../decode/opcode-table.ts";
import { MXCSR_INITIAL } from "../mxcsr.ts";
import { CR0, CR4, MXCSR, XMM } from "../state.ts";
import { semanticsOf } from "./index.ts";

const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;
const UD = 6;
const NM = 7;
const GP = 13;
const PF = 14;
const XM = 19;
const DATA = 0x3000;

const processor = new BareProcessor(32);

interface Setting {
	readonly cr0?: number;
	readonly cr4?: number;
	readonly mxcsr?: number;
	/** XMM0 and XMM1, four dwords each. */
	readonly xmm0?: readonly number[];
	readonly xmm1?: readonly number[];
	/** Dwords at DATA, where EBX points. */
	readonly memory?: readonly number[];
	/** EBX, if it shall point elsewhere. */
	readonly ebx?: number;
}

/** Executes hexadecimal code; the fault's vector if one ended it. */
function run(code: string, setting: Setting = {}): number | undefined {
	const { state, ram } = processor;
	state.set32(CR0, setting.cr0 ?? 0x1);
	state.set32(CR4, setting.cr4 ?? OSFXSR | OSXMMEXCPT);
	state.set32(MXCSR, setting.mxcsr ?? MXCSR_INITIAL);
	for (const [index, dwords] of [setting.xmm0, setting.xmm1].entries()) {
		const four = Uint32Array.from({ length: 4 }, (_, i) => dwords?.[i] ?? 0);
		state.setBytes(XMM, new Uint8Array(four.buffer), index);
	}
	const view = new DataView(ram.buffer, ram.byteOffset + DATA, 64);
	for (let i = 0; i < 16; i++) {
		view.setUint32(4 * i, setting.memory?.[i] ?? 0, true);
	}
	processor.setGpr(3, BigInt(setting.ebx ?? DATA));
	const bytes = code.replace(/ /g, "").match(/../g) ?? [];
	return processor.execute(bytes.map((byte) => Number.parseInt(byte, 16)));
}

/** A register's dwords. */
function xmm(index: number): number[] {
	return [...new Uint32Array(processor.state.getBytes(XMM, index).buffer)];
}

function mxcsr(): number {
	return processor.state.get32(MXCSR);
}

/** A single's bits. */
function single(value: number): number {
	return new Uint32Array(Float32Array.of(value).buffer)[0] as number;
}

const ADDPS = "0f58c1";
const ADDSS = "f30f58c1";
const DIVSS = "f30f5ec1";

describe("SSE", () => {
	it("has a meaning for every row of SSE to SSE4.2", () => {
		const missing = OPCODE_TABLE.filter(
			({ feature, mnemonic }) =>
				/^s?sse/.test(feature) && semanticsOf(mnemonic) === undefined,
		).map(({ mnemonic }) => mnemonic);
		expect(missing).toEqual([]);
	});

	it("is undefined while CR4.OSFXSR is clear or CR0.EM set, not available while CR0.TS is set", () => {
		expect(run(ADDPS, { cr4: 0 })).toBe(UD);
		expect(run(ADDPS, { cr0: 0x5 })).toBe(UD);
		expect(run(ADDPS, { cr0: 0x9 })).toBe(NM);
		expect(run(ADDPS, { cr0: 0xd })).toBe(UD);
		expect(run(ADDPS)).toBeUndefined();
	});

	it("leaves MOVNTI to processors without SSE's switches", () => {
		expect(run("0fc303", { cr0: 0xd, cr4: 0 })).toBeUndefined();
	});

	it("asks for aligned memory where 16 bytes are read, except by the unaligned moves and PCMPxSTRx", () => {
		const ebx = DATA + 4;
		for (const code of ["0f5803", "660ffe03", "0f2803", "0f2903", "660f6f03"]) {
			expect(run(code, { ebx }), code).toBe(GP);
		}
		for (const code of ["0f1003", "f30f6f03", "f20ff003", "660f3a630300"]) {
			expect(run(code, { ebx }), code).toBeUndefined();
		}
	});

	it("reads no more than a scalar operand", () => {
		const ebx = 0xf000 - 4;
		expect(run("f30f5803", { ebx })).toBeUndefined();
		expect(run("f20f5803", { ebx })).toBe(PF);
		expect(run("660f3a210300", { ebx })).toBeUndefined();
		expect(run("660f382203", { ebx: 0xf000 - 2 })).toBeUndefined();
	});

	it("clears what a scalar load does not fill, and keeps it between registers", () => {
		const xmm0 = [1, 2, 3, 4];
		run("f30f1003", { xmm0, memory: [9, 9] });
		expect(xmm(0)).toEqual([9, 0, 0, 0]);
		run("f30f10c1", { xmm0, xmm1: [7, 7, 7, 7] });
		expect(xmm(0)).toEqual([7, 2, 3, 4]);
		run("660f1203", { xmm0, memory: [8, 9] });
		expect(xmm(0)).toEqual([8, 9, 3, 4]);
		run("f30f7ec1", { xmm0, xmm1: [7, 6, 5, 4] });
		expect(xmm(0)).toEqual([7, 6, 0, 0]);
	});

	it("faults with #XM before the destination is written, the flag set", () => {
		const xmm0 = [single(1), 2, 3, 4];
		const open = MXCSR_INITIAL & ~0x200;
		expect(run(DIVSS, { xmm0, mxcsr: open })).toBe(XM);
		expect(xmm(0)).toEqual(xmm0);
		expect(mxcsr()).toBe(open | 0x04);
	});

	it("faults with #UD instead when CR4.OSXMMEXCPT is clear", () => {
		const open = MXCSR_INITIAL & ~0x200;
		const xmm0 = [single(1)];
		expect(run(DIVSS, { xmm0, mxcsr: open, cr4: OSFXSR })).toBe(UD);
	});

	it("gives infinity and ZE when division by zero is masked", () => {
		expect(run(DIVSS, { xmm0: [single(-1)] })).toBeUndefined();
		expect(xmm(0)[0]).toBe(0xff800000);
		expect(mxcsr()).toBe(MXCSR_INITIAL | 0x04);
	});

	it("rounds as MXCSR says and reports what it lost", () => {
		const xmm0 = [single(1)];
		const xmm1 = [single(2 ** -30)];
		for (const [control, expected] of [
			[0, 0x3f800000],
			[1, 0x3f800000],
			[2, 0x3f800001],
			[3, 0x3f800000],
		] as const) {
			run(ADDSS, { xmm0, xmm1, mxcsr: MXCSR_INITIAL | (control << 13) });
			expect(xmm(0)[0], `RC ${control}`).toBe(expected);
			expect(mxcsr() & 0x3f).toBe(0x20);
		}
	});

	it("raises nothing for an exact sum", () => {
		run(ADDSS, { xmm0: [single(3)], xmm1: [single(0.5)] });
		expect(xmm(0)[0]).toBe(single(3.5));
		expect(mxcsr()).toBe(MXCSR_INITIAL);
	});

	it("reads denormals as zeros with DAZ, and flushes tiny results with FTZ", () => {
		const denormal = [1];
		run(ADDSS, { xmm0: denormal, xmm1: denormal });
		expect([xmm(0)[0], mxcsr() & 0x3f]).toEqual([2, 0x02]);
		run(ADDSS, { xmm0: denormal, xmm1: denormal, mxcsr: 0x1fc0 });
		expect([xmm(0)[0], mxcsr() & 0x3f]).toEqual([0, 0]);
		run(ADDSS, { xmm0: denormal, xmm1: denormal, mxcsr: 0x9f80 });
		expect([xmm(0)[0], mxcsr() & 0x3f]).toEqual([0, 0x32]);
	});

	it("prefers the first operand's NaN, made quiet; MINSS the second operand", () => {
		const xmm0 = [0x7f800001];
		const xmm1 = [0xffc12345];
		run(ADDSS, { xmm0, xmm1 });
		expect([xmm(0)[0], mxcsr() & 0x3f]).toEqual([0x7fc00001, 1]);
		run("f30f5dc1", { xmm0: [single(1)], xmm1 });
		expect([xmm(0)[0], mxcsr() & 0x3f]).toEqual([0xffc12345, 1]);
	});

	it("reports unordered operands through ZF, PF and CF", () => {
		run("0f2ec1", { xmm0: [single(1)], xmm1: [0x7fc00000] });
		expect(processor.eflags & 0x8d5).toBe(0x45);
		expect(mxcsr() & 0x3f).toBe(0);
		run("0f2fc1", { xmm0: [single(1)], xmm1: [0x7fc00000] });
		expect(mxcsr() & 0x3f).toBe(1);
	});

	it("answers conversions that do not fit with the integer indefinite", () => {
		run("f30f2dc0", { xmm0: [single(3e9)] });
		expect(processor.gpr(0)).toBe(0x80000000n);
		expect(mxcsr() & 0x3f).toBe(1);
		run("f30f2dc0", { xmm0: [single(-2.5)] });
		expect(processor.gpr(0)).toBe(0xfffffffen);
		expect(mxcsr() & 0x3f).toBe(0x20);
	});

	it("differs from WebAssembly where x86 does: PMULHRSW's overflow, PSHUFB's indices", () => {
		run("660f380bc1", { xmm0: [0x80008000], xmm1: [0x80004000] });
		expect(xmm(0)[0]).toBe(0x8000c000);
		run("660f3800c1", { xmm0: [0x44332211], xmm1: [0x8013f202] });
		expect(xmm(0)[0]).toBe(0x00440033);
	});

	it("loses what is shifted too far, signs excepted", () => {
		const xmm0 = [0x80000001, 5, 6, 7];
		run("660fd2c1", { xmm0, xmm1: [32] });
		expect(xmm(0)).toEqual([0, 0, 0, 0]);
		run("660fd2c1", { xmm0, xmm1: [0, 1] });
		expect(xmm(0)).toEqual([0, 0, 0, 0]);
		run("660fe2c1", { xmm0, xmm1: [99] });
		expect(xmm(0)).toEqual([0xffffffff, 0, 0, 0]);
	});

	it("refuses reserved bits of MXCSR", () => {
		expect(run("0fae13", { memory: [0x1_0000] })).toBe(GP);
		expect(mxcsr()).toBe(MXCSR_INITIAL);
		expect(run("0fae13", { memory: [0xffff] })).toBeUndefined();
		expect(mxcsr()).toBe(0xffff);
	});

	it("finds a substring that begins at the end (PCMPISTRI, equal ordered)", () => {
		const text = [0x62616161, 0x61616161, 0x61616161, 0x62616161];
		run("660f3a63c10c", { xmm0: [0x6262_6261], xmm1: text });
		// "abbb" starts in the last two places only, as far as can be seen.
		expect(processor.gpr(1)).toBe(14n);
	});
});
