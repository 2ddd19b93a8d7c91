import { describe, it } from "vitest";
import {
	ABSENT_PAGE,
	READ_ONLY_PAGE,
} from "../../../test/support/bare-processor.ts";
import { check } from "../../../test/support/integer-vectors.ts";

describe("arithmetic", () => {
	it("carries and overflows independently (SDM vol. 1, EFLAGS)", () => {
		check({
			code: "00c8",
			before: { ax: 0x7f, cx: 1 },
			after: { ax: 0x80, flags: "cOSAz" },
		});
		check({
			code: "00c8",
			before: { ax: 0xff, cx: 1 },
			after: { ax: 0, flags: "CoZAs" },
		});
		check({
			code: "29c8",
			before: { ax: 0x80000000, cx: 1 },
			after: { ax: 0x7fffffff, flags: "cOsA" },
		});
	});

	it("adds the carry before it decides about the new one", () => {
		check({
			code: "11c8",
			before: { ax: 0, cx: 0xffffffff, flags: "C" },
			after: { ax: 0, flags: "CZo" },
		});
		check({
			code: "19c8",
			before: { ax: 0, cx: 0xffffffff, flags: "C" },
			after: { ax: 0, flags: "CZo" },
		});
	});

	it("leaves CF alone in INC and DEC", () => {
		check({
			code: "fec0",
			before: { ax: 0xff, flags: "C" },
			after: { ax: 0, flags: "CZAo" },
		});
		check({
			code: "48",
			before: { ax: 0x80000000 },
			after: { ax: 0x7fffffff, flags: "cO" },
		});
	});

	it("sign-extends 32-bit immediates at 64-bit operand size", () => {
		check({
			mode: 64,
			code: "4805 ffffffff",
			before: { ax: 1 },
			after: { ax: 0, flags: "CZ" },
		});
		check({
			mode: 64,
			code: "48c7c0 00000080",
			after: { ax: 0xffffffff80000000n },
		});
	});

	it("clears the upper half with a 32-bit result in 64-bit mode, also by CMOV that does not move", () => {
		check({
			mode: 64,
			code: "01c0",
			before: { ax: 0x1_0000_0001n },
			after: { ax: 2 },
		});
		check({
			mode: 64,
			code: "0f44c1",
			before: { ax: 0x5_0000_0001n, cx: 7 },
			after: { ax: 1 },
		});
	});

	it("checks a destination for writing before it changes anything", () => {
		check({
			code: "00 05 00e00000", // ADD [READ_ONLY_PAGE], AL
			before: { ax: 1, flags: "C", memory: { [READ_ONLY_PAGE]: [5] } },
			after: { flags: "C", memory: { [READ_ONLY_PAGE]: [5] } },
			fault: 14,
		});
	});

	it("writes a word that lies in two pages", () => {
		check({
			code: "ff05 fe2f0000",
			before: { memory: { 12286: [0xff, 0xff, 0xff, 0x00] } },
			after: { memory: { 12286: [0, 0, 0, 1] } },
		});
	});
});

describe("exchange", () => {
	it("doubles with XADD of a register and itself", () => {
		check({ code: "0fc1c0", before: { ax: 5 }, after: { ax: 10 } });
	});

	it("writes either the destination or the accumulator with CMPXCHG", () => {
		check({
			code: "0fb1d1",
			before: { ax: 5, cx: 5, dx: 9 },
			after: { cx: 9, flags: "Z" },
		});
		check({
			code: "0fb1d1",
			before: { ax: 4, cx: 5, dx: 9 },
			after: { ax: 5, flags: "zC" },
		});
	});

	it("compares eight bytes with CMPXCHG8B", () => {
		const memory = { 12288: [1, 0, 0, 0, 2, 0, 0, 0] };
		check({
			code: "0fc70d 00300000",
			before: { ax: 1, dx: 2, bx: 3, cx: 4, memory },
			after: { flags: "Z", memory: { 12288: [3, 0, 0, 0, 4, 0, 0, 0] } },
		});
		check({
			code: "0fc70d 00300000",
			before: { ax: 9, dx: 2, bx: 3, cx: 4, memory },
			after: { ax: 1, dx: 2, flags: "z", memory },
		});
	});

	it("demands alignment of CMPXCHG16B", () => {
		check({
			mode: 64,
			code: "480fc70c2500300000",
			before: { dx: 2, bx: 7, cx: 8, memory: { 12296: [2] } },
			after: { flags: "Z", memory: { 12288: [7], 12296: [8] } },
		});
		check({ mode: 64, code: "480fc70c2508300000", after: {}, fault: 13 });
	});
});

