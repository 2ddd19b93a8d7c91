/**
 * Compares what silicon and a subject made of one case: every register,
 * every flag that is defined, x87 and SSE state, memory, and the exception
 * with its error code and address.
 *
 * Relies on differences.ts, flow.ts and tolerance.ts; the harness and the
 * shrinker rely on it.
 *
 * @journey M:638 Comparing two processors
 */
import {
	codeStart,
	initialData,
	type SiliconCase,
	type SiliconResult,
} from "./case.ts";
import {
	approximation,
	areNullSelectors,
	completedLast,
	endingIndex,
	mayFaultAnywhere,
	mayFaultOtherwise,
	mayLagAtInt1,
	mayStorePartly,
	uncomparedErrorBits,
	uncomparedFlags,
	uncomparedRegisters,
} from "./differences.ts";
import { Flag } from "./environment.ts";
import { followFlags } from "./flow.ts";
import { rowKey, rowOfId } from "./rows.ts";
import {
	extendedAt,
	nearlyEqualExtended,
	nearlyEqualSingles,
} from "./tolerance.ts";

export interface Difference {
	/** What differs, e.g. "rax", "flags", "st3", "data+0x120". */
	readonly field: string;
	readonly silicon: string;
	readonly subject: string;
}

const PAGE_FAULT = 14;
const PAGE_PRESENT = 1;
const NAMES_32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const NAMES_64 = [
	..."rax rcx rdx rbx rsp rbp rsi rdi".split(" "),
	..."r8 r9 r10 r11 r12 r13 r14 r15".split(" "),
];
const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"];
const TRIGONOMETRIC = /^(FSIN|FCOS|FSINCOS|FPTAN)$/;
/** C1 says which way an inexact result was rounded. */
const C1 = 0x200;

/** Collects differences; values are printed in hexadecimal. */
class Differences {
	readonly list: Difference[] = [];

	add(field: string, silicon: string, subject: string): void {
		this.list.push({ field, silicon, subject });
	}

	number(field: string, silicon: number | bigint, subject: number | bigint) {
		if (silicon !== subject)
			this.add(field, silicon.toString(16), subject.toString(16));
	}
}

/** Differences of two results of `test`; empty means that they agree. */
export function compareResults(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
): Difference[] {
	const out = new Differences();
	if (!silicon.ended && !subject.ended) return [];
	if (silicon.ended !== subject.ended) {
		out.add("ended", `${silicon.ended}`, `${subject.ended}`);
		return out.list;
	}
	compareEnding(test, silicon, subject, out);
	compareRegisters(test, silicon, subject, out);
	compareFlags(test, silicon, subject, out);
	compareX87(test, silicon, subject, out);
	compareSse(test, silicon, subject, out);
	compareData(test, silicon, subject, out);
	return out.list;
}

function compareEnding(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	if (mayFaultOtherwise(test, silicon, subject)) return;
	out.number("vector", silicon.vector, subject.vector);
	if (!mayLagAtInt1(test, silicon, subject)) {
		out.number("rip", silicon.rip, subject.rip);
	}
	const anywhere =
		silicon.vector === PAGE_FAULT &&
		subject.vector === PAGE_FAULT &&
		mayFaultAnywhere(test, silicon);
	// Another page may be present, or not.
	const bits = ~(uncomparedErrorBits(silicon) | (anywhere ? PAGE_PRESENT : 0));
	out.number("error code", silicon.errorCode & bits, subject.errorCode & bits);
	if (!anywhere) out.number("cr2", silicon.faultAddress, subject.faultAddress);
}

function compareRegisters(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	const skip = uncomparedRegisters(test, silicon);
	const names = test.mode === 64 ? NAMES_64 : NAMES_32;
	names.forEach((name, i) => {
		if ((skip & (1 << i)) !== 0) return;
		const a = silicon.gpr[i] as bigint;
		const b = subject.gpr[i] as bigint;
		if (test.mode === 64) out.number(name, a, b);
		else out.number(name, BigInt.asUintN(32, a), BigInt.asUintN(32, b));
	});
	SEGMENT_NAMES.forEach((name, i) => {
		const a = silicon.segments[i] as number;
		const b = subject.segments[i] as number;
		if (!areNullSelectors(a, b)) out.number(name, a, b);
	});
}

function compareFlags(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	if (silicon.flags === subject.flags) return;
	const flow = followFlags(test);
	const index = endingIndex(test, silicon);
	const undefinedFlags =
		index < 0 ? flow.undefinedAnywhere : (flow.undefinedAt[index] as number);
	const bits = ~(undefinedFlags | uncomparedFlags(test, silicon));
	const a = silicon.flags & bits;
	const b = subject.flags & bits;
	if (a === b) return;
	const differing = Object.entries(Flag)
		.filter(([, bit]) => ((a ^ b) & bit) !== 0)
		.map(([name, bit]) => `${name}=${(a & bit) === 0 ? 0 : 1}`);
	out.add("flags", `${a.toString(16)} (${differing})`, b.toString(16));
}

