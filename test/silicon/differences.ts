/**
 * Documented differences: where two correct processors may disagree, and so
 * where the comparer looks away. Each entry says why. Flags have their own
 * table in undefined-flags.ts; rows that cannot be run at all are in rows.ts.
 *
 * Relies on effects.ts and environment.ts; compare.ts relies on it.
 *
 * @journey M:634 Where processors may disagree
 */
import { decode } from "../../src/cpu/decode/decoder.ts";
import type { SiliconCase, SiliconResult } from "./case.ts";
import { codeStart } from "./case.ts";
import { APPROXIMATE, UNCOMPARED_RESULTS } from "./effects.ts";
import { Flag } from "./environment.ts";
import { rowOfId } from "./rows.ts";

/** Reasons by name, for reports and the README. */
export const DIFFERENCE_REASONS = {
	resumeFlag:
		"RF in the saved EFLAGS depends on the kind of exception and is tested by unit vectors",
	pointers:
		"FIP, FDP, FOP and their selectors: AMD saves them by FXSAVE only with an exception pending, Linux loses the selectors at every context switch, and newer Intel processors no longer update FDP",
	mxcsrMask: "MXCSR_MASK names optional MXCSR bits; AMD has bit 17",
	kernelAddress:
		"Linux reports faults on kernel addresses as protection violations, to hide what is mapped there",
	nullSelector:
		"the IRET by which the kernel returns to user mode clears the privilege level of null selectors",
	partsOrder:
		"which part of a long operand, or which of two operands, is touched first, and so CR2 and perhaps the exception, is up to the processor: CMPS begins with its destination on Zen 4, with its source on Zen 5",
	faultOrder:
		"of the several faults a far return may raise, AMD reports others first: it reads CS before EIP, and the outer stack's pointer before it checks CS",
	partialStore:
		"how much of a long store is done before its fault is up to the processor",
	uncomparedResult: "the result is time, chance or the processor's name",
	approximation:
		"the manual gives a tolerance: 1 ulp for x87 transcendentals, 1.5 * 2^-12 relative for reciprocals",
	int1: "a hypervisor below may deliver the trap of INT1 with RIP still at it",
	hypervisorVector:
		"a paravirtual hypervisor takes some vectors of INT as calls, from user mode too; they are found out (hypervisor.ts) and not generated",
	ended: "both sides never end; where each was stopped is accident",
} as const;

const PAGE_FAULT = 14;
const DEBUG = 1;
const BREAKPOINT = 3;
/** First address of the kernel's half, as far as user mode is concerned. */
const USER_LIMIT = 0x7ffffffff000n;

/** Operands of more than 16 bytes, or of two separate parts. */
const MULTI_PART =
	/^(FXSAVE|FXRSTOR|FNSAVE|FRSTOR|FNSTENV|FLDENV|PUSHA|POPA|ENTER|LEAVE|BOUND|CMPS|CALLF|JMPF|RETF|IRET|L[DESFG]S|CMPXCHG16B|FSTP|FLD|FBLD|FBSTP)$/;

/** Of those, the ones that store. */
const PARTIAL_STORE =
	/^(FXSAVE|FNSAVE|FNSTENV|PUSHA|ENTER|CALLF|FSTP|FBSTP|CMPXCHG16B)$/;

/** The index of the instruction a result stopped at: its length at the regular end, -1 elsewhere. */
export function endingIndex(test: SiliconCase, result: SiliconResult): number {
	const offset = Number(result.rip) - codeStart(test);
	const { instructions } = test;
	const last = instructions[instructions.length - 1];
	const end = last === undefined ? 0 : last.offset + last.length;
	// The INT3 behind the code, or the end of the code area right there.
	if (offset === end) return instructions.length;
	if (result.vector === BREAKPOINT && offset === end + 1)
		return instructions.length;
	return instructions.findIndex((i) => i.offset === offset);
}

function mnemonicAt(test: SiliconCase, index: number): string {
	const at = test.instructions[index];
	return at === undefined ? "" : rowOfId(at.row).mnemonic;
}

/** The mnemonic of what a result stopped at, even if a jump into the middle of an instruction made it. */
function endingMnemonic(test: SiliconCase, result: SiliconResult): string {
	const index = endingIndex(test, result);
	const offset = Number(result.rip) - codeStart(test);
	if (index >= 0 || offset < 0 || offset >= test.code.length)
		return mnemonicAt(test, index);
	// INT3 fills the code area.
	const bytes = new Uint8Array(test.code.length + 15).fill(0xcc);
	bytes.set(test.code);
	const found = decode(bytes, offset, 15, { codeSize: test.mode });
	return typeof found === "string" ? "" : found.row.mnemonic;
}

