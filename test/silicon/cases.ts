/**
 * The generator of random cases: draws rows of the opcode table, encodes a
 * short sequence of them over one state, and resolves the addresses that
 * jumps, pointers and RIP-relative operands need.
 *
 * Relies on encode.ts, prepare.ts and sequence.ts; the harness relies on it.
 *
 * @journey M:630 Random cases from the opcode table
 */
import type { OpcodeRow } from "../../src/cpu/decode/instruction.ts";
import type { Mode, Patch, SiliconCase } from "./case.ts";
import { PATTERN_COUNT } from "./data-pattern.ts";
import { endsCase, registersWritten, segmentWritten } from "./effects.ts";
import { type Encoded, encode } from "./encode.ts";
import {
	ARITHMETIC_FLAGS,
	CODE_BASE,
	CODE_BYTES,
	CODE_WRITABLE_BASE,
	DATA_BASE,
} from "./environment.ts";
import { followFlags } from "./flow.ts";
import { randomFx } from "./initial-state.ts";
import { AFTER, BEFORE, patchTypedOperand } from "./prepare.ts";
import { Random, storeBits } from "./random.ts";
import { eligibleRows, isObservable, rowOfId } from "./rows.ts";
import { prependStore, STORE } from "./self-modify.ts";
import { type Fixup, Gpr, Sequence } from "./sequence.ts";

export interface GeneratorOptions {
	readonly mode: Mode;
	readonly seed: number;
	/** Mnemonics or row keys with wildcards. */
	readonly rows?: string;
	/** Most instructions of one case. */
	readonly maxInstructions?: number;
}

/** How many cases in a row share a data pattern. */
const CASES_PER_PATTERN = 64;

/** What a case draws its rows from. */
type Theme = (row: OpcodeRow) => boolean;

const THEMES: readonly Theme[] = [
	(row) => row.feature === "x87" || row.mnemonic === "FISTTP",
	(row) =>
		/^(mmx|x87)$/.test(row.feature) ||
		row.operands.some((o) => /^[PQN]/.test(o)),
	(row) => /^s?sse/.test(row.feature),
	(row) => row.feature === "base" && !row.endsBlock,
	(row) => /^(PUSH|POP|CALL|RET|ENTER|LEAVE|J|LOOP)/.test(row.mnemonic),
];

/** An endless, seeded source of cases. */
export class CaseGenerator {
	readonly #options: GeneratorOptions;
	readonly #random: Random;
	readonly #themes: OpcodeRow[][];
	/** Whether the extra store of self-modifying code is allowed. */
	readonly #mayModify: boolean;
	#count = 0;
	#pattern = 0;

	constructor(options: GeneratorOptions) {
		this.#options = options;
		this.#random = new Random(options.seed);
		const rows = eligibleRows(options.mode, options.rows);
		if (rows.length === 0) throw new Error(`no row matches ${options.rows}`);
		this.#mayModify = rows.includes(STORE) && options.maxInstructions !== 1;
		const useful = rows.filter((row) => isObservable(row, options.mode));
		const lists = THEMES.map((theme) => useful.filter(theme));
		this.#themes = [rows, rows, rows, ...lists.filter((l) => l.length > 0)];
	}

