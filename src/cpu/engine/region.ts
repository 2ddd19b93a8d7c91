/**
 * What a region is made of: basic blocks of guest code from one or several
 * pages, named by their distance from the linear page of the region's entry.
 * That distance is the same wherever the page is mapped, so a region holds for
 * every linear address at which its first page is reached.
 *
 * @journey E:708 A region, described
 */

import type { Instruction } from "../decode/instruction.ts";

/** One instruction of a region. */
export interface RegionInstruction {
	readonly instruction: Instruction;
	/** Bytes from the start of the entry's page; negative before it. */
	readonly offset: number;
	/** The cold engine's record of it. */
	readonly record: number;
}

/** How a block ends. */
export type BlockEnd =
	/** Runs on into the block (or exit) behind it. */
	| { readonly kind: "fall"; readonly next: number }
	/** Jcc, LOOP, JCXZ. */
	| {
			readonly kind: "conditional";
			readonly target: number;
			readonly next: number;
	  }
	/** JMP to a constant address. */
	| { readonly kind: "jump"; readonly target: number }
	/** CALL of a constant address, to come back to `next`. */
	| { readonly kind: "call"; readonly target: number; readonly next: number }
	/** RET and indirect branches; `next` = where an indirect CALL comes back to. */
	| {
			readonly kind: "dynamic";
			readonly isReturn: boolean;
			readonly next: number | undefined;
	  }
	/** Before an instruction that only the cold engine can run. */
	| {
			readonly kind: "cold";
			readonly offset: number;
			readonly record: number;
	  };

export interface RegionBlock {
	readonly offset: number;
	readonly instructions: readonly RegionInstruction[];
	readonly end: BlockEnd;
	/** Blocks of this region that a dynamic end is known to lead to, likeliest first. */
	targets: readonly number[];
}

/** A page of a region's code. */
export interface RegionPage {
	/** Bytes from the entry's page to this one: a multiple of 4096. */
	readonly distance: number;
	/** Physical address of what is there. */
	readonly physical: number;
}

/** The whole: blocks (entry first) and pages (the entry's first). */
export interface RegionShape {
	readonly blocks: readonly RegionBlock[];
	readonly pages: readonly RegionPage[];
	readonly instructions: number;
}

/** A region leaves before it has executed them all when fewer are left of the budget. */
export const MOST_REGION_INSTRUCTIONS = 1200;
