/**
 * What the silicon oracle runs and what comes back: the two records that
 * native runner, subject, comparer and shrinker exchange, and their text form
 * of one line, which is how failures are printed and kept.
 *
 * Relies on environment.ts and data-pattern.ts.
 *
 * @journey M:604 A case and its result
 */

import { dataPattern } from "./data-pattern.ts";
import {
	CODE_BASE,
	CODE_WRITABLE_BASE,
	CS_32,
	CS_64,
	DATA_BYTES,
	SS_FLAT,
} from "./environment.ts";
import { rowKey, rowOfId, rowOfKey } from "./rows.ts";

/** Code size of a case: 32-bit compatibility mode or 64-bit mode. */
export type Mode = 32 | 64;

/** Bytes that replace a part of the data pattern before the case starts. */
export interface Patch {
	/** From DATA_BASE. */
	readonly offset: number;
	readonly bytes: Uint8Array;
}

/** Bytes from `offset`, counted from DATA_BASE. */
export interface ByteRange {
	readonly offset: number;
	readonly length: number;
}

/** One generated instruction: where its bytes are and which row they stand for. */
export interface PlacedInstruction {
	/** Id of the opcode-table row. */
	readonly row: number;
	/** Within the case's code bytes. */
	readonly offset: number;
	readonly length: number;
}

export interface SiliconCase {
	readonly mode: Mode;
	/** 16 registers in encoding order; 32-bit cases use 8, upper halves zero. */
	readonly gpr: BigUint64Array;
	/** Arithmetic flags and DF; IF and bit 1 are always set beside them. */
	readonly flags: number;
	/** ES, DS, FS, GS selectors; CS and SS are the mode's flat ones. */
	readonly segments: { es: number; ds: number; fs: number; gs: number };
	/** FXSAVE image, 64-bit form: x87, MXCSR, XMM0..15. */
	readonly fx: Uint8Array;
	/** Run where code may be written. */
	readonly writableCode: boolean;
	/** From the code area's base. */
	readonly codeOffset: number;
	readonly code: Uint8Array;
	readonly instructions: readonly PlacedInstruction[];
	/** Number of the data pattern that fills the data area. */
	readonly pattern: number;
	readonly patches: readonly Patch[];
	/** Bytes of the data area that are not compared: x87 pointers saved there. */
	readonly masks: readonly ByteRange[];
}

/** A quadword of the data area that the case changed. */
export interface Change {
	readonly offset: number;
	readonly value: bigint;
}

export interface SiliconResult {
	/** False when the time ran out: an endless loop. The rest then means little. */
	readonly ended: boolean;
	/** The exception that ended it, 3 for the INT3 behind the code; -1: stopped as a system call. */
	readonly vector: number;
	readonly errorCode: number;
	/** CR2 for page faults, else 0. */
	readonly faultAddress: bigint;
	readonly rip: bigint;
	readonly flags: number;
	readonly gpr: BigUint64Array;
	/** ES CS SS DS FS GS. */
	readonly segments: Uint16Array;
	/** FXSAVE image; bytes 464..511 and MXCSR_MASK are not compared. */
	readonly fx: Uint8Array;
	/** In order of offset. */
	readonly changes: readonly Change[];
}

/** Linear address of a case's first code byte. */
export function codeStart(test: SiliconCase): number {
	return (test.writableCode ? CODE_WRITABLE_BASE : CODE_BASE) + test.codeOffset;
}

/** EFLAGS at the start, with the bits that user mode always sees set. */
export function initialFlags(test: SiliconCase): number {
	return test.flags | 0x202;
}

/** Selectors at the start in the order ES CS SS DS FS GS. */
export function initialSegments(test: SiliconCase): number[] {
	const { es, ds, fs, gs } = test.segments;
	return [es, test.mode === 64 ? CS_64 : CS_32, SS_FLAT, ds, fs, gs];
}

/** The data area as the case finds it. */
export function initialData(test: SiliconCase): Uint8Array {
	const data = dataPattern(test.pattern).slice(0, DATA_BYTES);
	for (const { offset, bytes } of test.patches) data.set(bytes, offset);
	return data;
}

function hex(bytes: Uint8Array): string {
	let text = "";
	for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
	return text;
}

function unhex(text: string): Uint8Array {
	if (text.length % 2 !== 0 || /[^0-9a-f]/.test(text))
		throw new Error(`not hexadecimal bytes: ${text}`);
	return Uint8Array.from({ length: text.length / 2 }, (_, i) =>
		Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
	);
}

/** The neutral FXSAVE image: empty x87, default control words, zero XMM. */
export function neutralFx(): Uint8Array {
	const fx = new Uint8Array(512);
	new DataView(fx.buffer).setUint16(0, 0x37f, true);
	new DataView(fx.buffer).setUint32(24, 0x1f80, true);
	return fx;
}