	/** The next case: none of its instructions reads an undefined flag. */
	next(): SiliconCase {
		if (this.#count++ % CASES_PER_PATTERN === 0)
			this.#pattern = 1 + this.#random.below(PATTERN_COUNT);
		for (;;) {
			const test = this.#attempt();
			if (test !== undefined && !followFlags(test).readsUndefined) return test;
		}
	}

	#attempt(): SiliconCase | undefined {
		const random = this.#random;
		const { mode, maxInstructions = 8 } = this.#options;
		const s = new Sequence(random, mode);
		s.flags = random.bits32() & ARITHMETIC_FLAGS;
		const rows = random.pick(this.#themes);
		const count = 1 + random.below(maxInstructions);
		for (let i = 0; i < 4 * count && s.instructions.length < count; i++) {
			const row = random.pick(rows);
			if (appendInstruction(s, row, this.#mayModify) && endsCase(row, mode))
				break;
		}
		return s.instructions.length === 0 ? undefined : finish(s, this.#pattern);
	}
}

/** Adds one instruction of the row; false when this is not the moment for it. */
function appendInstruction(
	s: Sequence,
	row: OpcodeRow,
	mayModify: boolean,
): boolean {
	if (TRIGONOMETRIC.test(row.mnemonic) && usesX87(s)) return false;
	const wishes = BEFORE[row.mnemonic]?.(s, row);
	if (wishes === undefined && BEFORE[row.mnemonic] !== undefined) return false;
	const encoded = encode(s, row, wishes);
	if (encoded === undefined) return false;
	if (savesPointers(row.mnemonic) && !maskPointers(s, encoded)) return false;
	if (AFTER[row.mnemonic]?.(s, encoded) === false) return false;
	patchTypedOperand(s, encoded);
	if (mayModify && s.writableCode && s.random.chance(0.3))
		prependStore(s, encoded);
	const offset = s.code.length;
	addCodeFixups(s, encoded, offset);
	s.code.push(...encoded.bytes);
	s.instructions.push({ row: row.id, offset, length: encoded.bytes.length });
	s.write(registersWritten(encoded));
	const segment = segmentWritten(encoded);
	if (segment >= 0) s.writeSegment(segment);
	if (/^(PUSH|POP|CALL|RET|ENTER|LEAVE|IRET)/.test(row.mnemonic))
		s.stackMoved = true;
	return true;
}

/** How far results may differ depends on the argument, which must be known: the initial ST0. */
const TRIGONOMETRIC = /^(FSIN|FCOS|FSINCOS|FPTAN)$/;

function usesX87(s: Sequence): boolean {
	return s.instructions.some(({ row: id }) => {
		const row = rowOfId(id);
		return (
			/^(x87|mmx|fxsr)$/.test(row.feature) ||
			row.operands.some((o) => /^[PQN]/.test(o))
		);
	});
}

/** True for instructions that store the x87 instruction and data pointers. */
function savesPointers(mnemonic: string): boolean {
	return /^(FNSTENV|FNSAVE|FXSAVE)$/.test(mnemonic);
}

/** Marks where they go as not compared (differences.ts says why). */
function maskPointers(s: Sequence, e: Encoded): boolean {
	if (e.target === undefined) return false;
	const at = e.target - DATA_BASE;
	const add = (offset: number, length: number) =>
		s.masks.push({ offset: at + offset, length });
	if (e.row.mnemonic === "FXSAVE") {
		add(6, 18);
		add(28, 4);
	} else if (e.operandSize === 16) add(6, 8);
	else add(12, 14);
	return true;
}

/** Branch targets, far pointers and RIP-relative displacements wait for `finish`. */
function addCodeFixups(s: Sequence, e: Encoded, offset: number): void {
	const end = offset + e.bytes.length;
	const index = s.instructions.length;
	if (e.ripAt >= 0)
		s.fixups.push({
			kind: "relative",
			at: offset + e.ripAt,
			length: 4,
			end,
			boundary: -1,
			address: e.ripOffset,
		});
	const first = e.row.operands[0] ?? "";
	if (first === "Ap" && e.operandSize === 32)
		s.fixups.push({
			kind: "code",
			at: offset + e.immediateAt,
			length: 4,
			end,
			boundary: -1 - index,
		});
	if (!first.startsWith("J")) return;
	if (first === "Jz" && e.operandSize === 16) return;
	const wild = first === "Jz" && s.random.chance(0.02);
	s.fixups.push({
		kind: "relative",
		at: offset + e.immediateAt,
		length: e.immediateLength,
		end,
		boundary: branchTarget(s, e, index),
		...(wild ? { address: wildTarget(s) } : {}),
	});
}

/** Nowhere near the code: into the middle of an instruction anything might happen. */
function wildTarget(s: Sequence): number {
	const page = s.random.pick([DATA_BASE, CODE_BASE + 0x4000, 0x30000000]);
	return page + s.random.below(0x1000);
}

/** Loops with a known small count may go back; everything else goes forward. */
function branchTarget(s: Sequence, e: Encoded, index: number): number {
	const count = e.row.mnemonic.startsWith("LOOP") ? s.known(Gpr.CX) : 0n;
	const counted = count !== undefined && count > 0n && count < 20n;
	if (counted && s.random.chance(0.5))
		return s.random.between(Math.max(0, index - 2), index);
	return s.random.chance(0.5) ? index + 1 : -1 - index;
}

/** Most bytes an instruction may lose; vendors differ in how much of one that does not exist they fetch. */
function mostCut(
	mode: Mode,
	row: OpcodeRow,
	{ length }: { length: number },
): number {
	const exists = !/^UD[01]$/.test(row.mnemonic);
	return exists && !(mode === 64 && row.invalidIn64) ? length - 1 : 0;
}

/** Where the code starts: mostly well inside, sometimes across the page boundary or up to the very end. */
function chooseCodeOffset(s: Sequence): { offset: number; cut: number } {
	const { random } = s;
	const kind = random.below(100);
	if (kind < 5)
		return { offset: 0x1000 - random.between(1, s.code.length + 1), cut: 0 };
	if (kind < 8) {
		const last = s.instructions[s.instructions.length - 1];
		const most =
			last === undefined ? 0 : mostCut(s.mode, rowOfId(last.row), last);
		const cut = random.chance(0.5) ? 0 : random.below(most + 1);
		return { offset: CODE_BYTES - s.code.length + cut, cut };
	}
	return { offset: random.between(0x40, 0xe00), cut: 0 };
}

function finish(s: Sequence, pattern: number): SiliconCase {
	for (let i = 0; i < 16; i++) if (s.mode === 64 || i < 8) s.known(i);
	const { offset, cut } = chooseCodeOffset(s);
	const start = (s.writableCode ? CODE_WRITABLE_BASE : CODE_BASE) + offset;
	const code = Uint8Array.from(s.code);
	const patches = [...s.patches];
	const boundaries = s.instructions.map((i) => i.offset);
	boundaries.push(code.length);
	for (const fixup of s.fixups)
		resolve(s, fixup, start, code, boundaries, patches);
	const fx = randomFx(s.random);
	if (s.mode === 32) fx.fill(0, 288, 416);
	const [es, , , ds, fs, gs] = s.selectors as [
		number,
		number,
		number,
		number,
		number,
		number,
	];
	return {
		mode: s.mode,
		gpr: s.gpr,
		flags: s.flags,
		segments: { es, ds, fs, gs },
		fx,
		writableCode: s.writableCode,
		codeOffset: offset,
		code: code.subarray(0, code.length - cut),
		instructions: s.instructions,
		pattern,
		patches,
		masks: s.masks,
	};
}

function resolve(
	s: Sequence,
	fixup: Fixup,
	start: number,
	code: Uint8Array,
	boundaries: readonly number[],
	patches: Patch[],
): void {
	const first = -fixup.boundary;
	const boundary =
		fixup.boundary >= 0
			? Math.min(fixup.boundary, boundaries.length - 1)
			: s.random.between(
					Math.min(first, boundaries.length - 1),
					boundaries.length - 1,
				);
	const target =
		fixup.address ??
		start + (fixup.codeOffset ?? (boundaries[boundary] as number));
	if (fixup.kind === "register") s.gpr[fixup.at] = BigInt(target);
	else if (fixup.kind === "data") {
		const bytes = new Uint8Array(fixup.length);
		storeBits(bytes, 0, BigInt(target), fixup.length);
		patches.push({ offset: fixup.at - DATA_BASE, bytes });
	} else {
		const value = fixup.kind === "code" ? target : target - start - fixup.end;
		storeBits(code, fixup.at, BigInt.asUintN(64, BigInt(value)), fixup.length);
	}
}
