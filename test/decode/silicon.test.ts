/**
 * The decoder against this machine's own processor: lengths, and what is #UD,
 * for every opcode of the four maps behind every mandatory prefix, and for
 * instances with all kinds of prefixes made after the table's rows.
 * `silicon-decode.c` says how a processor is asked.
 *
 * Skipped, loudly, where there is no x86-64 Linux or no C compiler, and in
 * 32-bit code where the kernel runs none. All r/m values of all opcodes take
 * `LGUEST_LONG=1`.
 */

import { spawnSync } from "node:child_process";
import {
	existsSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { decode } from "../../src/cpu/decode/decoder.ts";
import type {
	DecodeFailure,
	Instruction,
} from "../../src/cpu/decode/instruction.ts";
import { OPCODE_TABLE } from "../../src/cpu/decode/opcode-table.ts";
import { modeUnavailable } from "../silicon/oracle.ts";
import {
	INSTANCE_BYTES,
	instanceOf,
	Random,
	randomInstance,
} from "./instances.ts";

const LONG = process.env.LGUEST_LONG === "1";
const SEED = Number(process.env.LGUEST_SEED ?? 1);
const ESCAPES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const PREFIXES = [[], [0x66], [0xf3], [0xf2], [0x66, 0xf3], [0xf2, 0x66]];
const VECTOR_UD = 6;
const VECTOR_GP = 13;

/** Row features by their names in /proc/cpuinfo, where those differ. */
const CPUINFO_NAMES: Readonly<Record<string, string>> = {
	x87: "fpu",
	clfsh: "clflush",
	sse3: "pni",
	sse41: "sse4_1",
	sse42: "sse4_2",
};
/** "cet" rows are NOPs on processors without it; the others are never flags. */
const NO_FLAG = ["base", "cet", "vmx"];

/** #UD for a user program whatever the decoder says. */
const UNDEFINED_FOR_USERS =
	/^(UD[012]|RSM|CLAC|STAC|MONITOR|MWAIT|VMCALL|VMMCALL|SYSENTER|SYSEXIT|SYSCALL|SYSRET)$/;

/** What opcode-table.ts leaves out and a processor may have, as hexadecimal without prefixes. */
const LEFT_OUT = new RegExp(
	[
		"^(c[45]|62|8f)", // VEX, EVEX, XOP
		"^0f01(c|d|e|f[a-f])", // XGETBV, SVM, MONITORX, CLZERO, …
		"^0f(0e|0f|37|78|79)", // 3DNow!, GETSEC, SSE4a, VMX
		"^0f2b", // SSE4a
		"^0fae", // FSGSBASE, XSAVE, CLWB, CET, …
		"^0fc7", // VMX, XSAVEC, RDSEED, RDPID
		"^0f38(8[0-2]|c8|c9|c[a-f]|d[8b-f]|f[5689a-d])", // SHA, AES, GFNI, ADX, …
		"^0f3a(44|c[c-f]|df|f0)", // the same
		"^c[67]f8", // TSX
	].join("|"),
);

/**
 * LOCK on AMD: before MOV to and from CR0 it means CR8, and VERW does not mind
 * it. We follow Intel's manual, where both are #UD.
 */
const AMD_LOCK = /^0f(2[02][048c][0-7]|00[26a][89a-f])/;

type Verdict = Instruction | DecodeFailure;

/** Every opcode behind every mandatory prefix. */
function everyOpcode(is64: boolean): Uint8Array[] {
	const instances: Uint8Array[] = [];
	for (const escapeBytes of ESCAPES) {
		for (let opcode = 0; opcode < 256; opcode++) {
			if (isEscapeOrPrefix(escapeBytes, opcode, is64)) continue;
			for (const prefix of PREFIXES) {
				for (const modrm of modrmsFor(escapeBytes, opcode)) {
					const bytes = new Uint8Array(INSTANCE_BYTES).fill(0x11);
					bytes.set([...prefix, ...escapeBytes, opcode, modrm]);
					instances.push(bytes);
				}
			}
		}
	}
	return instances;
}

function isEscapeOrPrefix(
	escapeBytes: readonly number[],
	opcode: number,
	is64: boolean,
): boolean {
	if (escapeBytes.length === 1) return opcode === 0x38 || opcode === 0x3a;
	if (escapeBytes.length === 2) return false;
	const prefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67];
	prefixes.push(0x0f, 0xf0, 0xf2, 0xf3);
	return prefixes.includes(opcode) || (is64 && (opcode & 0xf0) === 0x40);
}

/** [rCX] with every reg; registers with every reg, and every r/m where that may matter. */
function modrmsFor(escapeBytes: readonly number[], opcode: number): number[] {
	const isX87 = escapeBytes.length === 0 && (opcode & 0xf8) === 0xd8;
	const isGroup =
		escapeBytes.length === 1 && [0x01, 0xae, 0xc7].includes(opcode);
	const modrms: number[] = [];
	for (let reg = 0; reg < 8; reg++) {
		modrms.push((reg << 3) | 1);
		for (let rm = 0; rm < (LONG || isX87 || isGroup ? 8 : 1); rm++) {
			const modrm = 0xc0 | (reg << 3) | rm;
			if (!isHypercall(escapeBytes, opcode, modrm)) modrms.push(modrm);
		}
	}
	return modrms;
}