describe("multiplication and division", () => {
	it("gives all 128 bits of a 64-bit product", () => {
		const most = 0xffff_ffff_ffff_ffffn;
		check({
			mode: 64,
			code: "48f7e1",
			before: { ax: most, cx: most },
			after: { ax: 1, dx: most - 1n, flags: "CO" },
		});
		check({
			mode: 64,
			code: "48f7e9",
			before: { ax: most, cx: most },
			after: { ax: 1, dx: 0, flags: "co" },
		});
	});

	it("sets CF and OF when IMUL's upper half is more than a sign", () => {
		check({
			code: "f6e9",
			before: { ax: 0x40, cx: 2 },
			after: { ax: 0x80, flags: "CO" },
		});
		check({
			code: "f6e9",
			before: { ax: 0xc0, cx: 2 },
			after: { ax: 0xff80, flags: "co" },
		});
	});

	it("divides a dividend of 128 bits", () => {
		check({
			mode: 64,
			code: "48f7f1",
			before: { dx: 1, ax: 0, cx: 3 },
			after: { ax: 0x5555_5555_5555_5555n, dx: 1 },
		});
		check({
			mode: 64,
			code: "48f7f9",
			before: { dx: -2n, ax: 0, cx: 5 },
			after: { ax: -0x6666_6666_6666_6666n, dx: -2n },
		});
	});

	it("raises #DE when the quotient does not fit, by one too", () => {
		check({ code: "f7f1", before: { dx: 3, cx: 3 }, after: {}, fault: 0 });
		check({
			code: "f7f1",
			before: { dx: 2, ax: 0xffffffff, cx: 3 },
			after: { ax: 0xffffffff, dx: 2 },
		});
		check({
			code: "f7f9",
			before: { dx: 0x80000000, cx: 0xffffffff },
			after: {},
			fault: 0,
		});
		check({
			code: "f6f9",
			before: { ax: 0xff80, cx: 0xff },
			after: {},
			fault: 0,
		});
		check({ code: "f6f9", before: { ax: 0xff80, cx: 1 }, after: { ax: 0x80 } });
		check({
			mode: 64,
			code: "48f7f9",
			before: { dx: -1n, ax: 1n << 63n, cx: -1n },
			after: {},
			fault: 0,
		});
	});
});

describe("decimal adjustment", () => {
	it("corrects both digits with DAA, and AL's carry with AAA", () => {
		check({ code: "27", before: { ax: 0x9a }, after: { ax: 0, flags: "CAZ" } });
		check({
			code: "37",
			before: { ax: 0x0f },
			after: { ax: 0x0105, flags: "CA" },
		});
	});

	it("raises #DE for AAM with base 0", () => {
		check({ code: "d400", before: { ax: 7 }, after: {}, fault: 0 });
	});
});

