import { describe, expect, it } from "vitest";
import { decode } from "./decoder.ts";
import {
	type DecodeFailure,
	type Instruction,
	SegmentRegister,
	type SizeAttribute,
} from "./instruction.ts";
import { ALL_FEATURES } from "./opcode-table.ts";
import { operandWidth } from "./operand-spec.ts";

function bytesOf(hex: string): Uint8Array {
	const digits = hex.replaceAll(" ", "");
	const bytes = new Uint8Array(digits.length / 2);
	for (let i = 0; i < bytes.length; i++) {
		bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
	}
	return bytes;
}

function tryDecode(
	codeSize: SizeAttribute,
	hex: string,
	features?: ReadonlySet<string>,
): Instruction | DecodeFailure {
	const bytes = bytesOf(hex);
	return decode(bytes, 0, bytes.length, { codeSize, features });
}

/** Decodes all of `hex`, or fails the test. */
function decoded(codeSize: SizeAttribute, hex: string): Instruction {
	const result = tryDecode(codeSize, hex);
	if (typeof result === "string") throw new Error(`${hex}: ${result}`);
	expect(result.lengthBytes).toBe(bytesOf(hex).length);
	return result;
}

describe("operand and address size", () => {
	it.each([
		[16, "01 c0", 16],
		[16, "66 01 c0", 32],
		[32, "01 c0", 32],
		[32, "66 01 c0", 16],
		[64, "01 c0", 32],
		[64, "66 01 c0", 16],
		[64, "48 01 c0", 64],
		[64, "66 48 01 c0", 64],
	] as const)(
		"is, in %i-bit code, for %s: %i bits",
		(codeSize, hex, operandSize) => {
			expect(decoded(codeSize, hex).operandSize).toBe(operandSize);
		},
	);

	it("is 64 by default for stack instructions of 64-bit mode, 16 with 66", () => {
		expect(decoded(64, "50").operandSize).toBe(64);
		expect(decoded(64, "66 50").operandSize).toBe(16);
		expect(decoded(64, "ff 30").operandSize).toBe(64);
	});

	it("is always 64 for near branches of 64-bit mode, which ignore 66 as Intel's do", () => {
		const call = decoded(64, "66 e8 01 02 03 04");
		expect(call.operandSize).toBe(64);
		expect(call.immediate).toBe(0x04030201);
	});

	it("truncates near branches with 66 in 32-bit code", () => {
		const jump = decoded(32, "66 e9 fe ff");
		expect(jump.operandSize).toBe(16);
		expect(jump.immediate).toBe(-2);
	});

	it("takes the 66 of a vector row as opcode, so that only REX.W counts", () => {
		expect(decoded(64, "66 0f 6e c0").operandSize).toBe(32);
		expect(decoded(64, "66 48 0f 6e c0").operandSize).toBe(64);
		expect(decoded(16, "0f 6e c0").operandSize).toBe(32);
	});

	it("keeps 66 as operand size beside a mandatory F3 or F2 on integer rows", () => {
		const popcnt = decoded(32, "66 f3 0f b8 c1");
		expect(popcnt.row.mnemonic).toBe("POPCNT");
		expect(popcnt.operandSize).toBe(16);
		expect(decoded(32, "66 f2 0f 38 f1 c1").operandSize).toBe(16);
	});

	it("changes with 67 to the other one that the mode has", () => {
		expect(decoded(16, "67 8b 00").addressSize).toBe(32);
		expect(decoded(32, "67 8b 00").addressSize).toBe(16);
		expect(decoded(64, "67 8b 00").addressSize).toBe(32);
	});
});

