/**
 * Where everything lies in a machine's one `WebAssembly.Memory`.
 *
 * | from | what |
 * | --- | --- |
 * | 0 | never used: a host address of 0 means "no address" |
 * | STATE_BASE | vCPU state (`state.ts`) |
 * | JUMP_CACHE_BASE | physical code address → decoded record |
 * | REGION_CACHE_BASE | linear code address → region (`engine/region-cache.ts`) |
 * | TLB_BASE | one word for each 4 KiB of the 32-bit linear space (`mmu/tlb.ts`) |
 * | TLB_USED_BASE | which of those words are in use, so that they can be dropped |
 * | WIDE_TLB_BASE | hashed, with tags: what 64-bit code uses instead (`mmu/wide-tlb.ts`) |
 * | CODE_MAP_BASE | one byte for each physical page: non-zero if code has been decoded from it |
 * | TOUCHED_MAP_BASE | one byte for each physical page: 0 if nothing was ever written there |
 * | ARENA_BASE | decoded records of the cold engine |
 * | RAM_BASE | guest physical memory |
 *
 * A host address below RAM_BASE handed out by the MMU is a staging buffer.
 *
 * @journey E:190 One memory
 */

export const WASM_PAGE_BYTES = 0x1_0000;

export const STATE_BASE = 0x1000;

export const JUMP_CACHE_BASE = 0x1_0000;
/** Power of two. */
export const JUMP_CACHE_ENTRIES = 0x4000;
/** Host address of the code byte (u32), record address (u32). */
export const JUMP_CACHE_ENTRY_BYTES = 8;

export const REGION_CACHE_BASE =
	JUMP_CACHE_BASE + JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES;
/** Power of two. */
export const REGION_CACHE_ENTRIES = 0x1000;
export const REGION_CACHE_ENTRY_BYTES = 16;

export const TLB_BASE = 0x4_0000;
export const TLB_ENTRIES = 0x10_0000;

/** Pages that may be in the TLB before everything is dropped, local and global each. */
export const TLB_MOST_USED = 16384;
/** Linear page numbers: of entries that a CR3 write drops, then of global ones, then two counts. */
export const TLB_USED_BASE = TLB_BASE + TLB_ENTRIES * 4;
export const TLB_USED_GLOBAL_BASE = TLB_USED_BASE + TLB_MOST_USED * 4;
export const TLB_COUNTS = TLB_USED_GLOBAL_BASE + TLB_MOST_USED * 4;

/** Three words: see `mmu/code-epochs.ts`. */
export const CODE_EPOCHS = TLB_COUNTS + 8;

/** Words: local entries noted below, whether one for code has been displaced, whether any was made. */
export const WIDE_TLB_NOTES = CODE_EPOCHS + 12;
/** Numbers of entries that a CR3 write drops. */
export const WIDE_TLB_USED_BASE = TLB_COUNTS + 0x4000;
export const WIDE_TLB_MOST_USED = 4096;

export const WIDE_TLB_BASE = TLB_COUNTS + WASM_PAGE_BYTES;
/** Of each of two halves; power of two. */
export const WIDE_TLB_ENTRIES = 4096;
/** Linear page address (u64), word as in the other TLB (u32), its upper bits (u32). */
export const WIDE_TLB_ENTRY_BYTES = 16;

export const CODE_MAP_BASE =
	WIDE_TLB_BASE + 2 * WIDE_TLB_ENTRIES * WIDE_TLB_ENTRY_BYTES;
/** Enough for 4 GiB. */
export const PAGE_MAP_BYTES = 0x10_0000;
export const TOUCHED_MAP_BASE = CODE_MAP_BASE + PAGE_MAP_BYTES;

export const ARENA_BASE = TOUCHED_MAP_BASE + PAGE_MAP_BYTES;
export const ARENA_BYTES = 0x200_0000;

export const RAM_BASE = ARENA_BASE + ARENA_BYTES;
