/**
 * `--engine compare`: every stay in a region is done again by the cold engine,
 * and everything must come out the same.
 *
 * ```
 * state and memory as they are ── region ──▶ n instructions later, kept
 *          ▲                                        ║ equal?
 *          └─ taken back ─── cold engine, n ──▶ and again
 * ```
 *
 * The machine goes on with what the region made of it, as it does without this;
 * the first difference ends it with an `EngineDifference`. Instead of a region's
 * function the table holds a gate that leads here, also while the cold engine
 * repeats what the region did: then the gate says "go on cold".
 *
 * Regions touch nothing but the processor's state and RAM, so nothing that
 * cannot be taken back happens in one.
 *
 * @journey E:750 Trust, and check
 */

import { EngineDifference } from "../../errors.ts";
import { readEflags } from "../flags.ts";
import { RAM_BASE } from "../memory-layout.ts";
import { forgetMemos } from "../mmu/page-memos.ts";
import {
	BUDGET,
	CR2,
	EFER,
	FAULT_ERROR_CODE,
	FAULT_HAS_ERROR_CODE,
	FAULT_VECTOR,
	FIELDS,
	type Field,
	FLAG_AUX,
	FLAG_RESULT,
	FLOAT_SCRATCH,
	GPR,
	HOT_RETIRED,
	MEMO,
	NEXT_RIP,
	REGION_COLD_EXITS,
	REGION_ENTRIES,
	REGION_EXIT,
	RIP,
	SCRATCH,
	SHADOW,
	STATE_BYTES,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
	TLB_FILLS,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import { TABLE_SLOTS } from "./engine-modules.ts";
import {
	RECORD_DISPLACEMENT,
	RECORD_LINK,
	RECORD_PAGE_OFFSET,
} from "./record.ts";
import { makeRegionGate, type RegionGate } from "./region-gate.ts";
import { STATUS_BUDGET, STATUS_COLD, STATUS_JUMP } from "./status.ts";
import type { WriteJournal } from "./write-journal.ts";

/**
 * Not the program's: bookkeeping, scratch, and CR2, for the cold engine looks up
 * where to go on before it stops, and what it finds there may be a page fault.
 */
const UNCOMPARED: ReadonlySet<Field> = new Set([
	...[BUDGET, SHADOW, FLAG_RESULT, FLAG_AUX, NEXT_RIP, CR2],
	...[
		MEMO,
		HOT_RETIRED,
		REGION_ENTRIES,
		REGION_COLD_EXITS,
		REGION_EXIT,
		TLB_FILLS,
	],
	...[FAULT_VECTOR, FAULT_ERROR_CODE, FAULT_HAS_ERROR_CODE],
	...[SYSTEM_RESULT, SYSTEM_ARGUMENT, SCRATCH, FLOAT_SCRATCH],
]);

/** State offsets of the 32-bit words that must agree. */
const COMPARED_WORDS = FIELDS.filter((field) => !UNCOMPARED.has(field))
	.flatMap(({ offset, stride, count }) =>
		Array.from({ length: (stride * count) / 4 }, (_, i) => offset + i * 4),
	)
	.filter((offset) => !isUpperHalf(offset));
/** Upper halves of general registers: outside long mode nothing can see them. */
const LONG_WORDS = Array.from(
	{ length: GPR.count },
	(_, i) => GPR.offset + i * GPR.stride + 4,
);
const EFER_LMA = 1 << 10;

/** What the comparer needs of the rest of the processor. */
export interface ComparerSurroundings {
	readonly state: StateView;
	readonly journal: WriteJournal;
	/** Runs the cold loop from the state; see `ColdEngine.run`. */
	runCold(): number;
	/** Grows whenever all decoded code is forgotten, and records with it. */
	readonly forgotten: () => number;
	/** Instructions retired since the start. */
	readonly retired: () => number;
}

export class RegionComparer {
	/** Stays in regions that have been compared. */
	compared = 0;
	/** The cold engine is repeating what a region did. */
	isRepeating = false;
	readonly #around: ComparerSurroundings;
	readonly #gate: RegionGate;
	readonly #bytes: Uint8Array;
	readonly #words: Int32Array;
	readonly #before = new Uint8Array(STATE_BYTES);
	readonly #after = new Uint8Array(STATE_BYTES);
	readonly #afterWords = new Int32Array(this.#after.buffer);

	constructor(around: ComparerSurroundings) {
		this.#around = around;
		const { buffer } = around.state.view;
		this.#bytes = new Uint8Array(buffer, around.state.base, STATE_BYTES);
		this.#words = new Int32Array(buffer, around.state.base, STATE_BYTES / 4);
		this.#gate = makeRegionGate(TABLE_SLOTS, (record, low, high) =>
			this.#enter(record, low, high),
		);
	}

	/** The function for the engine's table in place of a region's. */
	readonly entrance = (slot: number, run: () => number): (() => number) => {
		this.#gate.regions.set(slot, run);
		return this.#gate.gate;
	};

	#enter(record: number, low: number, high: number): number {
		const { state, journal, forgotten } = this.#around;
		const rip = ripOf(state, record, low);
		if (this.isRepeating) return this.#goOnCold(record, rip, high);
		const slot = state.view.getUint32(record + RECORD_DISPLACEMENT, true);
		const generation = forgotten();
		this.#before.set(this.#bytes);
		journal.open();
		const status = this.#gate.run(slot, record, low, high);
		this.#repeat(slot, rip, high);
		journal.close();
		this.compared++;
		// The record that it names may be gone.
		const isLost = status === STATUS_COLD && forgotten() !== generation;
		return isLost ? this.#jump() : status;
	}

	/** Does with the cold engine what the region has done, compares, and leaves what the region left. */
	#repeat(slot: number, rip: number, high: number): void {
		const { state, journal } = this.#around;
		const hot = outcomeOf(state);
		this.#after.set(this.#bytes);
		journal.exchange();
		this.#bytes.set(this.#before);
		const instructions = state.get32(BUDGET) - hot.left;
		const movesShadow = state.get32(SHADOW) !== hot.shadow;
		setRip(state, rip, high);
		state.set32(BUDGET, instructions);
		const status = instructions === 0 ? STATUS_BUDGET : this.#run();
		const cold = outcomeOf(state);
		const findings = new Findings();
		if (cold.left !== 0) {
			findings.note("instructions", instructions - cold.left, instructions);
			findings.lines.push(`the cold engine stopped with status ${status}`);
		}
		if (movesShadow) {
			const [a, b] = [cold.shadow - cold.left, hot.shadow - hot.left];
			findings.note("shadow", a, b);
		}
		findings.note("eflags", cold.flags, hot.flags);
		this.#compareState(findings);
		this.#compareMemory(findings);
		this.#bytes.set(this.#after);
		forgetMemos(state);
		if (findings.lines.length === 0) return;
		const entry = hex((BigInt(high >>> 0) << 32n) | BigInt(rip >>> 0));
		throw new EngineDifference(
			[
				`The engines differ about region ${slot} at ${entry}, ${instructions} instructions long, that ended at RIP ${hex(state.getBig(RIP))} after ${this.#around.retired()} instructions in all:`,
				...findings.lines,
			].join("\n  "),
		);
	}

	#compareState(findings: Findings): void {
		const { state } = this.#around;
		const compareWords = (offsets: readonly number[]) => {
			for (const offset of offsets) {
				const cold = this.#words[offset >> 2] as number;
				const hot = this.#afterWords[offset >> 2] as number;
				if (cold !== hot) findings.note(nameOf(offset), cold, hot);
			}
		};
		compareWords(COMPARED_WORDS);
		if (state.get32(EFER) & EFER_LMA) compareWords(LONG_WORDS);
	}

	#compareMemory(findings: Findings): void {
		const difference = this.#around.journal.firstDifference();
		if (difference === undefined) return;
		const [host, hot, cold] = difference;
		findings.note(`memory at physical ${hex(host - RAM_BASE)}`, cold, hot);
	}

	#run(): number {
		const { runCold } = this.#around;
		this.isRepeating = true;
		const status = runCold();
		this.isRepeating = false;
		return status;
	}

	/** The gate's answer to the cold engine: run the instructions themselves. */
	#goOnCold(record: number, rip: number, high: number): number {
		const { state } = this.#around;
		setRip(state, rip, high);
		const own = state.view.getInt32(record + RECORD_LINK, true);
		state.set32(REGION_EXIT, own);
		return STATUS_COLD;
	}

	/** To RIP, by no exit that has a name. */
	#jump(): number {
		this.#around.state.set32(REGION_EXIT, 0);
		return STATUS_JUMP;
	}
}