describe("prefixes", () => {
	it("let the last segment override win", () => {
		const { memory } = decoded(32, "26 64 8b 00");
		expect(memory?.segment).toBe(SegmentRegister.FS);
	});

	it("leave FS in force when 64-bit mode ignores a later DS", () => {
		const { memory } = decoded(64, "64 3e 8b 00");
		expect(memory?.segment).toBe(SegmentRegister.FS);
		const plain = decoded(64, "2e 8b 00").memory;
		expect(plain?.segment).toBe(SegmentRegister.DS);
	});

	it("let the last of F2 and F3 choose the row, and both beat 66", () => {
		expect(decoded(32, "f2 f3 0f 58 c1").row.mnemonic).toBe("ADDSS");
		expect(decoded(32, "f3 f2 0f 58 c1").row.mnemonic).toBe("ADDSD");
		expect(decoded(32, "f3 66 0f 58 c1").row.mnemonic).toBe("ADDSS");
	});

	it("void a REX that does not stand directly before the opcode", () => {
		expect(decoded(64, "48 66 01 c0").operandSize).toBe(16);
		expect(decoded(64, "48 41 01 c0").operandSize).toBe(32);
		expect(decoded(64, "48 f3 a4").rex).toBe(false);
	});

	it("are opcodes INC and DEC at 40 to 4F outside 64-bit mode", () => {
		const dec = decoded(32, "4d");
		expect(dec.row.mnemonic).toBe("DEC");
		expect(dec.rm).toBe(5);
	});

	it("repeat string instructions only", () => {
		expect(decoded(32, "f3 a4").rep).toBe("repz");
		expect(decoded(32, "f2 a6").rep).toBe("repnz");
		expect(decoded(32, "f3 c3").rep).toBe("none");
		expect(decoded(32, "f3 0f 58 c1").rep).toBe("none");
	});

	it("make LOCK #UD on rows that do not allow it and on register destinations", () => {
		expect(decoded(32, "f0 01 00").lock).toBe(true);
		expect(tryDecode(32, "f0 01 c0")).toBe("undefined");
		expect(tryDecode(32, "f0 03 00")).toBe("undefined");
		expect(tryDecode(32, "f0 39 00")).toBe("undefined");
		expect(tryDecode(32, "f0 0f a3 00")).toBe("undefined");
		expect(decoded(32, "f0 0f ab 00").lock).toBe(true);
	});
});

describe("NOP and its relatives", () => {
	it.each([
		[32, "90", "NOP"],
		[32, "66 90", "NOP"],
		[32, "f3 90", "PAUSE"],
		[64, "48 90", "NOP"],
		[64, "49 90", "XCHG"],
		[64, "f3 49 90", "XCHG"],
		[32, "91", "XCHG"],
		[32, "0f 1f 40 00", "NOP"],
		[64, "f3 0f 1e fa", "ENDBR64"],
		[64, "f3 0f 1e fb", "ENDBR32"],
		[64, "f3 0f 1e c8", "NOP"],
	] as const)("is, in %i-bit code, %s: %s", (codeSize, hex, mnemonic) => {
		expect(decoded(codeSize, hex).row.mnemonic).toBe(mnemonic);
	});

	it("makes XCHG of 49 90 with R8", () => {
		expect(decoded(64, "49 90").rm).toBe(8);
	});
});

describe("memory operands", () => {
	const { DS, SS, GS } = SegmentRegister;

	it.each([
		["8b 00", DS, 3, 6, 0],
		["8b 42 fe", SS, 5, 6, -2],
		["8b 06 34 f2", DS, -1, -1, -0xdcc],
		["8b 46 00", SS, 5, -1, 0],
		["8b 87 00 80", DS, 3, -1, -0x8000],
		["65 8b 04", GS, 6, -1, 0],
	] as const)(
		"follow the 16-bit table for %s",
		(hex, segment, base, index, displacement) => {
			expect(decoded(16, hex).memory).toEqual({
				segment,
				base,
				index,
				scale: 0,
				displacement,
				ripRelative: false,
			});
		},
	);

	it.each([
		["8b 03", DS, 3, -1, 0, 0],
		["8b 05 78 56 34 12", DS, -1, -1, 0, 0x12345678],
		["8b 45 f8", SS, 5, -1, 0, -8],
		["8b 04 24", SS, 4, -1, 0, 0],
		["8b 44 8b 10", DS, 3, 1, 2, 16],
		["8b 04 cd 00 00 00 80", DS, -1, 1, 3, -0x80000000],
		["8b 84 65 00 01 00 00", SS, 5, -1, 0, 256],
		["8b 04 e3", DS, 3, -1, 0, 0],
	] as const)(
		"follow the 32-bit tables for %s",
		(hex, segment, base, index, scale, displacement) => {
			expect(decoded(32, hex).memory).toEqual({
				segment,
				base,
				index,
				scale,
				displacement,
				ripRelative: false,
			});
		},
	);

	it("are RIP-relative in 64-bit mode without SIB, absolute with it", () => {
		const relative = decoded(64, "8b 05 10 00 00 00").memory;
		expect(relative).toMatchObject({ base: -1, ripRelative: true });
		const absolute = decoded(64, "8b 04 25 10 00 00 00").memory;
		expect(absolute).toMatchObject({ base: -1, ripRelative: false });
	});

	it("extend base and index by REX, and let R12 be an index", () => {
		expect(decoded(64, "4b 8b 04 e1").memory).toMatchObject({
			base: 9,
			index: 12,
			scale: 3,
		});
	});

	it("treat R13 like rBP for the encoding but not for the default segment", () => {
		expect(tryDecode(64, "41 8b 45")).toBe("truncated");
		const { memory } = decoded(64, "41 8b 45 00");
		expect(memory).toMatchObject({ base: 13, segment: SegmentRegister.DS });
		const rip = decoded(64, "41 8b 05 00 00 00 00").memory;
		expect(rip?.ripRelative).toBe(true);
	});
});

