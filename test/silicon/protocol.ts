/**
 * The byte streams between the oracle and the native runner: records of
 * descriptors, data patterns and cases one way, results the other way. The
 * layouts are the structs of guests/silicon/runner.c.
 *
 * Relies on case.ts and environment.ts; oracle.ts relies on it.
 *
 * @journey M:612 Talking to the native runner
 */
import {
	type Change,
	initialFlags,
	initialSegments,
	type SiliconCase,
	type SiliconResult,
} from "./case.ts";
import { dataPattern } from "./data-pattern.ts";
import { FS_BASE_64, GS_BASE_64, type LdtDescriptor } from "./environment.ts";

const RECORD_DESCRIPTOR = 1;
const RECORD_PATTERN = 2;
const RECORD_CASE = 3;
const CASE_HEADER_BYTES = 704;
const RESULT_BYTES = 696;
const PAGE_FAULT = 14;
const SIGSYS = 31;

/** A byte buffer that grows; all numbers little-endian. */
class Writer {
	#bytes = new Uint8Array(1 << 20);
	#view = new DataView(this.#bytes.buffer);
	length = 0;

	#reserve(count: number): number {
		const at = this.length;
		this.length += count;
		if (this.length > this.#bytes.length) {
			const larger = new Uint8Array(2 * this.length);
			larger.set(this.#bytes);
			this.#bytes = larger;
			this.#view = new DataView(larger.buffer);
		}
		return at;
	}

	u16(value: number): void {
		const at = this.#reserve(2);
		this.#view.setUint16(at, value, true);
	}

	u32(value: number): void {
		const at = this.#reserve(4);
		this.#view.setUint32(at, value, true);
	}

	u64(value: bigint): void {
		const at = this.#reserve(8);
		this.#view.setBigUint64(at, value, true);
	}

	/** Bytes, then zeros up to the next quadword. */
	padded(bytes: Uint8Array): void {
		const at = this.#reserve((bytes.length + 7) & ~7);
		this.#bytes.set(bytes, at);
		this.#bytes.fill(0, at + bytes.length, this.length);
	}

	result(): Uint8Array {
		return this.#bytes.subarray(0, this.length);
	}
}

function writeDescriptor(out: Writer, d: LdtDescriptor): void {
	out.u32(RECORD_DESCRIPTOR);
	out.u32(16);
	out.u32(d.entry);
	out.u32(d.base);
	out.u32(d.limit);
	out.u32(
		(d.is32 ? 1 : 0) |
			(d.contents << 1) |
			(d.restricted ? 8 : 0) |
			(d.limitInPages ? 16 : 0) |
			(d.present ? 0 : 32),
	);
}

function writePattern(out: Writer, pattern: number): void {
	const data = dataPattern(pattern);
	out.u32(RECORD_PATTERN);
	out.u32(data.length);
	out.padded(data);
}

function caseBytes(test: SiliconCase): number {
	let bytes = CASE_HEADER_BYTES + ((test.code.length + 7) & ~7);
	for (const patch of test.patches)
		bytes += 8 + ((patch.bytes.length + 7) & ~7);
	return bytes;
}

function writeCase(out: Writer, test: SiliconCase): void {
	const long = test.mode === 64;
	out.u32(RECORD_CASE);
	out.u32(caseBytes(test));
	for (let i = 0; i < 16; i++) out.u64(test.gpr[i] as bigint);
	out.u64(BigInt(initialFlags(test)));
	for (const selector of initialSegments(test)) out.u16(selector);
	out.u32(0);
	out.u64(BigInt(FS_BASE_64));
	out.u64(BigInt(GS_BASE_64));
	out.u32(long ? 1 : 0);
	out.u32(test.writableCode ? 1 : 0);
	out.u32(test.codeOffset);
	out.u32(test.code.length);
	out.u32(test.patches.length);
	out.u32(0);
	out.padded(test.fx);
	out.padded(test.code);
	for (const { offset, bytes } of test.patches) {
		out.u32(offset);
		out.u32(bytes.length);
		out.padded(bytes);
	}
}

/** The input stream that makes a fresh runner execute these cases in order, with these entries in the LDT. */
export function encodeCases(
	cases: readonly SiliconCase[],
	ldt: readonly LdtDescriptor[],
): Uint8Array {
	const out = new Writer();
	for (const descriptor of ldt) writeDescriptor(out, descriptor);
	let pattern = -1;
	for (const test of cases) {
		if (test.pattern !== pattern) {
			pattern = test.pattern;
			writePattern(out, pattern);
		}
		writeCase(out, test);
	}
	return out.result();
}

function decodeResult(view: DataView, at: number, changes: Change[]) {
	const signal = view.getUint32(at, true);
	const trap = view.getUint32(at + 4, true);
	const gpr = new BigUint64Array(16);
	for (let i = 0; i < 16; i++)
		gpr[i] = view.getBigUint64(at + 40 + 8 * i, true);
	const segments = new Uint16Array(6);
	for (let i = 0; i < 6; i++)
		segments[i] = view.getUint16(at + 168 + 2 * i, true);
	const from = view.byteOffset + at + 184;
	const result: SiliconResult = {
		ended: signal !== 0,
		vector: signal === SIGSYS ? -1 : trap,
		errorCode: view.getUint32(at + 8, true),
		faultAddress: trap === PAGE_FAULT ? view.getBigUint64(at + 16, true) : 0n,
		rip: view.getBigUint64(at + 24, true),
		flags: view.getUint32(at + 32, true),
		gpr,
		segments,
		fx: new Uint8Array(view.buffer.slice(from, from + 512)),
		changes,
	};
	return result;
}

/** The results of a run, in the order of its cases; fewer if the runner died. */
export function decodeResults(bytes: Uint8Array): SiliconResult[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const results: SiliconResult[] = [];
	let at = 0;
	while (at + RESULT_BYTES <= bytes.length) {
		const count = view.getUint32(at + 12, true);
		if (at + RESULT_BYTES + 16 * count > bytes.length) break;
		const changes: Change[] = [];
		for (let i = 0; i < count; i++) {
			const entry = at + RESULT_BYTES + 16 * i;
			changes.push({
				offset: Number(view.getBigUint64(entry, true)),
				value: view.getBigUint64(entry + 8, true),
			});
		}
		results.push(decodeResult(view, at, changes));
		at += RESULT_BYTES + 16 * count;
	}
	return results;
}