/** What differs, a line each. */
class Findings {
	readonly lines: string[] = [];

	note(name: string, cold: number, hot: number): void {
		if (cold === hot) return;
		this.lines.push(`${name}: cold ${hex(cold)}, hot ${hex(hot)}`);
	}
}

/** What is not compared word by word. */
function outcomeOf(state: StateView) {
	return {
		left: state.get32(BUDGET),
		shadow: state.get32(SHADOW),
		flags: readEflags(state),
	};
}

/** Lower half of the RIP of a region's record; `low`: that of its page. */
function ripOf(state: StateView, record: number, low: number): number {
	return low + state.view.getUint16(record + RECORD_PAGE_OFFSET, true);
}

function setRip({ view, base }: StateView, low: number, high: number): void {
	view.setInt32(base + RIP.offset, low, true);
	view.setInt32(base + RIP.offset + 4, high, true);
}

function isUpperHalf(offset: number): boolean {
	const inside = offset - GPR.offset;
	const isGpr = inside >= 0 && inside < GPR.count * GPR.stride;
	return isGpr && (inside & 4) !== 0;
}

/** "gpr[3]+4": where a state offset is. */
function nameOf(offset: number): string {
	const field = FIELDS.find(
		({ offset: start, stride, count }) =>
			offset >= start && offset < start + stride * count,
	) as Field;
	const { name, count, stride } = field;
	const inside = offset - field.offset;
	const index = count === 1 ? "" : `[${Math.floor(inside / stride)}]`;
	const bytes = inside % stride;
	return `${name}${index}${bytes === 0 ? "" : `+${bytes}`}`;
}

function hex(value: number | bigint): string {
	const unsigned = typeof value === "bigint" ? value : value >>> 0;
	return `0x${unsigned.toString(16)}`;
}