describe("registers", () => {
	it("extend by REX, except MMX, segment and x87 registers", () => {
		expect(decoded(64, "4d 01 c0")).toMatchObject({ reg: 8, rm: 8 });
		expect(decoded(64, "4d 0f fc c0")).toMatchObject({ reg: 0, rm: 0 });
		expect(decoded(64, "44 8e d8")).toMatchObject({ reg: 3 });
		expect(decoded(64, "41 d8 c1")).toMatchObject({ rm: 1 });
	});

	it("ignore mod when control and debug registers move", () => {
		const move = decoded(32, "0f 22 18");
		expect(move).toMatchObject({ isRegister: true, reg: 3, rm: 0 });
		expect(decoded(64, "0f 20 c0").operandSize).toBe(64);
		expect(decoded(16, "0f 20 c0").operandSize).toBe(32);
	});

	it("make #UD where they do not exist", () => {
		expect(tryDecode(32, "8e c8")).toBe("undefined"); // MOV CS
		expect(tryDecode(32, "8c f0")).toBe("undefined");
		expect(tryDecode(32, "0f 20 c8")).toBe("undefined"); // CR1
		expect(tryDecode(64, "44 0f 23 c0")).toBe("undefined"); // DR8
		expect(decoded(64, "44 0f 20 c0").reg).toBe(8); // CR8
	});
});

describe("immediates", () => {
	it("sign-extend or not as their type says", () => {
		expect(decoded(32, "04 80").immediate).toBe(0x80);
		expect(decoded(32, "83 c0 80").immediate).toBe(-128);
		expect(decoded(32, "66 05 00 80").immediate).toBe(-0x8000);
		expect(decoded(32, "c2 00 80").immediate).toBe(0x8000);
		expect(decoded(64, "48 05 00 00 00 80")).toMatchObject({
			immediate: -0x80000000,
			immediateHigh: -1,
		});
	});

	it("have eight bytes only for B8 with REX.W and for moffs", () => {
		expect(decoded(64, "48 b8 01 02 03 04 05 06 07 88")).toMatchObject({
			immediate: 0x04030201,
			immediateHigh: 0x88070605 | 0,
		});
		expect(decoded(64, "a1 01 02 03 04 05 06 07 08")).toMatchObject({
			immediate: 0x04030201,
			immediateHigh: 0x08070605,
		});
		expect(decoded(64, "67 a1 01 02 03 04").immediate).toBe(0x04030201);
		expect(decoded(16, "a1 01 f2").immediate).toBe(0xf201);
	});

	it("come in pairs for ENTER and far pointers", () => {
		expect(decoded(32, "c8 10 80 03")).toMatchObject({
			immediate: 0x8010,
			immediate2: 3,
		});
		expect(decoded(32, "9a 01 02 03 04 08 f0")).toMatchObject({
			immediate: 0x04030201,
			immediate2: 0xf008,
		});
		expect(decoded(32, "66 ea 01 f2 08 00")).toMatchObject({
			immediate: 0xf201,
			immediate2: 8,
		});
	});
});