/** Runs of bytes of `fx` that differ from the neutral image, "offset:bytes". */
function fxText(fx: Uint8Array): string[] {
	const neutral = neutralFx();
	const runs: string[] = [];
	for (let i = 0; i < fx.length; i++) {
		if (fx[i] === neutral[i]) continue;
		let end = i + 1;
		while (end < fx.length && fx[end] !== neutral[end]) end++;
		runs.push(`${i}:${hex(fx.subarray(i, end))}`);
		i = end;
	}
	return runs;
}

/**
 * One line that says everything about a case; what has its neutral value is
 * left out, so a shrunk case is short.
 *
 * @example "32 code=2048/40~INC:40 r0=7fffffff seg=2b,2b,0,0"
 */
export function formatCase(test: SiliconCase): string {
	const words: string[] = [`${test.mode}`];
	const code = test.instructions
		.map(
			({ row, offset, length }) =>
				`${rowKey(rowOfId(row))}:${hex(test.code.subarray(offset, offset + length))}`,
		)
		.join(",");
	words.push(`code=${test.codeOffset}${test.writableCode ? "w" : ""}/${code}`);
	test.gpr.forEach((value, i) => {
		if (value !== 0n) words.push(`r${i}=${value.toString(16)}`);
	});
	if (test.flags) words.push(`flags=${test.flags.toString(16)}`);
	const { es, ds, fs, gs } = test.segments;
	words.push(`seg=${[es, ds, fs, gs].map((s) => s.toString(16)).join(",")}`);
	const fx = fxText(test.fx);
	if (fx.length > 0) words.push(`fx=${fx.join(",")}`);
	if (test.pattern) words.push(`pattern=${test.pattern}`);
	for (const { offset, bytes } of test.patches)
		words.push(`data=${offset}:${hex(bytes)}`);
	for (const { offset, length } of test.masks)
		words.push(`mask=${offset}:${length}`);
	return words.join(" ");
}

function parseCode(text: string): {
	codeOffset: number;
	writableCode: boolean;
	code: Uint8Array;
	instructions: PlacedInstruction[];
} {
	const slash = text.indexOf("/");
	const where = text.slice(0, slash);
	const list = text.slice(slash + 1);
	const instructions: PlacedInstruction[] = [];
	const bytes: number[] = [];
	for (const item of list.split(",").filter((s) => s !== "")) {
		const [row = "", hexBytes = ""] = item.split(":");
		const part = unhex(hexBytes);
		instructions.push({
			row: rowOfKey(row).id,
			offset: bytes.length,
			length: part.length,
		});
		bytes.push(...part);
	}
	return {
		codeOffset: Number.parseInt(where, 10),
		writableCode: where.endsWith("w"),
		code: Uint8Array.from(bytes),
		instructions,
	};
}

function parseFx(text: string): Uint8Array {
	const fx = neutralFx();
	for (const run of text.split(",")) {
		const [offset = "", bytes = ""] = run.split(":");
		fx.set(unhex(bytes), Number(offset));
	}
	return fx;
}

/** The case that `formatCase` printed. Throws on a line it did not print. */
export function parseCase(line: string): SiliconCase {
	const [modeText, ...words] = line.trim().split(/\s+/);
	const mode = Number(modeText);
	if (mode !== 32 && mode !== 64) throw new Error(`no mode in: ${line}`);
	const gpr = new BigUint64Array(16);
	const patches: Patch[] = [];
	const masks: ByteRange[] = [];
	let code = parseCode("2048/");
	let flags = 0;
	let pattern = 0;
	let fx = neutralFx();
	let segments = { es: SS_FLAT, ds: SS_FLAT, fs: 0, gs: 0 };
	for (const word of words) {
		const at = word.indexOf("=");
		const key = word.slice(0, at);
		const value = word.slice(at + 1);
		if (key === "code") code = parseCode(value);
		else if (key === "flags") flags = Number.parseInt(value, 16);
		else if (key === "pattern") pattern = Number(value);
		else if (key === "fx") fx = parseFx(value);
		else if (key === "seg") {
			const s = value.split(",").map((text) => Number.parseInt(text, 16));
			const [es = 0, ds = 0, fs = 0, gs = 0] = s;
			segments = { es, ds, fs, gs };
		} else if (key === "data") {
			const [offset = "", bytes = ""] = value.split(":");
			patches.push({ offset: Number(offset), bytes: unhex(bytes) });
		} else if (key === "mask") {
			const [offset = 0, length = 0] = value.split(":").map(Number);
			masks.push({ offset, length });
		} else if (/^r\d+$/.test(key))
			gpr[Number(key.slice(1))] = BigInt(`0x${value}`);
		else throw new Error(`unknown word ${word}`);
	}
	return { mode, gpr, flags, segments, fx, ...code, pattern, patches, masks };
}