function compareX87(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	const a = new DataView(silicon.fx.buffer, silicon.fx.byteOffset);
	const b = new DataView(subject.fx.buffer, subject.fx.byteOffset);
	const approximate = approximation(test, silicon) === "x87";
	const statusBits = approximate ? 0xffff & ~C1 : 0xffff;
	out.number("fcw", a.getUint16(0, true), b.getUint16(0, true));
	out.number(
		"fsw",
		a.getUint16(2, true) & statusBits,
		b.getUint16(2, true) & statusBits,
	);
	out.number("ftw", a.getUint8(4), b.getUint8(4));
	const argument = TRIGONOMETRIC.test(completedLast(test, silicon))
		? extendedAt(test.fx, 32)
		: undefined;
	for (let i = 0; i < 8; i++) {
		const at = 32 + 16 * i;
		const x = extendedAt(silicon.fx, at);
		const y = extendedAt(subject.fx, at);
		if (x === y) continue;
		if (
			approximate &&
			nearlyEqualExtended(silicon.fx, subject.fx, at, argument)
		)
			continue;
		out.number(`st${i}`, x, y);
	}
}

function compareSse(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	const a = new DataView(silicon.fx.buffer, silicon.fx.byteOffset);
	const b = new DataView(subject.fx.buffer, subject.fx.byteOffset);
	out.number("mxcsr", a.getUint32(24, true), b.getUint32(24, true));
	const reciprocal = approximation(test, silicon) === "reciprocal";
	const count = test.mode === 64 ? 16 : 8;
	for (let i = 0; i < count; i++) {
		const at = 160 + 16 * i;
		const same =
			a.getBigUint64(at, true) === b.getBigUint64(at, true) &&
			a.getBigUint64(at + 8, true) === b.getBigUint64(at + 8, true);
		if (same) continue;
		if (reciprocal && nearlyEqualSingles(silicon.fx, subject.fx, at)) continue;
		const text = (view: DataView) =>
			`${view
				.getBigUint64(at + 8, true)
				.toString(16)
				.padStart(16, "0")}_` +
			view.getBigUint64(at, true).toString(16).padStart(16, "0");
		out.add(`xmm${i}`, text(a), text(b));
	}
}

/** The masked bits of the quadword at `offset`. */
function maskedBits(test: SiliconCase, offset: number): bigint {
	let mask = 0n;
	for (const range of test.masks)
		for (let i = 0; i < 8; i++) {
			const at = offset + i - range.offset;
			if (at >= 0 && at < range.length) mask |= 0xffn << BigInt(8 * i);
		}
	return mask;
}

function compareData(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
	out: Differences,
): void {
	if (silicon.changes.length === 0 && subject.changes.length === 0) return;
	if (mayStorePartly(test, silicon)) return;
	const a = new Map(silicon.changes.map((c) => [c.offset, c.value]));
	const b = new Map(subject.changes.map((c) => [c.offset, c.value]));
	let initial: DataView | undefined;
	for (const offset of new Set([...a.keys(), ...b.keys()])) {
		let x = a.get(offset);
		let y = b.get(offset);
		if (x === y) continue;
		initial ??= new DataView(initialData(test).buffer);
		const mask = ~maskedBits(test, offset);
		x ??= initial.getBigUint64(offset, true);
		y ??= initial.getBigUint64(offset, true);
		out.number(`data+0x${offset.toString(16)}`, x & mask, y & mask);
	}
}

/** A report of one failing case: where it ended, what differs, and the line that repeats it. */
export function describeDifferences(
	test: SiliconCase,
	silicon: SiliconResult,
	differences: readonly Difference[],
	line: string,
): string {
	const index = endingIndex(test, silicon);
	const names = test.instructions.map((at, i) => {
		const bytes = [...test.code.subarray(at.offset, at.offset + at.length)]
			.map((byte) => byte.toString(16).padStart(2, "0"))
			.join(" ");
		const mark = i === index ? ">" : " ";
		const address = (codeStart(test) + at.offset).toString(16);
		return ` ${mark}${address}  ${bytes.padEnd(32)} ${rowKey(rowOfId(at.row))}`;
	});
	const fields = differences.map(
		({ field, silicon: a, subject: b }) =>
			`  ${field.padEnd(12)} silicon ${a}\n  ${"".padEnd(12)} subject ${b}`,
	);
	return [
		`${test.mode}-bit; silicon ended with vector ${silicon.vector} at ${silicon.rip.toString(16)}`,
		...names,
		...fields,
		line,
	].join("\n");
}