describe("shifts and rotates", () => {
	it("changes no flag when the masked count is 0", () => {
		check({
			code: "d3e0",
			before: { ax: 5, cx: 32, flags: "CO" },
			after: { flags: "COz" },
		});
	});

	it("shifts bytes out whole with counts beyond the width", () => {
		check({
			code: "c0e009",
			before: { ax: 0xff },
			after: { ax: 0, flags: "cZ" },
		});
		check({
			code: "c0f81f",
			before: { ax: 0x80 },
			after: { ax: 0xff, flags: "CS" },
		});
	});

	it("turns a ring of nine bits with RCL of a byte", () => {
		check({
			code: "c0d009",
			before: { ax: 0x12, flags: "C" },
			after: { flags: "C" },
		});
		check({
			code: "c0d001",
			before: { ax: 0x80 },
			after: { ax: 0, flags: "CO" },
		});
		check({
			code: "c0d801",
			before: { ax: 0x01, flags: "C" },
			after: { ax: 0x80, flags: "C" },
		});
	});

	it("sets CF by a rotation of a whole width", () => {
		check({ code: "c0c008", before: { ax: 0x81 }, after: { flags: "C" } });
	});

	it("fills from the other operand with SHLD and SHRD", () => {
		check({
			code: "0fa4c804",
			before: { ax: 0x1234_5678, cx: 0x9abc_def0 },
			after: { ax: 0x2345_6789, flags: "C" },
		});
		check({
			code: "660facc804",
			before: { ax: 0x1234, cx: 0xabcd },
			after: { ax: 0xd123, flags: "c" },
		});
	});
});

describe("bit instructions", () => {
	it("reaches below its operand with a negative bit offset", () => {
		check({
			code: "0fab0d 00300000", // BTS [3000], ECX
			before: { cx: 0xffffffff },
			after: { flags: "c", memory: { 12284: [0, 0, 0, 0x80] } },
		});
	});

	it("takes a literal offset modulo the width", () => {
		check({ code: "0fbae021", before: { ax: 2 }, after: { flags: "C" } });
	});

	it("leaves the destination alone when BSF finds nothing", () => {
		check({ code: "0fbcc1", before: { ax: 77 }, after: { flags: "Z" } });
		check({
			code: "f30fbcc1",
			before: { ax: 77 },
			after: { ax: 32, flags: "C" },
		});
	});

	it("accumulates CRC-32C as RFC 3720 appendix B.4 gives it for 32 zero bytes", () => {
		check({
			code: "b9 08000000 f20f38f1c2 e2f9 f7d0",
			before: { ax: 0xffffffff },
			after: { ax: 0x8a9136aa, cx: 0 },
		});
	});
});

describe("the stack", () => {
	it("pushes rSP as it was", () => {
		check({
			code: "54",
			before: { sp: 0x3000 },
			after: { sp: 0x2ffc, memory: { 12284: [0, 0x30, 0, 0] } },
		});
	});

	it("pops to an address that counts from rSP after the pop", () => {
		check({
			code: "8f0424",
			before: { sp: 0x3000, memory: { 12288: [7, 0, 0, 0] } },
			after: { sp: 0x3004, memory: { 12292: [7, 0, 0, 0] } },
		});
	});

	it("leaves rSP where it was when a push or pop faults", () => {
		check({
			code: "50",
			before: { sp: ABSENT_PAGE + 4 },
			after: {},
			fault: 14,
		});
		check({
			code: "8f05 00e00000",
			before: { sp: 0x3000 },
			after: {},
			fault: 14,
		});
		check({
			code: "e800000000",
			before: { sp: READ_ONLY_PAGE + 8 },
			after: {},
			fault: 14,
		});
	});

	it("copies the enclosing frames with ENTER", () => {
		check({
			code: "c8 0800 02",
			before: { sp: 0x3000, bp: 0x4000, memory: { 16380: [0x11, 0, 0, 0] } },
			after: {
				sp: 0x2fec,
				bp: 0x2ffc,
				memory: { 12276: [0xfc, 0x2f, 0, 0, 0x11, 0, 0, 0, 0, 0x40, 0, 0] },
			},
		});
	});

	it("moves only SP on a 16-bit stack", () => {
		check({
			mode: 16,
			code: "50",
			before: { ax: 0xabcd, sp: 0x5_0000 },
			after: {},
			fault: 14,
		});
		check({
			mode: 16,
			code: "50",
			before: { ax: 0xabcd, sp: 0x5_3000 },
			after: { sp: 0x5_2ffe, memory: { 12286: [0xcd, 0xab] } },
		});
	});
});

