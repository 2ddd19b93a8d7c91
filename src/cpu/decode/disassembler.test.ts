import { expect, it } from "vitest";
import { decode } from "./decoder.ts";
import { disassemble } from "./disassembler.ts";
import type { SizeAttribute } from "./instruction.ts";
import { OPCODE_TABLE } from "./opcode-table.ts";

function text(codeSize: SizeAttribute, hex: string, address?: number): string {
	const bytes = Uint8Array.from(hex.split(" "), (byte) => Number(`0x${byte}`));
	const instruction = decode(bytes, 0, bytes.length, { codeSize });
	return typeof instruction === "string"
		? instruction
		: disassemble(instruction, address);
}

it.each([
	[32, "f0 01 04 8b", "lock add dword [ebx+ecx*4], eax"],
	[32, "8b 45 f8", "mov eax, dword [ebp-0x8]"],
	[32, "64 a1 14 00 00 00", "mov eax, [fs:0x14]"],
	[32, "65 8b 0d 04 00 00 00", "mov ecx, dword [gs:0x4]"],
	[32, "f3 66 a5", "repz movsw"],
	[32, "2e ac", "lodsb cs:"],
	[32, "83 c4 f0", "add esp, -0x10"],
	[32, "9a 33 22 11 00 08 00", "callf 0x8:0x112233"],
	[32, "c8 10 00 01", "enter 0x10, 0x1"],
	[32, "d9 c1", "fld st1"],
	[32, "db 6d 08", "fld tbyte [ebp+0x8]"],
	[32, "0f 20 c3", "mov ebx, cr0"],
	[32, "99", "cdq"],
	[16, "8b 42 02", "mov ax, word [bp+si+0x2]"],
	[64, "48 8b 05 10 00 00 00", "mov rax, qword [rip+0x10]"],
	[64, "48 b8 11 22 33 44 55 66 77 88", "mov rax, 0x8877665544332211"],
	[64, "40 88 f7", "mov dil, sil"],
	[64, "88 f7", "mov bh, dh"],
	[64, "45 89 c8", "mov r8d, r9d"],
	[64, "66 0f 6f c1", "movdqa xmm0, xmm1"],
	[64, "48 0f c7 0f", "cmpxchg16b oword [rdi]"],
] as const)("writes, in %i-bit code, %s as %s", (codeSize, hex, expected) => {
	expect(text(codeSize, hex)).toBe(expected);
});

it("gives branch targets relative to the instruction or, knowing its address, absolute", () => {
	expect(text(32, "eb fe")).toBe("jmp $+0x0");
	expect(text(32, "e8 fb 0f 00 00", 0xc0001000)).toBe("call 0xc0002000");
	expect(text(16, "e9 00 80", 0x9000)).toBe("jmp 0x1003");
});

it("reaches every row and finds words for it", () => {
	const bytes = new Uint8Array(16);
	for (const row of OPCODE_TABLE) {
		const { hasModrm, mod, extension = 4, rm = 1 } = row;
		const prefix = { np: [], "66": [0x66], f3: [0xf3], f2: [0xf2] };
		const map = {
			"1": [],
			"0f": [0x0f],
			"0f38": [0x0f, 0x38],
			"0f3a": [0x0f, 0x3a],
		};
		const modrm = (mod === "register" ? 0xc0 : 0) | (extension << 3) | rm;
		bytes.fill(0);
		bytes.set([
			...prefix[row.prefix ?? "np"],
			...(row.rexW === true ? [0x48] : []),
			...map[row.map],
			// 90 itself is NOP, the rest of that line is XCHG.
			row.operands[0] === "Zv" ? row.opcode | 1 : row.opcode,
			...(hasModrm ? [modrm] : []),
		]);
		const codeSize = row.only64 || row.rexW ? 64 : 32;
		const instruction = decode(bytes, 0, 16, { codeSize });
		if (typeof instruction === "string") throw new Error(row.mnemonic);
		expect(instruction.row.mnemonic).toBe(row.mnemonic);
		expect(disassemble(instruction)).not.toMatch(/undefined|NaN|\?/);
	}
});
