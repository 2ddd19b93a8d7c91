/**
 * Makes a failing case small: drops instructions, registers, memory and
 * floating-point state as long as silicon and subject still disagree, until
 * what is left fits on a line and points at the culprit.
 *
 * Relies on case.ts and on a predicate that runs many candidates at once
 * (starting the native runner costs more than running it).
 *
 * @journey M:642 Shrinking a failure
 */
import {
	initialData,
	neutralFx,
	type Patch,
	type SiliconCase,
} from "./case.ts";
import { DATA_BASE, SS_FLAT } from "./environment.ts";
import { followFlags } from "./flow.ts";

/** Says for each candidate whether it still fails. */
export type Fails = (candidates: readonly SiliconCase[]) => boolean[];

const MAX_ROUNDS = 40;

function dropInstruction(test: SiliconCase, index: number): SiliconCase {
	const { offset, length } = test.instructions[
		index
	] as SiliconCase["instructions"][number];
	const code = new Uint8Array(test.code.length - length);
	code.set(test.code.subarray(0, offset));
	code.set(test.code.subarray(offset + length), offset);
	const instructions = test.instructions
		.filter((_, i) => i !== index)
		.map((i) => (i.offset > offset ? { ...i, offset: i.offset - length } : i));
	return { ...test, code, instructions };
}

function* fewerInstructions(test: SiliconCase): Generator<SiliconCase> {
	if (test.instructions.length < 2) return;
	// A truncated last instruction has no bytes to move.
	const last = test.instructions[test.instructions.length - 1];
	if (last !== undefined && last.offset + last.length > test.code.length)
		return;
	for (let i = test.instructions.length - 1; i >= 0; i--)
		yield dropInstruction(test, i);
}

function* plainerRegisters(test: SiliconCase): Generator<SiliconCase> {
	for (let i = 0; i < 16; i++) {
		const value = test.gpr[i] as bigint;
		for (const simple of i === 4 ? [BigInt(DATA_BASE + 0x800)] : [0n, 1n]) {
			if (value <= simple) continue;
			const gpr = test.gpr.slice();
			gpr[i] = simple;
			yield { ...test, gpr };
		}
	}
}

function* plainerEnvironment(test: SiliconCase): Generator<SiliconCase> {
	if (test.flags !== 0) {
		yield { ...test, flags: 0 };
		for (let bit = 1; bit <= test.flags; bit *= 2)
			if ((test.flags & bit) !== 0) yield { ...test, flags: test.flags & ~bit };
	}
	if (test.writableCode) yield { ...test, writableCode: false };
	if (test.codeOffset !== 0x800) yield { ...test, codeOffset: 0x800 };
	const { segments } = test;
	for (const key of ["es", "ds", "fs", "gs"] as const) {
		const neutral = key === "es" || key === "ds" ? SS_FLAT : 0;
		if (segments[key] !== neutral)
			yield { ...test, segments: { ...segments, [key]: neutral } };
	}
}

/** Parts of the FXSAVE image that are neutralised together, then one by one. */
const FX_PARTS: readonly (readonly [number, number])[] = [
	[0, 512],
	[0, 160],
	[160, 416],
	[0, 2],
	[2, 4],
	[4, 5],
	[24, 28],
	...Array.from({ length: 24 }, (_, i) => [32 + 16 * i, 48 + 16 * i] as const),
	...Array.from({ length: 48 }, (_, i) => [32 + 8 * i, 40 + 8 * i] as const),
];

function* plainerFx(test: SiliconCase): Generator<SiliconCase> {
	const neutral = neutralFx();
	for (const [from, to] of FX_PARTS) {
		let differs = false;
		for (let i = from; i < to; i++) differs ||= test.fx[i] !== neutral[i];
		if (!differs) continue;
		const fx = test.fx.slice();
		fx.set(neutral.subarray(from, to), from);
		yield { ...test, fx };
	}
}

/** Without one patch, or with half of it: patches come from halving the whole area, too. */
function* plainerMemory(test: SiliconCase): Generator<SiliconCase> {
	if (test.pattern !== 0) {
		yield { ...test, pattern: 0 };
		const all: Patch = { offset: 0, bytes: initialData(test) };
		yield { ...test, pattern: 0, patches: [all] };
	}
	for (let i = 0; i < test.patches.length; i++) {
		const { offset, bytes } = test.patches[i] as Patch;
		const replaceBy = (...list: Patch[]) => ({
			...test,
			patches: [
				...test.patches.slice(0, i),
				...list,
				...test.patches.slice(i + 1),
			],
		});
		yield replaceBy();
		if (bytes.length < 2) continue;
		const half = bytes.length >> 1;
		yield replaceBy({ offset, bytes: bytes.subarray(0, half) });
		yield replaceBy({ offset: offset + half, bytes: bytes.subarray(half) });
		for (const part of [4, 16]) {
			const size = Math.ceil(bytes.length / part);
			if (size < 2) continue;
			yield replaceBy({ offset: offset + size, bytes: bytes.subarray(size) });
			yield replaceBy({ offset, bytes: bytes.subarray(0, -size) });
		}
	}
}

function* candidates(test: SiliconCase): Generator<SiliconCase> {
	yield* fewerInstructions(test);
	yield* plainerMemory(test);
	yield* plainerFx(test);
	yield* plainerRegisters(test);
	yield* plainerEnvironment(test);
}

/** A case that still fails and that none of the simplifications can make smaller. */
export function shrinkCase(test: SiliconCase, fails: Fails): SiliconCase {
	let smallest = test;
	for (let round = 0; round < MAX_ROUNDS; round++) {
		const list = [...candidates(smallest)].filter(
			(candidate) => !followFlags(candidate).readsUndefined,
		);
		const next = list[fails(list).indexOf(true)];
		if (next === undefined) break;
		smallest = next;
	}
	return smallest;
}