/** The last instruction's mnemonic if the case ended regularly, else "". */
export function completedLast(
	test: SiliconCase,
	result: SiliconResult,
): string {
	const count = test.instructions.length;
	return endingIndex(test, result) === count ? mnemonicAt(test, count - 1) : "";
}

/** True if both are null selectors, which may differ in their lowest two bits. */
export function areNullSelectors(a: number, b: number): boolean {
	return a < 4 && b < 4;
}

/** Bit set of general registers that are not compared. */
export function uncomparedRegisters(
	test: SiliconCase,
	result: SiliconResult,
): number {
	const mnemonic = completedLast(test, result);
	let bits = 0;
	for (const register of UNCOMPARED_RESULTS[mnemonic]?.registers ?? [])
		bits |= 1 << register;
	if (mnemonic === "RDRAND") bits |= 1 << randomDestination(test);
	return bits;
}

/** RDRAND's r/m: the ModR/M byte is the last one, REX.B may be before 0F. */
function randomDestination(test: SiliconCase): number {
	const last = test.instructions[test.instructions.length - 1];
	const end = (last?.offset ?? 0) + (last?.length ?? 0);
	const rex = test.code[end - 4] as number;
	const extended =
		test.mode === 64 && (rex & 0xf1) === 0x41 && (last?.length ?? 0) > 3;
	return ((test.code[end - 1] as number) & 7) | (extended ? 8 : 0);
}

/** EFLAGS bits beside undefined ones that are not compared. */
export function uncomparedFlags(
	test: SiliconCase,
	result: SiliconResult,
): number {
	const chance = completedLast(test, result) === "RDRAND" ? Flag.CF : 0;
	return Flag.RF | chance;
}

/** Error-code bits that are not compared. */
export function uncomparedErrorBits(result: SiliconResult): number {
	return result.vector === PAGE_FAULT && result.faultAddress >= USER_LIMIT
		? 1
		: 0;
}

/** True if both results fault in a long operand, so that CR2 may differ. */
export function mayFaultAnywhere(
	test: SiliconCase,
	result: SiliconResult,
): boolean {
	return MULTI_PART.test(endingMnemonic(test, result));
}

const FAR_RETURN = /^(RETF|IRET)$/;
/** #SS, #GP, #PF and #AC: what reading and checking a return frame, or any operand, may raise. */
const FRAME_FAULTS: readonly number[] = [12, 13, 14, 17];

/** #PF and #AC: whichever part of an operand is touched first decides. */
const PART_FAULTS: readonly number[] = [PAGE_FAULT, 17];

/** Reads two operands, each with its own segment and address. */
const TWO_OPERANDS = /^CMPS$/;

/** True if both results fault in the same instruction, but perhaps with another exception. */
export function mayFaultOtherwise(
	test: SiliconCase,
	result: SiliconResult,
	other: SiliconResult,
): boolean {
	if (result.rip !== other.rip) return false;
	const both = (faults: readonly number[]) =>
		faults.includes(result.vector) && faults.includes(other.vector);
	const mnemonic = endingMnemonic(test, result);
	return (
		(both(FRAME_FAULTS) &&
			(FAR_RETURN.test(mnemonic) || TWO_OPERANDS.test(mnemonic))) ||
		(both(PART_FAULTS) && MULTI_PART.test(mnemonic))
	);
}

/** True if silicon ended at an INT1 and the subject right behind it. */
export function mayLagAtInt1(
	test: SiliconCase,
	silicon: SiliconResult,
	subject: SiliconResult,
): boolean {
	const at = test.instructions[endingIndex(test, silicon)];
	if (silicon.vector !== DEBUG || at === undefined) return false;
	const isBehind = subject.rip === silicon.rip + BigInt(at.length);
	return rowOfId(at.row).mnemonic === "INT1" && isBehind;
}

/** True if the case ended by a fault of an instruction that stores in several parts. */
export function mayStorePartly(
	test: SiliconCase,
	result: SiliconResult,
): boolean {
	return PARTIAL_STORE.test(endingMnemonic(test, result));
}

/** The kind of tolerance for the last instruction's result. */
export function approximation(
	test: SiliconCase,
	result: SiliconResult,
): "none" | "x87" | "reciprocal" {
	const mnemonic = completedLast(test, result);
	if (!APPROXIMATE.has(mnemonic)) return "none";
	return mnemonic.startsWith("R") ? "reciprocal" : "x87";
}
