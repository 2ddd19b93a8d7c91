/**
 * Where a region gives up before an instruction, as one number. There is such a
 * way out for nearly every instruction that touches memory, and hardly any is
 * ever taken: what it has to say must take few bytes, not few cycles.
 *
 * | bits | meaning |
 * | --- | --- |
 * | 0..19 | record of the instruction: which of the arena |
 * | 20..27 | instructions of its block that were counted and not executed |
 * | 28..31 | its page: which of the region's list |
 *
 * @journey E:742 Ways out that are never taken
 */

import { load } from "../../wasm/expression.ts";
import { ARENA_BASE, ARENA_BYTES } from "../memory-layout.ts";
import type { I32 } from "../semantics/emitter.ts";
import { type ArithmeticEmitter, expr } from "./arithmetic-emitter.ts";
import { PAGE_ENTRY_BYTES, RECORD_BYTES, RECORD_PAGES } from "./record.ts";

const RECORD_BITS = 20;
const LEFT_BITS = 8;
const PAGE_SHIFT = RECORD_BITS + LEFT_BITS;

/** What the number says. */
interface ColdExit {
	/** Address of the record. */
	readonly record: number;
	readonly left: number;
	readonly page: number;
}

/** Pages that a region may have. */
const MOST_REGION_PAGES = 1 << (32 - PAGE_SHIFT);

if (ARENA_BYTES / RECORD_BYTES > 1 << RECORD_BITS) {
	throw new Error("the arena has more records than a cold exit can name");
}

/** The number, as signed 32 bits; throws for what does not fit. */
export function packColdExit({ record, left, page }: ColdExit): number {
	const index = (record - ARENA_BASE) / RECORD_BYTES;
	const fits = left < 1 << LEFT_BITS && page >= 0 && page < MOST_REGION_PAGES;
	if (!fits) throw new Error(`no cold exit: ${left} left, page ${page}`);
	return index | (left << RECORD_BITS) | (page << PAGE_SHIFT);
}

/** The same out of the number, as generated code. */
export function unpackColdExit(
	e: ArithmeticEmitter,
	exit: I32,
): Record<keyof ColdExit, I32> {
	const index = e.and(exit, e.i32((1 << RECORD_BITS) - 1));
	const offset = e.shl(index, e.i32(Math.log2(RECORD_BYTES)));
	const left = e.shrU(exit, e.i32(RECORD_BITS));
	return {
		record: e.add(offset, e.i32(ARENA_BASE)),
		left: e.and(left, e.i32((1 << LEFT_BITS) - 1)),
		page: e.shrU(exit, e.i32(PAGE_SHIFT)),
	};
}

/** Distance of a page in the list of a region, whose record is `region`. */
export function pageDistance(
	e: ArithmeticEmitter,
	region: I32,
	page: I32,
): I32 {
	const list = load("i32.load", expr(region), RECORD_PAGES) as I32;
	const entry = e.shl(page, e.i32(Math.log2(PAGE_ENTRY_BYTES)));
	return load("i32.load", expr(e.add(list, entry)), 0) as I32;
}
