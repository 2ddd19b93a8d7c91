/**
 * Follows a case's instructions to say which flags are undefined where: at
 * each instruction boundary, over every path that jumps may take.
 *
 * Relies on undefined-flags.ts; the generator (to avoid reads of undefined
 * flags), comparer and report rely on it.
 *
 * @journey M:620 Where undefined flags flow
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import type { PlacedInstruction, SiliconCase } from "./case.ts";
import { ARITHMETIC_FLAGS } from "./environment.ts";
import { rowOfId } from "./rows.ts";
import { flagEffects } from "./undefined-flags.ts";

export interface FlagFlow {
	/** Undefined flags before each instruction; one entry more for the end. */
	readonly undefinedAt: readonly number[];
	/** Union over all boundaries: for a case that ended anywhere else. */
	readonly undefinedAnywhere: number;
	/** True if some instruction reads a flag that may be undefined. */
	readonly readsUndefined: boolean;
	/** True for instructions that every execution passes in order, up to there. */
	readonly certain: readonly boolean[];
}

const NEVER_FALLS_THROUGH: ReadonlySet<string> = new Set([
	"JMP",
	"JMPF",
	"RET",
	"RETF",
	"IRET",
	"CALL",
	"CALLF",
]);

function instructionBytes(test: SiliconCase, at: PlacedInstruction) {
	return test.code.subarray(at.offset, at.offset + at.length);
}

/** Target of a relative branch within the case's code, in bytes; the operand must be the last one. */
function relativeTarget(
	row: OpcodeRow,
	bytes: Uint8Array,
	at: PlacedInstruction,
): number {
	const end = at.offset + at.length;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	if (row.operands[0] === "Jb") return end + view.getInt8(bytes.length - 1);
	if (bytes.length < 5) return -1; // 16-bit form: leaves the code area
	return end + view.getInt32(bytes.length - 4, true);
}

/** Indexes an instruction may continue at; undefined = any boundary. */
function successors(test: SiliconCase, index: number): number[] | undefined {
	const at = test.instructions[index] as PlacedInstruction;
	const row = rowOfId(at.row);
	const first = row.operands[0] ?? "";
	const falls = !NEVER_FALLS_THROUGH.has(row.mnemonic);
	if (first.startsWith("J")) {
		const target = relativeTarget(row, instructionBytes(test, at), at);
		const found = test.instructions.findIndex((i) => i.offset === target);
		const next = found < 0 ? test.instructions.length : found;
		return falls ? [index + 1, next] : [next];
	}
	return falls ? [index + 1] : undefined;
}

/** Analyses a case; cheap when nothing becomes undefined. */
export function followFlags(test: SiliconCase): FlagFlow {
	const count = test.instructions.length;
	const effects = test.instructions.map((at) =>
		flagEffects(rowOfId(at.row), instructionBytes(test, at), test.mode),
	);
	const next = test.instructions.map((_, index) => successors(test, index));
	const undefinedAt = new Array<number>(count + 1).fill(0);
	for (let changed = true; changed; ) {
		changed = false;
		for (let i = 0; i < count; i++) {
			const effect = effects[i] as (typeof effects)[number];
			const after =
				((undefinedAt[i] as number) & ~effect.defines) | effect.undefines;
			const targets = next[i] ?? undefinedAt.map((_, k) => k);
			for (const target of targets) {
				const merged = (undefinedAt[target] as number) | after;
				if (merged !== undefinedAt[target]) {
					undefinedAt[target] = merged;
					changed = true;
				}
			}
		}
	}
	let certain = true;
	const certainList = next.map((targets, i) => {
		const was = certain;
		certain &&= targets?.every((target) => target === i + 1) === true;
		return was;
	});
	return {
		undefinedAt,
		undefinedAnywhere:
			undefinedAt.reduce((a, b) => a | b, 0) & ARITHMETIC_FLAGS,
		readsUndefined: effects.some(
			(effect, i) => (effect.reads & (undefinedAt[i] as number)) !== 0,
		),
		certain: certainList,
	};
}