describe("control flow", () => {
	it("counts CX, ECX or RCX by address size", () => {
		check({
			code: "67e200",
			before: { cx: 0x1_0000 },
			after: { cx: 0x1_ffff },
		});
		check({ code: "40 e2fd", before: { cx: 3 }, after: { ax: 3, cx: 0 } });
	});

	it("refuses a non-canonical return address before rSP moves", () => {
		check({
			mode: 64,
			code: "c3",
			before: { sp: 0x3000, memory: { 12288: [0, 0, 0, 0, 0, 0, 1, 0] } },
			after: {},
			fault: 13,
		});
	});
});

describe("string instructions", () => {
	const bytes = (length: number, of: (i: number) => number) =>
		Array.from({ length }, (_, i) => of(i) & 0xff);

	it("copies across pages in one go", () => {
		const source = bytes(5000, (i) => i * 7);
		check({
			code: "f3a4",
			before: { si: 0x3100, di: 0x6f00, cx: 5000, memory: { 12544: source } },
			after: {
				si: 0x3100 + 5000,
				di: 0x6f00 + 5000,
				cx: 0,
				memory: { 28416: source },
			},
		});
	});

	it("repeats a pattern when MOVS overlaps itself forwards", () => {
		check({
			code: "f3a4",
			before: { si: 0x3000, di: 0x3002, cx: 6, memory: { 12288: [1, 2] } },
			after: {
				si: 0x3006,
				di: 0x3008,
				cx: 0,
				memory: { 12288: [1, 2, 1, 2, 1, 2, 1, 2] },
			},
		});
	});

	it("runs downwards with DF", () => {
		check({
			code: "f3a5",
			before: {
				si: 0x3004,
				di: 0x4004,
				cx: 2,
				flags: "D",
				memory: { 12288: [1, 2, 3, 4, 5, 6, 7, 8] },
			},
			after: {
				si: 0x2ffc,
				di: 0x3ffc,
				cx: 0,
				memory: { 16384: [1, 2, 3, 4, 5, 6, 7, 8] },
			},
		});
	});

	it("stops with exact registers where a page ends", () => {
		check({
			code: "f3ab",
			before: { ax: 0x01020304, di: READ_ONLY_PAGE - 10, cx: 9 },
			after: {
				di: READ_ONLY_PAGE - 2,
				cx: 7,
				memory: { [READ_ONLY_PAGE - 10]: [4, 3, 2, 1, 4, 3, 2, 1, 0, 0] },
			},
			fault: 14,
		});
	});

	it("does the same one iteration at a time", () => {
		check({
			code: "f3ab",
			repLimit: 1,
			before: { ax: 0x01010101, di: 0x3fff, cx: 3 },
			after: {
				di: 0x400b,
				cx: 0,
				memory: { 16382: [0, ...bytes(12, () => 1), 0] },
			},
		});
	});

	it("stops comparing behind the first difference, with its flags", () => {
		check({
			code: "f3a6",
			before: {
				si: 0x3000,
				di: 0x4000,
				cx: 5,
				memory: { 12288: [1, 2, 9, 4], 16384: [1, 2, 3, 4] },
			},
			after: { si: 0x3003, di: 0x4003, cx: 2, flags: "zcs" },
		});
		check({
			code: "f2ae",
			before: { ax: 3, di: 0x4000, cx: 5, memory: { 16384: [1, 2, 3, 4] } },
			after: { di: 0x4003, cx: 2, flags: "Z" },
		});
	});

	it("does nothing at all with a count of zero", () => {
		check({ code: "f3a6", before: { flags: "ZC" }, after: { flags: "ZC" } });
	});

	it("wraps 16-bit pointers", () => {
		check({
			code: "67f3aa",
			before: { ax: 9, di: 0x7_0000, cx: 0x5_0002 },
			after: { di: 0x7_0002, cx: 0x5_0000, memory: { 0: [9, 9, 0] } },
		});
	});
});