/** Not to be tried out: what is around this machine might answer. */
function isHypercall(
	escapeBytes: readonly number[],
	opcode: number,
	modrm: number,
): boolean {
	const group = modrm & 0xf8;
	return (
		escapeBytes.length === 1 &&
		opcode === 0x01 &&
		(group === 0xc0 || group === 0xd8)
	);
}

function manyPrefixes(codeSize: 32 | 64): Uint8Array[] {
	const random = new Random(SEED * 104_729 + codeSize);
	const instances: Uint8Array[] = [];
	for (const row of OPCODE_TABLE) {
		if (row.feature === "vmx") continue;
		for (let i = 0; i < (LONG ? 200 : 20); i++) {
			instances.push(instanceOf(row, codeSize, random));
		}
	}
	for (let i = 0; i < (LONG ? 200_000 : 20_000); i++) {
		const bytes = randomInstance(codeSize, random);
		if (!/0f01[cd]/.test(hex(bytes))) instances.push(bytes);
	}
	return instances;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const folder = mkdtempSync(join(tmpdir(), "lguest-silicon-decode-"));
afterAll(() => rmSync(folder, { recursive: true }));
const program = join(folder, "silicon-decode");

function build(): boolean {
	if (process.arch !== "x64" || process.platform !== "linux") return false;
	const source = new URL("silicon-decode.c", import.meta.url).pathname;
	const flags = ["-O1", "-fno-stack-protector", "-o", program, source];
	return spawnSync("cc", flags).status === 0;
}

/** Per instance: bytes the processor fetched, and the exception's vector. */
function askSilicon(
	instances: readonly Uint8Array[],
	codeSize: 32 | 64,
): Uint8Array {
	const input = join(folder, `in-${codeSize}`);
	const output = join(folder, `out-${codeSize}`);
	writeFileSync(input, Buffer.concat(instances));
	const { status, stderr } = spawnSync(program, [
		String(codeSize),
		input,
		output,
	]);
	if (status !== 0) throw new Error(`silicon-decode failed: ${stderr}`);
	return readFileSync(output);
}

function agrees(ours: Verdict, lengthBytes: number, vector: number): boolean {
	if (ours === "undefined") return vector === VECTOR_UD;
	if (typeof ours === "string") return vector === VECTOR_GP;
	return vector !== VECTOR_UD && lengthBytes === ours.lengthBytes;
}

function isExplained(
	ours: Verdict,
	bytes: Uint8Array,
	codeSize: 32 | 64,
	lengthBytes: number,
	vector: number,
): boolean {
	if (typeof ours === "string") {
		// Processors measure undefined opcodes of 0F 3A, too, before they refuse.
		const isTooLong = vector === VECTOR_GP && lengthBytes === 15;
		const code = withoutPrefixes(bytes);
		return isTooLong || LEFT_OUT.test(code) || AMD_LOCK.test(code);
	}
	const { row } = ours;
	if (vector === VECTOR_UD) {
		return UNDEFINED_FOR_USERS.test(row.mnemonic) || isMissing(row.feature);
	}
	// AMD truncates near branches with 66 in 64-bit mode; we follow Intel.
	return (
		codeSize === 64 &&
		row.operands[0] === "Jz" &&
		lengthBytes === ours.lengthBytes - 2
	);
}

function withoutPrefixes(bytes: Uint8Array): string {
	return hex(bytes).replace(/^(26|2e|36|3e|6[4-7]|f[023]|4.)*/, "");
}

const cpuFlags = existsSync("/proc/cpuinfo")
	? (/^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ??
		"")
	: "";

function isMissing(feature: string): boolean {
	if (NO_FLAG.includes(feature)) return false;
	const name = CPUINFO_NAMES[feature] ?? feature;
	return !` ${cpuFlags} `.includes(` ${name} `);
}

function unexplained(
	instances: readonly Uint8Array[],
	codeSize: 32 | 64,
): string[] {
	const answers = askSilicon(instances, codeSize);
	const failures: string[] = [];
	instances.forEach((bytes, i) => {
		const lengthBytes = answers[2 * i];
		const vector = answers[2 * i + 1];
		const ours = decode(bytes, 0, INSTANCE_BYTES, { codeSize });
		if (
			agrees(ours, lengthBytes, vector) ||
			isExplained(ours, bytes, codeSize, lengthBytes, vector)
		) {
			return;
		}
		const verdict =
			typeof ours === "string"
				? ours
				: `${ours.row.mnemonic}, ${ours.lengthBytes} bytes`;
		failures.push(
			`${hex(bytes)}: ours ${verdict}; silicon vector ${vector}, ${lengthBytes} bytes`,
		);
	});
	return failures;
}

const available = build();
if (!available) {
	console.warn("skipped: decoder against silicon (no x86-64 Linux with cc)");
}

describe.skipIf(!available)("the decoder against silicon", () => {
	for (const codeSize of [32, 64] as const) {
		const why = modeUnavailable(codeSize);
		const test = it.skipIf(why !== undefined);
		const where = `in ${codeSize}-bit code${why === undefined ? "" : ` (${why})`}`;
		test(`agrees on every opcode behind every mandatory prefix ${where}`, {
			timeout: 600_000,
		}, () => {
			const instances = everyOpcode(codeSize === 64);
			expect(unexplained(instances, codeSize)).toEqual([]);
		});

		test(`agrees on instances with all kinds of prefixes ${where}`, {
			timeout: 600_000,
		}, () => {
			const instances = manyPrefixes(codeSize);
			expect(unexplained(instances, codeSize), `seed ${SEED}`).toEqual([]);
		});
	}
});