describe("rows", () => {
	it.each([
		[32, "63 c0", "ARPL"],
		[64, "63 c0", "MOVSXD"],
		[32, "0f c7 0f", "CMPXCHG8B"],
		[64, "48 0f c7 0f", "CMPXCHG16B"],
		[32, "f6 c8 01", "TEST"],
		[32, "d0 f0", "SHL"],
		[32, "d6", "SALC"],
		[32, "f1", "INT1"],
		[32, "82 c0 01", "ADD"],
		[32, "0f 01 f9", "RDTSCP"],
		[64, "0f 01 f8", "SWAPGS"],
		[32, "0f 01 38", "INVLPG"],
		[32, "0f ae e8", "LFENCE"],
		[32, "0f ae 38", "CLFLUSH"],
		[32, "0f 12 c1", "MOVHLPS"],
		[32, "0f 12 01", "MOVLPS"],
		[32, "d9 ee", "FLDZ"],
		[32, "df c0", "FFREEP"],
		[32, "dc e1", "FSUBR"],
		[32, "d8 e1", "FSUB"],
		[32, "db 28", "FLD"],
		[32, "66 0f 3a 0f c1 05", "PALIGNR"],
		[32, "c4 00", "LES"],
	] as const)("in %i-bit code make of %s %s", (codeSize, hex, mnemonic) => {
		expect(decoded(codeSize, hex).row.mnemonic).toBe(mnemonic);
	});

	it.each([
		[64, "06", "PUSH ES"],
		[64, "27", "DAA"],
		[64, "60", "PUSHA"],
		[64, "82 c0 01", "the alias of 80"],
		[64, "9a 01 02 03 04 05 06", "CALL ptr16:32"],
		[64, "ce", "INTO"],
		[64, "d4 0a", "AAM"],
		[64, "c4 00", "LES"],
		[32, "c4 c0", "VEX"],
		[32, "62 c0", "EVEX"],
		[32, "0f 01 f8", "SWAPGS outside 64-bit mode"],
		[32, "8d c0", "LEA of a register"],
		[32, "0f c7 c8", "CMPXCHG8B of a register"],
		[32, "f3 0f fc c0", "PADDB with F3"],
		[32, "0f b8 c0", "POPCNT without F3"],
		[32, "0f 04", "an opcode nobody uses"],
		[32, "ff f8", "group 5, /7"],
	] as const)("in %i-bit code make #UD of %s (%s)", (codeSize, hex, _what) => {
		expect(tryDecode(codeSize, hex)).toBe("undefined");
	});

	it("vanish with their feature: F3 0F BC is TZCNT or BSF", () => {
		const without = new Set(ALL_FEATURES);
		without.delete("bmi1");
		without.delete("sse2");
		const scan = tryDecode(32, "f3 0f bc c1", without);
		expect(scan).toMatchObject({ row: { mnemonic: "BSF" } });
		expect(tryDecode(32, "66 0f fc c1", without)).toBe("undefined");
		expect(decoded(32, "f3 0f bc c1").row.mnemonic).toBe("TZCNT");
	});
});

describe("length", () => {
	it("asks for more whenever an instruction is cut off", () => {
		const whole = "66 f0 81 84 8b 78 56 34 12 cd ab";
		decoded(32, whole);
		for (let n = 0; n < 11; n++) {
			const mode = { codeSize: 32 } as const;
			expect(decode(bytesOf(whole), 0, n, mode)).toBe("truncated");
		}
	});

	it("does not look at bytes beyond those available", () => {
		const bytes = bytesOf("0f 1f 40 00");
		expect(decode(bytes, 0, 3, { codeSize: 32 })).toBe("truncated");
	});

	it("is 15 bytes at most, prefixes included (#GP, not #UD)", () => {
		decoded(32, `${"66 ".repeat(14)} 90`);
		expect(tryDecode(32, `${"66 ".repeat(15)} 90`)).toBe("too-long");
		expect(tryDecode(32, `${"66 ".repeat(13)} 05 01 02`)).toBe("too-long");
		decoded(32, `${"66 ".repeat(12)} 05 01 02`);
	});

	it("starts at the offset given", () => {
		const bytes = bytesOf("90 90 b0 12 90");
		const result = decode(bytes, 2, 3, { codeSize: 32 });
		expect(result).toMatchObject({ lengthBytes: 2, immediate: 0x12 });
	});
});

describe("operandWidth", () => {
	it.each([
		[32, "66 01 c0", "Ev", 16],
		[64, "48 6b c0 01", "Ibs", 64],
		[64, "48 05 00 00 00 00", "Iz", 32],
		[64, "48 0f 6e c0", "Ey", 64],
		[32, "ff 18", "Mp", 48],
		[16, "ff 18", "Mp", 32],
		[32, "0f 01 10", "Ms", 48],
		[64, "0f 01 10", "Ms", 80],
		[32, "66 d9 30", "M28", 112],
		[32, "d9 30", "M28", 224],
		[32, "db 28", "Mt", 80],
		[32, "0f 58 c0", "Wdq", 128],
		[32, "0f ae 00", "M512", 4096],
		[16, "62 00", "Ma", 32],
		[64, "48 ed", "eAX", 32],
	] as const)(
		"is, in %i-bit code, in %s for %s: %i",
		(codeSize, hex, spec, bits) => {
			expect(operandWidth(decoded(codeSize, hex), spec)).toBe(bits);
		},
	);
});
